package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// wrote has the customer write messages, of which LINE gives the tokens, and Mei
// serve them. It returns the messages' ids.
func (d *desk) wrote(t *testing.T, s *store.Store, tokens map[string]string) (ids []string, mei conversation.Actor) {
	t.Helper()
	d.receive(d.event("q1", "message", "with a token"), d.event("q2", "message", "without"))
	_, err := s.Ingest(t.Context(), d.request(d.id, 0), func(e store.LINEEvent) store.Item {
		item := read(e)
		item.Message.QuoteToken = tokens[e.WebhookEventID]
		return item
	})
	require.NoError(t, err)
	agent := anAgent(t, s, "mei")
	d.pick(agent.ID)
	said, err := s.Messages(t.Context(), d.id, store.MessagePosition{}, 10)
	require.NoError(t, err)
	for _, m := range said {
		ids = append(ids, m.ID)
	}
	require.Len(t, ids, 3)
	return ids, conversation.Actor{AgentID: agent.ID}
}

// sends makes one call to LINE of what waits, and tells what it says.
func (d *desk) sends(t *testing.T, s *store.Store, sent ...store.SentMessage) string {
	t.Helper()
	b, err := s.NextBatch(t.Context(), d.id, line.Render)
	require.NoError(t, err)
	require.NotNil(t, b)
	_, err = s.FinishBatch(t.Context(), b, store.BatchEnd{State: store.BatchAccepted, Sent: sent})
	require.NoError(t, err)
	return b.Body
}

func TestWhatTheCustomerSentInThisChatCanBeQuoted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		ids, mei := d.wrote(t, s, map[string]string{"q1": "token-1"})

		token, err := s.QuoteToken(ctx, d.id, ids[1], "")
		require.NoError(t, err)
		require.Equal(t, "token-1", token)
		_, err = s.QuoteToken(ctx, d.id, ids[2], "msg_none")
		requireFields(t, err, "/quote_message_id")
		_, err = s.QuoteToken(ctx, d.id, "msg_none", "")
		requireFields(t, err, "/quote_message_id")
		_, err = s.QuoteToken(ctx, "cnv_none", ids[1], "")
		requireFields(t, err, "/quote_message_id")

		req := say("quoting", d.id, mei, "this one")
		req.Drafts[0].Content.QuoteMessageID, req.Drafts[0].Content.QuoteToken = ids[1], token
		stored, _, err := s.Say(ctx, req)
		require.NoError(t, err)
		require.JSONEq(t, `{"type":"text","quote_message_id":"`+ids[1]+`"}`, stored[0].Payload, "the token stays where it is")
		require.JSONEq(t, `[{"type":"text","text":"this one","quoteToken":"token-1"}]`, d.sends(t, s))

		// Taken back: nobody quotes it any more, but who has is answered as before,
		// and what was about to go out goes without.
		req = say("too late", d.id, mei, "this one")
		req.Drafts[0].Content.QuoteMessageID = ids[1]
		_, _, err = s.Say(ctx, req)
		require.NoError(t, err)
		d.receive(d.event("q3", "unsend", "line-q1"))
		d.ingest(d.id, 0)
		_, err = s.QuoteToken(ctx, d.id, ids[1], "msg_none")
		requireCode(t, conversation.CodeConflict, err)
		_, err = s.QuoteToken(ctx, d.id, ids[1], req.MessageID(0))
		require.NoError(t, err)
		require.JSONEq(t, `[{"type":"text","text":"this one"}]`, d.sends(t, s))
	})
}

func TestWhatTheAccountSentCanBeQuoted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		_, mei := d.wrote(t, s, nil)
		req := say("first", d.id, mei, "we have both", "and more")
		stored, _, err := s.Say(ctx, req)
		require.NoError(t, err)
		ours := stored[0].ID
		_, err = s.QuoteToken(ctx, d.id, ours, "")
		requireCode(t, conversation.CodeConflict, err)
		d.sends(t, s, store.SentMessage{ID: "11", QuoteToken: "q11"}, store.SentMessage{ID: "12"})

		token, err := s.QuoteToken(ctx, d.id, ours, "")
		require.NoError(t, err)
		require.Equal(t, "q11", token)
		_, err = s.QuoteToken(ctx, d.id, stored[1].ID, "")
		requireFields(t, err, "/quote_message_id")
		for id, want := range map[string]bool{ours: true, stored[1].ID: false} {
			m, err := s.Message(ctx, id)
			require.NoError(t, err)
			require.Equal(t, want, m.Quotable())
		}
		req = say("second", d.id, mei, "as I said")
		req.Drafts[0].Content.QuoteMessageID = ours
		_, _, err = s.Say(ctx, req)
		require.NoError(t, err)
		require.JSONEq(t, `[{"type":"text","text":"as I said","quoteToken":"q11"}]`, d.sends(t, s))
	})
}

func TestTokensThatWereStoredWithAMessageAreUsedAndNotShown(t *testing.T) {
	t.Parallel()
	old := store.Message{State: conversation.MessageAccepted, Payload: `{"quoteToken":"q1","markAsReadToken":"r1","imageSet":{"id":"s"}}`}
	require.True(t, old.Quotable())
	require.JSONEq(t, `{"imageSet":{"id":"s"}}`, string(old.Shown()))
	old.Payload = `{"type":"text","quote_message_id":"msg_1","quote_token":"q1"}`
	require.False(t, old.Quotable(), "it is what it quotes that this is of")
	require.JSONEq(t, `{"type":"text","quote_message_id":"msg_1"}`, string(old.Shown()))
	require.Nil(t, store.Message{}.Shown())
}
