// Package e2e plays whole conversations against the real thing: an embedded
// Temporal, the API and the worker, on SQLite and on PostgreSQL, with the LINE
// simulator at the far side.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// patience is how long a test waits for what must happen: far longer than it
// takes, so that a slow machine fails nothing.
const patience = 60 * time.Second

// kaiwa is the product under test.
type kaiwa struct {
	*dev.Dev
	t testing.TB
}

// start starts everything in this process, in a directory of its own, on a
// fresh database, with a plain workstream.
func start(t testing.TB, dialect string, change ...func(*dev.Options)) *kaiwa {
	t.Helper()
	seeded := true
	k := startSeeded(t, dialect, append(change, func(o *dev.Options) { seeded = !o.NoSeed })...)
	if seeded {
		k.arrange(plain)
	}
	return k
}

// startSeeded starts it as a newcomer finds it.
func startSeeded(t testing.TB, dialect string, change ...func(*dev.Options)) *kaiwa {
	t.Helper()
	s, url := storetest.New(t, dialect)
	require.NoError(t, s.Ping(t.Context()))
	o := dev.Options{Settings: testSettings(t.TempDir(), url), Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	d, err := dev.Start(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(d.Stop)
	return &kaiwa{d, t}
}

// plain takes out of the seeded workstream what would say or decide something
// beside what a test is about.
func plain(w *store.Workstream, _ *store.Bot) { w.Settings = store.WorkstreamSettings{}.Defaults() }

func testSettings(dir, databaseURL string) dev.Settings {
	var s dev.Settings
	s.DataDir, s.DatabaseURL, s.SecretKeys = dir, databaseURL, storetest.KeySetting
	s.HTTPAddr, s.SimulatorAddr, s.TemporalAddr, s.TemporalUIAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s.AdminToken = "kaiwa-dev-admin"
	return s
}

// eachDatabase runs a test on SQLite and on PostgreSQL.
func eachDatabase(t *testing.T, f func(t *testing.T, dialect string)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			f(t, dialect)
		})
	}
}

// customer is somebody at the phone page.
type customer struct {
	k  *kaiwa
	id string
}

// newCustomer adds a customer to the simulator.
func (k *kaiwa) newCustomer(name string) customer {
	k.t.Helper()
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: name, Language: "en"}
	require.NoError(k.t, k.Sim.AddUser(k.t.Context(), u))
	return customer{k, u.ID}
}

func (c customer) chatKey() string { return conversation.ChatKey("user", c.id) }

func (c customer) workflowID() string {
	return conversation.WorkflowID(c.k.Seeded.ChannelID, c.chatKey())
}

func (c customer) writes(text string) linesim.Sent {
	c.k.t.Helper()
	sent, err := c.k.Sim.SendText(c.k.t.Context(), dev.SimChannelID, c.id, text)
	require.NoError(c.k.t, err)
	return sent
}

// reads is what the account's messages on the phone say, in order.
func (c customer) reads() []string {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	var out []string
	for _, m := range chat {
		if m.Direction == "account" {
			out = append(out, m.Text())
		}
	}
	return out
}

// isAnswered waits until the phone shows n messages of the account.
func (c customer) isAnswered(n int) {
	c.k.t.Helper()
	c.k.eventually(func() bool { return len(c.reads()) >= n }, "the customer has %d answers", n)
}

// conversations are the customer's, oldest first.
func (c customer) conversations() []store.Conversation {
	c.k.t.Helper()
	list, err := c.k.Store.Conversations(c.k.t.Context(), store.ConversationFilter{}, store.Position{}, 1000)
	require.NoError(c.k.t, err)
	var out []store.Conversation
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].ChatKey == c.chatKey() {
			out = append(out, list[i])
		}
	}
	return out
}

// transcript is everything said in the customer's conversations, in order.
func (c customer) transcript() []store.Message {
	c.k.t.Helper()
	var out []store.Message
	for _, conv := range c.conversations() {
		var at store.MessagePosition
		for {
			page, err := c.k.Store.Messages(c.k.t.Context(), conv.ID, at, 500)
			require.NoError(c.k.t, err)
			out = append(out, page...)
			if len(page) < 500 {
				break
			}
			last := page[len(page)-1]
			at = store.MessagePosition{At: last.OccurredAt, Ordinal: last.Ordinal, ID: last.ID}
		}
	}
	return out
}

// inbound are the customer's messages of the transcript.
func (c customer) inbound() (out []string) {
	for _, m := range c.transcript() {
		if m.Direction == conversation.Inbound {
			out = append(out, m.Text)
		}
	}
	return out
}

func (k *kaiwa) eventually(ok func() bool, format string, args ...any) {
	k.t.Helper()
	require.Eventuallyf(k.t, ok, patience, 20*time.Millisecond, format, args...)
}

// history is a workflow's history, of its latest run.
func (k *kaiwa) history(workflowID string) []*history.HistoryEvent {
	k.t.Helper()
	iter := k.Temporal.GetWorkflowHistory(k.t.Context(), workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var out []*history.HistoryEvent
	for iter.HasNext() {
		e, err := iter.Next()
		require.NoError(k.t, err)
		out = append(out, e)
	}
	return out
}

// call calls the REST API as the administrator.
func (k *kaiwa) call(method, path string, body any, header map[string]string) (*http.Response, map[string]any) {
	k.t.Helper()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(k.t, err)
		reader = strings.NewReader(string(b))
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.APIURL+"/api/v1"+path, reader)
	require.NoError(k.t, err)
	req.Header.Set("Authorization", "Bearer kaiwa-dev-admin")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(k.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(k.t, err)
	out := map[string]any{}
	if len(raw) > 0 {
		require.NoError(k.t, json.Unmarshal(raw, &out), string(raw))
	}
	return res, out
}

// numbered makes texts such as "m007".
func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("m%03d", i)
	}
	return out
}
