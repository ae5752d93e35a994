package outcome

import (
	"encoding/json"
	"maps"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

// timelineFollowsLife: each conversation's steps, by the life table, to where
// its row says it is.
func timelineFollowsLife(f *facts) *found {
	r := &found{of: "steps"}
	for _, c := range f.Database.Conversations {
		steps := f.timelines[c.ID]
		r.checked += len(steps)
		at, epoch := conversation.PhaseNone, int64(0)
		started := map[int64]bool{}
		for _, t := range steps {
			row, ok := t.row()
			switch {
			case !ok:
				r.bad(c.ID, "%s from %s to %s (%s) is in no row of the life table", t.Event, t.from().Name(), t.to().Name(), t.ID)
				continue
			case t.from() != at:
				r.bad(c.ID, "%s (%s) left %s, and the conversation was %s", t.Event, t.ID, t.from().Name(), at.Name())
			}
			if row.Has(conversation.EffectNewEpoch) {
				epoch++
			}
			if t.Epoch != epoch {
				r.bad(c.ID, "%s (%s) is of epoch %d, and it was %d", t.Event, t.ID, t.Epoch, epoch)
			}
			if row.Has(conversation.EffectStartSession) {
				started[t.Epoch] = true
			}
			at, epoch = t.to(), t.Epoch
		}
		if len(steps) == 0 {
			r.bad(c.ID, "has no timeline")
			continue
		}
		last := steps[len(steps)-1]
		switch {
		case at != c.phase():
			r.bad(c.ID, "is %s, and its timeline ends %s", c.phase().Name(), at.Name())
		case epoch != c.Epoch:
			r.bad(c.ID, "is in epoch %d, and its timeline ends in %d", c.Epoch, epoch)
		case !c.open() && (c.ClosedAt == 0 || string(c.ClosureReason) != last.Reason || last.Reason == ""):
			r.bad(c.ID, "is closed at %d with the reason %q, and its timeline says %q", c.ClosedAt, c.ClosureReason, last.Reason)
		case c.open() && (c.ClosedAt != 0 || c.ClosureReason != ""):
			r.bad(c.ID, "is open, and was closed at %d: %s", c.ClosedAt, c.ClosureReason)
		}
		f.hasSessions(r, c, started)
	}
	return r
}

// hasSessions judges the engagements of a conversation: one for each step that
// begins one, and only the last may be under way.
func (f *facts) hasSessions(r *found, c Conversation, started map[int64]bool) {
	live := 0
	for _, s := range f.sessionsOf[c.ID] {
		if !started[s.Epoch] {
			r.bad(c.ID, "session %s of epoch %d was begun by no step", s.ID, s.Epoch)
		}
		delete(started, s.Epoch)
		if s.EndedAt == 0 {
			live++
		}
	}
	for epoch := range started {
		r.bad(c.ID, "the step of epoch %d began no session", epoch)
	}
	wanted := 0
	if c.Owner == conversation.OwnerBot || c.Owner == conversation.OwnerAgent {
		wanted = 1
	}
	if live != wanted {
		r.bad(c.ID, "is %s with %d sessions under way", c.phase().Name(), live)
	}
}

// recordTellsItOnce: each message, step, turn and survey with its events.
func recordTellsItOnce(f *facts) *found {
	r := &found{of: "events of the record"}
	r.checked = len(f.Database.Events)
	for i := range f.Database.Messages {
		f.isTold(r, &f.Database.Messages[i])
	}
	for _, e := range f.Database.Events {
		if _, ok := f.messages[e.SubjectID]; !ok && isMessageEvent(e.Type) {
			r.bad(e.SubjectID, "event %d is a %s, and there is no such message", e.ID, e.Type)
		}
	}
	for id, steps := range f.timelines {
		f.stepsAreTold(r, id, steps)
	}
	for _, t := range f.Database.Turns {
		failed, discarded := f.told[t.ID]["bot_turn.failed"], f.told[t.ID]["bot_turn.discarded"]
		if failed != count(t.Outcome == "failed") || discarded != count(t.Outcome == "discarded") {
			r.bad(t.ID, "this turn was %s, and has %d events of failure and %d of being discarded", t.Outcome, failed, discarded)
		}
	}
	for _, inv := range f.Database.Invitations {
		told := f.told[inv.ID]
		ends := map[survey.State]int{survey.Answered: told["survey.completed"], survey.Expired: told["survey.expired"], survey.Cancelled: told["survey.cancelled"]}
		if told["survey.invited"] != 1 {
			r.bad(inv.ID, "this survey has %d events of its invitation", told["survey.invited"])
		}
		for state, n := range ends {
			if n != count(survey.State(inv.State) == state) {
				r.bad(inv.ID, "this survey is %s, and has %d events that say %s", inv.State, n, state)
			}
		}
	}
	return r
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

var messageEvents = []string{"message.received", "message.created", "message.accepted", "message.failed", "message.uncertain", "message.recalled"}

func isMessageEvent(kind string) bool { return slices.Contains(messageEvents, kind) }

// isTold judges the events of one message.
func (f *facts) isTold(r *found, m *Message) {
	want := map[string]int{}
	switch m.Direction {
	case conversation.Inbound:
		want["message.received"] = count(!m.Held)
	case conversation.Internal:
		want["message.created"] = 1
	case conversation.Outbound:
		want["message.created"] = 1
		if m.State != conversation.MessagePending {
			want["message."+string(m.State)] = 1
		}
	}
	told := f.told[m.ID]
	for _, kind := range messageEvents {
		if kind == "message.recalled" && m.State == conversation.MessageRecalled && told[kind] <= 1 {
			continue // one that arrived when it was taken back, or was held, is not told of
		}
		if told[kind] != want[kind] {
			r.bad(m.ID, "is %s and %s, and has %d events %s", m.Direction, m.State, told[kind], kind)
		}
	}
}

// said is what the event of a step says.
type said struct {
	Event   conversation.Event  `json:"event"`
	Status  conversation.Status `json:"status"`
	Owner   conversation.Owner  `json:"owner"`
	QueueID string              `json:"queue_id"`
}

// stepEvents are the events of a conversation's steps, in the order of their
// making. The row's lock makes that the order of the steps.
func (f *facts) stepEvents(conversationID string) (list []*Event) {
	for _, e := range f.records[conversationID] {
		if isStepEvent(e.Type) {
			list = append(list, e)
		}
	}
	return list
}

func isStepEvent(kind string) bool {
	return kind == "conversation.created" || kind == "conversation.changed" || kind == "conversation.closed"
}

// stepsAreTold judges the events of a timeline: one each, in its order.
func (f *facts) stepsAreTold(r *found, id string, steps []*Transition) {
	events := f.stepEvents(id)
	if len(events) != len(steps) {
		r.bad(id, "has %d steps, and %d events of them", len(steps), len(events))
		return
	}
	seq := int64(0)
	for i, e := range events {
		t := steps[i]
		kind := "conversation.changed"
		switch {
		case t.from() == conversation.PhaseNone:
			kind = "conversation.created"
		case t.to() == conversation.PhaseClosed:
			kind = "conversation.closed"
		}
		var s said
		if err := json.Unmarshal([]byte(e.Data), &s); err != nil {
			r.bad(id, "event %d cannot be read: %v", e.ID, err)
			continue
		}
		if e.Type != kind || s.Event != t.Event || s.Status != t.ToStatus || s.Owner != t.ToOwner {
			r.bad(id, "event %d says %s %s to %s/%s, and step %d was %s to %s", e.ID, e.Type, s.Event, s.Status, s.Owner, i+1, t.Event, t.to().Name())
		}
		if e.Seq != nil {
			if *e.Seq < seq {
				r.bad(id, "event %d has number %d, and the step before it %d", e.ID, *e.Seq, seq)
			}
			seq = *e.Seq
		}
	}
}

// recordHasNoGap: the one order of events.
func recordHasNoGap(f *facts) *found {
	r := &found{of: "events of the record"}
	r.checked = len(f.Database.Events)
	at := map[int64]int64{}
	for _, e := range f.Database.Events {
		if e.Seq == nil {
			r.bad(e.SubjectID, "event %d (%s) has no number", e.ID, e.Type)
			continue
		}
		if other, ok := at[*e.Seq]; ok {
			r.bad(e.SubjectID, "events %d and %d both have the number %d", other, e.ID, *e.Seq)
		}
		at[*e.Seq] = e.ID
	}
	numbers := slices.Sorted(maps.Keys(at))
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			r.bad("events", "number %d follows %d", n, numbers[i-1])
		}
	}
	if len(numbers) > 0 && numbers[0] != 1 {
		r.bad("events", "the first number is %d", numbers[0])
	}
	return r
}
