package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/bench"
	"kaiwa/internal/rig"
)

// What is measured is what happens: each scenario waits for every one of its
// messages and answers. How long that takes is not asserted.
func TestTheBenchmarkMeasures(t *testing.T) {
	t.Parallel()
	devBinary, err := buildOnce()
	require.NoError(t, err)
	binary, err := buildKaiwaOnce()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services, err := rig.StartServices(ctx, rig.Options{Dir: t.TempDir(), KaiwaDev: devBinary, Database: rig.SQLite})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, services.Close()) })
	o := bench.Options{
		Kaiwa: binary, Temporal: services.TemporalAddress, Database: services.DatabaseURL, Only: []int{1, 2, 3}, Seed: 7, Size: bench.Tiny,
		Progress: func(what string) { t.Log(what) },
	}
	report, err := bench.Run(ctx, o)
	require.NoError(t, err)
	measured := map[int]int{}
	for _, f := range report.Figures {
		measured[f.Scenario]++
		t.Logf("%d %s: %.3f %s", f.Scenario, f.What, f.Value, f.Unit)
		require.GreaterOrEqual(t, f.Value, 0.0, f.What)
		if f.Bar != nil {
			require.NotNil(t, f.Met, f.What)
		}
	}
	for _, n := range o.Only {
		require.Positive(t, measured[n], "scenario %d", n)
	}
	require.Equal(t, "sqlite", report.Store)

	_, err = bench.Run(ctx, o)
	require.ErrorIs(t, err, bench.ErrInUse, "what has conversations is left alone")
	_, err = bench.Run(ctx, bench.Options{Only: []int{8}})
	require.ErrorContains(t, err, "there is no scenario 8")
}
