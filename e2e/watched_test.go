package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/linesim"
)

// Two videos are sent and one is watched: agents see which.
func TestAVideoThatWasWatchedIsToldFromOthers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(serves(t, 30, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages": [{"type": "video", "url": "https://example.com/a.mp4", "preview_url": "https://example.com/a.jpg"},
				{"type": "video", "url": "https://example.com/b.mp4", "preview_url": "https://example.com/b.jpg"}]}`)
		}))
		emma := k.newCustomer("Emma")
		emma.writes("how does it work?")
		emma.isAnswered(2)
		emma.isQuiet()
		phone, err := k.Sim.Chat(t.Context(), dev.SimChannelID, emma.id)
		require.NoError(t, err)
		var second struct{ OriginalContentURL, TrackingID string }
		require.NoError(t, json.Unmarshal(phone[len(phone)-1].Body, &second))
		require.Equal(t, "https://example.com/b.mp4", second.OriginalContentURL)
		for _, watched := range []string{second.TrackingID, "another-systems"} {
			_, err = k.Sim.PlayVideo(t.Context(), dev.SimChannelID, emma.id, watched)
			require.NoError(t, err)
		}
		emma.isQuiet()

		_, page := k.call("GET", "/conversations/"+emma.conversations()[0].ID+"/messages?limit=200", nil, nil)
		var items []map[string]any
		for _, item := range page["items"].([]any) {
			items = append(items, item.(map[string]any))
		}
		require.Len(t, items, 5)
		film, event, other := items[2], items[3], items[4]
		require.Equal(t, "https://example.com/b.mp4", film["payload"].(map[string]any)["url"])
		require.Equal(t, "event", event["type"])
		require.Equal(t, "internal", event["direction"])
		require.Equal(t, "videoPlayComplete", event["payload"].(map[string]any)["event"])
		quote := event["quote"].(map[string]any)
		require.Equal(t, film["id"], quote["message_id"])
		require.Equal(t, "video", quote["type"])
		require.Equal(t, "bot", quote["sender"].(map[string]any)["kind"])
		require.Equal(t, "event", other["type"])
		require.Nil(t, other["quote"], "it is not known here")
		require.Len(t, k.Sim.Calls(linesim.CallFilter{Endpoint: "reply"}), 1, "nobody answers that")
	})
}
