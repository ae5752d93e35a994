package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

const lineSecret, lineToken = "channel-secret-for-tests", "channel-token-for-tests"

var botUserID = "U" + strings.Repeat("b", 32)

// withChannel makes a channel and what it needs.
func withChannel(t *testing.T, db *store.Store) store.Channel {
	t.Helper()
	q, err := db.CreateQueue(t.Context(), store.Origin{}, store.Queue{Name: "Support", Priority: 1})
	require.NoError(t, err)
	w, err := db.CreateWorkstream(t.Context(), store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: q.ID})
	require.NoError(t, err)
	c, err := db.CreateChannel(t.Context(), store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: "1650000001", BotUserID: botUserID, WorkstreamID: w.ID, Locale: "ja", Status: store.ChannelActive, ChatMode: "bot",
		Secrets: []string{lineSecret}, Token: lineToken,
	})
	require.NoError(t, err)
	return c
}

// ask returns the status of a GET.
func ask(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// deliver posts a webhook as LINE does, and returns the status.
func deliver(t *testing.T, url, secret, eventID string) int {
	t.Helper()
	body := fmt.Sprintf(`{"destination":%q,"events":[{"type":"message","mode":"active","timestamp":%d,"webhookEventId":%q,"deliveryContext":{"isRedelivery":false},
		"source":{"type":"user","userId":"U%s"},"replyToken":"%032d","message":{"type":"text","id":"1","text":"hello","quoteToken":"q"}}]}`,
		botUserID, time.Now().UnixMilli(), eventID, strings.Repeat("1", 32), 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Line-Signature", linesim.Signature(secret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

func TestWebhooksAreAcknowledgedWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, databaseURL string) {
		db := storetest.Open(t, databaseURL)
		channel := withChannel(t, db)
		p := start(t, complete(t, databaseURL), "api")
		url := p.url("msg=serving")
		require.Equal(t, http.StatusOK, ask(t, url+"/healthz"))
		require.Equal(t, http.StatusServiceUnavailable, ask(t, url+"/readyz"))
		require.Equal(t, http.StatusOK, ask(t, url+"/metrics"))
		require.Equal(t, http.StatusOK, ask(t, url+"/"), "the console")

		hook := url + "/webhooks/line/" + channel.ID
		require.Equal(t, http.StatusOK, deliver(t, hook, lineSecret, "01EVENT1"))
		require.Equal(t, http.StatusUnauthorized, deliver(t, hook, "not the secret", "01EVENT2"))
		waiting, err := db.InboxState(t.Context(), time.Now().Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, 1, waiting.Unhandled)

		// Other processes on this machine can ask, as a container's check does.
		addr := strings.TrimPrefix(url, "http://")
		code, _, stderr := run(t, env{"KAIWA_HTTP_ADDR": addr}, "health")
		require.Equal(t, 0, code, stderr)
		code, _, stderr = run(t, nil, "health", "--addr", addr, "--ready")
		require.Equal(t, 1, code)
		require.Equal(t, "kaiwa: "+url+"/readyz says 503 Service Unavailable: not_ready, temporal unavailable\n", stderr)

		require.Equal(t, 0, p.stop(), p.stderr.String())
		p.says("msg=stopped")
		code, _, stderr = run(t, nil, "health", "--addr", addr)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "connection refused")
	})
}

func TestARequestUnderWayIsAnsweredBeforeTheEnd(t *testing.T) {
	t.Parallel()
	db, databaseURL := storetest.New(t, "sqlite")
	channel := withChannel(t, db)
	p := start(t, complete(t, databaseURL), "api")
	reader, writer := io.Pipe()
	// The server asks for the body when it has begun with the request, and then
	// waits for the body's end.
	begun := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(begun) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url("msg=serving")+"/webhooks/line/"+channel.ID, reader)
	require.NoError(t, err)
	req.Header.Set("Expect", "100-continue")
	req.Header.Set("X-Line-Signature", "wrong")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: patience}}
	t.Cleanup(client.CloseIdleConnections)
	answered := make(chan int, 1)
	go func() {
		defer close(answered)
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close() // it is empty or small
			answered <- res.StatusCode
		}
	}()
	select {
	case <-begun:
	case <-time.After(patience):
		require.FailNow(t, "the request is not begun with", p.stderr.String())
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	p.says("msg=stopping")
	require.NoError(t, writer.Close())
	require.Equal(t, http.StatusUnauthorized, <-answered)
	require.Equal(t, 0, p.exit())
}
