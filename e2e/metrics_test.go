package e2e

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// scrape returns what /metrics says.
func (k *kaiwa) scrape() string {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.APIURL+"/metrics", nil)
	require.NoError(k.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(k.t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(k.t, http.StatusOK, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(k.t, err)
	return string(body)
}

func TestTheMetricsTellOfAMessage(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		sent := emma.writes("hello")
		emma.isAnswered(1)
		emma.isQuiet()
		said := k.scrape()
		for _, want := range []string{
			`(?m)^kaiwa_line_webhooks_total{outcome="stored"} 1$`,
			`(?m)^kaiwa_line_webhook_store_delay_seconds_count 1$`,
			`(?m)^kaiwa_line_event_ingest_delay_seconds_count 1$`,
			`(?m)^kaiwa_line_reply_delay_seconds_count [1-9]`,
			`(?m)^kaiwa_line_call_duration_seconds_count{endpoint="reply",outcome="ok"} [1-9]`,
			`(?m)^kaiwa_line_call_duration_seconds_count{endpoint="profile",outcome="ok"} 1$`,
			`(?m)^kaiwa_line_batches_total{state="accepted",via="reply"} [1-9]`,
			`(?m)^kaiwa_line_messages_total{state="accepted",via="reply"} [1-9]`,
			`(?m)^kaiwa_bot_turn_duration_seconds_count{failure="",kind="script",outcome="answered"} 1$`,
			`(?m)^kaiwa_wakeups_total{outcome="delivered",target="chat"} [1-9]`,
			`(?m)^kaiwa_sql_statements_total{kind="insert"} [1-9]`,
			`(?m)^kaiwa_database_connections{pool="write",state="(idle|in_use)"} [1-9]`,
			`(?m)^kaiwa_backlog_known 1$`,
			`(?m)^kaiwa_line_events_unhandled 0$`,
			`(?m)^kaiwa_line_event_ingest_delay_seconds_bucket`,
			`(?m)^temporal_request_total{.*operation="Signal(WithStart)?WorkflowExecution".*} [1-9]`,
			`(?m)^temporal_request_latency_seconds_bucket{.*le="0.0025".*}`,
		} {
			require.Regexp(t, want, said)
		}
		emma.posts(linesim.Message{Type: "image", Content: photo(t)}) // fetched by an activity that no workflow's worker begins itself
		k.eventually(func() bool {
			return slices.ContainsFunc(emma.transcript(), func(m store.Message) bool { return m.Type == "image" })
		}, "the picture is there")
		emma.isQuiet()
		said = k.scrape()
		docs, err := os.ReadFile("../docs/operating.md")
		require.NoError(t, err)
		for _, name := range regexp.MustCompile("`(temporal_[a-z_]+)`").FindAllStringSubmatch(string(docs), -1) {
			if !strings.Contains(name[1], "fail") { // nothing has failed
				require.Contains(t, said, "# TYPE "+name[1]+" ", "the documentation names it")
			}
		}
		for _, id := range []string{emma.id, emma.chatKey(), sent.WebhookEventID, "hello", emma.conversations()[0].ID} {
			require.NotContains(t, said, id, "nothing of a customer is in a label")
		}
	})
}
