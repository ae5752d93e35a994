package api_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// stored counts the events of a channel by disposition.
func (b *bundle) stored(channelID string) map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	b.query(func(rows *sql.Rows) {
		var disposition string
		require.NoError(b.t, rows.Scan(&disposition))
		counts[disposition]++
	}, "SELECT disposition FROM line_events WHERE channel_id = $1", channelID)
	return counts
}

func TestAWebhookIsStoredBeforeItIsAnsweredAndItsChatsAreWoken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		other := "U" + strings.Repeat("a", 32)
		body := fmt.Sprintf(`{"destination":%q,"events":[
			{"type":"message","webhookEventId":"e1","timestamp":1767225600000,"source":{"type":"user","userId":%q},"message":{"type":"text","id":"1","text":"a"}},
			{"type":"message","webhookEventId":"e2","timestamp":1767225600001,"source":{"type":"user","userId":%q},"message":{"type":"text","id":"2","text":"b"}},
			{"type":"follow","webhookEventId":"e3","timestamp":1767225600002,"source":{"type":"user","userId":%q}},
			{"type":"message","webhookEventId":"e1","timestamp":1767225600000,"source":{"type":"user","userId":%q},"message":{"type":"text","id":"1","text":"a"}},
			{"type":"accountLink","webhookEventId":"e4","timestamp":1767225600003},
			17]}`, botUserID, someUser, someUser, other, someUser)
		r := b.deliver(id, lineSecret, body)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.JSONEq(t, "{}", string(r.Raw))
		require.Equal(t, map[string]int{"": 3, "no_source": 1, "malformed": 1}, b.stored(id))
		require.ElementsMatch(t, []string{id + "/" + conversation.ChatKey("user", someUser), id + "/" + conversation.ChatKey("user", other)}, b.inbox.woken())

		require.Equal(t, 200, b.deliver(id, lineSecret, body).Status, "a duplicate is taken too")
		require.Equal(t, map[string]int{"": 3, "no_source": 1, "malformed": 1}, b.stored(id))
		require.Equal(t, 200, b.deliver(id, lineSecret, `{"destination":"`+botUserID+`","events":[]}`).Status, "LINE's way to test the URL")
		require.NotContains(t, b.log.String(), someUser, "no LINE id is logged")
	})
}

func TestAnEventOfATimeToComeHappenedWhenItCame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		began := time.Now()
		soon := began.Add(4 * time.Minute).UnixMilli()
		event := func(eventID, timestamp string) string {
			return fmt.Sprintf(`{"type":"message","webhookEventId":%q,"timestamp":%s,"source":{"type":"user","userId":%q},"message":{"type":"text","id":"1","text":"a"}}`, eventID, timestamp, someUser)
		}
		r := b.deliver(id, lineSecret, fmt.Sprintf(`{"destination":%q,"events":[%s,%s,%s,%s,%s]}`, botUserID,
			event("past", "1"), event("soon", fmt.Sprint(soon)), event("hours", fmt.Sprint(began.Add(2*time.Hour).UnixMilli())), event("ages", "253402300799999"), event("before", "-5")))
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		times := map[string]time.Time{}
		b.query(func(rows *sql.Rows) {
			var eventID string
			var at int64
			require.NoError(t, rows.Scan(&eventID, &at))
			times[eventID] = time.UnixMicro(at)
		}, "SELECT webhook_event_id, line_time FROM line_events WHERE channel_id = $1", id)
		require.Equal(t, int64(1), times["past"].UnixMilli())
		require.Equal(t, soon, times["soon"].UnixMilli(), "clocks differ")
		for _, eventID := range []string{"hours", "ages", "before"} {
			require.WithinRange(t, times[eventID], began, time.Now(), eventID)
		}
	})
}

func TestAWebhookCostsOneStatement(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		require.Equal(t, 200, b.deliver(id, lineSecret, message("e1", someUser, "a")).Status)
		before := b.store.Statements()
		require.Equal(t, 200, b.deliver(id, lineSecret, message("e2", someUser, "b")).Status)
		require.Equal(t, int64(1), b.store.Statements()-before)
	})
}

func TestAWebhookThatIsNotLINEsLeavesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		body := message("e1", someUser, "a")
		requireProblem(t, b.deliver(id, "wrong-secret", body), 401, "bad_signature")
		requireProblem(t, b.send(b.url, "", "POST", "/webhooks/line/"+id, body), 401, "bad_signature")
		requireProblem(t, b.deliver("chn_none", lineSecret, body), 404, conversation.CodeNotFound)
		requireProblem(t, b.deliver("queue", lineSecret, body), 404, conversation.CodeNotFound)
		for _, broken := range []string{"", "{", "[]", `{"events":{}}`, `{"destination":"x"}`} {
			requireProblem(t, b.deliver(id, lineSecret, broken), 400, conversation.CodeInvalid)
		}
		wrongBot := strings.ReplaceAll(body, botUserID, "U"+strings.Repeat("0", 32))
		requireProblem(t, b.deliver(id, lineSecret, wrongBot), 400, conversation.CodeInvalid)
		require.Empty(t, b.stored(id))
		require.Empty(t, b.inbox.woken())
	})
}

func TestLINEsOwnSignatureVectorIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	body := `{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}`
	require.Equal(t, 200, b.send(b.url, "", "POST", "/webhooks/line/"+id, body, header{"X-LINE-Signature", "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="}).Status)
}

func TestAWebhookOverOneMebibyteIsRefusedHoweverItComes(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.channel()
	big := message("e1", someUser, strings.Repeat("x", 1<<20))
	requireProblem(t, b.deliver(id, lineSecret, big), 413, "too_large")
	req, err := http.NewRequest("POST", b.url+"/webhooks/line/"+id, io.MultiReader(bytes.NewReader([]byte(big)))) // in chunks
	require.NoError(t, err)
	req.Header.Set("x-line-signature", sign(lineSecret, big))
	requireProblem(t, b.do(req), 413, "too_large")
	require.Equal(t, 413, statusAfterWriting(t, b.url, "/webhooks/line/"+id, strings.Repeat("x", 6<<20)), "read after all is written")
	justFits := message("e2", someUser, strings.Repeat("x", 1<<20-1000))
	require.Equal(t, 200, b.deliver(id, lineSecret, justFits).Status)
	many := `{"events":[` + strings.Repeat("{},", 2000) + `{}]}`
	requireProblem(t, b.deliver(id, lineSecret, many), 413, "too_large")
	require.Equal(t, map[string]int{"": 1}, b.stored(id))
}

// statusAfterWriting posts as the plainest of clients: it writes all of the body
// before it reads a word of the answer.
func statusAfterWriting(t *testing.T, base, path, body string) int {
	t.Helper()
	host := strings.TrimPrefix(base, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", path, host, len(body), body)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	return res.StatusCode
}

func TestARotatedSecretCostsNoEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		// Another process, which has the channel in its cache for a long time.
		_, other := b.serve(storetest.Open(t, b.dbURL), func(c *api.Config) { c.ChannelTTL = time.Hour })
		id := b.channel()
		deliver := func(base, secret, event string) int {
			body := message(event, someUser, "a")
			return b.send(base, "", "POST", "/webhooks/line/"+id, body, header{"x-line-signature", sign(secret, body)}).Status
		}
		require.Equal(t, 200, deliver(other, lineSecret, "e1"))
		r := b.patch("/api/v1/channels/"+id, map[string]any{"channel_secret": "rotated"})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.NotNil(t, r.get(t, "previous_secret_until"))
		require.Equal(t, 200, deliver(b.url, "rotated", "e2"), "at once where it was changed")
		require.Equal(t, 200, deliver(b.url, lineSecret, "e3"), "the old one is good for a while")
		require.Equal(t, 200, deliver(other, "rotated", "e4"), "the other process looks again before it refuses")
		require.Equal(t, 200, b.patch("/api/v1/channels/"+id, map[string]any{"channel_secret": "third", "secret_grace_seconds": 0}).Status)
		require.Equal(t, 401, deliver(b.url, "rotated", "e5"))
		require.Equal(t, 200, deliver(b.url, "third", "e6"))
	})
}

func TestADisabledChannelStoresAndWakesNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		require.Equal(t, 200, b.deliver(id, lineSecret, message("e1", someUser, "a")).Status)
		require.Equal(t, 200, b.patch("/api/v1/channels/"+id, map[string]any{"status": "disabled"}).Status)
		require.Equal(t, 200, b.deliver(id, lineSecret, message("e2", someUser, "b")).Status)
		require.Len(t, b.inbox.woken(), 1)
		require.Equal(t, map[string]int{"": 1, "channel_disabled": 1}, b.stored(id))
		r := b.patch("/api/v1/channels/"+id, map[string]any{"status": "active"})
		require.Equal(t, float64(1), r.get(t, "events_while_disabled"))
		require.Equal(t, 200, b.deliver(id, lineSecret, message("e3", someUser, "c")).Status)
		require.Equal(t, map[string]int{"": 2, "channel_disabled": 1}, b.stored(id), "what came meanwhile stays unhandled")
	})
}

func TestADatabaseThatIsTooSlowOrAwayMeans503AndNothingKept(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			b := setup(t, dialect, func(c *api.Config) { c.WebhookBudget = 500 * time.Millisecond; c.ChannelTTL = time.Hour })
			id := b.channel()
			require.Equal(t, 200, b.deliver(id, lineSecret, message("e1", someUser, "a")).Status)

			release := b.block("line_events")
			r := b.deliver(id, lineSecret, message("e2", someUser, "b"))
			requireProblem(t, r, 503, conversation.CodeUnavailable)
			require.NotEmpty(t, r.Header.Get("Retry-After"))
			release()
			require.Equal(t, map[string]int{"": 1}, b.stored(id))
			require.Len(t, b.inbox.woken(), 1)
			require.Equal(t, 200, b.deliver(id, lineSecret, message("e2", someUser, "b")).Status, "LINE delivers it again")

			require.NoError(t, b.store.Close())
			requireProblem(t, b.deliver(id, lineSecret, message("e3", someUser, "c")), 503, conversation.CodeUnavailable)
			require.Equal(t, 503, b.as("", "GET", "/readyz", nil).Status)
			require.Equal(t, 200, b.as("", "GET", "/healthz", nil).Status)
			requireProblem(t, b.as(store.RoleAdmin, "GET", "/api/v1/queues", nil), 503, conversation.CodeUnavailable)
		})
	}
}

func TestTheSimulatedLINEDeliversToAConnectedChannel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		check := b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+id+"/check", nil)
		require.Equal(t, 200, check.Status, "%s", check.Raw)
		require.Equal(t, false, check.get(t, "ok"))
		require.Equal(t, true, check.get(t, "token", "ok"))
		require.Equal(t, false, check.get(t, "webhook", "ok"))

		connect := b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+id+"/connect", nil)
		require.Equal(t, 200, connect.Status, "%s", connect.Raw)
		require.Equal(t, true, connect.get(t, "test", "success"), "%s", connect.Raw)
		require.Equal(t, b.url+"/webhooks/line/"+id, connect.text(t, "url"))
		api := line.New(line.Config{APIURL: b.simURL}).As(lineToken)
		at, err := api.WebhookEndpoint(context.Background())
		require.NoError(t, err)
		require.Equal(t, connect.text(t, "url"), at.URL)

		check = b.as(store.RoleAdmin, "POST", "/api/v1/channels/"+id+"/check", nil)
		require.Equal(t, at.Active, check.get(t, "ok"), "%s", check.Raw)
	})
}
