package decide

import (
	"context"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Standing is how queues stand at a time.
type Standing struct {
	asked  []string // the queues that were asked for, each once
	stored map[string]store.QueueState
	states map[string]routing.QueueState
	hours  map[string]hours // of those whose hours were asked for
}

// QueuesAt reads how queues stand, and those to which they may pass somebody on:
// one statement, and more only where there are such, or queues that are full or
// closed some time.
func (d Decider) QueuesAt(ctx context.Context, now time.Time, ids ...string) (Standing, error) {
	out := Standing{nil, map[string]store.QueueState{}, map[string]routing.QueueState{}, map[string]hours{}}
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	for next := asked; len(next) > 0; {
		found, err := d.QueueStates(ctx, next...)
		if err != nil {
			return Standing{}, err
		}
		next = nil
		for _, q := range found {
			if err := d.stand(ctx, out, q, now); err != nil {
				return Standing{}, err
			}
			for _, to := range []routing.Deflection{q.Settings.OutOfHours, q.Settings.Overflow.Deflection} {
				if to.QueueID != "" && !slices.Contains(asked, to.QueueID) {
					asked, next = append(asked, to.QueueID), append(next, to.QueueID)
				}
			}
		}
	}
	out.asked = asked
	return out, nil
}

// stand adds how a queue stands.
func (d Decider) stand(ctx context.Context, to Standing, q store.QueueState, now time.Time) error {
	state := routing.QueueState{
		Members: q.Members, Waiting: q.Waiting, MaxWaiting: q.Settings.Overflow.MaxWaiting, Overflow: q.Settings.Overflow.Deflection, OutOfHours: q.Settings.OutOfHours,
	}
	to.stored[q.ID] = q
	if state.OutOfHours.On() {
		h, err := d.hoursOf(ctx, to, q.ID, now)
		if err != nil {
			return err
		}
		state.Closed = h.Hours == hoursClosed || h.Hours == hoursHoliday
		if h.OpensAt != nil {
			state.Opens = *h.OpensAt
		}
	}
	to.states[q.ID] = state
	return nil
}

// hoursOf tells how the hours of a queue stand that was read.
func (d Decider) hoursOf(ctx context.Context, s Standing, queueID string, now time.Time) (hours, error) {
	if h, known := s.hours[queueID]; known {
		return h, nil
	}
	h, err := d.hours(ctx, s.stored[queueID].CalendarID, now)
	if err == nil {
		s.hours[queueID] = h
	}
	return h, err
}

// Entered is what becomes of a conversation that comes to a queue.
type Entered struct {
	routing.Entry
	hours hours // of the queue where it waits, or ends
	Room  int64 // how many may wait there for it to be taken; 0 is however many
	// custom is that queue's custom assignment; nil when it has none.
	custom *routing.CustomAssignment
}

// Arrive decides what becomes of an arrival.
func (d Decider) Arrive(ctx context.Context, s Standing, at routing.Arrival, now time.Time) (Entered, error) {
	out := Entered{Entry: routing.Enter(at, s.states)}
	var err error
	if out.hours, err = d.hoursOf(ctx, s, out.QueueID, now); err != nil {
		return Entered{}, err
	}
	out.custom = s.stored[out.QueueID].Custom
	if q := s.states[out.QueueID]; !out.Kept() && q.Overflow.On() {
		out.Room = q.MaxWaiting
	}
	return out, nil
}

// Event is the step by which it comes to be: otherwise, unless it ends.
func (c Entered) Event(otherwise conversation.Event) conversation.Event {
	switch c.Ends {
	case "":
		return otherwise
	case routing.QueueClosed:
		return conversation.EventOutOfHours
	}
	return conversation.EventOverflow
}

// Trigger is what the customer is told: why it ends, or that the queue where they
// wait is closed.
func (c Entered) Trigger() automessage.Trigger {
	switch {
	case c.Ends != "" && c.Ends != routing.QueueClosed:
		return automessage.OverflowEnd
	case c.hours.Hours == hoursClosed:
		return automessage.OutOfHours
	case c.hours.Hours == hoursHoliday:
		return automessage.Holiday
	}
	return ""
}

// The outcomes in the routing log of what queues do with conversations that they
// do not keep, by the action.
var deflected = map[routing.DeflectAction]string{
	routing.DeflectTransfer: "passed_on",
	routing.DeflectEnd:      "ended",
	routing.DeflectAssign:   "kept",
}

// Custom tells whether the assignment of the queue where it waits is custom.
func (c Entered) Custom() bool { return c.custom != nil }

// Log are the lines for the routing log: one for each queue that would not keep
// it.
func (c Entered) Log() ([]store.RoutingEntry, error) { return entries(c.lines()...) }

func (c Entered) lines() (lines []entry) {
	for _, s := range c.Steps {
		lines = append(lines, entry{store.StageRoute, deflected[s.Action], s})
	}
	return lines
}
