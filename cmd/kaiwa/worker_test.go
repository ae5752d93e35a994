package main_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"kaiwa/internal/store/storetest"
)

func TestAWorkerWaitsForTemporalAndSaysSo(t *testing.T) {
	t.Parallel()
	_, databaseURL := storetest.New(t, "sqlite")
	p := start(t, complete(t, databaseURL).with("KAIWA_WORKER_HTTP_ADDR", "127.0.0.1:0"), "worker")
	url := p.url("msg=probes")
	p.says(`msg="waiting for Temporal" address=127.0.0.1:1`)
	require.Equal(t, http.StatusOK, ask(t, url+"/healthz"))
	require.Equal(t, http.StatusServiceUnavailable, ask(t, url+"/readyz"))
	require.Equal(t, http.StatusOK, ask(t, url+"/metrics"))
	require.Equal(t, 0, p.stop(), "told to stop while it waits: no failure")
}

func TestAWorkerWaitsForMigrate(t *testing.T) {
	t.Parallel()
	temporal := startTemporal(t)
	databaseURL := "sqlite:" + filepath.Join(t.TempDir(), "kaiwa.db")
	e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr)
	p := start(t, e, "worker")
	p.says(`msg="waiting for kaiwa migrate" missing="the database's schema`)
	code, _, stderr := run(t, e, "migrate", "--database-only")
	require.Equal(t, 0, code, stderr)
	p.says(`msg="waiting for kaiwa migrate" missing="search attributes KaiwaChannel`)
	require.Equal(t, 0, p.stop())
}

func TestAWorkerEndsWhenItsNamespaceDoesNotExist(t *testing.T) {
	t.Parallel()
	temporal := startTemporal(t)
	_, databaseURL := storetest.New(t, "sqlite")
	code, _, stderr := run(t, complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr).with("TEMPORAL_NAMESPACE", "elsewhere"), "worker")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, `kaiwa: TEMPORAL_NAMESPACE is wrong: Temporal at `+temporal.Addr+` has no namespace "elsewhere"`)
}

func TestAWorkerThatTemporalLeavesAtTheStartWaitsForIt(t *testing.T) {
	t.Parallel()
	temporal := startTemporal(t)
	temporal.goAway(serviceerror.NewUnavailable("just going"))
	_, databaseURL := storetest.New(t, "sqlite")
	e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr)
	code, _, stderr := run(t, e, "migrate")
	require.Equal(t, 0, code, stderr)
	p := start(t, e, "worker")
	p.says(`msg="Temporal went away before the worker had begun"`)
	temporal.goAway(nil)
	p.says(`msg=working`)
	require.Greater(t, temporal.tried(), 1)
}

// Its looks are a second apart at most, though it says so less and less often:
// with waits that went on growing, the tenth would come after more than a minute.
func TestAWorkerLooksOutForTemporalSteadily(t *testing.T) {
	t.Parallel()
	temporal := startTemporal(t)
	_, databaseURL := storetest.New(t, "sqlite")
	e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr)
	code, _, stderr := run(t, e, "migrate")
	require.Equal(t, 0, code, stderr)
	temporal.deaf = 10
	p := start(t, e, "worker")
	p.says(`msg=working`)
	require.Less(t, strings.Count(p.stderr.String(), `msg="waiting for Temporal"`), 10)
}
