package simulate

import (
	"fmt"
	"maps"
	"time"

	"kaiwa/internal/routing"
)

// The resets of a Profile.
const (
	resetAtOnce   = "immediate"
	resetEndOfDay = "end_of_day"
)

// profiles takes over the capacity profiles.
func (c *compiler) profiles() error {
	c.profile = map[string]Profile{}
	for i, p := range c.doc.Profiles {
		at := fmt.Sprintf("capacity_profiles/%d", i)
		_, twice := c.profile[p.ID]
		switch {
		case p.ID == "" || twice:
			return c.wrong(at, "A capacity profile needs an id of its own.")
		case p.LimitDefault < 0 || p.LimitDefault > maxLimit:
			return c.wrong(at+"/limit_default", "A limit is between 1 and %d.", maxLimit)
		case p.Reset != "" && p.Reset != resetAtOnce && p.Reset != resetEndOfDay:
			return c.wrong(at+"/reset", "%q is no reset: it is immediate or end_of_day.", p.Reset)
		}
		p.LimitDefault = max(1, p.LimitDefault)
		if p.Reset == resetEndOfDay {
			zone := c.s.zone
			if p.Zone != "" {
				var err error
				if zone, err = time.LoadLocation(p.Zone); err != nil {
					return c.wrong(at+"/zone", "%q is no time zone. Write an IANA name such as Asia/Tokyo.", p.Zone)
				}
			}
			c.s.midnights[p.ID] = zone
		}
		c.profile[p.ID] = p
	}
	return nil
}

// maxLimit bounds an agent's limit of a capacity profile.
const maxLimit = 1000

// knownProfile checks what names a capacity profile, or none.
func (c *compiler) knownProfile(at, id string) error {
	if _, known := c.profile[id]; id != "" && !known {
		return c.wrong(at, "There is no capacity profile %q. Name one of capacity_profiles.", id)
	}
	return nil
}

// limits reads an agent's limits.
func (c *compiler) limits(at string, list []ProfileLimit) (map[string]routing.Profile, error) {
	out := map[string]routing.Profile{}
	for i, l := range list {
		p := fmt.Sprintf("%s/%d", at, i)
		if l.ProfileID == "" {
			return nil, c.wrong(p, "Name one of capacity_profiles under profile_id.")
		}
		if err := c.knownProfile(p+"/profile_id", l.ProfileID); err != nil {
			return nil, err
		}
		if l.Limit < 0 || l.Limit > maxLimit {
			return nil, c.wrong(p+"/limit", "A limit is between 1 and %d.", maxLimit)
		}
		profile := c.profile[l.ProfileID]
		if l.Limit == 0 {
			l.Limit = profile.LimitDefault
		}
		out[l.ProfileID] = routing.Profile{Limit: l.Limit, Blocks: profile.Blocks}
	}
	return out, nil
}

// load changes what an agent holds by one conversation more (1) or less (-1).
func (p *play) load(a *agent, t *talk, by int64) {
	if a.there {
		p.free -= a.room()
	}
	if profile, has := a.Profiles[t.profile]; has {
		profile.Load += by
		a.Profiles[t.profile] = profile
	}
	a.Load += by * t.units
	if a.there {
		p.free += a.room()
	}
}

// letGo ends what a conversation took of an agent's capacity: at once, or of a
// profile that is reset then at the end of the day.
func (p *play) letGo(a *agent, t *talk) {
	zone, daily := p.s.midnights[t.profile]
	if !daily {
		p.load(a, t, -1)
		return
	}
	y, m, d := p.time().In(zone).Date()
	p.agenda.note(time.Date(y, m, d+1, 0, 0, 0, 0, zone).Sub(p.s.start), func() {
		p.load(a, t, -1)
		p.match()
	})
}

// room is how much more an agent can hold, units and conversations of all
// profiles together.
func (a *agent) room() int64 {
	room := max(0, a.Capacity-a.Load)
	for _, p := range a.Profiles {
		room += max(0, p.Left())
	}
	return room
}

// ownProfiles gives an agent of one replication profiles of their own.
func (a *agent) ownProfiles() { a.Profiles = maps.Clone(a.Profiles) }
