package store_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// What must hold.

// check has the dispatcher look until there is nothing more to do, and holds
// what it did against the rules.
func (m *office) check(t *rapid.T) {
	for range 100 {
		if !m.look(t) {
			m.explained(t)
			m.weighed(t)
			return
		}
	}
	t.Fatal("the dispatcher finds no end")
}

// look is one look, of as many offers as may be, or of few.
func (m *office) look(t *rapid.T) (more bool) {
	m.c.Advance(time.Millisecond)
	req := store.MatchRequest{}.AtMostForTest(rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "offers at most"))
	res, err := m.s.Match(t.Context(), req)
	require.NoError(t, err)
	require.Empty(t, res.Skipped)
	m.elapses()
	fresh := m.readOffers(t)
	require.Len(t, fresh, res.Made)
	var told []string
	for v, o := range fresh {
		require.Equal(t, v.shop.auto, o.auto)
		if o.auto {
			told = append(told, v.id)
		}
	}
	for _, c := range res.Chats {
		told = slices.DeleteFunc(told, func(id string) bool { return id == c.ChatKey })
	}
	require.Empty(t, told, "workflows that are to accept for an agent, and were not told")
	m.decideAgain(t, fresh, res.More)
	return res.More
}

// elapses is what time alone does to the model by the time of a look.
func (m *office) elapses() {
	now := m.c.Now()
	for _, a := range m.agents {
		if a.presence != conversation.PresenceOffline && !a.seen.After(now.Add(-conversation.PresenceGrace)) {
			a.presence = conversation.PresenceOffline
		}
	}
	for _, v := range m.visitors {
		if !v.blocksUntil.IsZero() && !v.blocksUntil.After(now) {
			v.blocks, v.blocksUntil = false, time.Time{}
		}
	}
	missed := map[*seat]int64{} // how many in a row set them away
	for _, o := range m.offers {
		switch {
		case o.state != conversation.OfferLive:
		case !o.expires.After(now):
			o.state = conversation.OfferTimedOut
			o.visitor.let[o.seat.id]++
			if n, was := o.visitor.shop.missed, missed[o.seat]; n > 0 && !o.auto && (was == 0 || n < was) {
				missed[o.seat] = n
			}
		case o.seat.presence == conversation.PresenceOffline:
			o.state = conversation.OfferRescinded
		}
	}
	for a, n := range missed {
		if a.presence != conversation.PresenceAway && a.presence != conversation.PresenceOffline && m.missedLast(a, n) {
			a.chosen, a.presence, a.missedFrom = conversation.PresenceAway, conversation.PresenceAway, now
		}
	}
}

// missedLast tells whether the last n offers that a was to answer ran out, of
// those made since they last set a presence.
func (m *office) missedLast(a *seat, n int64) bool {
	var over []*promise
	for _, o := range m.offers {
		answered := o.state == conversation.OfferAccepted || o.state == conversation.OfferDeclined || o.state == conversation.OfferTimedOut
		if o.seat == a && answered && !o.auto && !o.created.Before(a.missedFrom) {
			over = append(over, o)
		}
	}
	slices.SortFunc(over, func(x, y *promise) int { return cmp.Or(y.created.Compare(x.created), cmp.Compare(y.id, x.id)) })
	return int64(len(over)) >= n && !slices.ContainsFunc(over[:n], func(o *promise) bool { return o.state != conversation.OfferTimedOut })
}

// readOffers reads every offer, requires those that are known to be as the model
// has them, and returns the new ones: each the only one that is live of a
// conversation that waits.
func (m *office) readOffers(t *rapid.T) map[*visitor]*promise {
	var rows []struct {
		ID, Conversation, Agent string
		State                   conversation.OfferState
		Created, Expires        int64
		Auto                    bool
	}
	m.read(t, &rows, `SELECT COALESCE('[' || string_agg('{"ID":"' || id || '","Conversation":"' || conversation_id || '","Agent":"' || agent_id || '","State":"' || state
		|| '","Created":' || created_at || ',"Expires":' || expires_at || ',"Auto":' || CASE WHEN auto THEN 'true' ELSE 'false' END || '}', ',') || ']', '[]') FROM offers`)
	require.GreaterOrEqual(t, len(rows), len(m.offers), "an offer is gone")
	fresh := map[*visitor]*promise{}
	for _, r := range rows {
		if o := m.offers[r.ID]; o != nil {
			require.Equal(t, o.state, r.State, "offer %s of %s to %s", r.ID, o.visitor.id, o.seat.id)
			continue
		}
		o := &promise{
			id: r.ID, state: r.State, visitor: m.visitor(r.Conversation), seat: m.seat(r.Agent), auto: r.Auto,
			created: time.UnixMicro(r.Created), expires: time.UnixMicro(r.Expires),
		}
		require.Equal(t, conversation.OfferLive, r.State, "a new offer")
		require.Nil(t, m.live(o.visitor), "%s is on offer already", o.visitor.id)
		require.True(t, o.visitor.waits, "%s does not wait", o.visitor.id)
		require.Equal(t, m.c.Now().UnixMicro(), r.Created)
		require.Equal(t, m.c.Now().Add(modelPatience).UnixMicro(), r.Expires)
		m.offers[r.ID] = o
		fresh[o.visitor] = o
	}
	return fresh
}

// read reads a JSON text that a query makes.
func (m *office) read(t *rapid.T, into any, query string) {
	text, err := m.s.QueryForTest(t.Context(), query)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(text), into))
}

// decideAgain takes those who wait in their order, and requires that each was
// offered to whom the rules say, or to nobody where nobody could have it. A look
// that has more to do may have ended after its last offer.
func (m *office) decideAgain(t *rapid.T, fresh map[*visitor]*promise, more bool) {
	waiting := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool {
		return !v.waits || m.live(v) != nil && fresh[v] == nil
	})
	slices.SortFunc(waiting, m.before)
	l := m.begins(fresh)
	for _, v := range waiting {
		if more && l.made == len(fresh) {
			return
		}
		a, why := l.choose(v)
		o := fresh[v]
		switch {
		case a == nil && o == nil:
		case a == nil:
			require.Fail(t, "nobody could have it", "%s is offered to %s", v.id, o.seat.id)
		case o == nil:
			require.Fail(t, "it is not offered", "%s waits, and %s could have it: %s; %d others are offered in this look", v.id, a.id, why.Why, len(fresh)-l.made)
		default:
			require.Equal(t, a.id, o.seat.id, "whom %s is offered to: %s", v.id, why.Why)
			o.why = why
			l.offer(v, a)
		}
	}
}

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

// explained requires that the routing log has each offer once, with whom it was
// made to and why, and each end once; and that of those who wait and ask the
// same the first is told why nobody has it.
func (m *office) explained(t *rapid.T) {
	var lines []struct {
		Conversation, Outcome string
		Current               bool // of the present wait
		Entry                 struct {
			verdict
			OfferID string `json:"offer_id"`
		}
	}
	m.read(t, &lines, `SELECT COALESCE('[' || string_agg('{"Conversation":"' || c.id || '","Outcome":"' || outcome || '","Current":' || CASE WHEN l.epoch = c.epoch THEN 'true' ELSE 'false' END
		|| ',"Entry":' || entry || '}', ',' ORDER BY l.created_at, l.id) || ']', '[]') FROM routing_log l JOIN conversations c ON c.id = l.conversation_id WHERE stage = 'assignment'`)
	made, ended, last := map[string]verdict{}, map[string]string{}, map[string]verdict{}
	for _, line := range lines {
		switch routing.Placement(line.Outcome) {
		case routing.Offered:
			require.Empty(t, made[line.Entry.OfferID], "said twice")
			made[line.Entry.OfferID] = line.Entry.verdict
			fallthrough
		case routing.NoAgent, routing.WaitsForOne:
			require.Equal(t, routing.Placement(line.Outcome), line.Entry.Placement)
			if line.Current {
				last[line.Conversation] = line.Entry.verdict
			}
		default:
			require.Empty(t, ended[line.Entry.OfferID], "ended twice")
			ended[line.Entry.OfferID] = line.Outcome
		}
	}
	require.Len(t, made, len(m.offers))
	for id, o := range m.offers {
		require.Equal(t, o.why, made[id], "why %s was offered to %s", o.visitor.id, o.seat.id)
		if o.state == conversation.OfferLive {
			require.Empty(t, ended[id])
		} else {
			require.Equal(t, string(o.state), ended[id])
		}
	}
	m.excused(t, last)
}

// excused requires of those who wait and are not on offer that the log says why.
// Of those that ask the same, and that nobody let pass, it is enough that it says
// so of the first.
func (m *office) excused(t *rapid.T, last map[string]verdict) {
	waiting := slices.DeleteFunc(slices.Clone(m.visitors), func(v *visitor) bool { return !v.waits || m.live(v) != nil })
	slices.SortFunc(waiting, m.before)
	l := m.begins(nil)
	type kind struct{ queue, asks string }
	said := map[kind]bool{}
	for _, v := range waiting {
		_, want := l.choose(v)
		r := v.requirement()
		k := kind{v.queue, r.Signature() + routing.KindOf(m.counter(v.queue).custom(), r, routing.FactsOf(r, v.priority, v.language, v.attributes()))}
		if want.Placement == routing.NoAgent && len(v.let) == 0 {
			if said[k] {
				continue
			}
			said[k] = true
		}
		got := last[v.id]
		got.BucketID = want.BucketID // which a change of the queue may have made another
		require.Equal(t, want, got, "why %s waits", v.id)
	}
}

// weighed requires that the load of each agent is what they hold.
func (m *office) weighed(t *rapid.T) {
	var ids []string
	for _, a := range m.agents {
		ids = append(ids, a.id)
	}
	states, err := m.s.AgentStates(t.Context(), ids)
	require.NoError(t, err)
	for _, a := range m.agents {
		require.Equal(t, m.load(a), states[a.id].Load, "what %s holds", a.id)
		require.Equal(t, a.presence, states[a.id].Presence, "presence of %s", a.id)
	}
}
