package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestAFailedMessageIsSentAgainOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		mei := anAgent(t, s, "mei")
		by := conversation.Actor{AgentID: mei.ID}
		d.pick(mei.ID)
		end := func(state string) {
			b, err := s.NextBatch(ctx, d.id, plain)
			require.NoError(t, err)
			_, err = s.FinishBatch(ctx, b, store.BatchEnd{State: state, Failure: "line_quota", Detail: "You have reached your monthly limit."})
			require.NoError(t, err)
		}
		said, _, err := s.Say(ctx, say("hello", d.id, by, "hello", "anybody there?"))
		require.NoError(t, err)
		failed := said[0].ID
		_, _, err = s.Retry(ctx, d.id, failed, by)
		requireCode(t, conversation.CodeConflict, err)
		end(store.BatchFailed)

		_, _, err = s.Retry(ctx, d.id, failed, conversation.Actor{AgentID: "agt_other"})
		requireCode(t, conversation.CodeNotAssignedToYou, err)
		_, _, err = s.Retry(ctx, d.id, "msg_none", by)
		requireCode(t, conversation.CodeNotFound, err)

		first, chat, err := s.Retry(ctx, d.id, failed, by)
		require.NoError(t, err)
		require.Equal(t, store.Chat{ChannelID: d.plan.Channel.ID, ChatKey: d.chat}, chat)
		again, _, err := s.Retry(ctx, d.id, failed, by)
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Equal(t, []string{"a person, please", "hello", "anybody there?", "hello"}, d.texts(d.id), "after everything said so far")
		require.Equal(t, mei.ID, first.SenderID)
		was, err := s.Message(ctx, failed)
		require.NoError(t, err)
		require.Equal(t, first.ID, was.RetryID)
		require.Equal(t, conversation.MessageFailed, was.State, "what happened to it stays true")

		end(store.BatchUncertain)
		_, _, err = s.Retry(ctx, d.id, first.ID, by)
		requireCode(t, conversation.CodeConflict, err)
		require.ErrorContains(t, err, "may have taken")

		d.must(store.TransitionRequest{Event: conversation.EventForceClosed})
		_, _, err = s.Retry(ctx, d.id, said[1].ID, by)
		requireCode(t, conversation.CodeConversationClosed, err)
		again, _, err = s.Retry(ctx, d.id, failed, by)
		require.NoError(t, err, "what was done is answered")
		require.Equal(t, first.ID, again.ID)
	})
}

func TestARetriedMessageTakesItsFileAlong(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		mei := anAgent(t, s, "mei")
		by := conversation.Actor{AgentID: mei.ID}
		d.pick(mei.ID)
		require.NoError(t, s.ExecForTest(ctx, `INSERT INTO attachments (id, conversation_id, direction, kind, state, link, blob_key, created_at, updated_at)
			VALUES ('att_1', $1, 'outbound', 'file', 'stored', 'link', 'key', 1, 1)`, d.id))
		req := say("file", d.id, by, "a file")
		req.Drafts[0].AttachmentID = "att_1"
		said, _, err := s.Say(ctx, req)
		require.NoError(t, err)
		b, err := s.NextBatch(ctx, d.id, plain)
		require.NoError(t, err)
		_, err = s.FinishBatch(ctx, b, store.BatchEnd{State: store.BatchFailed, Failure: "line_refused"})
		require.NoError(t, err)
		again, _, err := s.Retry(ctx, d.id, said[0].ID, by)
		require.NoError(t, err)
		require.Equal(t, "att_1", again.AttachmentID)
		files, err := s.Attachments(ctx, []string{"att_1"})
		require.NoError(t, err)
		require.Equal(t, again.ID, files["att_1"].MessageID)
	})
}
