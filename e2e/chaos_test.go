package e2e

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/chaos"
	"kaiwa/internal/rig"
)

// chaosIn plays a short chaos run, and keeps what it left when there are
// findings.
func chaosIn(t *testing.T, o chaos.Options) *chaos.Report {
	t.Helper()
	var err error
	o.Kaiwa, err = buildKaiwaOnce()
	require.NoError(t, err)
	o.KaiwaDev, err = buildOnce()
	require.NoError(t, err)
	o.Dir, err = os.MkdirTemp("", "kaiwa-chaos-")
	require.NoError(t, err)
	begun := time.Now()
	var said bytes.Buffer
	o.Out = &said
	report, err := chaos.Run(t.Context(), o)
	if err == nil {
		require.NoError(t, report.Print(&said))
	}
	if err != nil || len(report.Findings) > 0 {
		t.Logf("%s\nlogs and outcome are in %s", said.String(), o.Dir)
	} else {
		require.NoError(t, os.RemoveAll(o.Dir))
	}
	require.NoError(t, err)
	t.Logf("%d events and %d kills in %s", report.Events, report.Kills, time.Since(begun).Round(time.Second))
	if len(report.Findings) > 0 {
		require.NoError(t, report.Save(o.Dir))
	}
	require.Empty(t, report.Findings)
	return report
}

func TestNothingIsLostAndNothingSaidTwiceWhileEverythingIsKilled(t *testing.T) {
	t.Parallel()
	report := chaosIn(t, chaos.Options{
		Seed: 1, Length: 55 * time.Second, Database: rig.PostgreSQL, EventsPerSecond: 15, Calm: 20 * time.Second, KillEvery: 3 * time.Second,
		Promptly: 5 * time.Second, // beside other tests
	})
	require.GreaterOrEqual(t, report.Kills, 8)
	require.GreaterOrEqual(t, report.Events, 300)
}
