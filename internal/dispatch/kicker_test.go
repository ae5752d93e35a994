package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	pause     = 50 * time.Millisecond
	most      = 250 * time.Millisecond
	lastRetry = 10 * time.Second
)

// calls notes when it was called.
type calls struct {
	mu    sync.Mutex
	at    []time.Time
	fails error
	hangs bool
	takes time.Duration
}

func (c *calls) kick(ctx context.Context) error {
	c.mu.Lock()
	c.at = append(c.at, time.Now())
	fails, hangs, takes := c.fails, c.hangs, c.takes
	c.mu.Unlock()
	time.Sleep(takes)
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return fails
}

func (c *calls) set(fails error, hangs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.hangs = fails, hangs
}

func (c *calls) count() int { return len(c.times()) }

func (c *calls) times() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at)
}

// inTime runs f where time passes only when all wait, and where nothing may be
// left running.
func inTime(t *testing.T, f func(t *testing.T, k *kicker, c *calls)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		f(t, newKicker("a test", c.kick, pause, most, lastRetry, slog.New(slog.DiscardHandler)), c)
	})
}

func TestTheFirstKickGoesAtOnceAndTheLastIsNotForgotten(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		start := time.Now()
		for range 1000 {
			k.ask(t.Context())
		}
		synctest.Wait()
		require.Equal(t, []time.Time{start}, c.times(), "leading edge")
		time.Sleep(10 * time.Millisecond)
		k.ask(t.Context())
		time.Sleep(time.Second)
		require.Equal(t, []time.Time{start, start.Add(pause)}, c.times(), "trailing edge, once")

		k.ask(t.Context())
		synctest.Wait()
		require.Equal(t, start.Add(time.Second+10*time.Millisecond), c.times()[2], "at once again")
		k.close()
	})
}

func TestAtMostTwentyKicksASecond(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		for range 2000 {
			k.ask(t.Context())
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, c.count(), 41)
		require.GreaterOrEqual(t, c.count(), 39, "and as often as that")
		k.close()
	})
}

func TestAKickThatFailsIsRepeatedUntilItComesThrough(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		c.set(errors.New("Temporal is away"), false)
		ctx, cancel := context.WithCancel(t.Context())
		k.ask(ctx)
		cancel() // the request is over
		time.Sleep(time.Minute)
		tried := c.count()
		require.Greater(t, tried, 5)
		require.Less(t, tried, 15, "at growing distances")
		c.set(nil, false)
		time.Sleep(lastRetry)
		require.Equal(t, tried+1, c.count())
		time.Sleep(time.Minute)
		require.Equal(t, tried+1, c.count(), "and then no more")
		k.close()
	})
}

func TestAskingNeverWaitsAndClosingOnlySoLong(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		c.set(nil, true)
		start := time.Now()
		for range 100 {
			k.ask(t.Context())
			synctest.Wait()
		}
		require.Equal(t, start, time.Now())
		k.close()
		require.Equal(t, kickTime, time.Since(start))
		kicked := c.count()
		require.LessOrEqual(t, kicked, 2)
		k.ask(t.Context()) // nothing any more
		k.close()
		require.Equal(t, kicked, c.count())
	})
}

func TestClosingMakesTheKickThatIsOwed(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		k.ask(t.Context())
		synctest.Wait()
		k.ask(t.Context())
		k.close()
		require.Equal(t, 2, c.count())
	})
	inTime(t, func(t *testing.T, k *kicker, c *calls) {
		c.set(errors.New("Temporal is away"), false)
		k.ask(t.Context())
		synctest.Wait()
		k.close()
		require.Equal(t, 2, c.count(), "once more, and then the dispatcher's next look is enough")
	})
}

func TestWhatTakesLongIsDoneLessOften(t *testing.T) {
	t.Parallel()
	for takes, next := range map[time.Duration]time.Duration{
		10 * time.Millisecond:  60 * time.Millisecond,
		100 * time.Millisecond: 200 * time.Millisecond,
		time.Second:            time.Second + most,
	} {
		inTime(t, func(t *testing.T, k *kicker, c *calls) {
			c.takes = takes
			start := time.Now()
			k.ask(t.Context())
			synctest.Wait()
			k.ask(t.Context())
			time.Sleep(3 * time.Second)
			require.Equal(t, []time.Time{start, start.Add(next)}, c.times())
			k.close()
		})
	}
}
