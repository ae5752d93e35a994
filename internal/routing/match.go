package routing

import (
	"cmp"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// Match offers waiting items to agents.
//
// Items are taken by their queue's priority, then by the queue's buckets where
// it has some, then by their own priority, then the oldest first, and each gets
// the best agent there is for it at that point; whatever an offer takes of an
// agent's capacity is gone for the items after it. An item nobody can have is
// passed over and blocks nothing. Except for an item's preferred agent, nobody
// is offered more than they have capacity for.
//
// An item goes to its preferred agent (see Affinity), else to the first of those
// whom its contact prefers who is in an allowed presence, has room for it and has
// not let it pass, whatever their skills and queues; else to whom the queue's
// method says.
//
// The result does not depend on the order of the snapshot's slices. Ids are
// unique in each of them. Nor does it matter whether a run is cut and another
// goes on with what is left: together they decide as one without bounds, as
// long as each offer is the agent's last one for the next run.
func Match(s Snapshot) Result {
	m := newMatching(s)
	for i, item := range m.items {
		before := m.offered
		m.place(item)
		if item.Behind && m.offered > before {
			m.result.Cut, m.result.Behind = true, item.ConversationID
			break
		}
		if m.offered == s.MaxOffers && s.MaxOffers > 0 && i < len(m.items)-1 {
			m.result.Cut = true
			break
		}
	}
	return m.result
}

// Placeable tells which items somebody could have, each as if it were alone:
// in a run capacity only shrinks, so that the others cannot be placed in one.
func Placeable(s Snapshot) map[string]bool {
	m := newMatching(s)
	able := map[string]bool{}
	for _, item := range m.items {
		if _, ok := m.queues[item.QueueID]; !ok {
			continue
		}
		b := m.bucket(item)
		if m.preferred(item) != nil || m.contactsOwn(item, b) != nil {
			able[item.ConversationID] = true
		} else if best, _, _ := b.choose(item, m.now); best != nil {
			able[item.ConversationID] = true
		}
	}
	return able
}

// matching is a run of Match.
type matching struct {
	now     time.Time
	queues  map[string]Queue
	agents  []*contender // by id
	byID    map[string]*contender
	members map[string][]*contender // of a queue, by agent id
	buckets map[bucketKey]*bucket
	items   []*Item
	ranks   map[string]rank // of the items of queues with buckets of their own, by conversation
	others  int             // agents who are in none of the queues
	offered int             // so far
	result  Result
}

// contender is an agent during a run.
type contender struct {
	*Agent
	free int64            // units; below zero when they have more than they should
	left map[string]int64 // conversations of each capacity profile
	turn int              // when in this run they were offered something last, from 1; 0 is not yet
}

// bucketKey tells which items ask the same of the same people.
type bucketKey struct{ queueID, kind string }

// bucket is what items that ask the same have in common.
type bucket struct {
	requirement Requirement // in its normal form
	method      Method
	custom      *CustomAssignment // of the method Custom
	failures    []RuleLog         // its rules that could not be evaluated
	candidates  []candidate       // the queue's members, by agent id
	notMembers  int
	// blocked is the verdict on an item nobody has let pass yet, once nobody has
	// capacity for it: in a run capacity only shrinks, so nobody has for the rest.
	// steady says that the reasons are the same then, too: none of them goes by
	// rules or by a profile that blocks.
	blocked *Verdict
	steady  bool
}

// candidate is a member of a queue, seen with a requirement.
type candidate struct {
	*contender
	miss      Reason  // what keeps them from it whatever their load; "" is nothing
	shortfall int     // levels missing
	rules     ruleSet // by which they can have it
	unskilled ruleSet // which they match but for their skills
}

func newMatching(s Snapshot) *matching {
	m := &matching{
		now: s.Now, others: s.Others, queues: map[string]Queue{}, byID: map[string]*contender{},
		members: map[string][]*contender{}, buckets: map[bucketKey]*bucket{},
	}
	for _, q := range s.Queues {
		m.queues[q.ID] = q
	}
	for i := range s.Agents {
		a := &s.Agents[i]
		c := &contender{Agent: a, free: a.Capacity - a.Load}
		c.profiled()
		m.agents = append(m.agents, c)
		m.byID[a.ID] = c
	}
	slices.SortFunc(m.agents, func(a, b *contender) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range m.agents {
		queueIDs := slices.Clone(c.QueueIDs)
		slices.Sort(queueIDs)
		for _, id := range slices.Compact(queueIDs) {
			m.members[id] = append(m.members[id], c)
		}
	}
	for i := range s.Items {
		m.items = append(m.items, &s.Items[i])
		m.rankItem(&s.Items[i])
	}
	slices.SortFunc(m.items, m.order)
	return m
}

// order is who is served first.
func (m *matching) order(a, b *Item) int {
	bucketA, priorityA := m.standing(a)
	bucketB, priorityB := m.standing(b)
	return cmp.Or(
		cmp.Compare(m.queues[a.QueueID].Priority, m.queues[b.QueueID].Priority),
		cmp.Compare(bucketA, bucketB),
		cmp.Compare(priorityB, priorityA),
		a.WaitingSince.Compare(b.WaitingSince),
		cmp.Compare(a.ConversationID, b.ConversationID),
	)
}

// place decides one item.
func (m *matching) place(item *Item) {
	if _, ok := m.queues[item.QueueID]; !ok {
		m.say(Verdict{Placement: UnknownQueue, Counts: map[Reason]int{}, Agents: []AgentVerdict{}}, item)
		return
	}
	b := m.bucket(item)
	if agent := m.preferred(item); agent != nil {
		m.placeWithPreferred(item, b, agent)
		return
	}
	if agent := m.contactsOwn(item, b); agent != nil {
		m.offerFirst(item, b, agent, WhyContact)
		return
	}
	if b.blocked != nil && b.steady && len(item.Refusals) == 0 {
		v := *b.blocked
		v.Shared = true
		m.say(v, item)
		return
	}
	best, why, t := b.choose(item, m.now)
	if best != nil {
		m.offer(item, b, best.contender, why.why)
		t.add(best.ID, ReasonChosen)
		m.say(Verdict{Placement: Offered, AgentID: best.ID, Why: why.why, RuleID: why.ruleID, Failures: b.failures, Counts: t.counts, Agents: t.agents()}, item)
		return
	}
	v := Verdict{Placement: NoAgent, Failures: b.failures, Counts: t.counts, Agents: t.agents()}
	if at := b.nextRule(item, m.now); !at.IsZero() {
		v.NextRuleAt = &at
		m.again(at)
	}
	if len(item.Refusals) == 0 {
		v.Shared = b.blocked != nil && b.blocked.Compact() == v.Compact()
		b.blocked = &v
	}
	m.say(v, item)
}

// again notes that the result may change at a time.
func (m *matching) again(at time.Time) {
	if m.result.NextAt.IsZero() || at.Before(m.result.NextAt) {
		m.result.NextAt = at
	}
}

// contactsOwn is the first of those whom the item's contact prefers who can be
// offered it now, or nil.
func (m *matching) contactsOwn(item *Item, b *bucket) *contender {
	r := &b.requirement
	for _, id := range r.First {
		c := m.byID[id]
		if c == nil || !slices.Contains(r.Presences, c.Presence) || item.refusals(id) > 0 {
			continue
		}
		if c.lacks(r) == "" {
			return c
		}
	}
	return nil
}

// offerFirst offers an item to somebody who comes before everybody else.
func (m *matching) offerFirst(item *Item, b *bucket, agent *contender, why Why) {
	m.offer(item, b, agent, why)
	m.say(Verdict{
		Placement: Offered, AgentID: agent.ID, Why: why,
		Counts: map[Reason]int{ReasonChosen: 1}, Agents: []AgentVerdict{{agent.ID, ReasonChosen}},
	}, item)
}

// preferred is the agent item goes to first, or nil when its affinity is over.
func (m *matching) preferred(item *Item) *contender {
	a := item.Affinity
	agent := m.byID[a.AgentID]
	if agent == nil {
		return nil
	}
	refused := item.refusals(a.AgentID)
	switch a.Mode {
	case AffinityPrefer:
		if refused > 0 || !a.Until.IsZero() && !m.now.Before(a.Until) {
			return nil
		}
	case AffinityRequire:
		if refused >= item.maxOffers() {
			return nil
		}
	default:
		return nil
	}
	return agent
}

func (m *matching) placeWithPreferred(item *Item, b *bucket, agent *contender) {
	if slices.Contains(b.requirement.Presences, agent.Presence) {
		m.offerFirst(item, b, agent, WhyPreferred)
		return
	}
	v := Verdict{
		Placement: WaitsForOne, AgentID: agent.ID,
		Counts: map[Reason]int{ReasonPresence: 1}, Agents: []AgentVerdict{{agent.ID, ReasonPresence}},
	}
	if until := item.Affinity.Until; item.Affinity.Mode == AffinityPrefer && !until.IsZero() {
		v.Until = &until
		m.again(until)
	}
	m.say(v, item)
}

func (m *matching) offer(item *Item, b *bucket, to *contender, why Why) {
	m.offered++
	to.take(&b.requirement)
	to.turn = m.offered
	m.result.Offers = append(m.result.Offers, Offer{
		ConversationID: item.ConversationID, QueueID: item.QueueID, AgentID: to.ID, Units: b.requirement.Units, ProfileID: b.requirement.ProfileID, Why: why,
	})
}

func (m *matching) say(v Verdict, item *Item) {
	v.ConversationID, v.QueueID = item.ConversationID, item.QueueID
	if r, ok := m.ranks[item.ConversationID]; ok {
		v.BucketID, v.Failures = r.bucketID, append(slices.Clip(r.failures), v.Failures...)
	}
	m.result.Verdicts = append(m.result.Verdicts, v)
}

// bucket finds or makes the bucket of item.
func (m *matching) bucket(item *Item) *bucket {
	key := bucketKey{item.QueueID, m.kindOf(item)}
	if b := m.buckets[key]; b != nil {
		return b
	}
	members := m.members[item.QueueID]
	b := &bucket{
		requirement: item.Requirement.normal(), method: m.queues[item.QueueID].Method,
		candidates: make([]candidate, len(members)), notMembers: len(m.agents) + m.others - len(members),
	}
	switch b.method {
	case "":
		b.method = HighestCapacity
	case Custom:
		b.custom = m.queues[item.QueueID].Custom
	}
	for i, c := range members {
		b.candidates[i] = candidate{contender: c, shortfall: c.shortfall(b.requirement.Skills)}
		switch {
		case !slices.Contains(b.requirement.Presences, c.Presence):
			b.candidates[i].miss = ReasonPresence
		case b.requirement.ProfileID != "" && !c.has(b.requirement.ProfileID):
			b.candidates[i].miss = ReasonNoProfile
		case b.custom == nil && b.unskilled(&b.candidates[i]):
			b.candidates[i].miss = ReasonSkill
		}
	}
	b.steady = b.custom == nil && !slices.ContainsFunc(members, (*contender).mayBlock)
	b.applyRules(m.ranks[item.ConversationID].facts)
	m.buckets[key] = b
	return b
}

// shortfall sums the levels by which c misses required; 0 fits.
func (c *contender) shortfall(required []conversation.SkillNeed) int {
	var sum int
	for _, s := range required {
		sum += max(0, s.Level-c.Levels[s.SkillID])
	}
	return sum
}

// unskilled tells whether c lacks skills that are needed.
func (b *bucket) unskilled(c *candidate) bool {
	return b.requirement.Matching == conversation.MatchingExact && c.shortfall > 0
}

// reason is what singled an agent out.
type reason struct {
	why    Why
	ruleID string // of WhyRule
}

// choose finds the agent for item and why it is them, or nil. The tally has
// everybody but the chosen one.
func (b *bucket) choose(item *Item, now time.Time) (*candidate, reason, *tally) {
	t := newTally(b.notMembers)
	passed := b.custom.passed(item.waited(now))
	var able []*candidate
	refusals := map[string]int64{}
	for _, r := range item.Refusals {
		refusals[r.AgentID] += r.Count
	}
	fewest := int64(-1)
	for i := range b.candidates {
		c := &b.candidates[i]
		n, lacks := refusals[c.ID], c.lacks(&b.requirement)
		switch {
		case c.miss != "":
			t.add(c.ID, c.miss)
		case b.custom != nil && c.rules&passed == 0 && c.unskilled&passed != 0:
			t.add(c.ID, ReasonSkill)
		case b.custom != nil && c.rules&passed == 0:
			t.add(c.ID, ReasonNoRule)
		case n >= item.maxOffers():
			t.add(c.ID, ReasonTooOften)
		case lacks != "":
			t.add(c.ID, lacks)
		default:
			able = append(able, c)
			if fewest < 0 || n < fewest {
				fewest = n
			}
		}
	}
	// Nobody is asked again before everybody who could be was asked as often.
	rotated := slices.DeleteFunc(slices.Clone(able), func(c *candidate) bool {
		if refusals[c.ID] > fewest {
			t.add(c.ID, ReasonRefused)
			return true
		}
		return false
	})
	if len(rotated) == 0 {
		return nil, reason{}, t
	}
	var best *candidate
	var why reason
	if b.custom != nil {
		best, why = b.byRule(rotated, passed)
	} else {
		best = slices.MinFunc(rotated, b.compare)
		why.why = b.why(best, rotated, len(able))
	}
	for _, c := range rotated {
		if c != best {
			t.add(c.ID, ReasonOutranked)
		}
	}
	return best, why, t
}

// why says which of the criteria singled best out.
func (b *bucket) why(best *candidate, rotated []*candidate, able int) Why {
	switch {
	case able == 1:
		return WhyOnly
	case len(rotated) == 1:
		return WhyFewestRefusals
	case b.closest() && !slices.ContainsFunc(rotated, func(c *candidate) bool { return c != best && c.shortfall == best.shortfall }):
		return WhyClosest
	}
	switch b.method {
	case RoundRobin:
		return WhyRoundRobin
	case LongestIdle:
		return WhyLongestIdle
	}
	return WhyHighestCapacity
}

func (b *bucket) closest() bool { return b.requirement.Matching == conversation.MatchingClosest }

// compare orders agents who can have an item, the best first.
func (b *bucket) compare(x, y *candidate) int {
	if b.closest() {
		if d := cmp.Compare(x.shortfall, y.shortfall); d != 0 {
			return d
		}
	}
	var byMethod int
	switch b.method {
	case HighestCapacity:
		byMethod = cmp.Compare(y.freeFor(&b.requirement), x.freeFor(&b.requirement))
	case LongestIdle:
		byMethod = x.idleness(y)
	}
	return cmp.Or(byMethod, x.round(y), cmp.Compare(x.ID, y.ID))
}

// round compares when two agents were offered something last.
func (c *contender) round(other *candidate) int {
	return cmp.Or(
		cmp.Compare(c.turn, other.turn), // offered in this run is more recent than any time before
		c.LastOfferedAt.Compare(other.LastOfferedAt),
	)
}

// idleness compares since when two agents are idle, whoever is idle for longer
// first.
func (c *contender) idleness(other *candidate) int {
	// An offer ends idleness; who had the earlier one comes first.
	return cmp.Or(cmp.Compare(c.turn, other.turn), c.busyUntil().Compare(other.busyUntil()))
}

// busyUntil is when an agent last let go of work or was offered some.
func (c *contender) busyUntil() time.Time {
	if c.LastOfferedAt.After(c.IdleSince) {
		return c.LastOfferedAt
	}
	return c.IdleSince
}

// waited is for how long the customer has waited; clocks may differ.
func (i *Item) waited(now time.Time) time.Duration { return max(0, now.Sub(i.WaitingSince)) }

func (i *Item) maxOffers() int64 {
	if i.MaxOffers < 1 {
		return DefaultMaxOffers
	}
	return i.MaxOffers
}

func (i *Item) refusals(agentID string) int64 {
	var n int64
	for _, r := range i.Refusals {
		if r.AgentID == agentID {
			n += r.Count
		}
	}
	return n
}
