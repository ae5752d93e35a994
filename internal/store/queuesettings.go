package store

import (
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// QueueSettings is a queue's JSON column: what it does by time and by fullness.
// Whatever the store returns has its defaults filled in.
type QueueSettings struct {
	// OutOfHours is what the queue does with a conversation that comes while it is
	// closed; the default keeps it.
	OutOfHours routing.Deflection `json:"out_of_hours"`
	Overflow   Overflow           `json:"overflow,omitzero"`
	WaitInfo   WaitInfo           `json:"wait_info"`
}

// Overflow is what a queue does with a conversation that comes while it is
// full, or that has waited too long. The zero Overflow is none.
type Overflow struct {
	MaxWaiting     int64 `json:"max_waiting,omitempty"`      // it is full from so many on; 0 is never
	MaxWaitSeconds int64 `json:"max_wait_seconds,omitempty"` // since it came to this queue; 0 is for ever
	routing.Deflection
}

// WaitInfo is what customers hear while they wait, and how often. Each time may
// be a paid push, so nothing is said unless it is switched on.
type WaitInfo struct {
	Position        bool  `json:"position"`         // where in the queue they are
	Estimate        bool  `json:"estimate"`         // how long it will take
	NextInLine      bool  `json:"next_in_line"`     // that they are the next
	IntervalSeconds int64 `json:"interval_seconds"` // at most once in so long; 0 means 300
}

// On tells whether anything is said.
func (i WaitInfo) On() bool { return i.Position || i.Estimate || i.NextInLine }

// Defaults returns the settings with everything that was left out filled in.
func (q QueueSettings) Defaults() QueueSettings {
	if q.OutOfHours.Action == "" {
		q.OutOfHours.Action = routing.DeflectAssign
	}
	if q.WaitInfo.IntervalSeconds == 0 {
		q.WaitInfo.IntervalSeconds = 300
	}
	return q
}

// Check says what is wrong with the settings of a queue, by field. Whether the
// queues that they name exist is not known here.
func (q QueueSettings) Check(calendarID string) (wrong []conversation.FieldError) {
	say := func(at, detail string) {
		wrong = append(wrong, conversation.FieldError{Pointer: at, Detail: detail})
	}
	target := func(at string, d routing.Deflection) {
		switch {
		case d.Action == routing.DeflectTransfer && d.QueueID == "":
			say(at+"/queue_id", "Name the queue to which conversations are transferred.")
		case d.Action != routing.DeflectTransfer && d.QueueID != "":
			say(at+"/queue_id", "A queue is named only for the action transfer: leave it out, or set it to null.")
		}
	}
	if q.OutOfHours.On() && calendarID == "" {
		say("/out_of_hours/action", "Without a calendar the queue is never closed: see calendar_id.")
	}
	target("/out_of_hours", q.OutOfHours)
	limited := q.Overflow.MaxWaiting > 0 || q.Overflow.MaxWaitSeconds > 0
	switch {
	case limited && !q.Overflow.On():
		say("/overflow/action", "Say what happens then: transfer or end.")
	case !limited && q.Overflow.On():
		say("/overflow/max_waiting", "Say when: give max_waiting, max_wait_seconds or both.")
	}
	target("/overflow", q.Overflow.Deflection)
	return wrong
}

// targets are the queues that conversations may be passed on to.
func (q QueueSettings) targets() references {
	refs := references{}
	if q.OutOfHours.QueueID != "" {
		refs.add(q.OutOfHours.QueueID, "/out_of_hours/queue_id")
	}
	if q.Overflow.QueueID != "" {
		refs.add(q.Overflow.QueueID, "/overflow/queue_id")
	}
	return refs
}

// rules are what the queue does by time with those who wait in it.
func (q QueueSettings) rules() routing.WaitRules {
	r := routing.WaitRules{OutOfHours: q.OutOfHours.On()}
	if q.Overflow.On() {
		r.MaxWait = time.Duration(q.Overflow.MaxWaitSeconds) * time.Second
	}
	if q.WaitInfo.On() {
		r.Inform = time.Duration(q.WaitInfo.IntervalSeconds) * time.Second
	}
	return r
}

// noQueueSettings is the column of a queue that does nothing of its own.
const noQueueSettings = "{}"

// queueSettings reads a queue's column. What was stored as "{}" or is not there
// ("") does nothing of its own.
func queueSettings(queueID, column string) (QueueSettings, error) {
	var q QueueSettings
	if column == "" || column == noQueueSettings {
		return q.Defaults(), nil
	}
	if err := json.Unmarshal([]byte(column), &q); err != nil {
		return q, fmt.Errorf("settings of queue %s: %w", queueID, err)
	}
	return q.Defaults(), nil
}

// column is what is stored of the settings: "{}" when they say nothing, so that
// whoever waits in such a queue need not read them.
func (q QueueSettings) column() string {
	if q.Defaults() == (QueueSettings{}).Defaults() {
		return noQueueSettings
	}
	return jsonOf(q)
}
