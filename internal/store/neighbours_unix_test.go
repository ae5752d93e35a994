//go:build unix

package store

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessesWriteToOneFileInTurn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kaiwa.db")
	var all [3]*neighbours
	for i := range all {
		n, err := meetNeighbours(path)
		require.NoError(t, err)
		t.Cleanup(n.close)
		n.patience = time.Minute
		all[i] = n
	}
	busy, other, eye := all[0], all[1], all[2]
	leave := busy.enter()
	require.False(t, busy.awaited())
	order := make(chan string, 2)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		leave := other.enter()
		order <- "other"
		leave()
	})
	require.Eventually(t, func() bool { // the other one waits
		if eye.first.take(time.Now()) {
			eye.first.give()
			return false
		}
		return true
	}, time.Minute, time.Millisecond)
	require.True(t, busy.awaited())
	leave()
	leave = busy.enter() // at once
	order <- "busy"
	leave()
	require.Equal(t, "other", <-order, "who has just written does not go before who waits")
	require.Equal(t, "busy", <-order)
	waiting.Wait()

	// Somebody who holds a lock and does nothing costs patience, not the writing.
	leave = other.enter()
	busy.patience = 5 * time.Millisecond
	busy.enter()()
	leave()
	busy.enter()()
}

func TestAGroupIsShorterWhileAnotherProcessWaits(t *testing.T) {
	t.Parallel()
	waits := false
	now := time.Now()
	g := group{polite: now.Add(-time.Second), until: now.Add(time.Hour), awaited: func() bool { return waits }}
	require.True(t, g.open(), "nobody waits")
	waits = true
	require.False(t, g.open())
	g.polite = now.Add(time.Hour)
	require.True(t, g.open(), "it has only begun")
	g.until = now
	require.False(t, g.open(), "it has lasted long enough for anybody")
}
