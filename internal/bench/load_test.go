package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArrivalsAreSeededAndComeAtTheirRate(t *testing.T) {
	t.Parallel()
	a, b, c := Arrivals(7, 100, 10*time.Second), Arrivals(7, 100, 10*time.Second), Arrivals(8, 100, 10*time.Second)
	require.Equal(t, a, b)
	require.NotEqual(t, a, c)
	require.InDelta(t, 1000, len(a), 150)
	require.IsNonDecreasing(t, a)
	require.Less(t, a[len(a)-1], 10*time.Second)
}

// A system that stops for a second while a hundred a second arrive has made
// half of them wait half a second and more, though it was busy with one only.
func TestAnOpenLoopCountsTheWaitOfThoseThatWereDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var arrivals []time.Duration
		for i := range 100 {
			arrivals = append(arrivals, time.Duration(i)*10*time.Millisecond)
		}
		busy := make(chan struct{}, 1)
		load, err := Open(t.Context(), arrivals, func(_ context.Context, n int) error {
			busy <- struct{}{}
			defer func() { <-busy }()
			if n == 0 {
				time.Sleep(time.Second)
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 100, load.Done)
		require.InDelta(t, 500, load.Latencies.At(0.5).Milliseconds(), 30)
		require.InDelta(t, 1000, load.Latencies.Max().Milliseconds(), 5)
	})
}

// The generator itself being late is the system's fault as well: they share a
// machine.
func TestAnOpenLoopThatFallsBehindCountsThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		load, err := Open(t.Context(), []time.Duration{0, -200 * time.Millisecond}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
		require.InDelta(t, 200, load.Latencies.Max().Milliseconds(), 2)
	})
}

func TestAClosedLoopWaitsForAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		load, err := Closed(t.Context(), 5, 10, func(context.Context, int, int) error {
			if n := under.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(100 * time.Millisecond)
			under.Add(-1)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 50, load.Done)
		require.LessOrEqual(t, most.Load(), int64(5))
		require.InDelta(t, 50, load.PerSecond(), 0.01)
		require.InDelta(t, 100, load.Latencies.At(0.99).Milliseconds(), 1)

		timed, err := ClosedFor(t.Context(), 2, time.Second, func(context.Context, int, int) error { time.Sleep(100 * time.Millisecond); return nil })
		require.NoError(t, err)
		require.Equal(t, 20, timed.Done)
	})
}

func TestAFloodCountsWhatComesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		load, err := Flood(t.Context(), 4, 25, func(context.Context, int, int) (func(context.Context) error, error) {
			return func(context.Context) error { time.Sleep(2 * time.Second); return nil }, nil
		})
		require.NoError(t, err)
		require.Equal(t, 100, load.Done)
		require.InDelta(t, 50, load.PerSecond(), 0.01, "it is the end that counts, not how fast it went in")
	})
}

func TestTheFirstErrorEndsALoad(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, run := range map[string]func(ctx context.Context) (Load, error){
		"open": func(ctx context.Context) (Load, error) {
			return Open(ctx, []time.Duration{0, 0, time.Hour}, func(_ context.Context, n int) error {
				if n == 1 {
					return broken
				}
				return nil
			})
		},
		"closed": func(ctx context.Context) (Load, error) {
			return Closed(ctx, 2, 1000, func(ctx context.Context, lane, n int) error {
				if lane == 1 && n == 3 {
					return broken
				}
				return nil
			})
		},
		"flood": func(ctx context.Context) (Load, error) {
			return Flood(ctx, 2, 2, func(_ context.Context, lane, _ int) (func(context.Context) error, error) {
				if lane == 1 {
					return nil, broken
				}
				return func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t.Context())
			require.ErrorIs(t, err, broken)
		})
	}
}

func TestTwoThingsAreMeasuredInTurnAndTheirMediansHeldSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order string
		round := func(name string, took ...time.Duration) measure {
			n := 0
			return func(context.Context) (Load, error) {
				order += name
				n++
				return Load{Done: 100, Took: took[n-1], Latencies: NewLatencies()}, nil
			}
		}
		rates, _, err := sideBySide(t.Context(), 3, round("a", time.Second, 10*time.Second, 2*time.Second), round("b", time.Second, time.Second, time.Second))
		require.NoError(t, err)
		require.Equal(t, "abbaab", order)
		require.Equal(t, [2]float64{50, 100}, rates)
	})
	require.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 1e-9)
}

func TestPercentilesAreThoseOfWhatWasRecorded(t *testing.T) {
	t.Parallel()
	l := NewLatencies()
	for ms := 1; ms <= 1000; ms++ {
		l.Record(time.Duration(ms) * time.Millisecond)
	}
	require.EqualValues(t, 1000, l.Count())
	for share, want := range map[float64]float64{0.5: 500, 0.99: 990, 0.999: 999} {
		require.InEpsilon(t, want, millis(l.At(share)), 0.002)
	}
	l.Record(time.Hour) // out of range
	require.InEpsilon(t, 10*time.Minute.Seconds(), l.Max().Seconds(), 0.002)
	require.Zero(t, NewLatencies().At(0.5))
}
