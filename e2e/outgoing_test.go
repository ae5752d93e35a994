package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// account are the account's messages on the customer's phone, as LINE has them.
func (c customer) account() (out []linesim.ChatMessage) {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	for _, m := range chat {
		if m.Direction == "account" {
			out = append(out, m)
		}
	}
	return out
}

// quoteToken is LINE's token of the customer's message that says text.
func (c customer) quoteToken(text string) string {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	for _, m := range chat {
		if m.Direction == "customer" && m.Text() == text {
			return m.QuoteToken
		}
	}
	require.Fail(c.k.t, "the customer has not said it", text)
	return ""
}

func TestEveryKindOfMessageReachesThePhone(t *testing.T) {
	t.Parallel()
	k := start(t, "sqlite")
	k.arrange(picked)
	kenta := k.as("kaiwa-dev-kenta")
	_, err := k.Store.UpdateAgent(t.Context(), store.Origin{}, kenta.id, store.AnyVersion, func(a *store.Agent) error {
		a.Sender = conversation.MessageSender{Name: "健太", IconURL: "https://example.com/kenta.png"}
		return nil
	})
	require.NoError(t, err)
	emma := k.newCustomer("Emma")
	id := emma.asksForAPerson()
	kenta.does("pick", id, nil)
	emma.writes("Which one?")
	k.eventually(func() bool { list := emma.transcript(); return list[len(list)-1].Text == "Which one?" }, "the question is in the transcript")
	list := emma.transcript()
	asked, token := list[len(list)-1].ID, emma.quoteToken("Which one?")
	before := len(emma.account())

	object := func(s string) json.RawMessage { return json.RawMessage(s) }
	const bubble = `{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"Your order"}]}}`
	sent := []struct {
		body map[string]any
		line string // what of it LINE has, beside the sender
	}{
		{map[string]any{"type": "text", "text": "The red one", "quote_message_id": asked}, `{"type":"text","text":"The red one","quoteToken":"` + token + `"}`},
		{map[string]any{"type": "text_v2", "text": "Yes {smile}", "substitution": object(`{"smile":{"type":"emoji","productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}}`)},
			`{"type":"textV2","text":"Yes {smile}","substitution":{"smile":{"type":"emoji","productId":"5ac1bfd5040ab15980c9b435","emojiId":"001"}}}`},
		{map[string]any{"type": "sticker", "package_id": "446", "sticker_id": "1988", "quote_message_id": asked}, `{"type":"sticker","packageId":"446","stickerId":"1988","quoteToken":"` + token + `"}`},
		{map[string]any{"type": "image", "url": "https://example.com/a.jpg", "preview_url": "https://example.com/p.jpg"}, `{"type":"image","originalContentUrl":"https://example.com/a.jpg","previewImageUrl":"https://example.com/p.jpg"}`},
		{map[string]any{"type": "video", "url": "https://example.com/a.mp4", "preview_url": "https://example.com/p.jpg"}, `{"type":"video","originalContentUrl":"https://example.com/a.mp4","previewImageUrl":"https://example.com/p.jpg"}`},
		{map[string]any{"type": "audio", "url": "https://example.com/a.m4a", "duration_ms": 1500}, `{"type":"audio","originalContentUrl":"https://example.com/a.m4a","duration":1500}`},
		{map[string]any{"type": "location", "title": "Shop", "address": "四谷1-6-1", "latitude": 35.5, "longitude": 139.5}, `{"type":"location","title":"Shop","address":"四谷1-6-1","latitude":35.5,"longitude":139.5}`},
		{map[string]any{"type": "template", "alt_text": "Sure?", "template": object(`{"type":"confirm","text":"Sure?","actions":[{"type":"message","label":"Yes","text":"yes"},{"type":"message","label":"No","text":"no"}]}`)},
			`{"type":"template","altText":"Sure?","template":{"type":"confirm","text":"Sure?","actions":[{"type":"message","label":"Yes","text":"yes"},{"type":"message","label":"No","text":"no"}]}}`},
		{map[string]any{"type": "flex", "alt_text": "Order", "contents": object(bubble)}, `{"type":"flex","altText":"Order","contents":` + bubble + `}`},
		{map[string]any{"type": "imagemap", "alt_text": "Map", "imagemap": object(`{"baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[]}`)},
			`{"type":"imagemap","altText":"Map","baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[]}`},
		{map[string]any{"type": "coupon", "coupon_id": "c1"}, `{"type":"coupon","couponId":"c1"}`},
		{map[string]any{"type": "text", "text": "When?", "quick_replies": []any{
			map[string]any{"label": "Choose", "action": object(`{"type":"datetimepicker","data":"when","mode":"date"}`)}, map[string]any{"label": "Photo", "action": object(`{"type":"camera"}`)},
		}}, `{"type":"text","text":"When?","quickReply":{"items":[{"type":"action","action":{"type":"datetimepicker","label":"Choose","data":"when","mode":"date"}},{"type":"action","action":{"type":"camera","label":"Photo"}}]}}`},
	}
	for i, m := range sent {
		var out map[string]any
		status := kenta.call(http.MethodPost, "/conversations/"+id+"/messages", nil, m.body, &out)
		require.Contains(t, stored, status, out)
		k.eventually(func() bool { return len(emma.account()) > before+i }, "the phone shows %s", m.body["type"])
		got := emma.account()[before+i]
		var want map[string]any
		require.NoError(t, json.Unmarshal([]byte(m.line), &want))
		want["sender"] = map[string]any{"name": "健太", "iconUrl": "https://example.com/kenta.png"}
		if m.body["type"] == "video" {
			want["trackingId"] = conversation.TrackingID(out["id"].(string))
		}
		have, err := json.Marshal(want)
		require.NoError(t, err)
		require.JSONEq(t, string(have), string(got.Body))
	}

	// What the account has said can be quoted, too.
	list = emma.transcript()
	var ours store.Message
	for _, m := range list {
		if m.Text == "The red one" {
			ours = m
		}
	}
	require.True(t, ours.Quotable())
	var out map[string]any
	require.Contains(t, stored, kenta.call(http.MethodPost, "/conversations/"+id+"/messages", nil, map[string]any{"type": "text", "text": "As I said", "quote_message_id": ours.ID}, &out), out)
	k.eventually(func() bool { return len(emma.account()) > before+len(sent) }, "the phone shows it")
	var quoting struct{ QuoteToken string }
	require.NoError(t, json.Unmarshal(emma.account()[before+len(sent)].Body, &quoting))
	require.Equal(t, emma.account()[before].QuoteToken, quoting.QuoteToken)
}

// A bot that quotes what it answers, under a name of its own, in a text longer
// than one message.
func TestABotQuotesAndWritesUnderItsName(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		service := serves(t, 30, func(w http.ResponseWriter, r *http.Request) {
			var turn struct{ Messages []struct{ ID string } }
			body, err := io.ReadAll(r.Body)
			if err != nil || json.Unmarshal(body, &turn) != nil || len(turn.Messages) == 0 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"messages": []any{map[string]any{ // a client that has gone shows in the test
				"type": "text_v2", "text": "Hi {smile}", "quote_message_id": turn.Messages[0].ID,
				"substitution":  map[string]any{"smile": map[string]any{"type": "emoji", "productId": "p", "emojiId": "001"}},
				"quick_replies": []any{map[string]any{"label": "Where", "action": map[string]any{"type": "location"}}},
			}}})
		})
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			service(w, b)
			b.Sender = conversation.MessageSender{Name: "Guide"}
		})
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		emma.isAnswered(1)
		require.JSONEq(t, `{"type":"textV2","text":"Hi {smile}","substitution":{"smile":{"type":"emoji","productId":"p","emojiId":"001"}},"quoteToken":"`+emma.quoteToken("hello")+`",
			"quickReply":{"items":[{"type":"action","action":{"type":"location","label":"Where"}}]},"sender":{"name":"Guide"}}`, string(emma.account()[0].Body))
	})
}
