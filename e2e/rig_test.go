package e2e

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/rig"
)

// startRig starts the production shape from the real binaries.
func startRig(t *testing.T, o rig.Options) *rig.Rig {
	t.Helper()
	var err error
	o.Dir = t.TempDir()
	o.KaiwaDev, err = buildOnce()
	require.NoError(t, err)
	o.Kaiwa, err = buildKaiwaOnce()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := rig.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestEachProcessOfTheRigMayBeKilledPausedAndReplaced(t *testing.T) {
	t.Parallel()
	r := startRig(t, rig.Options{Database: rig.PostgreSQL, APIs: 2, Workers: 2})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.Len(t, r.Processes(), 6)
	for _, p := range r.Processes() {
		before := p.PID()
		require.NoError(t, p.Kill())
		require.False(t, p.Alive())
		require.NoError(t, p.Start())
		require.ErrorIs(t, p.Start(), rig.ErrRuns)
		require.NotEqual(t, before, p.PID())
	}
	require.NoError(t, r.Ready(ctx))
	for _, p := range r.Processes() {
		require.NoError(t, p.Pause())
		require.True(t, p.Alive())
		require.NoError(t, p.Resume())
		rss, err := p.RSS()
		require.NoError(t, err)
		require.Greater(t, rss, int64(1<<20))
		require.Zero(t, p.EndedByItself(), p.Name)
	}
	require.NoError(t, r.Ready(ctx))
	require.NoError(t, r.Ended())

	// One API is away: the balancer has another.
	require.NoError(t, r.APIs[0].Stop(ctx))
	for range 4 {
		require.Equal(t, http.StatusOK, get(r.Front+"/readyz", "", nil))
	}
	// One that ends though nobody asked for it is started again, and told of.
	worker := r.Workers[1]
	dead := worker.PID()
	killed, err := os.FindProcess(dead)
	require.NoError(t, err)
	require.NoError(t, killed.Kill())
	require.Eventually(t, func() bool { return worker.PID() != dead }, patience, 10*time.Millisecond)
	require.NoError(t, worker.Ready(ctx))
	require.ErrorContains(t, r.Ended(), worker.Name+" ended by itself 1 times")

	// Stopped as an orchestrator does it.
	require.NoError(t, r.Workers[0].Stop(ctx))
	require.NoError(t, r.TemporalServer.Stop(ctx))
	require.Equal(t, 0, r.TemporalServer.PID())
}
