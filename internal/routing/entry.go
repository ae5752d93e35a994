package routing

import "slices"

// MaxMoves is how often queues pass a conversation on: within one arrival, and
// by overflow in its life.
const MaxMoves = 5

// DeflectAction is what a queue does with a conversation that it may turn away.
type DeflectAction string

// The actions.
const (
	DeflectAssign   DeflectAction = "assign"   // it keeps it
	DeflectTransfer DeflectAction = "transfer" // it passes it on to another queue
	DeflectEnd      DeflectAction = "end"      // the conversation ends
)

// Deflection is what a queue does with a conversation that it may turn away.
// The zero Deflection keeps it.
type Deflection struct {
	Action  DeflectAction `json:"action,omitempty"`
	QueueID string        `json:"queue_id,omitempty"` // DeflectTransfer: to which
}

// On tells whether the conversation does not stay.
func (d Deflection) On() bool { return d.Action == DeflectTransfer || d.Action == DeflectEnd }

// turnsAway says why the queue does not keep who comes now, "" when it does,
// and what it does with them.
func (q QueueState) turnsAway() (QueueReason, Deflection) {
	switch {
	case q.Closed && q.OutOfHours.On():
		return QueueClosed, q.OutOfHours
	case q.full() && q.Overflow.On():
		return QueueFull, q.Overflow
	}
	return "", Deflection{}
}

func (q QueueState) full() bool { return q.MaxWaiting > 0 && q.Waiting >= q.MaxWaiting }

// Arrival is a conversation that comes to a queue, or has waited there for as
// long as the queue has anybody wait.
type Arrival struct {
	QueueID string
	Been    []string // the queues it overflowed from before
	// ByPeople says that somebody put it there, or that it comes back to where it
	// was: no queue is too full for it.
	ByPeople bool
	TooLong  bool // it has waited there for too long
}

// Entry is what becomes of an Arrival.
type Entry struct {
	QueueID string      // where it waits; where it was when it ends
	Ends    QueueReason // why it ends there; "" when it waits
	Steps   []Step      // what its queues did with it, in order; none when the first just took it
}

// Overflowed are the queues that it overflowed from on this way; none when it
// waits where it began.
func (e Entry) Overflowed() (ids []string) {
	if len(e.Steps) == 0 || e.QueueID == e.Steps[0].QueueID {
		return nil
	}
	for _, s := range e.Steps {
		if s.Action == DeflectTransfer && s.Reason != QueueClosed {
			ids = append(ids, s.QueueID)
		}
	}
	return ids
}

// Kept says whether the queue where it waits took it in spite of itself.
func (e Entry) Kept() bool { return len(e.Steps) > 0 && e.Steps[len(e.Steps)-1].Why != "" }

// Step is what one queue did with a conversation that it would not keep.
type Step struct {
	QueueID   string        `json:"queue_id"`
	Reason    QueueReason   `json:"reason"`
	Action    DeflectAction `json:"action"`
	ToQueueID string        `json:"to_queue_id,omitempty"` // where it would have gone, or went
	Why       KeepReason    `json:"why,omitempty"`         // DeflectAssign: why it was kept all the same
}

// KeepReason says why a queue keeps what it would turn away.
type KeepReason string

// The reasons for keeping.
const (
	KeptForPeople KeepReason = "put_there"         // somebody put it there, however full it is
	KeptOnce      KeepReason = "overflowed_before" // it overflowed from here before: nobody goes round
	KeptMoves     KeepReason = "too_many_moves"    // it was passed on MaxMoves times
	KeptCircle    KeepReason = "in_a_circle"       // it would come back to where it has been
	KeptLast      KeepReason = "no_other_queue"    // nobody works it, and there is no other to take it
	KeptNoQueue   KeepReason = "no_such_queue"     // the queue it would go to does not exist, or nobody works it
)

// Enter decides what becomes of an arrival: whether the queue takes it, passes
// it on (whoever it is passed on to decides in turn), or ends it. queues holds
// the queue and those that it may be passed on to.
//
// What would go round in a circle, or on for more than MaxMoves, waits in the
// queue it was meant for. A queue from which it overflowed once keeps it.
func Enter(a Arrival, queues map[string]QueueState) Entry {
	e := Entry{QueueID: a.QueueID}
	visited := []string{a.QueueID}
	been := slices.Clone(a.Been)
	for {
		q := queues[e.QueueID]
		reason, d := q.turnsAway()
		if len(visited) == 1 && a.TooLong {
			reason, d = QueueLate, q.Overflow
		}
		if reason == "" || !d.On() {
			return e
		}
		step := Step{QueueID: e.QueueID, Reason: reason, Action: d.Action, ToQueueID: d.QueueID}
		keep := func(why KeepReason) Entry {
			step.Action, step.Why = DeflectAssign, why
			e.Steps = append(e.Steps, step)
			return e
		}
		overflows := reason != QueueClosed
		switch {
		case reason == QueueFull && len(visited) == 1 && a.ByPeople:
			return keep(KeptForPeople)
		case d.Action == DeflectEnd:
			e.Steps, e.Ends = append(e.Steps, step), reason
			return e
		case overflows && slices.Contains(been, e.QueueID):
			return keep(KeptOnce)
		case overflows && len(been) >= MaxMoves, len(visited) > MaxMoves:
			e.QueueID = a.QueueID
			return keep(KeptMoves)
		case slices.Contains(visited, d.QueueID):
			e.QueueID = a.QueueID
			return keep(KeptCircle)
		case unusable(d.QueueID, queues) != "":
			return keep(KeptNoQueue)
		}
		if overflows {
			been = append(been, e.QueueID)
		}
		e.Steps = append(e.Steps, step)
		e.QueueID = d.QueueID
		visited = append(visited, d.QueueID)
	}
}
