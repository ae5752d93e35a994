package activities

import (
	"errors"
	"sync"
	"time"

	"kaiwa/internal/line"
)

const (
	// quickAnswer is how soon LINE answers on average when a workflow may wait for
	// it within its task: what happens meanwhile waits as long.
	quickAnswer = 250 * time.Millisecond
	// slowAnswer is how long a call may take before the others no longer count on
	// a quick one; one without an answer counts as twice that.
	slowAnswer = 500 * time.Millisecond
	// quickCall is how long a workflow waits for a call within its task. Whether
	// LINE took what was given up then, the next attempt finds out.
	quickCall = time.Second
	// quickAtOnce bounds the calls that workflows wait for: LINE may stop to
	// answer at any moment, and the steps in the database go by the same slots.
	quickAtOnce = 64
	// A call that took longer than the average counts as half of it, one that was
	// quicker as a fifth: after one that went unanswered it takes some quick ones.
	slowWeight, quickWeight = 0.5, 0.2
)

// pace knows how soon LINE answers this worker. The zero value knows of no call
// and takes LINE to be quick. It is safe for concurrent use.
type pace struct {
	mu      sync.Mutex
	average time.Duration
	under   int // calls under way
	slow    int // of which take long already
}

// quick tells whether LINE is likely to answer soon.
func (p *pace) quick() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.average <= quickAnswer && p.slow == 0 && p.under < quickAtOnce
}

// begin notes that a call begins. The function it returns is called when it is
// over, with whether LINE answered.
func (p *pace) begin() (end func(answered bool)) {
	begun := time.Now()
	late, over := false, false
	p.mu.Lock()
	p.under++
	p.mu.Unlock()
	timer := time.AfterFunc(slowAnswer, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !over {
			late = true
			p.slow++
		}
	})
	return func(answered bool) {
		timer.Stop()
		took := time.Since(begun)
		if !answered {
			took = max(took, 2*slowAnswer)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		over = true
		if p.under--; late {
			p.slow--
		}
		weight := quickWeight
		if took > p.average {
			weight = slowWeight
		}
		p.average += time.Duration(weight * float64(took-p.average))
	}
}

// answered tells whether LINE answered a call in a way that says something of how
// it fares: a refusal does.
func answered(err error) bool {
	var refusal *line.Error
	return err == nil || errors.As(err, &refusal) && !refusal.Retryable()
}
