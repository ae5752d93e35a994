package store_test

import (
	"cmp"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// outlook is a look in the model: how much agents can hold more, offer by offer.
type outlook struct {
	m    *office
	free map[*seat]int64
	left map[*seat]map[string]int64 // by capacity profile
	turn map[*seat]int              // when they were offered something in this look, from 1
	made int
}

// begins is how agents stood before a look made its offers.
func (m *office) begins(fresh map[*visitor]*promise) *outlook {
	l := &outlook{m: m, free: map[*seat]int64{}, left: map[*seat]map[string]int64{}, turn: map[*seat]int{}}
	for _, o := range fresh {
		o.state = ""
	}
	for _, a := range m.agents {
		l.free[a], l.left[a] = a.capacity-m.load(a), map[string]int64{}
		for _, p := range m.pools {
			if limit, has := a.limits[p.id]; has {
				l.left[a][p.id] = limit - m.count(a, p)
			}
		}
	}
	for _, o := range fresh {
		o.state = conversation.OfferLive
	}
	return l
}

func (l *outlook) offer(v *visitor, a *seat) {
	a.offered = l.m.c.Now().Add(time.Duration(l.made) * time.Microsecond)
	l.made++
	l.turn[a] = l.made
	if v.pool != "" {
		l.left[a][v.pool]--
	} else {
		l.free[a] -= v.units
	}
}

// room tells whether a has room for v; never for what counts against a profile
// that they do not have.
func (l *outlook) room(a *seat, v *visitor) bool {
	for _, p := range l.m.pools {
		if _, has := a.limits[p.id]; has && p.blocks && p.id != v.pool && l.left[a][p.id] < 1 {
			return false
		}
	}
	return l.freeFor(a, v) >= max(1, v.units)
}

// freeFor is how much more a can hold of what v takes.
func (l *outlook) freeFor(a *seat, v *visitor) int64 {
	if v.pool != "" {
		return l.left[a][v.pool]
	}
	return l.free[a]
}

func (l *outlook) loadFor(a *seat, v *visitor) int64 {
	if v.pool != "" {
		return a.limits[v.pool] - l.left[a][v.pool]
	}
	return a.capacity - l.free[a]
}

// verdict is why somebody is offered something, as the routing log says it.
type verdict struct {
	Placement routing.Placement `json:"placement"`
	QueueID   string            `json:"queue_id"`
	AgentID   string            `json:"agent_id"`
	Why       routing.Why       `json:"why"`
	RuleID    string            `json:"rule_id"`
	BucketID  string            `json:"bucket_id"`
}

// choose decides who is offered v now, and why; nobody when nobody can have it,
// or who served last is waited for.
func (l *outlook) choose(v *visitor) (*seat, verdict) {
	_, bucket, _ := l.m.counter(v.queue).standing(v)
	said := verdict{Placement: routing.Offered, QueueID: v.queue, BucketID: bucket}
	chosen := func(a *seat, why routing.Why, rule string) (*seat, verdict) {
		said.AgentID, said.Why, said.RuleID = a.id, why, rule
		return a, said
	}
	if a := l.m.waitsFor(v); a != nil { // whatever they hold
		if v.shop.allows(a) {
			return chosen(a, routing.WhyPreferred, "")
		}
		said.Placement, said.AgentID = routing.WaitsForOne, a.id
		return nil, said
	}
	for _, a := range v.first {
		if v.shop.allows(a) && v.let[a.id] == 0 && l.room(a, v) {
			return chosen(a, routing.WhyContact, "")
		}
	}
	able := slices.DeleteFunc(slices.Clone(l.m.agents), func(a *seat) bool {
		return !v.shop.allows(a) || !a.queues[v.queue] || v.let[a.id] >= v.shop.maxOffers || !l.room(a, v) || !l.m.may(a, v)
	})
	if len(able) == 0 {
		said.Placement = routing.NoAgent
		return nil, said
	}
	fewest := v.let[slices.MinFunc(able, func(a, b *seat) int { return cmp.Compare(v.let[a.id], v.let[b.id]) }).id]
	turn := slices.DeleteFunc(slices.Clone(able), func(a *seat) bool { return v.let[a.id] > fewest })
	q := l.m.counter(v.queue)
	if q.rules != nil {
		a, rule := l.byRule(q.rules, v, turn)
		return chosen(a, routing.WhyRule, rule)
	}
	best := slices.MinFunc(turn, func(a, b *seat) int {
		var first int
		switch q.method {
		case routing.HighestCapacity:
			first = cmp.Compare(l.freeFor(b, v), l.freeFor(a, v))
		case routing.LongestIdle:
			first = l.idleFirst(a, b)
		}
		return cmp.Or(first, l.roundFirst(a, b))
	})
	switch {
	case len(able) == 1:
		return chosen(best, routing.WhyOnly, "")
	case len(turn) == 1:
		return chosen(best, routing.WhyFewestRefusals, "")
	}
	return chosen(best, map[routing.Method]routing.Why{
		routing.HighestCapacity: routing.WhyHighestCapacity, routing.RoundRobin: routing.WhyRoundRobin, routing.LongestIdle: routing.WhyLongestIdle,
	}[q.method], "")
}

// byRule is the first by the first rule that finds somebody.
func (l *outlook) byRule(own *ownRules, v *visitor, turn []*seat) (*seat, string) {
	for _, r := range own.rules {
		among := slices.DeleteFunc(slices.Clone(turn), func(a *seat) bool { return !r.lets(v, a, l.m.c.Now().Sub(v.since)) })
		if len(among) > 0 {
			return slices.MinFunc(among, func(a, b *seat) int { return l.compareBy(r.OrderBy, v, a, b) }), r.ID
		}
	}
	panic("somebody may have it, and by no rule")
}

func (l *outlook) compareBy(criteria []routing.Criterion, v *visitor, a, b *seat) int {
	for _, k := range criteria {
		var d int
		switch k.By {
		case routing.ByFreeCapacity:
			d = cmp.Compare(l.freeFor(a, v), l.freeFor(b, v))
		case routing.ByLoad:
			d = cmp.Compare(l.loadFor(a, v), l.loadFor(b, v))
		case routing.ByIdle:
			d = l.idleFirst(b, a) // the shorter comes first
		case routing.BySkillFit:
			d = cmp.Compare(a.shortfall(v), b.shortfall(v))
		case routing.ByProficiency:
			d = cmp.Compare(a.levels[k.SkillID], b.levels[k.SkillID])
		case routing.ByRound:
			d = cmp.Or(cmp.Compare(l.turn[a], l.turn[b]), a.offered.Compare(b.offered))
		}
		if k.Descending {
			d = -d
		}
		if d != 0 {
			return d
		}
	}
	return l.roundFirst(a, b)
}

func (l *outlook) roundFirst(a, b *seat) int {
	return cmp.Or(cmp.Compare(l.turn[a], l.turn[b]), a.offered.Compare(b.offered), cmp.Compare(a.id, b.id))
}

// idleFirst compares for how long two agents neither let go of work nor were
// offered some, whoever did for longer first.
func (l *outlook) idleFirst(a, b *seat) int {
	since := func(x *seat) time.Time { return slices.MaxFunc([]time.Time{x.idle, x.offered}, time.Time.Compare) }
	return cmp.Or(cmp.Compare(l.turn[a], l.turn[b]), since(a).Compare(since(b)))
}

// waitsFor is the agent who is offered v before anybody else, nil for none.
func (m *office) waitsFor(v *visitor) *seat {
	if v.keep == "" {
		return nil
	}
	switch v.shop.affinity {
	case store.AffinityPrefer:
		if v.let[v.keep] > 0 || !m.c.Now().Before(v.until) {
			return nil
		}
	case store.AffinityRequire:
		if v.let[v.keep] >= v.shop.maxOffers {
			return nil
		}
	default:
		return nil
	}
	return m.seat(v.keep)
}

// may tells whether a can have v by their skills or, where the queue has some,
// by its rules.
func (m *office) may(a *seat, v *visitor) bool {
	own := m.counter(v.queue).rules
	if own == nil {
		return a.shortfall(v) == 0
	}
	return slices.ContainsFunc(own.rules, func(r ownRule) bool { return r.lets(v, a, m.c.Now().Sub(v.since)) })
}

// shortfall is how many levels of what v requires a misses.
func (a *seat) shortfall(v *visitor) (missing int) {
	for _, k := range v.needs {
		missing += max(0, k.Level-a.levels[k.SkillID])
	}
	return missing
}
