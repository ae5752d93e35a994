package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// wrote has the customer send a message, whose object is given as JSON without
// its braces, and ingests it.
func (b *bundle) wrote(acts *activities.Activities, channel string, n int, message string) string {
	b.t.Helper()
	body := fmt.Sprintf(`{"destination":%q,"events":[{"type":"message","webhookEventId":"w%d","timestamp":%d,"mode":"active","source":{"type":"user","userId":%q},"message":{"id":"%d",%s}}]}`,
		botUserID, n, 1767225600000+n, someUser, n, message)
	require.Equal(b.t, 200, b.deliver(channel, lineSecret, body).Status)
	out, err := acts.Ingest(b.t.Context(), activities.IngestInput{ChannelID: channel, ChatKey: conversation.ChatKey("user", someUser), RunID: "run"})
	require.NoError(b.t, err)
	return out.ConversationID
}

func (b *bundle) transcript(id string) []map[string]any {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "GET", "/api/v1/conversations/"+id+"/messages", nil)
	require.Equal(b.t, 200, r.Status, "%s", r.Raw)
	var list struct{ Items []map[string]any }
	require.NoError(b.t, json.Unmarshal(r.Raw, &list))
	return list.Items
}

func TestAQuoteShowsWhatItQuotesWheneverThatComes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		acts := activities.New(activities.Options{Store: b.store, Logger: slog.New(slog.DiscardHandler)})
		id := b.wrote(acts, channel, 2, `"type":"text","text":"this one","quotedMessageId":"1"`)
		quote := func(i int) map[string]any {
			t.Helper()
			q, ok := b.transcript(id)[i]["quote"].(map[string]any)
			require.True(t, ok)
			return q
		}
		require.Equal(t, "1", quote(0)["line_message_id"])
		require.Nil(t, quote(0)["message_id"], "it is not known here, as yet")

		b.wrote(acts, channel, 1, `"type":"text","text":"red or blue?"`)
		require.Equal(t, "red or blue?", quote(1)["text"], "the original came later")
		require.Equal(t, "inbound", quote(1)["direction"])

		// What the account said has LINE's id since LINE took it.
		b.sql(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, sender_name, type, text, state, line_message_id, created_at)
			VALUES ('msg_ours', $1, $2, 1, 'outbound', 'agent', 'Mai', 'text', 'we have both', 'accepted', '77', 1)`, id, channel)
		b.wrote(acts, channel, 3, `"type":"sticker","packageId":"1","stickerId":"2","quotedMessageId":"77"`)
		ours := quote(3)
		require.Equal(t, []any{"msg_ours", "outbound", "we have both"}, []any{ours["message_id"], ours["direction"], ours["text"]})
		require.Equal(t, "Mai", ours["sender"].(map[string]any)["name"])

		// What is taken back is gone from quotes, too.
		body := fmt.Sprintf(`{"destination":%q,"events":[{"type":"unsend","webhookEventId":"u","timestamp":1767225700000,"mode":"active","source":{"type":"user","userId":%q},"unsend":{"messageId":"1"}}]}`, botUserID, someUser)
		require.Equal(t, 200, b.deliver(channel, lineSecret, body).Status)
		_, err := acts.Ingest(t.Context(), activities.IngestInput{ChannelID: channel, ChatKey: conversation.ChatKey("user", someUser), RunID: "run"})
		require.NoError(t, err)
		for _, m := range b.transcript(id) {
			if q, ok := m["quote"].(map[string]any); ok && q["line_message_id"] == "1" {
				require.Nil(t, q["text"])
				require.Equal(t, "recalled", q["state"])
			}
		}

		// Somebody else's message of that id is none of theirs.
		b.sql(`UPDATE conversations SET chat_key = 'other', status = 'closed', owner = 'none' WHERE id = $1`, id)
		id = b.wrote(acts, channel, 9, `"type":"text","text":"and this?","quotedMessageId":"77"`)
		require.Nil(t, quote(0)["message_id"])
	})
}

func TestImagesOfASetSayTheirPlaceAsFarAsLINEDoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel := b.channel()
		acts := activities.New(activities.Options{Store: b.store, Logger: slog.New(slog.DiscardHandler)})
		id := ""
		for n, set := range []string{`{"id":"s","index":2,"total":2}`, `{"id":"s","index":1,"total":2}`, `{"id":"old"}`, `{"id":"odd","index":"first"}`, `7`} {
			id = b.wrote(acts, channel, n+1, `"type":"image","contentProvider":{"type":"line"},"imageSet":`+set)
		}
		var sets []any
		for _, m := range b.transcript(id) {
			sets = append(sets, m["image_set"])
		}
		set := func(id string, index, total any) map[string]any {
			return map[string]any{"id": id, "index": index, "total": total}
		}
		require.Equal(t, []any{set("s", 2.0, 2.0), set("s", 1.0, 2.0), set("old", nil, nil), set("odd", nil, nil), nil}, sets)
	})
}
