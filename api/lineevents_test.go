package api_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// examples are bodies of the structure of LINE's reference, one of each kind.
const examples = "../internal/line/testdata/webhook"

// tableRow is a row of the table in docs/line.md: what becomes of an example.
type tableRow struct{ stored, shown, done []string }

var quoted = regexp.MustCompile("`([^`]+)`")

// readTable reads docs/line.md: the words in backquotes are what is held against
// what happens.
func readTable(t *testing.T) map[string]tableRow {
	t.Helper()
	page, err := os.ReadFile("../docs/line.md")
	require.NoError(t, err)
	words := func(cell string) []string {
		var out []string
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
		return out
	}
	rows := map[string]tableRow{}
	for _, l := range strings.Split(string(page), "\n") {
		cells := strings.Split(l, "|")
		if len(cells) < 7 || !strings.Contains(cells[2], ".json") {
			continue
		}
		for _, name := range words(cells[2]) {
			require.NotContains(t, rows, name)
			rows[name] = tableRow{words(cells[3]), words(cells[4]), words(cells[5])}
		}
	}
	return rows
}

// requireTests holds the names of tests in docs/line.md against the tests there are.
func requireTests(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile("../docs/line.md")
	require.NoError(t, err)
	sources := ""
	for _, pattern := range []string{"*_test.go", "../*/*_test.go", "../internal/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, f := range files {
			source, err := os.ReadFile(f)
			require.NoError(t, err)
			sources += string(source)
		}
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`").FindAllStringSubmatch(string(page), -1) {
		require.Contains(t, sources, "func "+m[1]+"(")
	}
}

// own gives an example ids of its own, so that all of them fit into one channel.
func own(name string, body []byte) string {
	sum := sha256.Sum256([]byte(name))
	digest := hex.EncodeToString(sum[:])
	s := string(body)
	s = regexp.MustCompile(`"destination": "U[0-9a-f]{32}"`).ReplaceAllString(s, `"destination": "`+botUserID+`"`)
	s = regexp.MustCompile(`"([UCR])[0-9a-f]{16}([0-9a-f]{16})"`).ReplaceAllStringFunc(s, func(id string) string {
		if id == `"`+botUserID+`"` {
			return id
		}
		return id[:2] + digest[:16] + id[18:]
	})
	s = regexp.MustCompile(`"01[0-9A-Z]{24}"`).ReplaceAllStringFunc(s, func(id string) string { return id[:3] + strings.ToUpper(digest[:12]) + id[15:] })
	return regexp.MustCompile(`"5881122334`).ReplaceAllString(s, fmt.Sprintf(`"%d`, 1_000_000_000+int(sum[0])<<16+int(sum[1])<<8+int(sum[2])))
}

// Every example of LINE's reference goes through the webhook into an open
// conversation of its chat, and what is stored, shown and done is what the table
// in docs/line.md says. Groups are served.
func TestEveryExampleOfLINEsReferenceDoesWhatTheTableSays(t *testing.T) {
	t.Parallel()
	table := readTable(t)
	files, err := filepath.Glob(examples + "/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	requireTests(t)
	for name := range table {
		require.Contains(t, names, name, "the table names an example that is not there")
	}
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		b.sql("UPDATE channels SET group_chats = 'serve' WHERE id = $1", channel)
		acts := activities.New(activities.Options{Store: b.store, Logger: slog.New(slog.DiscardHandler)})
		for _, name := range names {
			row, ok := table[name]
			require.True(t, ok, "%s is in no row of docs/line.md", name)
			body, err := os.ReadFile(filepath.Join(examples, name))
			require.NoError(t, err)
			if slices.Contains(row.stored, "each") { // several events, or none
				require.Equal(t, 200, b.deliver(channel, lineSecret, own(name, body)).Status, name)
				continue
			}
			stored, shown, done := b.becomes(acts, channel, own(name, body))
			require.Equal(t, row.stored, stored, "%s: what is stored", name)
			require.Equal(t, row.shown, shown, "%s: what is shown", name)
			require.Equal(t, row.done, done, "%s: what is done", name)
		}
	})
}

// becomes plays one example into an open conversation of its chat, and tells in
// the table's words what has become of it.
func (b *bundle) becomes(acts *activities.Activities, channel, body string) (stored, shown, done []string) {
	b.t.Helper()
	w, err := line.SplitWebhook([]byte(body))
	require.NoError(b.t, err)
	require.Len(b.t, w.Events, 1)
	e := w.Events[0]
	var began activities.IngestOutput
	if e.ChatKey != "" {
		began = b.begin(acts, channel, e)
	}
	require.Equal(b.t, 200, b.deliver(channel, lineSecret, body).Status)
	var out activities.IngestOutput
	if e.ChatKey != "" {
		out, err = acts.Ingest(b.t.Context(), activities.IngestInput{
			ChannelID: channel, ChatKey: e.ChatKey, ConversationID: began.ConversationID, Seen: began.Seen, Epoch: began.Epoch,
		})
		require.NoError(b.t, err)
		again, err := acts.Ingest(b.t.Context(), activities.IngestInput{
			ChannelID: channel, ChatKey: e.ChatKey, ConversationID: began.ConversationID, Seen: began.Seen, Epoch: began.Epoch,
		})
		require.NoError(b.t, err)
		require.Equal(b.t, out.Messages, again.Messages, "a step that runs again gives the same answer")
		require.Equal(b.t, out.Blocked, again.Blocked)
		require.Equal(b.t, out.Members, again.Members)
	}
	b.query(func(rows *sql.Rows) {
		var disposition string
		var size int
		require.NoError(b.t, rows.Scan(&disposition, &size))
		stored = append(stored, disposition)
		if size == 0 {
			stored = append(stored, "no words")
		}
	}, "SELECT disposition, length(raw) FROM line_events WHERE channel_id = $1 AND webhook_event_id = $2", channel, e.ID)
	var messages []map[string]any
	if began.ConversationID != "" {
		r := b.as(store.RoleAdmin, "GET", "/api/v1/conversations/"+began.ConversationID+"/messages", nil)
		require.Equal(b.t, 200, r.Status, "%s", r.Raw)
		var list struct{ Items []map[string]any }
		require.NoError(b.t, json.Unmarshal(r.Raw, &list))
		messages = list.Items
	}
	for i, m := range messages {
		switch {
		case i == 0 && m["state"] == "recalled":
			require.Nil(b.t, m["text"])
			shown = append(shown, "a tombstone")
		case i == 0 && m["edited_at"] != nil:
			require.Len(b.t, m["edits"], 1)
			shown = append(shown, "the new words")
		case i > 0:
			shown = append(shown, fmt.Sprint(m["direction"], " ", m["type"]))
			for _, part := range []string{"image_set", "quote", "attachment"} {
				if m[part] != nil {
					shown = append(shown, part)
				}
			}
		}
	}
	for word, is := range map[string]bool{
		"answers": out.Messages > 0 && !out.Unsupported, "tells": out.Unsupported, "fetches": len(out.Media) > 0, "closes": out.Blocked, "names": len(out.Members) > 0,
	} {
		if is {
			done = append(done, word)
		}
	}
	slices.Sort(done)
	return stored, shown, done
}

// begin has the chat of an event begin a conversation, with the message that the
// event is about, if it is about one.
func (b *bundle) begin(acts *activities.Activities, channel string, about line.RawEvent) activities.IngestOutput {
	b.t.Helper()
	var e map[string]any
	require.NoError(b.t, json.Unmarshal(about.Raw, &e))
	id := "1" + fmt.Sprint(about.Timestamp.UnixMilli()) + fmt.Sprint(len(about.ID)) + regexp.MustCompile(`\D`).ReplaceAllString(about.ID, "")
	if u, ok := e["unsend"].(map[string]any); ok {
		id = u["messageId"].(string)
	}
	if e["type"] == "messageEdited" {
		id = e["message"].(map[string]any)["id"].(string)
	}
	first, err := json.Marshal(map[string]any{"destination": botUserID, "events": []any{map[string]any{
		"type": "message", "webhookEventId": "first-" + about.ID, "timestamp": about.Timestamp.UnixMilli() - 1000, "mode": "active", "source": e["source"],
		"message": map[string]any{"type": "text", "id": id, "text": "hello"},
	}}})
	require.NoError(b.t, err)
	require.Equal(b.t, 200, b.deliver(channel, lineSecret, string(first)).Status)
	out, err := acts.Ingest(b.t.Context(), activities.IngestInput{ChannelID: channel, ChatKey: about.ChatKey, RunID: "run"})
	require.NoError(b.t, err)
	require.NotEmpty(b.t, out.ConversationID)
	b.sql("UPDATE chat_members SET fetched_at = 4000000000000000 WHERE channel_id = $1", channel) // names of the first are known
	return out
}

// LINE tells of the account itself without a chat.
func TestASuspendedAccountIsShownUntilItIsBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		tell := func(event, kind string, at int64) {
			t.Helper()
			body := fmt.Sprintf(`{"destination":%q,"events":[{"type":%q,"webhookEventId":%q,"timestamp":%d,"mode":"active"}]}`, botUserID, kind, event, at)
			require.Equal(t, 200, b.deliver(id, lineSecret, body).Status)
		}
		since := func() any {
			t.Helper()
			r := b.as(store.RoleAdmin, "GET", "/api/v1/channels/"+id, nil)
			require.Equal(t, 200, r.Status)
			var c map[string]any
			require.NoError(t, json.Unmarshal(r.Raw, &c))
			return c["suspended_since"]
		}
		require.Nil(t, since())
		tell("s1", "botSuspended", 1767225600000)
		require.Equal(t, "2026-01-01T00:00:00.000Z", since())
		tell("s1", "botSuspended", 1767225600000)
		tell("s2", "botResumed", 1767225700000)
		require.Nil(t, since())
		tell("s3", "botSuspended", 1767225650000)
		require.Nil(t, since(), "what comes late changes nothing")
		var told []string
		b.query(func(rows *sql.Rows) {
			var kind string
			require.NoError(t, rows.Scan(&kind))
			told = append(told, kind)
		}, "SELECT type FROM events WHERE subject_id = $1 AND type LIKE 'channel.%' ORDER BY id", id)
		require.Equal(t, []string{"channel.suspended", "channel.resumed"}, told)
	})
}

func TestWhatAChannelDoesInGroups(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		does := func() string {
			t.Helper()
			r := b.as(store.RoleAdmin, "GET", "/api/v1/channels/"+id, nil)
			require.Equal(t, 200, r.Status)
			return r.text(t, "group_chats")
		}
		require.Equal(t, "ignore", does())
		for _, what := range []string{"serve", "leave", "ignore"} {
			require.Equal(t, 200, b.patch("/api/v1/channels/"+id, map[string]any{"group_chats": what}).Status)
			require.Equal(t, what, does())
		}
		r := b.patch("/api/v1/channels/"+id, map[string]any{"group_chats": "shout"})
		require.Equal(t, 400, r.Status, "%s", r.Raw)
		require.Equal(t, []string{"/group_chats"}, r.pointers())
		require.Equal(t, "ignore", does())
	})
}
