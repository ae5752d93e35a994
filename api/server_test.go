package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestReadyMeansDatabaseSchemaAndTemporal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		require.Equal(t, "ok", b.as("", "GET", "/healthz", nil).text(t, "status"))
		b.engine.setNotReady(errors.New("dial tcp 10.1.2.3:7233: connection refused"))
		r := b.as("", "GET", "/readyz", nil)
		require.Equal(t, 503, r.Status)
		require.JSONEq(t, `{"status":"not_ready","dependencies":[{"name":"database","state":"ok"},{"name":"schema","state":"ok"},{"name":"temporal","state":"unavailable"}]}`, string(r.Raw))
		b.engine.setNotReady(nil)
		require.Eventually(t, func() bool { return b.as("", "GET", "/readyz", nil).Status == 200 }, time.Minute, 10*time.Millisecond)
		require.Equal(t, "ready", b.as("", "GET", "/readyz", nil).text(t, "status"))

		_, fresh := b.serve(storetest.Open(t, b.dbURL))
		b.sql("DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
		r = b.send(fresh, "", "GET", "/readyz", nil)
		require.Equal(t, 503, r.Status)
		require.Contains(t, string(r.Raw), `{"name":"schema","state":"outdated"}`)
	})
}

func TestAServerThatIsToldToStopIsNotReadyAndServesOn(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	require.Equal(t, 200, b.as("", "GET", "/readyz", nil).Status)
	b.api.Drain()
	r := b.as("", "GET", "/readyz", nil)
	require.Equal(t, 503, r.Status, "at once")
	require.Equal(t, "draining", r.text(t, "status"))
	require.Equal(t, 200, b.deliver(id, lineSecret, message("e1", someUser, "a")).Status)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/healthz", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.True(t, res.Close, "the connection ends with the answer")
}

func TestAPanicIsA500WithoutItsWords(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.conversation(b.channel(), "open", "queue")
	b.engine.onClose(func(conversation.ActionRequest) error { panic("the moon is in the wrong house") })
	r := b.as(store.RoleAdmin, "POST", "/api/v1/conversations/"+id+"/close", nil, key("k"))
	requireProblem(t, r, 500, "internal")
	require.NotContains(t, string(r.Raw), "moon")
	require.Contains(t, b.log.String(), "moon")
	require.Contains(t, b.log.String(), r.text(t, "request_id"))
	b.engine.onClose(func(conversation.ActionRequest) error { return errors.New("history service: shard 7 lost") })
	r = b.as(store.RoleAdmin, "POST", "/api/v1/conversations/"+id+"/close", nil, key("k"))
	requireProblem(t, r, 500, "internal") // not "in flight": the panic gave the key back
	require.NotContains(t, string(r.Raw), "shard")
}

func TestMetricsNameRoutesAndNoIDs(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	require.Equal(t, 200, b.deliver(id, lineSecret, message("e1", someUser, "a")).Status)
	b.as(store.RoleAdmin, "GET", "/nothing/here", nil)
	r := b.as("", "GET", "/metrics", nil)
	require.Equal(t, 200, r.Status)
	for _, want := range []string{
		`kaiwa_http_requests_total{method="POST",route="/api/v1/channels",status="201"} 1`,
		`kaiwa_http_requests_total{method="GET",route="unknown",status="404"} 1`,
		`kaiwa_line_webhooks_total{outcome="stored"} 1`,
		`kaiwa_line_events_total{disposition=""} 1`,
	} {
		require.Contains(t, string(r.Raw), want)
	}
	require.NotContains(t, string(r.Raw), id)
}

func TestTheLogHasNeitherBodiesNorQueries(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	b.as(store.RoleAdmin, "GET", "/api/v1/conversations?q=Yamada-private", nil)
	b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "Secret-project"})
	b.as(store.RoleAdmin, "POST", "/api/v1/queues?oops=Query-value", map[string]any{"name": ""})
	log := b.log.String()
	require.Contains(t, log, "/api/v1/conversations")
	for _, word := range []string{"Yamada-private", "Secret-project", "Query-value", b.tokens[store.RoleAdmin]} {
		require.NotContains(t, log, word)
	}
}

func TestTheConsoleIsServedWhereNothingElseIs(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite", func(c *api.Config) {
		c.Console = fstest.MapFS{"index.html": {Data: []byte("<!doctype html>console")}, "assets/app.js": {Data: []byte("let a")}}
	})
	for path, want := range map[string]string{"/": "console", "/conversations/cnv_1": "console", "/assets/app.js": "let a", "/../../etc/passwd": "console"} {
		r := b.as("", "GET", path, nil)
		require.Equal(t, http.StatusOK, r.Status, path)
		require.Contains(t, string(r.Raw), want, path)
		require.Contains(t, r.Header.Get("Content-Security-Policy"), "default-src 'self'")
	}
	requireProblem(t, b.as("", "GET", "/api/v1/nothing", nil), 404, conversation.CodeNotFound)
	requireProblem(t, b.as("", "POST", "/", nil), 404, conversation.CodeNotFound)
	requireProblem(t, b.as("", "PUT", "/api/v1/queues", nil), 405, "method_not_allowed")
	r := b.as(store.RoleAgent, "GET", "/api/v1/me", nil)
	require.Contains(t, r.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	require.Empty(t, r.Header.Get("Access-Control-Allow-Origin"))
}

func TestAServerLackingAPartDoesNotStart(t *testing.T) {
	t.Parallel()
	_, err := api.New(api.Config{})
	require.ErrorContains(t, err, "is missing")
	require.True(t, strings.HasPrefix(err.Error(), "api: Config."))
}
