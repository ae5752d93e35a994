package routing

// Profile is an agent's limit of one capacity profile, and what counts against
// it. A conversation counts once against the profile it has, and takes no units.
type Profile struct {
	Limit  int64 // conversations
	Load   int64 // those held and on offer and, where the profile is reset at the end of the day, those ended today
	Blocks bool  // at the limit the agent is offered nothing else either
}

// Left is how many conversations more the agent can have of it.
func (p Profile) Left() int64 { return p.Limit - p.Load }

// profiled gives the contender what is left of their profiles.
func (c *contender) profiled() {
	c.left = make(map[string]int64, len(c.Profiles))
	for id, p := range c.Profiles {
		c.left[id] = p.Left()
	}
}

// has tells whether c has a limit of a capacity profile.
func (c *contender) has(profileID string) bool {
	_, ok := c.Profiles[profileID]
	return ok
}

// mayBlock tells whether c has a profile that blocks.
func (c *contender) mayBlock() bool {
	for _, p := range c.Profiles {
		if p.Blocks {
			return true
		}
	}
	return false
}

// lacks says what keeps c from one more of what requires r, by what they hold;
// "" is nothing. In a run what they hold only grows, so something keeps them
// from then on.
func (c *contender) lacks(r *Requirement) Reason {
	for id, p := range c.Profiles {
		if p.Blocks && id != r.ProfileID && c.left[id] < 1 {
			return ReasonProfileBlocks
		}
	}
	switch {
	case r.ProfileID == "" && c.free < r.Units:
		return ReasonCapacity
	case r.ProfileID != "" && c.left[r.ProfileID] < 1:
		return ReasonProfileFull
	}
	return ""
}

// freeFor is how much more c can hold of what requires r: units, or
// conversations of its capacity profile.
func (c *contender) freeFor(r *Requirement) int64 {
	if r.ProfileID != "" {
		return c.left[r.ProfileID]
	}
	return c.free
}

// loadFor is what c holds of what requires r.
func (c *contender) loadFor(r *Requirement) int64 {
	if r.ProfileID != "" {
		return c.Profiles[r.ProfileID].Limit - c.left[r.ProfileID]
	}
	return c.Capacity - c.free
}

// take counts one more of what requires r.
func (c *contender) take(r *Requirement) {
	if r.ProfileID != "" {
		c.left[r.ProfileID]--
	} else {
		c.free -= r.Units
	}
}
