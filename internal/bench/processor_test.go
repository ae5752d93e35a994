package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// procDir is a /proc of a machine with these processes.
func procDir(t *testing.T, total string, processes map[string][2]string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte(total), 0o600))
	for pid, p := range processes {
		require.NoError(t, os.Mkdir(filepath.Join(dir, pid), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, pid, "cmdline"), []byte(strings.ReplaceAll(p[0], " ", "\x00")), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, pid, "stat"), []byte(p[1]), 0o600))
		for _, thread := range []string{"1", "2"} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, pid, "task", thread), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, pid, "task", thread, "schedstat"), []byte("5000 "+pid+"00 7\n"), 0o600))
		}
	}
	return dir
}

func TestProcessorTimeGoesToWhoUsedIt(t *testing.T) {
	const others = " 1 1 1 0 -1 4194560 0 0 0 0 "
	before, ok := usageOf(procDir(t, "cpu  1000 0 500 9000 100 0 50 7 0 0\ncpu0 1 2 3\n", map[string][2]string{
		"10": {"/bin/kaiwa worker --x", "10 (kaiwa) S" + others + "200 100 50 50 20"},
		"11": {"bin/kaiwa bench", "11 (kaiwa) S" + others + "10 10 0 0 20"},
		"9":  {"bin/kaiwa-dev bench", "9 (kaiwa-dev) S" + others + "1 0 0 0 20"},
		"12": {"postgres: writer", "12 (postgres) S" + others + "5 5 3 4 20"},
		"13": {"postgres: a (b) c", "13 (a) b) c) S" + others + "5 5 0 0 20"},
		"14": {"/sbin/init", "14 (init) S" + others + "70 30 0 0 20"},
		"15": {"", "15 (kthread) S" + others + "1 1 0 0 20"},
	}), 11)
	require.True(t, ok)
	require.Equal(t, map[string]uint64{"worker": 300, partBenchmark: 21, "postgres": 27, partIdle: 9100, partStolen: 7, partOthers: 1550 - 348}, before.ticks)
	require.Equal(t, map[string]uint64{"worker": 2000, partBenchmark: 2200 + 1800, "postgres": 2400 + 2600}, before.waited)

	after := usage{
		ticks:  map[string]uint64{"worker": 400, partBenchmark: 31, "postgres": 15, partIdle: 9200, partStolen: 27, partOthers: 1202},
		waited: map[string]uint64{"worker": 2000 + 3e9},
	}
	var report Report
	report.addProcessor(4, "acknowledged", 2*time.Second, before, after)
	require.Equal(t, []Processor{{
		Scenario: 4, What: "acknowledged", Seconds: 2,
		Cores:   map[string]float64{"worker": .5, partBenchmark: .05, partIdle: .5, partStolen: .1, partOthers: 0},
		Waiting: map[string]float64{"worker": 1.5},
	}}, report.Processor, "postgres has fewer ticks: one of its processes is gone, and nothing is known of it")

	report.addProcessor(4, "acknowledged", 2*time.Second, usage{}, usage{ticks: map[string]uint64{"worker": 300}})
	require.InDelta(t, 1, report.Processor[0].Cores["worker"], 1e-9, "1 and 3 seconds within 4")
	require.InDelta(t, .25, report.Processor[0].Cores[partIdle], 1e-9)

	var printed strings.Builder
	require.NoError(t, report.printProcessor(&printed))
	require.Regexp(t, `(?m)^4 +acknowledged +1\.00 \(0\.75\) +0\.03 +0\.00 +0\.25 +0\.05$`, printed.String())

	_, ok = usageOf(t.TempDir(), 11)
	require.False(t, ok, "there is no /proc")
}
