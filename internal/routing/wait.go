package routing

import "time"

// Duty is something that a queue's rules want done about a conversation that
// waits there, at a time.
type Duty string

// The duties.
const (
	DutyNone     Duty = ""
	DutyEntry    Duty = "entry"    // it was put there without asking whether the queue was open
	DutyOverflow Duty = "overflow" // it has waited for as long as the queue has anybody wait
	DutyInform   Duty = "inform"   // its customer is to hear how long it takes
)

// WaitRules are what a queue does by time with those who wait in it.
type WaitRules struct {
	OutOfHours bool          // it does not keep those who come while it is closed
	MaxWait    time.Duration // after which it passes them on or ends them; 0 is never
	Inform     time.Duration // how often customers hear how long it takes; 0 is never
}

// Sooner tells whether somebody may be due earlier by r than by the rules before.
// Whom the queue has kept though they waited too long is due once more by any
// other limit.
func (r WaitRules) Sooner(before WaitRules) bool {
	limited := r.MaxWait > 0 && r.MaxWait != before.MaxWait
	told := r.Inform > 0 && (before.Inform == 0 || r.Inform < before.Inform)
	return r.OutOfHours && !before.OutOfHours || limited || told
}

// Wait is how a conversation has waited in a queue so far.
type Wait struct {
	Since  time.Time // when it came to this queue
	Tended time.Time // up to when the queue's rules were looked after; zero is never
	Told   time.Time // when the customer last heard how long it takes; zero is never
}

// Next is what a queue's rules want done next about a conversation that waits
// there, and when; DutyNone when there is nothing to wait for.
func (r WaitRules) Next(w Wait) (duty Duty, at time.Time) {
	want := func(d Duty, when time.Time) {
		if duty == DutyNone || when.Before(at) {
			duty, at = d, when
		}
	}
	if r.OutOfHours && w.Tended.Before(w.Since) {
		want(DutyEntry, w.Since)
	}
	if limit := w.Since.Add(r.MaxWait); r.MaxWait > 0 && w.Tended.Before(limit) {
		want(DutyOverflow, limit)
	}
	if r.Inform > 0 {
		when := w.Since
		if next := w.Told.Add(r.Inform); !w.Told.IsZero() && next.After(when) {
			when = next
		}
		want(DutyInform, when)
	}
	return duty, at
}
