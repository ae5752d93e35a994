package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load is what came of a load.
type Load struct {
	Done      int // that were carried out
	Took      time.Duration
	Latencies *Latencies
}

// PerSecond is how many were carried out in a second.
func (l Load) PerSecond() float64 {
	if l.Took <= 0 {
		return 0
	}
	return float64(l.Done) / l.Took.Seconds()
}

// Arrivals are the times of a load that does not wait for answers, since its
// start: a Poisson process of a rate (a second), seeded, so that the same seed
// gives the same times.
func Arrivals(seed uint64, rate float64, over time.Duration) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, 1))
	var at []time.Duration
	for t := time.Duration(0); ; {
		t += time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
		if t >= over {
			return at
		}
		at = append(at, t)
	}
}

// Open carries something out at each of the given times, whether or not what
// was begun before is done: an open loop. How long each took is counted from
// when it was due, not from when it was begun, so that a system that holds up
// its callers is not excused for it (no coordinated omission). The first error
// ends the load and is returned.
func Open(ctx context.Context, arrivals []time.Duration, do func(ctx context.Context, n int) error) (Load, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	load := Load{Latencies: NewLatencies()}
	var done atomic.Int64
	var under sync.WaitGroup
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for n, at := range arrivals {
		due := start.Add(at)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		under.Go(func() {
			if err := do(ctx, n); err != nil {
				fail(fmt.Errorf("arrival %d: %w", n, err))
				return
			}
			load.Latencies.Record(time.Since(due))
			done.Add(1)
		})
	}
	under.Wait()
	load.Done, load.Took = int(done.Load()), time.Since(start)
	return load, cause(ctx)
}

// Closed has a number of lanes each do something a number of times, one after
// the other: a closed loop, in which whoever waits for an answer sends nothing.
func Closed(ctx context.Context, lanes, each int, do func(ctx context.Context, lane, n int) error) (Load, error) {
	return closed(ctx, lanes, func(_ time.Time, n int) bool { return n < each }, do)
}

// ClosedFor is Closed for a time instead of a number.
func ClosedFor(ctx context.Context, lanes int, over time.Duration, do func(ctx context.Context, lane, n int) error) (Load, error) {
	return closed(ctx, lanes, func(start time.Time, _ int) bool { return time.Since(start) < over }, do)
}

func closed(ctx context.Context, lanes int, on func(start time.Time, n int) bool, do func(ctx context.Context, lane, n int) error) (Load, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	load := Load{Latencies: NewLatencies()}
	var done atomic.Int64
	var under sync.WaitGroup
	start := time.Now()
	for lane := range lanes {
		under.Go(func() {
			for n := 0; on(start, n) && ctx.Err() == nil; n++ {
				begun := time.Now()
				if err := do(ctx, lane, n); err != nil {
					fail(fmt.Errorf("lane %d, number %d: %w", lane, n, err))
					return
				}
				load.Latencies.Record(time.Since(begun))
				done.Add(1)
			}
		})
	}
	under.Wait()
	load.Done, load.Took = int(done.Load()), time.Since(start)
	return load, cause(ctx)
}

// Flood has each lane begin everything it has to do as fast as it is taken, and
// then waits until all of it is done: what counts is what comes out.
func Flood(ctx context.Context, lanes, each int, begin func(ctx context.Context, lane, n int) (wait func(context.Context) error, err error)) (Load, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	load := Load{Latencies: NewLatencies()}
	var done atomic.Int64
	var under sync.WaitGroup
	start := time.Now()
	for lane := range lanes {
		under.Go(func() {
			for n := range each {
				begun := time.Now()
				wait, err := begin(ctx, lane, n)
				if err != nil {
					fail(fmt.Errorf("lane %d, number %d: %w", lane, n, err))
					return
				}
				under.Go(func() {
					if err := wait(ctx); err != nil {
						fail(fmt.Errorf("lane %d, number %d: %w", lane, n, err))
						return
					}
					load.Latencies.Record(time.Since(begun))
					done.Add(1)
				})
			}
		})
	}
	under.Wait()
	load.Done, load.Took = int(done.Load()), time.Since(start)
	return load, cause(ctx)
}

// cause is why a load ended early, nil when it did not.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// measure is one round of a load.
type measure func(ctx context.Context) (Load, error)

// breath lets what a round left behind end before the next one begins.
const breath = 300 * time.Millisecond

// sideBySide measures two things in turn, so that a machine that becomes slower
// or faster harms or helps both, and gives the median rate of each. Which of
// the two comes first alternates.
func sideBySide(ctx context.Context, rounds int, a, b measure) (rates [2]float64, latencies [2]*Latencies, err error) {
	var all [2][]float64
	measures := [2]measure{a, b}
	for round := range rounds {
		for i := range measures {
			which := (round + i) % 2
			load, err := measures[which](ctx)
			if err != nil {
				return rates, latencies, err
			}
			all[which] = append(all[which], load.PerSecond())
			latencies[which] = load.Latencies
			if err := sleep(ctx, breath); err != nil {
				return rates, latencies, err
			}
		}
	}
	for i := range all {
		rates[i] = median(all[i])
	}
	return rates, latencies, nil
}

// median of at least one number.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// errTooSlow ends a wait for what should long have happened.
var errTooSlow = errors.New("it did not happen in time")
