package simulate

import (
	"time"

	"kaiwa/internal/conversation"
)

// tally is what was counted in one replication, of conversations that came
// after the warm-up.
type tally struct {
	s      *Scenario
	queues map[string]*queueTally // by id, "" for what no queue was found for
	hours  [7 * 24]queueTally     // by the hour of the week in which they came, Monday first
	agents []agentTally           // in the order of the scenario's
	when   map[*talk]int          // the hour in which those came that are not served yet
}

// queueTally is what was counted of some conversations.
type queueTally struct {
	arrivals, served, abandoned, waiting int
	ended, passedOn                      int // by the rules of a queue
	within                               int // served so soon as the service level asks
	delayed                              int // served or abandoned, and not at once
	waits                                []time.Duration
	offers, declined, missed             int
}

// agentTally is an agent's time, in units times seconds.
type agentTally struct{ there, busy, overtime float64 }

func newTally(s *Scenario) tally {
	t := tally{s: s, queues: map[string]*queueTally{}, when: map[*talk]int{}}
	for _, q := range s.queues {
		t.queues[q.ID] = &queueTally{}
	}
	return t
}

// queue is what was counted of a conversation's queue.
func (y *tally) queue(t *talk) *queueTally { return y.of(t.QueueID) }

// of is what was counted of a queue.
func (y *tally) of(queueID string) *queueTally {
	q := y.queues[queueID]
	if q == nil {
		q = &queueTally{}
		y.queues[queueID] = q
	}
	return q
}

// arrive counts a conversation that comes at a time, as clocks on the wall show
// it.
func (y *tally) arrive(t *talk, at time.Time) {
	hour := hourOfWeek(at)
	y.when[t] = hour
	y.queue(t).arrivals++
	y.hours[hour].arrivals++
}

// hourOfWeek counts from Monday, 00:00.
func hourOfWeek(t time.Time) int { return (int(t.Weekday())+6)%7*24 + t.Hour() }

// serve counts one that an agent takes after a wait.
func (y *tally) serve(t *talk, wait time.Duration) {
	for _, q := range []*queueTally{y.queue(t), &y.hours[y.when[t]]} {
		q.served++
		q.waits = append(q.waits, wait)
		if wait <= y.s.within {
			q.within++
		}
		if wait > 0 {
			q.delayed++
		}
	}
	delete(y.when, t)
}

// abandon counts one whose customer gives up.
func (y *tally) abandon(t *talk) {
	for _, q := range []*queueTally{y.queue(t), &y.hours[y.when[t]]} {
		q.abandoned++
		q.delayed++
	}
	delete(y.when, t)
}

// end counts one that the rules of its queue end.
func (y *tally) end(t *talk) {
	y.queue(t).ended++
	y.hours[y.when[t]].ended++
	delete(y.when, t)
}

// passed counts an offer that an agent let pass.
func (q *queueTally) passed(how conversation.OfferState) {
	if how == conversation.OfferDeclined {
		q.declined++
		return
	}
	q.missed++
}

// add adds what was counted elsewhere.
func (q *queueTally) add(other *queueTally) {
	q.arrivals += other.arrivals
	q.served += other.served
	q.abandoned += other.abandoned
	q.waiting += other.waiting
	q.ended += other.ended
	q.passedOn += other.passedOn
	q.within += other.within
	q.delayed += other.delayed
	q.waits = append(q.waits, other.waits...)
	q.offers += other.offers
	q.declined += other.declined
	q.missed += other.missed
}
