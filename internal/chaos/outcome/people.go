package outcome

import (
	"encoding/json"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// surveyedOnce: who is asked afterwards.
func surveyedOnce(f *facts) *found {
	r := &found{of: "closed conversations whose workstream has surveys"}
	surveys := map[string]bool{}
	for _, s := range f.Database.Surveys {
		surveys[s.ID] = true
	}
	policies := map[string]survey.Policy{}
	for _, w := range f.Database.Workstreams {
		var s store.WorkstreamSettings
		if err := json.Unmarshal([]byte(w.Settings), &s); err != nil {
			r.bad(w.ID, "the workstream's settings cannot be read: %v", err)
			continue
		}
		policies[w.ID] = survey.Policy{AgentSurveyID: s.SurveyID, BotSurveyID: s.BotSurveyID, After: s.SurveyAfter}
	}
	for _, c := range f.Database.Conversations {
		policy := policies[f.channels[c.ChannelID].WorkstreamID]
		if c.open() && len(f.invitations[c.ID]) == 0 {
			continue
		}
		if policy.On() {
			r.checked++
		}
		// One survey follows at most, also when it is reopened and closed again.
		closed, allowed := "", map[string]bool{}
		for _, t := range f.timelines[c.ID] {
			if t.to() == conversation.PhaseClosed {
				closed = policy.Choose(conversation.ClosureReason(t.Reason), c.AgentID, c.BotID)
				allowed[closed] = true
			}
		}
		got := f.invitations[c.ID]
		switch {
		case len(got) > 1:
			r.bad(c.ID, "has %d invitations: %s and %s", len(got), got[0].ID, got[1].ID)
		case len(got) == 1 && !allowed[got[0].SurveyID]:
			r.bad(c.ID, "closed as %s, has invitation %s to %s", c.ClosureReason, got[0].ID, got[0].SurveyID)
		case len(got) == 0 && !c.open() && surveys[closed]:
			r.bad(c.ID, "closed as %s by agent %q or bot %q, has no invitation to %s", c.ClosureReason, c.AgentID, c.BotID, closed)
		}
	}
	return r
}

// offersEndOnce: what became of each offer.
func offersEndOnce(f *facts) *found {
	r := &found{of: "offers"}
	ends := []conversation.OfferState{conversation.OfferAccepted, conversation.OfferDeclined, conversation.OfferTimedOut, conversation.OfferRescinded}
	for _, o := range f.Database.Offers {
		r.checked++
		told := f.told[o.ID]
		if told["offer.created"] != 1 {
			r.bad(o.ID, "has %d events of its making", told["offer.created"])
		}
		for _, end := range ends {
			if n := told["offer."+string(end)]; n != count(o.State == end) {
				r.bad(o.ID, "is %s, and has %d events that say %s", o.State, n, end)
			}
		}
		if (o.EndedAt == 0) != (o.State == conversation.OfferLive) {
			r.bad(o.ID, "is %s, and ended at %d", o.State, o.EndedAt)
		}
		if o.State == conversation.OfferAccepted && f.servedIn(o.ConversationID, o.Epoch+1, conversation.EventAccepted) != o.AgentID {
			r.bad(o.ID, "agent %s accepted it in epoch %d, and did not get conversation %s by that", o.AgentID, o.Epoch, o.ConversationID)
		}
	}
	accepted := map[string]int{}
	for _, o := range f.Database.Offers {
		accepted[o.ConversationID] += count(o.State == conversation.OfferAccepted)
	}
	for _, t := range f.Database.Transitions {
		accepted[t.ConversationID] -= count(t.Event == conversation.EventAccepted)
	}
	for id, n := range accepted {
		if n != 0 {
			r.bad(id, "accepted offers less steps that accept: %+d", n)
		}
	}
	return r
}

// servedIn is who has had a conversation since an epoch that an event began.
func (f *facts) servedIn(conversationID string, epoch int64, event conversation.Event) string {
	for _, t := range f.timelines[conversationID] {
		if t.Epoch == epoch && t.Event == event {
			return f.sessions[conversationID][epoch]
		}
	}
	return ""
}

// liveOffersWait: what is on offer now.
func liveOffersWait(f *facts) *found {
	r := &found{of: "conversations"}
	r.checked = len(f.Database.Conversations)
	for id, list := range f.offersOf {
		live := 0
		for _, o := range list {
			if o.State != conversation.OfferLive {
				continue
			}
			live++
			c, ok := f.conversations[id]
			switch {
			case !ok || c.phase() != conversation.PhaseQueued || c.Epoch != o.Epoch:
				r.bad(o.ID, "is live in epoch %d of conversation %s, which does not wait there", o.Epoch, id)
			case o.ExpiresAt < f.At-grace:
				r.bad(o.ID, "is live, and its time was over at %d", o.ExpiresAt)
			}
		}
		if live > 1 {
			r.bad(id, "is on offer to %d agents at once", live)
		}
	}
	return r
}

// grace is how long after its time, in microseconds, something may be noticed:
// an offer that is over, a deadline.
const grace = 20_000_000

// capacityKept rebuilds what each agent held, event by event. Those of one
// agent are made under that agent's lock, or are seen before more is offered,
// so their order is that in which they counted.
func capacityKept(f *facts) *found {
	r := &found{of: "offers made by the dispatcher"}
	l := f.loads()
	capacity := map[string]int64{}
	for _, a := range f.Database.Agents {
		capacity[a.ID] = a.Capacity
	}
	preferred := f.preferred()
	for i := range f.Database.Events { // in the order of their making
		e := &f.Database.Events[i]
		l.tell(e)
		o, ok := f.offers[e.SubjectID]
		if !ok || e.Type != "offer.created" {
			continue // offersEndOnce has those of no offer
		}
		r.checked++
		most, known := capacity[o.AgentID]
		if known && !preferred[o.ID] && l.of[o.AgentID] > most {
			r.bad(o.ID, "brought agent %s to %d units, and their capacity is %d", o.AgentID, l.of[o.AgentID], most)
		}
	}
	return r
}

// loads is what agents hold at one time.
type loads struct {
	f     *facts
	of    map[string]int64   // units by agent
	held  map[string]holding // by conversation
	steps map[string]int     // how many steps of a conversation have been
}

type holding struct {
	agent string
	units int64
}

func (f *facts) loads() *loads {
	return &loads{f: f, of: map[string]int64{}, held: map[string]holding{}, steps: map[string]int{}}
}

// tell takes over what an event of the record did to agents' loads.
func (l *loads) tell(e *Event) {
	o, ok := l.f.offers[e.SubjectID]
	switch {
	case isStepEvent(e.Type):
		l.step(e)
	case !ok:
	case e.Type == "offer.created":
		l.of[o.AgentID] += o.Units
	default: // it ended
		l.of[o.AgentID] -= o.Units
	}
}

// step takes over what a step of a conversation did to agents' loads.
func (l *loads) step(e *Event) {
	id := e.ConversationID
	n := l.steps[id]
	l.steps[id]++
	if n >= len(l.f.timelines[id]) {
		return // recordTellsItOnce has it
	}
	t := l.f.timelines[id][n]
	row, _ := t.row()
	now := l.held[id]
	switch {
	case t.ToOwner != conversation.OwnerAgent:
		now = holding{}
	case row.Has(conversation.EffectStartSession):
		now = holding{l.f.sessions[id][t.Epoch], l.units(id, t)}
	}
	was := l.held[id]
	l.of[was.agent] -= was.units
	l.of[now.agent] += now.units
	l.held[id] = now
}

// units is what a conversation weighs in a session: what was offered, else what
// its row says.
func (l *loads) units(id string, t *Transition) int64 {
	for _, o := range l.f.offersOf[id] {
		if o.Epoch == t.Epoch-1 && o.State == conversation.OfferAccepted {
			return o.Units
		}
	}
	if was := l.held[id]; was.units > 0 {
		return was.units
	}
	if c, ok := l.f.conversations[id]; ok {
		return c.Units
	}
	return 0
}

// preferred are the offers to whom the customer had last: they go to that agent
// whatever else they hold (docs/routing.md).
func (f *facts) preferred() map[string]bool {
	ids := map[string]bool{}
	for _, l := range f.Database.RoutingLog {
		if l.Stage != store.StageAssignment || l.Outcome != string(routing.Offered) {
			continue
		}
		var line struct {
			OfferID string      `json:"offer_id"`
			Why     routing.Why `json:"why"`
		}
		if json.Unmarshal([]byte(l.Entry), &line) == nil && line.Why == routing.WhyPreferred {
			ids[line.OfferID] = true
		}
	}
	return ids
}

// botKeepsItsTurn: what bots did, and whose the conversation was.
func botKeepsItsTurn(f *facts) *found {
	r := &found{of: "turns of bots"}
	type span struct{ from, to int64 }
	owned := map[string]map[int64]span{} // by conversation and epoch
	for id, steps := range f.timelines {
		owned[id] = map[int64]span{}
		for i, t := range steps {
			if t.ToOwner != conversation.OwnerBot {
				continue
			}
			s := span{from: t.CreatedAt}
			if i+1 < len(steps) {
				s.to = steps[i+1].CreatedAt
			}
			owned[id][t.Epoch] = s
		}
	}
	for _, t := range f.Database.Turns {
		r.checked++
		s, ok := owned[t.ConversationID][t.Epoch]
		switch {
		case !ok:
			r.bad(t.ID, "is of epoch %d of conversation %s, in which no bot had it", t.Epoch, t.ConversationID)
		case t.CreatedAt < s.from:
			r.bad(t.ID, "was %s at %d, and the bot had conversation %s from %d", t.Outcome, t.CreatedAt, t.ConversationID, s.from)
		case t.Outcome == store.TurnDiscarded && s.to == 0:
			r.bad(t.ID, "was discarded, and the bot has conversation %s still", t.ConversationID)
		case t.Outcome != store.TurnDiscarded && s.to != 0 && t.CreatedAt > s.to:
			r.bad(t.ID, "was %s at %d, and conversation %s had left the bot at %d", t.Outcome, t.CreatedAt, t.ConversationID, s.to)
		}
	}
	for id := range f.timelines {
		f.botSpeaksInTurn(r, id)
	}
	return r
}

// botSpeaksInTurn judges what a bot said by whose the conversation was when it
// was stored, in the order of the record.
func (f *facts) botSpeaksInTurn(r *found, id string) {
	owner := conversation.OwnerNone
	for _, e := range f.records[id] {
		if isStepEvent(e.Type) {
			var s said
			if json.Unmarshal([]byte(e.Data), &s) == nil {
				owner = s.Owner
			}
			continue
		}
		m, ok := f.messages[e.SubjectID]
		if ok && e.Type == "message.created" && m.SenderKind == conversation.SenderBot && owner != conversation.OwnerBot {
			r.bad(m.ID, "a bot said it in conversation %s when that was with %s", id, owner)
		}
	}
}
