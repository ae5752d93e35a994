package activities

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// call has LINE answer after a time, or not at all.
func (p *pace) call(took time.Duration, answered bool) {
	end := p.begin()
	time.Sleep(took)
	end(answered)
}

func TestLINEIsQuickUntilItIsSlowAndAgainOnceItIsQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		require.True(t, p.quick(), "nothing is known")
		for range 5 {
			p.call(100*time.Millisecond, true)
			require.True(t, p.quick())
		}
		p.call(300*time.Millisecond, true)
		require.True(t, p.quick(), "now and then")
		for range 3 {
			p.call(400*time.Millisecond, true)
		}
		require.False(t, p.quick(), "it answers, and takes its time")
		for range 10 {
			p.call(50*time.Millisecond, true)
		}
		require.True(t, p.quick())
	})
}

func TestACallThatHangsIsKnownBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		end := p.begin()
		time.Sleep(slowAnswer - time.Millisecond)
		require.True(t, p.quick())
		time.Sleep(2 * time.Millisecond)
		require.False(t, p.quick())
		end(true)
		for range 10 {
			p.call(time.Millisecond, true)
		}
		require.True(t, p.quick(), "it is over")
	})
}

func TestACallWithoutAnAnswerCountsAsASlowOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		p.call(time.Millisecond, false) // refused at once
		require.False(t, p.quick())
		for range 4 {
			require.False(t, p.quick())
			p.call(20*time.Millisecond, true)
		}
		require.True(t, p.quick())
	})
}

func TestOnlySoManyCallsAreWaitedFor(t *testing.T) {
	t.Parallel()
	var p pace
	var ends []func(bool)
	for range quickAtOnce {
		require.True(t, p.quick())
		ends = append(ends, p.begin())
	}
	require.False(t, p.quick())
	ends[0](true)
	require.True(t, p.quick())
	for _, end := range ends[1:] {
		end(true)
	}
}
