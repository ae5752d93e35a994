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

// quarantine is a store whose clock can be put ahead, with the file of a message.
func quarantine(t *testing.T, dialect string) (s *store.Store, file string, ahead *atomic.Int64) {
	t.Helper()
	ahead = &atomic.Int64{}
	s, _ = storetest.New(t, dialect, func(o *store.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	k := newTalk(t, s)
	k.receive(k.event("e1", "file", ""))
	return s, k.ingestFiles("", 0).Media[0], ahead
}

func eachDialect(t *testing.T, f func(t *testing.T, dialect string)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			f(t, dialect)
		})
	}
}

func keptAs(key string) store.AttachmentEnd {
	return store.AttachmentEnd{State: conversation.AttachmentStored, BlobKey: key, PreviewKey: key + ".jpg", ContentType: "image/jpeg", SHA256: "5a", Size: 7, Width: 3, Height: 2}
}

func TestTheFirstToKeepAFileDecidesWhereItIs(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, dialect string) {
		s, id, _ := quarantine(t, dialect)
		ctx := t.Context()
		a, err := s.KeepAttachment(ctx, id, keptAs("k1"))
		require.NoError(t, err)
		require.True(t, a.Kept())
		again, err := s.KeepAttachment(ctx, id, keptAs("k2"))
		require.NoError(t, err)
		require.Equal(t, a, again)
		require.Equal(t, [4]any{conversation.AttachmentPending, "", "k1", int64(7)}, [4]any{a.State, a.Link, a.BlobKey, a.Size})
		due, err := s.AttachmentsToDelete(ctx, store.Position{}, 10)
		require.NoError(t, err)
		require.Empty(t, due)

		end := a.End(conversation.AttachmentStored, "")
		stored, done, _, err := s.FinishAttachment(ctx, id, end)
		require.NoError(t, err)
		require.True(t, done)
		require.NotEmpty(t, stored.Link)
		a.State, a.Link, a.UpdatedAt = stored.State, stored.Link, stored.UpdatedAt
		require.Equal(t, a, stored, "nothing else has changed")
		after, err := s.KeepAttachment(ctx, id, keptAs("k3"))
		require.NoError(t, err)
		require.Equal(t, stored, after, "what has ended stays")
	})
}

func TestAFileInQuarantineIsKeptUntilPeopleLetItOutOrItsTimeIsOver(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, dialect string) {
		s, id, ahead := quarantine(t, dialect)
		ctx := t.Context()
		a, err := s.KeepAttachment(ctx, id, keptAs("k1"))
		require.NoError(t, err)
		_, err = s.ReleaseAttachment(ctx, store.Origin{}, id)
		require.Equal(t, conversation.CodeConflict, conversation.CodeOf(err), "it is not in quarantine")
		_, err = s.ReleaseAttachment(ctx, store.Origin{}, "att_none")
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))
		end := a.End(conversation.AttachmentQuarantined, store.ReasonMalware)
		end.Signature, end.Say = "Worm", []store.Draft{{Content: conversation.Content{Type: conversation.ContentText, Text: "no"}, Automated: "attachment_malware"}}
		a, done, said, err := s.FinishAttachment(ctx, id, end)
		require.NoError(t, err)
		require.Equal(t, [6]any{true, 1, conversation.AttachmentQuarantined, "Worm", "", "k1"}, [6]any{done, said, a.State, a.Signature, a.Link, a.BlobKey})

		list, err := s.QuarantinedAttachments(ctx, store.Position{}, 10)
		require.NoError(t, err)
		require.Equal(t, []store.Attachment{a}, list)
		list, err = s.QuarantinedAttachments(ctx, store.Position{At: a.UpdatedAt, ID: a.ID}, 10)
		require.NoError(t, err)
		require.Empty(t, list)
		ahead.Store(int64(29 * 24 * time.Hour))
		require.NoError(t, s.AbandonAttachments(ctx))
		due, err := s.AttachmentsToDelete(ctx, store.Position{}, 10)
		require.NoError(t, err)
		require.Empty(t, due, "it is kept")
		require.NoError(t, s.AttachmentDeleted(ctx, id))
		still, err := s.Attachment(ctx, id)
		require.NoError(t, err)
		require.Equal(t, a, still)

		out, err := s.ReleaseAttachment(ctx, store.Origin{}, id)
		require.NoError(t, err)
		require.Equal(t, [4]any{conversation.AttachmentStored, "", "Worm", "k1"}, [4]any{out.State, out.Reason, out.Signature, out.BlobKey})
		require.NotEmpty(t, out.Link)
		again, err := s.ReleaseAttachment(ctx, store.Origin{}, id)
		require.NoError(t, err)
		require.Equal(t, out, again)
		log, err := s.AuditLog(ctx, store.AuditFilter{}, 0, 100)
		require.NoError(t, err)
		released := 0
		for _, e := range log {
			if e.Action == store.AuditReleased {
				released++
				require.Equal(t, id, e.SubjectID)
			}
		}
		require.Equal(t, 1, released)
	})
}

func TestAKeptFileThatNobodyIsAtGoesIntoQuarantineAndThenAway(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, dialect string) {
		s, id, ahead := quarantine(t, dialect)
		ctx := t.Context()
		_, err := s.KeepAttachment(ctx, id, keptAs("k1"))
		require.NoError(t, err)
		ahead.Store(int64(3 * time.Hour))
		require.NoError(t, s.AbandonAttachments(ctx))
		a, err := s.Attachment(ctx, id)
		require.NoError(t, err)
		require.Equal(t, [3]any{conversation.AttachmentQuarantined, store.ReasonNotScanned, "k1"}, [3]any{a.State, a.Reason, a.BlobKey})
		ahead.Store(int64(31 * 24 * time.Hour))
		require.NoError(t, s.AbandonAttachments(ctx))
		due, err := s.AttachmentsToDelete(ctx, store.Position{}, 10)
		require.NoError(t, err)
		require.Len(t, due, 1)
		require.Equal(t, [3]any{id, conversation.AttachmentRevoked, store.ReasonQuarantineOver}, [3]any{due[0].ID, due[0].State, due[0].Reason})
	})
}
