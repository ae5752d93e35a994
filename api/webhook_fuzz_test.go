package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// Whatever a signed webhook holds, it is answered soon, with 200 or a refusal of
// the whole, never with a failure; and an element between two good events takes
// neither of them with it. What was stored is taken in without an error.
//
//	go test ./api -run XXX -fuzz FuzzWebhook -fuzzminimizetime 1x
//
// Which lines are reached differs from one run of an input to the next, so
// minimizing would never end.
func FuzzWebhook(f *testing.F) {
	files, err := filepath.Glob(examples + "/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		body, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(body)
		w, err := line.SplitWebhook(body)
		require.NoError(f, err)
		for _, e := range w.Events {
			f.Add(e.Raw)
		}
	}
	for _, odd := range []string{
		"", "{", "null", "[]", "17", `"x"`, `{"events":null}`, `{"events":{}}`, `{"events":[]}`, `{"events":[null,17,"x",[],{}]}`, `{"events":[{]}`,
		`{"type":"message","source":{"type":"user","userId":"U1"},"message":{"type":"text","id":"1","text":"\u0000\ud800"}}`,
		`{"type":"message","timestamp":1e999,"source":{"type":"user","userId":"` + someUser + `"},"message":{"type":"text","id":[],"text":{}}}`,
		`{"type":"message","source":{"type":"group","groupId":"C1"},"message":{"type":"image","id":"1","imageSet":{"index":"x"}}}`,
		`{"type":"unsend","source":{"type":"user","userId":"` + someUser + `"},"unsend":{"messageId":""}}`,
		`{"type":"memberJoined","source":{"type":"room","roomId":"R1"},"joined":{"members":[{"userId":"a"},{"userId":"a"},{"userId":7}]}}`,
	} {
		f.Add([]byte(odd))
	}
	b := setup(f, "sqlite")
	channel := b.channel()
	b.sql("UPDATE channels SET group_chats = 'serve' WHERE id = $1", channel)
	acts := activities.New(activities.Options{Store: b.store, Logger: slog.New(slog.DiscardHandler)})
	var n atomic.Int64
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 100_000 {
			t.Skip("larger than what LINE sends; the limit has a test of its own")
		}
		b.t = t
		begun := time.Now()
		answer := func(body string) int {
			status := b.deliver(channel, lineSecret, body).Status
			for status == http.StatusServiceUnavailable && time.Since(begun) < time.Minute {
				status = b.deliver(channel, lineSecret, body).Status // not in time on a busy machine: LINE delivers it again
			}
			require.Contains(t, []int{200, 400}, status, "%q", body)
			return status
		}
		answer(string(data))
		var siblings []store.Chat
		if json.Valid(data) {
			sibling := func() string {
				user := fmt.Sprintf("U%032x", n.Add(1))
				siblings = append(siblings, store.Chat{ChannelID: channel, ChatKey: conversation.ChatKey("user", user)})
				return fmt.Sprintf(`{"type":"message","webhookEventId":"fuzz-%s","timestamp":1767225600000,"source":{"type":"user","userId":%q},"message":{"type":"text","id":"%d","text":"a"}}`,
					user, user, n.Load())
			}
			require.Equal(t, 200, answer(fmt.Sprintf(`{"destination":%q,"events":[%s,%s,%s]}`, botUserID, sibling(), data, sibling())))
		}
		chats, err := b.store.UnhandledChats(t.Context(), time.Now().Add(time.Hour), 1000)
		require.NoError(t, err)
		require.Subset(t, chats, siblings, "a good event is lost beside %q", data)
		for _, c := range chats {
			_, err := acts.Ingest(t.Context(), activities.IngestInput{ChannelID: c.ChannelID, ChatKey: c.ChatKey, RunID: "run"})
			require.NoError(t, err, "%q", data)
		}
		require.Less(t, time.Since(begun), time.Minute, "%q", data)
	})
}
