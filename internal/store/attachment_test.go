package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// readFiles is read, of messages that bring files: "file" in their place.
func readFiles(e store.LINEEvent) store.Item {
	if e.Kind == "file" {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{
			Type: "file", Text: "a.pdf", LINEMessageID: "line-" + e.WebhookEventID, File: &store.InboundFile{Kind: store.FileOther, Name: "a.pdf", Size: 5},
		}}
	}
	return read(e)
}

func (k *talk) ingestFiles(conversationID string, seen int64) store.IngestResult {
	k.t.Helper()
	req := k.request(conversationID, seen)
	req.Epoch = 1
	res, err := k.s.Ingest(k.t.Context(), req, readFiles)
	require.NoError(k.t, err)
	return res
}

func TestAFileIsNotedWithItsMessageAndAnsweredAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingestFiles("", 0)
		id := first.ConversationID
		before := s.Statements()
		k.receive(k.event("e2", "message", "again"))
		plain := k.ingestFiles(id, first.Seen)
		cost := s.Statements() - before
		require.Empty(t, plain.Media)

		before = s.Statements()
		k.receive(k.event("e3", "file", ""))
		res := k.ingestFiles(id, plain.Seen)
		require.Equal(t, cost+1, s.Statements()-before, "a file costs one statement, and a message without one none")
		require.Len(t, res.Media, 1)
		require.Equal(t, res.Media, k.ingestFiles(id, plain.Seen).Media, "new or mine")
		require.Equal(t, res.Media, k.ingestFiles("", 0).Media, "a run that takes over goes on with it")
		f, err := s.Fetch(t.Context(), res.Media[0])
		require.NoError(t, err)
		require.Equal(t, [5]any{conversation.AttachmentPending, "a.pdf", int64(5), "line-e3", k.plan.Channel.ID}, [5]any{f.State, f.FileName, f.Size, f.LINEMessageID, f.ChannelID})

		// It is unsent, and so is one that has not arrived.
		k.receive(k.event("e4", "unsend", "line-e3"), k.event("e5", "unsend", "line-e6"))
		gone := k.ingestFiles(id, res.Seen)
		require.Equal(t, res.Media, gone.Media, "there is something to delete")
		k.receive(k.event("e6", "file", ""))
		require.Empty(t, k.ingestFiles(id, gone.Seen).Media)
		a, err := s.Attachment(t.Context(), res.Media[0])
		require.NoError(t, err)
		require.Equal(t, [3]any{conversation.AttachmentRevoked, store.ReasonUnsent, ""}, [3]any{a.State, a.Reason, a.FileName})
	})
}

// A worker took a file in and closed the conversation, and died before Temporal
// heard of either.
func TestAFileThatCameBeforeACloseThatNobodyHeardOfIsNamed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		first := k.ingestFiles("", 0)
		k.receive(k.event("e2", "file", ""))
		took := k.ingestFiles(first.ConversationID, first.Seen)
		require.Len(t, took.Media, 1)
		_, err := k.closeIt(first.ConversationID, took.Seen, "bye")
		require.NoError(t, err)
		again := k.ingestFiles(first.ConversationID, first.Seen)
		require.Equal(t, conversation.StatusClosed, again.Status)
		require.Equal(t, took.Media, again.Media)
	})
}

func TestTheFirstEndOfAFileCounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k := newTalk(t, s)
		k.receive(k.event("e1", "file", ""))
		res := k.ingestFiles("", 0)
		id := res.Media[0]
		say := []store.Draft{{SenderKind: conversation.SenderSystem, Automated: "attachment_size", Content: conversation.TextContent("too large")}}
		refusal := store.AttachmentEnd{State: conversation.AttachmentRefused, Reason: store.ReasonSize, Say: say}
		for i := range 3 {
			a, done, said, err := s.FinishAttachment(t.Context(), id, refusal)
			require.NoError(t, err)
			require.Equal(t, i == 0, done)
			require.Equal(t, 1, said, "it waits to be sent, whoever asks")
			require.Equal(t, conversation.AttachmentRefused, a.State)
		}
		a, done, _, err := s.FinishAttachment(t.Context(), id, store.AttachmentEnd{State: conversation.AttachmentStored, BlobKey: "late"})
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, [2]any{conversation.AttachmentRefused, ""}, [2]any{a.State, a.Link})
		require.Equal(t, []string{"a.pdf", "too large"}, k.texts(res.ConversationID))
	})
}

func TestBytesThatNobodyMayHaveAreDeletedUntilNobodyCanWriteAny(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			s, _ := storetest.New(t, dialect, func(o *store.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
			k := newTalk(t, s)
			k.receive(k.event("e1", "file", ""))
			id := k.ingestFiles("", 0).Media[0]
			ctx := t.Context()
			due := func() (ids []string) {
				list, err := s.AttachmentsToDelete(ctx, store.Position{}, 10)
				require.NoError(t, err)
				for _, a := range list {
					require.NoError(t, s.AttachmentDeleted(ctx, a.ID))
					ids = append(ids, a.ID)
				}
				return ids
			}
			require.NoError(t, s.AbandonAttachments(ctx))
			require.Empty(t, due(), "it is on its way")
			ahead.Store(int64(3 * time.Hour))
			require.NoError(t, s.AbandonAttachments(ctx))
			require.Equal(t, []string{id}, due())
			require.Equal(t, []string{id}, due(), "somebody may still be writing")
			ahead.Store(int64(5 * time.Hour))
			require.Equal(t, []string{id}, due())
			require.Empty(t, due())
			a, err := s.Attachment(ctx, id)
			require.NoError(t, err)
			require.Equal(t, [2]any{conversation.AttachmentFailed, store.ReasonLate}, [2]any{a.State, a.Reason})
		})
	}
}
