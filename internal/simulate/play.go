package simulate

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// play is one replication: an office over the weeks.
type play struct {
	s      *Scenario
	now    time.Duration // since the start
	agenda agenda
	agents []*agent
	byID   map[string]*agent
	free   int64 // room of those who are there, together
	// inQueue is how many wait in each queue, on offer or not.
	inQueue map[string]int64
	// waiting are those that nobody has let pass yet, by what they ask, each list
	// in the order in which they are served; again are the others.
	waiting map[ask][]*talk
	again   []*talk
	came    int
	answers *rand.Rand
	draws   []draws // by kind
	tally   tally
	look    time.Duration // when it is looked again because of time alone; in the past when not
}

// draws are the random numbers of a kind, each use with its own, so that a
// change of one leaves the others as they are.
type draws struct{ arrivals, handling, wrapUp, patience, returns *rand.Rand }

// agent is somebody at work.
type agent struct {
	routing.Agent
	there   bool
	offered []*talk
	busy    int64         // units of what they serve and wrap up
	counted time.Duration // up to when their time is
	times   agentTally
}

// ask is what conversations have in common that ask the same of the same
// people; see store.Match.
type ask struct {
	queueID, kind string
	workstream    *workstream
}

// state is how a conversation stands.
type state int

const (
	stateWaiting state = iota
	stateOffered
	stateServed
	stateGone
)

// talk is a conversation.
type talk struct {
	routing.Item
	ask              ask
	workstream       *workstream
	kind             int // its place among the kinds
	units            int64
	profile          string // what it counts against instead of units; "" is none
	state            state
	came             time.Duration // this time
	since            time.Duration // when it first waited
	handling, wrapUp time.Duration
	agent            *agent   // who is offered it or has it
	offers           int      // so far
	entries          int      // into queues, so far
	been             []string // the queues it overflowed from
	counts           bool     // it came after the warm-up
}

// order is who of a list is served first, as routing.Match has it.
func (t *talk) order(other *talk) int {
	return cmp.Or(cmp.Compare(other.Priority, t.Priority), cmp.Compare(t.since, other.since), cmp.Compare(t.ConversationID, other.ConversationID))
}

// single tells whether it is looked at on its own: somebody let it pass, or it
// waits for somebody.
func (t *talk) single() bool { return len(t.Refusals) > 0 || t.Affinity.Mode != routing.AffinityOff }

// asks notes what it asks for where it waits.
func (t *talk) asks(s *Scenario) {
	kind := routing.KindOf(s.customs[t.QueueID], t.Requirement, routing.FactsOf(t.Requirement, t.Priority, t.Language, t.Attributes))
	t.ask = ask{t.QueueID, kind, t.workstream}
}

// newPlay sets up the nth replication.
func newPlay(s *Scenario, n int) *play {
	p := &play{s: s, byID: map[string]*agent{}, waiting: map[ask][]*talk{}, inQueue: map[string]int64{}, answers: random(s.seed, n, "answers"), tally: newTally(s)}
	for i := range s.agents {
		a := &agent{Agent: s.agents[i].Agent}
		a.ownProfiles()
		p.agents = append(p.agents, a)
		p.byID[a.ID] = a
		for n, shift := range s.agents[i].there {
			p.agenda.note(shift.from, func() { p.becomes(a, shift.presence) })
			if next := n + 1; next == len(s.agents[i].there) || s.agents[i].there[next].from > shift.to {
				p.agenda.note(shift.to, func() { p.becomes(a, conversation.PresenceOffline) })
			}
		}
	}
	for i, k := range s.kinds {
		p.draws = append(p.draws, draws{random(s.seed, n, k.id, "arrivals"), random(s.seed, n, k.id, "handling"), random(s.seed, n, k.id, "wrap_up"), random(s.seed, n, k.id, "patience"), random(s.seed, n, k.id, "returns")})
		p.expect(i)
	}
	if len(s.past) > 0 {
		p.repeat(0)
	}
	return p
}

// random is a source of random numbers of its own for each use.
func random(seed uint64, replication int, use ...string) *rand.Rand {
	h := fnv.New64a()
	for _, part := range append(use, strconv.Itoa(replication)) {
		_, _ = h.Write(append([]byte(part), 0)) // never fails
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// step lets the next thing happen; false when the time is over.
func (p *play) step() bool {
	e, more := p.agenda.take(p.s.length)
	if !more {
		return false
	}
	p.now = e.at
	e.do()
	return true
}

// finish counts what is left at the end.
func (p *play) finish() tally {
	p.now = p.s.length
	for _, a := range p.agents {
		p.count(a)
		p.tally.agents = append(p.tally.agents, a.times)
	}
	left := func(t *talk) {
		if t.counts {
			p.tally.queue(t).waiting++
		}
	}
	for _, list := range p.waiting {
		for _, t := range list {
			left(t)
		}
	}
	for _, t := range p.again {
		left(t)
	}
	for _, a := range p.agents {
		for _, t := range a.offered {
			left(t)
		}
	}
	return p.tally
}

func (p *play) time() time.Time { return p.s.start.Add(p.now) }

// expect notes when the next conversation of a kind comes.
func (p *play) expect(kind int) {
	k := &p.s.kinds[kind]
	if k.rates == nil {
		return
	}
	if next := k.rates.next(p.time(), p.s.start.Add(p.s.length), p.draws[kind].arrivals); !next.IsZero() {
		p.agenda.note(next.Sub(p.s.start), func() {
			p.arrive(kind, -1)
			p.expect(kind)
		})
	}
}

// repeat notes when the nth of those that came in the past comes.
func (p *play) repeat(n int) {
	a := p.s.past[n]
	p.agenda.note(a.at, func() {
		p.arrive(a.kind, a.handling)
		if n+1 < len(p.s.past) {
			p.repeat(n + 1)
		}
	})
}

// arrive lets a conversation come: it is classified and routed, and waits.
func (p *play) arrive(kind int, handling time.Duration) {
	p.came++
	t := &talk{kind: kind, workstream: p.s.kinds[kind].workstream, came: p.now, since: p.now, handling: handling}
	// The length of all ids is the same, so that they are in the order of time.
	t.ConversationID = string(conversation.PrefixConversation) + strconv.Itoa(1_000_000_000+p.came)
	queueID := p.decide(t)
	p.begin(t, routing.Arrival{QueueID: queueID})
}

// begin lets a conversation come to a queue.
func (p *play) begin(t *talk, at routing.Arrival) {
	k, d := &p.s.kinds[t.kind], p.draws[t.kind]
	t.counts = p.now >= p.s.warmUp
	if drawn := k.handling(d.handling); t.handling < 0 {
		t.handling = drawn
	}
	if k.wrapUp != nil {
		t.wrapUp = k.wrapUp(d.wrapUp)
	}
	if k.patience != nil {
		p.agenda.note(p.now+k.patience(d.patience), func() { p.giveUp(t) })
	}
	p.enter(t, at, true)
	p.match()
}

// decide classifies and routes a conversation, as the product does, and returns
// its queue.
func (p *play) decide(t *talk) string {
	k, w := &p.s.kinds[t.kind], t.workstream
	facts := k.facts
	facts.Now, facts.Conversation.ID, facts.Conversation.CreatedAt = p.time(), t.ConversationID, p.time()
	about := routing.Classify(w.rulesets, facts)
	t.units, t.profile = about.Units, about.CapacityProfileID
	if t.units == 0 && t.profile == "" {
		if t.profile = w.profile; t.profile == "" {
			t.units = w.units
		}
	}
	t.Priority, t.WaitingSince, t.MaxOffers = about.Priority, p.time(), w.maxOffers
	t.Requirement = routing.Requirement{Units: t.units, ProfileID: t.profile, Skills: about.Skills, Matching: w.matching, Presences: w.presences, First: k.preferred}
	t.Language, t.Attributes = about.Language, about.Attributes
	if k.queue != "" {
		return k.queue
	}
	c := &facts.Conversation
	c.Priority, c.Units, c.CapacityProfileID, c.Language, c.Attributes, c.Skills = about.Priority, t.units, t.profile, about.Language, about.Attributes, map[string]int{}
	for _, need := range about.Skills {
		c.Skills[need.SkillID] = need.Level
	}
	return routing.Route(w.routes, facts, p.states(), w.fallback).QueueID
}

// enqueue puts a conversation among those that wait.
func (p *play) enqueue(t *talk) {
	t.state, t.agent = stateWaiting, nil
	if t.single() {
		p.again = append(p.again, t)
		return
	}
	list := p.waiting[t.ask]
	i, _ := slices.BinarySearchFunc(list, t, (*talk).order)
	p.waiting[t.ask] = slices.Insert(list, i, t)
}

// dequeue takes it out.
func (p *play) dequeue(t *talk) {
	if t.single() {
		p.again = slices.DeleteFunc(p.again, func(other *talk) bool { return other == t })
		return
	}
	list := p.waiting[t.ask]
	i, _ := slices.BinarySearchFunc(list, t, (*talk).order)
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(p.waiting, t.ask)
		return
	}
	p.waiting[t.ask] = list
}

// match offers those who wait to agents. Of those that ask the same it looks at
// no more than there is room for, because no more can be placed; and of the agents
// at those with room who work their queues, and at those whom somebody waits for
// or prefers: the decision is the same as with all of them.
func (p *play) match() {
	waitsForOne := func(t *talk) bool { return t.Affinity.Mode != routing.AffinityOff }
	if len(p.waiting)+len(p.again) == 0 || p.free == 0 && !slices.ContainsFunc(p.again, waitsForOne) {
		return
	}
	snap := routing.Snapshot{Now: p.time(), Queues: p.s.queues}
	found, asked, wanted := map[string]*talk{}, map[string]bool{}, map[string]bool{}
	take := func(list []*talk) {
		for _, t := range list {
			found[t.ConversationID], asked[t.QueueID] = t, true
			snap.Items = append(snap.Items, t.Item)
			wanted[t.Affinity.AgentID] = true
			for _, id := range t.Requirement.First {
				wanted[id] = true
			}
		}
	}
	for _, list := range p.waiting {
		take(list[:min(int64(len(list)), p.free)])
	}
	take(p.again)
	for _, a := range p.agents {
		if wanted[a.ID] || a.there && a.room() > 0 && slices.ContainsFunc(a.QueueIDs, func(q string) bool { return asked[q] }) {
			snap.Agents = append(snap.Agents, a.Agent)
		}
	}
	if len(snap.Agents) == 0 {
		return
	}
	decided := routing.Match(snap)
	for i, o := range decided.Offers {
		p.offer(found[o.ConversationID], p.byID[o.AgentID], i)
	}
	if next := decided.NextAt; !next.IsZero() { // a rule that holds after some waiting
		if at := next.Sub(p.s.start); p.look <= p.now || at < p.look {
			p.look = at
			p.agenda.note(at, p.match)
		}
	}
}

// offer gives an agent the choice of a conversation; nth of those of a moment.
func (p *play) offer(t *talk, a *agent, nth int) {
	p.dequeue(t)
	t.state, t.agent = stateOffered, a
	t.offers++
	a.offered = append(a.offered, t)
	a.LastOfferedAt = p.time().Add(time.Duration(nth) * time.Microsecond)
	p.load(a, t, 1)
	if t.counts {
		p.tally.queue(t).offers++
	}
	number, behaviour := t.offers, p.s.offers
	luck, wait := p.answers.Float64(), time.Duration(0)
	if behaviour.answer != nil {
		wait = behaviour.answer(p.answers)
	}
	then := func(do func()) func() {
		return func() {
			if t.state == stateOffered && t.offers == number {
				do()
			}
		}
	}
	switch timeout := t.workstream.offerTimeout; {
	case luck < behaviour.miss || wait >= timeout:
		p.agenda.note(p.now+timeout, then(func() { p.pass(t, conversation.OfferTimedOut) }))
	case luck < behaviour.miss+behaviour.decline:
		p.agenda.note(p.now+wait, then(func() { p.pass(t, conversation.OfferDeclined) }))
	default:
		p.agenda.note(p.now+wait, then(func() { p.accept(t) }))
	}
}

// withdraw ends the offer of a conversation.
func (p *play) withdraw(t *talk) {
	a := t.agent
	a.offered = slices.DeleteFunc(a.offered, func(other *talk) bool { return other == t })
	p.load(a, t, -1)
}

// pass lets an offer pass: the conversation is offered to others.
func (p *play) pass(t *talk, how conversation.OfferState) {
	p.withdraw(t)
	if t.counts {
		p.tally.queue(t).passed(how)
	}
	t.Refusals = append(t.Refusals, routing.Refusal{AgentID: t.agent.ID, Count: 1})
	p.enqueue(t)
	p.match()
}

// accept begins to serve it.
func (p *play) accept(t *talk) {
	a := t.agent
	a.offered = slices.DeleteFunc(a.offered, func(other *talk) bool { return other == t })
	p.inQueue[t.QueueID]--
	t.state = stateServed
	if t.counts {
		p.tally.serve(t, p.now-t.came)
	}
	p.count(a)
	a.busy += t.units
	if k := &p.s.kinds[t.kind]; k.after != nil && p.draws[t.kind].returns.Float64() < k.returns {
		p.agenda.note(p.now+t.handling, func() { p.park(t) })
		return
	}
	p.agenda.note(p.now+t.handling+t.wrapUp, func() { p.leaveAgent(t) })
}

// leaveAgent ends what an agent does about it.
func (p *play) leaveAgent(t *talk) {
	a := t.agent
	p.count(a)
	a.busy -= t.units
	a.IdleSince = p.time()
	p.letGo(a, t)
	p.match()
}

// giveUp is when a customer's patience ends.
func (p *play) giveUp(t *talk) {
	if t.state != stateWaiting && t.state != stateOffered {
		return
	}
	p.leaveQueue(t)
	t.state = stateGone
	if t.counts {
		p.tally.abandon(t)
	}
	p.match()
}

// becomes changes an agent's presence. When they leave, what was on offer goes to
// others, and what they serve is finished.
func (p *play) becomes(a *agent, presence conversation.Presence) {
	p.count(a)
	if a.there {
		p.free -= a.room()
	}
	a.Presence, a.there = presence, presence != conversation.PresenceOffline
	if a.there {
		p.free += a.room()
	} else {
		for _, t := range slices.Clone(a.offered) {
			p.withdraw(t)
			p.enqueue(t)
		}
	}
	p.match()
}

// count adds an agent's time up to now.
func (p *play) count(a *agent) {
	from := max(a.counted, p.s.warmUp)
	if lasted := (p.now - from).Seconds(); lasted > 0 {
		if a.there {
			a.times.there += lasted * float64(a.Capacity)
			a.times.busy += lasted * float64(a.busy)
		} else {
			a.times.overtime += lasted * float64(a.busy)
		}
	}
	a.counted = p.now
}
