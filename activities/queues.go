package activities

import (
	"context"
	"errors"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// standing is how queues stand at a time.
type standing struct {
	stored map[string]store.QueueState
	states map[string]routing.QueueState
	hours  map[string]hours // of those whose hours were asked for
}

// queuesAt reads how queues stand, and those to which they may pass somebody on:
// one statement, and more only where there are such, or queues that are full or
// closed some time.
func (a *Activities) queuesAt(ctx context.Context, now time.Time, ids ...string) (standing, error) {
	out := standing{map[string]store.QueueState{}, map[string]routing.QueueState{}, map[string]hours{}}
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	for next := asked; len(next) > 0; {
		found, err := a.store.QueueStates(ctx, next...)
		if err != nil {
			return standing{}, err
		}
		next = nil
		for _, q := range found {
			if err := a.stand(ctx, out, q, now); err != nil {
				return standing{}, err
			}
			for _, d := range []routing.Deflection{q.Settings.OutOfHours, q.Settings.Overflow.Deflection} {
				if d.QueueID != "" && !slices.Contains(asked, d.QueueID) {
					asked, next = append(asked, d.QueueID), append(next, d.QueueID)
				}
			}
		}
	}
	return out, nil
}

// stand adds how a queue stands.
func (a *Activities) stand(ctx context.Context, to standing, q store.QueueState, now time.Time) error {
	state := routing.QueueState{
		Members: q.Members, Waiting: q.Waiting, MaxWaiting: q.Settings.Overflow.MaxWaiting, Overflow: q.Settings.Overflow.Deflection, OutOfHours: q.Settings.OutOfHours,
	}
	to.stored[q.ID] = q
	if state.OutOfHours.On() {
		h, err := a.hoursOf(ctx, to, q.ID, now)
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
func (a *Activities) hoursOf(ctx context.Context, s standing, queueID string, now time.Time) (hours, error) {
	if h, known := s.hours[queueID]; known {
		return h, nil
	}
	h, err := a.hours(ctx, s.stored[queueID].CalendarID, now)
	if err == nil {
		s.hours[queueID] = h
	}
	return h, err
}

// entered is what becomes of a conversation that comes to a queue.
type entered struct {
	routing.Entry
	hours hours // of the queue where it waits, or ends
	room  int64 // how many may wait there for it to be taken; 0 is however many
	// custom is that queue's custom assignment; nil when it has none.
	custom *routing.CustomAssignment
}

// arrive decides what becomes of an arrival.
func (a *Activities) arrive(ctx context.Context, s standing, at routing.Arrival, now time.Time) (entered, error) {
	out := entered{Entry: routing.Enter(at, s.states)}
	var err error
	if out.hours, err = a.hoursOf(ctx, s, out.QueueID, now); err != nil {
		return entered{}, err
	}
	out.custom = s.stored[out.QueueID].Custom
	if q := s.states[out.QueueID]; !out.Kept() && q.Overflow.On() {
		out.room = q.MaxWaiting
	}
	return out, nil
}

// event is the step by which it comes to be: otherwise, unless it ends.
func (c entered) event(otherwise conversation.Event) conversation.Event {
	switch c.Ends {
	case "":
		return otherwise
	case routing.QueueClosed:
		return conversation.EventOutOfHours
	}
	return conversation.EventOverflow
}

// trigger is what the customer is told: why it ends, or that the queue where they
// wait is closed.
func (c entered) trigger() automessage.Trigger {
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

// log are the lines for the routing log: one for each queue that would not keep
// it.
func (c entered) log() (lines []entry) {
	for _, s := range c.Steps {
		lines = append(lines, entry{store.StageRoute, deflected[s.Action], s})
	}
	return lines
}

// fullTries bounds how often a step is decided anew because a queue has become
// full meanwhile: each time somebody else was taken.
const fullTries = 20

// whileFull does a step, and again while a queue becomes full between its being
// decided and its being done.
func whileFull(do func() (store.TransitionResult, error)) (res store.TransitionResult, err error) {
	for range fullTries {
		if res, err = do(); !errors.Is(err, store.ErrQueueFull) {
			break
		}
	}
	return res, err
}
