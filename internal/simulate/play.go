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
	free   int64 // units of those who are there, together
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
type draws struct{ arrivals, handling, wrapUp, patience *rand.Rand }

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
	units            int64
	state            state
	came             time.Duration
	handling, wrapUp time.Duration
	agent            *agent // who is offered it or has it
	offers           int    // so far
	counts           bool   // it came after the warm-up
}

// order is who of a list is served first, as routing.Match has it.
func (t *talk) order(other *talk) int {
	return cmp.Or(cmp.Compare(other.Priority, t.Priority), cmp.Compare(t.came, other.came), cmp.Compare(t.ConversationID, other.ConversationID))
}

// newPlay sets up the nth replication.
func newPlay(s *Scenario, n int) *play {
	p := &play{s: s, byID: map[string]*agent{}, waiting: map[ask][]*talk{}, answers: random(s.seed, n, "answers"), tally: newTally(s)}
	for i := range s.agents {
		a := &agent{Agent: s.agents[i].Agent}
		p.agents = append(p.agents, a)
		p.byID[a.ID] = a
		for _, shift := range s.agents[i].there {
			p.agenda.note(shift.from, func() { p.comes(a) })
			p.agenda.note(shift.to, func() { p.leaves(a) })
		}
	}
	for i, k := range s.kinds {
		p.draws = append(p.draws, draws{random(s.seed, n, k.id, "arrivals"), random(s.seed, n, k.id, "handling"), random(s.seed, n, k.id, "wrap_up"), random(s.seed, n, k.id, "patience")})
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
	k, d := &p.s.kinds[kind], p.draws[kind]
	p.came++
	t := &talk{came: p.now, handling: handling, counts: p.now >= p.s.warmUp}
	// The length of all ids is the same, so that they are in the order of time.
	t.ConversationID = string(conversation.PrefixConversation) + strconv.Itoa(1_000_000_000+p.came)
	p.decide(t, k)
	if drawn := k.handling(d.handling); t.handling < 0 {
		t.handling = drawn
	}
	if k.wrapUp != nil {
		t.wrapUp = k.wrapUp(d.wrapUp)
	}
	if k.patience != nil {
		p.agenda.note(p.now+k.patience(d.patience), func() { p.giveUp(t) })
	}
	if t.counts {
		p.tally.arrive(t, p.time())
	}
	p.enqueue(t)
	p.match()
}

// decide classifies and routes a conversation, as the product does.
func (p *play) decide(t *talk, k *kind) {
	w, facts := k.workstream, k.facts
	facts.Now, facts.Conversation.ID, facts.Conversation.CreatedAt = p.time(), t.ConversationID, p.time()
	about := routing.Classify(w.rulesets, facts)
	t.units = cmp.Or(about.Units, w.units)
	t.QueueID = k.queue
	if t.QueueID == "" {
		c := &facts.Conversation
		c.Priority, c.Units, c.Language, c.Attributes, c.Skills = about.Priority, t.units, about.Language, about.Attributes, map[string]int{}
		for _, need := range about.Skills {
			c.Skills[need.SkillID] = need.Level
		}
		t.QueueID = routing.Route(w.routes, facts, p.s.states, w.fallback).QueueID
	}
	t.Priority, t.WaitingSince, t.MaxOffers = about.Priority, p.time(), w.maxOffers
	t.Requirement = routing.Requirement{Units: t.units, Skills: about.Skills, Matching: w.matching}
	t.Language, t.Attributes = about.Language, about.Attributes
	kind := routing.KindOf(p.s.customs[t.QueueID], t.Requirement, routing.FactsOf(t.Requirement, t.Priority, t.Language, t.Attributes))
	t.ask = ask{t.QueueID, kind, w}
}

// enqueue puts a conversation among those that wait.
func (p *play) enqueue(t *talk) {
	t.state, t.agent = stateWaiting, nil
	if len(t.Refusals) > 0 {
		p.again = append(p.again, t)
		return
	}
	list := p.waiting[t.ask]
	i, _ := slices.BinarySearchFunc(list, t, (*talk).order)
	p.waiting[t.ask] = slices.Insert(list, i, t)
}

// dequeue takes it out.
func (p *play) dequeue(t *talk) {
	if len(t.Refusals) > 0 {
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
// no more than there are free units, because no more can be placed, and of the
// agents at those with room who work their queues: the decision is the same as
// with all of them.
func (p *play) match() {
	if p.free == 0 || len(p.waiting)+len(p.again) == 0 {
		return
	}
	snap := routing.Snapshot{Now: p.time(), Queues: p.s.queues}
	found, asked := map[string]*talk{}, map[string]bool{}
	take := func(list []*talk) {
		for _, t := range list {
			found[t.ConversationID], asked[t.QueueID] = t, true
			snap.Items = append(snap.Items, t.Item)
		}
	}
	for _, list := range p.waiting {
		take(list[:min(int64(len(list)), p.free)])
	}
	take(p.again)
	for _, a := range p.agents {
		if a.there && a.room() > 0 && slices.ContainsFunc(a.QueueIDs, func(q string) bool { return asked[q] }) {
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
	p.load(a, t.units)
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
	switch timeout := t.ask.workstream.offerTimeout; {
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
	p.load(a, -t.units)
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
	t.state = stateServed
	if t.counts {
		p.tally.serve(t, p.now-t.came)
	}
	p.count(a)
	a.busy += t.units
	p.agenda.note(p.now+t.handling+t.wrapUp, func() { p.done(t) })
}

// done ends wrap-up.
func (p *play) done(t *talk) {
	a := t.agent
	p.count(a)
	a.busy -= t.units
	a.IdleSince = p.time()
	p.load(a, -t.units)
	p.match()
}

// giveUp is when a customer's patience ends.
func (p *play) giveUp(t *talk) {
	switch t.state {
	case stateWaiting:
		p.dequeue(t)
	case stateOffered:
		p.withdraw(t)
	default:
		return
	}
	t.state = stateGone
	if t.counts {
		p.tally.abandon(t)
	}
	p.match()
}

// comes begins a shift.
func (p *play) comes(a *agent) {
	p.count(a)
	a.there = true
	p.free += a.room()
	p.match()
}

// leaves ends it: what was on offer goes to others, what they serve is finished.
func (p *play) leaves(a *agent) {
	p.count(a)
	p.free -= a.room()
	a.there = false
	for _, t := range slices.Clone(a.offered) {
		p.withdraw(t)
		p.enqueue(t)
	}
	p.match()
}

// room is how many units an agent has free.
func (a *agent) room() int64 { return max(0, a.Capacity-a.Load) }

// load changes what an agent holds.
func (p *play) load(a *agent, units int64) {
	if a.there {
		p.free -= a.room()
	}
	a.Load += units
	if a.there {
		p.free += a.room()
	}
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
