package outcome

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// How long a conversation may wait while an agent is there who could have it: as
// a rule, where a run says nothing else, and from the end of an outage on. A look
// that got lost with its process is made by the dispatcher within
// conversation.DispatcherFloor.
const (
	promptly   = time.Second
	afterwards = 11 * time.Second
)

// affinityPatience is how long who served last may be waited for, in
// microseconds, before anybody is offered a conversation.
const affinityPatience = 120_000_000

// offeredInTime plays the record, event by event, and looks for spans in which a
// conversation waited and an agent could have had it: available, a member of its
// queue with the skills and with room for it, who had not let it pass too often.
// Whoever takes their room meanwhile ends the span. What agents can do and which
// queues they work is taken from the end. What counts against a capacity profile,
// what a supervisor has ask for something else, and queues with rules of their own
// are passed over: of them the record does not tell enough.
func offeredInTime(f *facts) *found {
	w := &waits{
		f: f, r: &found{of: "times that conversations came to wait"}, loads: f.loads(), outages: slices.Clone(f.Deeds.Outages),
		there: map[string]conversation.Presence{}, works: map[Member]bool{}, levels: map[string]map[string]int64{}, settings: map[string]store.Assignment{},
		customs: map[string]bool{}, queues: map[string]*queued{}, since: map[pair]int64{},
	}
	slices.SortFunc(w.outages, func(a, b Outage) int { return cmp.Compare(a.From, b.From) })
	for _, q := range f.Database.Queues {
		w.customs[q.ID] = q.Custom != ""
	}
	for _, m := range f.Database.Members {
		w.works[m] = true
	}
	for _, k := range f.Database.AgentSkills {
		if w.levels[k.AgentID] == nil {
			w.levels[k.AgentID] = map[string]int64{}
		}
		w.levels[k.AgentID][k.SkillID] = k.Level
	}
	for _, s := range f.Database.Workstreams {
		var settings store.WorkstreamSettings
		if s.Mode == string(store.ModePush) && json.Unmarshal([]byte(s.Settings), &settings) == nil {
			w.settings[s.ID] = settings.Assignment
		}
	}
	for i := range f.Database.Events { // in the order of their making
		w.tell(&f.Database.Events[i])
	}
	for p := range w.since {
		w.ends(p, f.At)
	}
	return w.r
}

// waits is who waits at one time, and who is there.
type waits struct {
	f        *facts
	r        *found
	loads    *loads
	outages  []Outage // in the order of their beginning
	there    map[string]conversation.Presence
	works    map[Member]bool
	levels   map[string]map[string]int64 // by agent and skill
	settings map[string]store.Assignment // by workstream, where conversations are offered
	customs  map[string]bool             // queues with rules of their own
	queues   map[string]*queued          // by conversation
	since    map[pair]int64              // when it began that an agent could have a conversation
}

// queued is how a conversation waits in a queue that was decided.
type queued struct {
	queueID string
	from    int64 // before that, who served last is waited for
	onOffer bool
	needs   []conversation.SkillNeed
	let     map[string]int64 // offers that agents let pass
}

type pair struct{ conversationID, agentID string }

// tell takes over an event of the record.
func (w *waits) tell(e *Event) {
	w.loads.tell(e)
	o := w.f.offers[e.SubjectID]
	switch {
	case e.Type == "agent.presence_changed":
		var said struct {
			Presence conversation.Presence `json:"presence"`
		}
		if json.Unmarshal([]byte(e.Data), &said) == nil {
			w.there[e.SubjectID] = said.Presence
		}
	case isStepEvent(e.Type):
		w.step(e)
	case e.Type == "conversation.routing_changed":
		delete(w.queues, e.ConversationID)
	case o != nil && strings.HasPrefix(e.Type, "offer."):
		if q := w.queues[o.ConversationID]; q != nil {
			q.onOffer = e.Type == "offer.created"
			if e.Type == "offer.declined" || e.Type == "offer.timed_out" {
				q.let[o.AgentID]++
				q.from = 0 // whoever they are, they are waited for no more
			}
		}
	default:
		return
	}
	for id, q := range w.queues {
		for _, a := range w.f.Database.Agents {
			w.look(e.CreatedAt, pair{id, a.ID}, q, a)
		}
	}
	for p := range w.since {
		if w.queues[p.conversationID] == nil {
			w.ends(p, e.CreatedAt)
		}
	}
}

// step takes over what a step did to a conversation.
func (w *waits) step(e *Event) {
	id := e.ConversationID
	var s said
	n := w.loads.steps[id] - 1 // the loads have taken it over
	if n < 0 || n >= len(w.f.timelines[id]) || json.Unmarshal([]byte(e.Data), &s) != nil {
		return // recordTellsItOnce has it
	}
	t, was := w.f.timelines[id][n], w.queues[id]
	routed := t.Event == conversation.EventRouted || t.Event == conversation.EventTransferredQueue || was != nil || t.FromOwner == conversation.OwnerAgent || t.FromStatus == conversation.StatusWaiting
	switch {
	case t.to() != conversation.PhaseQueued || !routed || s.QueueID == "":
		delete(w.queues, id)
	case was != nil && t.from() == conversation.PhaseQueued: // it has waited all along
		was.queueID = s.QueueID
	default:
		w.r.checked++
		q := &queued{queueID: s.QueueID, let: map[string]int64{}}
		if t.FromStatus == conversation.StatusWaiting {
			q.from = e.CreatedAt + affinityPatience
		}
		if c := w.f.conversations[id]; c != nil && json.Unmarshal([]byte(c.Skills), &q.needs) == nil {
			w.queues[id] = q
		}
	}
}

// look notes since when an agent could have a conversation, and that it is over.
func (w *waits) look(now int64, p pair, q *queued, a Agent) {
	if !w.could(now, p, q, a) {
		w.ends(p, now)
	} else if _, known := w.since[p]; !known {
		w.since[p] = now
	}
}

func (w *waits) could(now int64, p pair, q *queued, a Agent) bool {
	c := w.f.conversations[p.conversationID]
	s, pushed := w.settings[c.WorkstreamID]
	if !pushed || w.customs[q.queueID] || c.ProfileID != "" || q.onOffer || now < q.from || s.Affinity == store.AffinityRequire && q.from > 0 {
		return false
	}
	if !slices.Contains(s.Presences, w.there[a.ID]) || !w.works[Member{q.queueID, a.ID}] || q.let[a.ID] >= s.MaxOffers || w.loads.of[a.ID]+c.Units > a.Capacity {
		return false
	}
	return c.Matching != conversation.MatchingExact || !slices.ContainsFunc(q.needs, func(k conversation.SkillNeed) bool { return w.levels[a.ID][k.SkillID] < int64(k.Level) })
}

// ends judges a span in which an agent could have had a conversation.
func (w *waits) ends(p pair, now int64) {
	since, known := w.since[p]
	if !known {
		return
	}
	delete(w.since, p)
	if calm := w.calm(since, now); calm > cmp.Or(w.f.Deeds.Promptly, promptly).Microseconds() {
		w.r.bad(p.conversationID, "waited from %d to %d, %d ms of it in calm times, and agent %s could have had it", since, now, calm/1000, p.agentID)
	}
}

// calm is the longest time between two instants in which no outage was or had
// just been.
func (w *waits) calm(since, until int64) (longest int64) {
	for _, o := range w.outages {
		if o.To+afterwards.Microseconds() <= since {
			continue
		}
		if o.From >= until {
			break
		}
		longest = max(longest, o.From-since)
		since = max(since, o.To+afterwards.Microseconds())
	}
	return max(longest, until-since)
}
