package simulate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"kaiwa/internal/calendar"
	"kaiwa/internal/routing"
)

// queueRules are what a queue does by time and by fullness.
type queueRules struct {
	hours *calendar.Calendar // nil is always open
	wait  routing.WaitRules
}

// queueRules takes over calendars, and what queues do with those whom they do not
// keep.
func (c *compiler) queueRules() error {
	calendars := map[string]*calendar.Calendar{}
	for i, k := range c.doc.Calendars {
		at := fmt.Sprintf("calendars/%d", i)
		if k.ID == "" || calendars[k.ID] != nil {
			return c.wrong(at, "A calendar needs an id of its own.")
		}
		for _, found := range k.Check() {
			return c.wrong(at+found.Pointer, "%s", found.Detail)
		}
		calendars[k.ID] = &c.doc.Calendars[i].Calendar
	}
	for i, q := range c.doc.Queues {
		at := fmt.Sprintf("queues/%d", i)
		if q.CalendarID != "" && calendars[q.CalendarID] == nil {
			return c.wrong(at+"/calendar_id", "There is no calendar %q. Name one of calendars.", q.CalendarID)
		}
		closed, err := c.deflection(at+"/out_of_hours", q.ID, q.OutOfHours)
		if err != nil {
			return err
		}
		full, err := c.deflection(at+"/overflow", q.ID, q.Overflow.Deflection)
		if err != nil {
			return err
		}
		limited := q.Overflow.MaxWaiting > 0 || q.Overflow.MaxWaitSeconds > 0
		switch {
		case closed.On() && q.CalendarID == "":
			return c.wrong(at+"/out_of_hours", "Without a calendar_id the queue is never closed.")
		case q.Overflow.MaxWaiting < 0 || q.Overflow.MaxWaitSeconds < 0:
			return c.wrong(at+"/overflow", "A limit is more than 0.")
		case limited != full.On():
			return c.wrong(at+"/overflow", "Give max_waiting, max_wait_seconds or both, and the action: transfer or end.")
		}
		state := c.s.states[q.ID]
		state.MaxWaiting, state.Overflow, state.OutOfHours = q.Overflow.MaxWaiting, full, closed
		c.s.states[q.ID] = state
		if !closed.On() && !full.On() {
			continue
		}
		c.s.rules[q.ID] = queueRules{
			hours: calendars[q.CalendarID], wait: routing.WaitRules{MaxWait: time.Duration(q.Overflow.MaxWaitSeconds) * time.Second},
		}
	}
	return nil
}

// deflection reads what a queue does with a conversation that it may turn away.
func (c *compiler) deflection(at, queueID string, d Deflection) (routing.Deflection, error) {
	made := routing.Deflection{Action: routing.DeflectAction(d.Action), QueueID: d.QueueID}
	switch {
	case d.Action != "" && made.Action != routing.DeflectAssign && !made.On():
		return made, c.wrong(at+"/action", "%q is no action: it is assign, transfer or end.", d.Action)
	case made.Action == routing.DeflectTransfer && c.s.names[d.QueueID] == "":
		return made, c.wrong(at+"/queue_id", "There is no queue %q. Name one of queues.", d.QueueID)
	case d.QueueID != "" && d.QueueID == queueID:
		return made, c.wrong(at+"/queue_id", "A queue cannot transfer to itself.")
	}
	return made, nil
}

// states is how the queues stand now.
func (p *play) states() map[string]routing.QueueState {
	if len(p.s.rules) == 0 {
		return p.s.states
	}
	states := maps.Clone(p.s.states)
	for id, rules := range p.s.rules {
		q := states[id]
		q.Waiting = p.inQueue[id]
		if rules.hours != nil && q.OutOfHours.On() {
			if m, err := rules.hours.At(p.time()); err == nil { // its zone was checked
				q.Closed, q.Opens = !m.Open, m.Opens
			}
		}
		states[id] = q
	}
	return states
}

// enter lets a conversation come to a queue, or go on from one where it has
// waited too long, and tells whether it waits now. first says that it is counted
// as coming.
func (p *play) enter(t *talk, at routing.Arrival, first bool) bool {
	came := routing.Enter(at, p.states())
	if at.TooLong {
		if came.Ends == "" && came.QueueID == t.QueueID {
			return true // the queue keeps it
		}
		p.leaveQueue(t)
		t.Refusals = nil
	}
	if first && t.counts {
		t.QueueID = came.QueueID
		p.tally.arrive(t, p.time())
	}
	for _, step := range came.Steps {
		if step.Action == routing.DeflectTransfer && t.counts {
			p.tally.of(step.QueueID).passedOn++
		}
	}
	t.QueueID, t.been = came.QueueID, slices.Concat(t.been, came.Overflowed())
	if came.Ends != "" {
		t.state = stateGone
		if t.counts {
			p.tally.end(t)
		}
		return false
	}
	t.asks(p.s)
	p.inQueue[t.QueueID]++
	t.entries++
	number := t.entries
	wait := p.s.rules[t.QueueID].wait
	if duty, due := wait.Next(routing.Wait{Since: p.time(), Tended: p.time()}); duty == routing.DutyOverflow {
		p.agenda.note(due.Sub(p.s.start), func() {
			if t.entries == number && (t.state == stateWaiting || t.state == stateOffered) {
				p.enter(t, routing.Arrival{QueueID: t.QueueID, Been: t.been, TooLong: true}, false)
				p.match()
			}
		})
	}
	p.enqueue(t)
	return true
}

// leaveQueue takes a conversation out of where it waits, on offer or not.
func (p *play) leaveQueue(t *talk) {
	if t.state == stateOffered {
		p.withdraw(t)
	} else {
		p.dequeue(t)
	}
	p.inQueue[t.QueueID]--
}
