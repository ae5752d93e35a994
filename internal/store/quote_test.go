package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestWhatTheCustomerSentInThisChatCanBeQuoted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		d.receive(d.event("q1", "message", "with a token"), d.event("q2", "message", "without"))
		_, err := s.Ingest(ctx, d.request(d.id, 0), func(e store.LINEEvent) store.Item {
			item := read(e)
			if e.WebhookEventID == "q1" {
				item.Message.Payload = `{"quoteToken":"token-1"}`
			}
			return item
		})
		require.NoError(t, err)
		mei := anAgent(t, s, "mei")
		d.pick(mei.ID)
		var ids []string
		said, err := s.Messages(ctx, d.id, store.MessagePosition{}, 10)
		require.NoError(t, err)
		for _, m := range said {
			ids = append(ids, m.ID)
		}
		require.Len(t, ids, 3)

		token, err := s.QuoteToken(ctx, d.id, ids[1], "")
		require.NoError(t, err)
		require.Equal(t, "token-1", token)
		_, err = s.QuoteToken(ctx, d.id, ids[2], "msg_none")
		requireFields(t, err, "/quote_message_id")
		_, err = s.QuoteToken(ctx, d.id, "msg_none", "")
		requireFields(t, err, "/quote_message_id")
		_, err = s.QuoteToken(ctx, "cnv_none", ids[1], "")
		requireFields(t, err, "/quote_message_id")

		req := say("quoting", d.id, conversation.Actor{AgentID: mei.ID}, "this one")
		req.Drafts[0].Content.QuoteMessageID, req.Drafts[0].Content.QuoteToken = ids[1], token
		stored, _, err := s.Say(ctx, req)
		require.NoError(t, err)
		require.JSONEq(t, `{"type":"text","quote_message_id":"`+ids[1]+`","quote_token":"token-1"}`, stored[0].Payload)
		_, err = s.QuoteToken(ctx, d.id, stored[0].ID, "")
		requireFields(t, err, "/quote_message_id")

		// Taken back: nobody quotes it any more, but who has is answered as before.
		d.receive(d.event("q3", "unsend", "line-q1"))
		d.ingest(d.id, 0)
		_, err = s.QuoteToken(ctx, d.id, ids[1], "msg_none")
		requireCode(t, conversation.CodeConflict, err)
		token, err = s.QuoteToken(ctx, d.id, ids[1], req.MessageID(0))
		require.NoError(t, err)
		require.Equal(t, "token-1", token)
	})
}
