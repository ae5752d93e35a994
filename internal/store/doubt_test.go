package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// answered is a conversation in which a reply waits to be sent.
func (k *talk) answered() string {
	k.t.Helper()
	e := k.event("e1", "message", "hello")
	e.LineTime = time.Now()
	k.receive(e)
	id := k.ingest("", 0).ConversationID
	_, err := k.s.Announce(k.t.Context(), id, "step", []store.Draft{{SenderKind: conversation.SenderBot, Content: conversation.TextContent("hi")}})
	require.NoError(k.t, err)
	return id
}

func TestAReplyInDoubtIsNamedWhenNobodyIsAtIt(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			var clock atomic.Pointer[time.Time]
			start := time.Now()
			clock.Store(&start)
			now := func() time.Time { return *clock.Load() }
			pass := func(d time.Duration) { at := now().Add(d); clock.Store(&at) }
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = now })
			k := newTalk(t, s)
			id := k.answered()
			doubtful := func() []string {
				ids, err := s.DoubtfulReplies(ctx, now().Add(-10*time.Second), now().Add(-45*time.Second), 10)
				require.NoError(t, err)
				return ids
			}
			again := func() *store.Batch {
				b, err := s.AskAgain(ctx, id, now().Add(-10*time.Second), now().Add(-45*time.Second))
				require.NoError(t, err)
				return b
			}
			b, err := s.NextBatch(ctx, id, line.Render)
			require.NoError(t, err)
			require.Equal(t, string(conversation.ViaReply), b.Kind)
			require.Empty(t, doubtful(), "it is under way")
			require.Nil(t, again())
			pass(11 * time.Second)
			require.Equal(t, []string{id}, doubtful())
			second := again()
			require.Equal(t, [4]any{b.ID, int64(2), true, b.ReplyToken}, [4]any{second.ID, second.Attempts, second.Doubt, second.ReplyToken})
			require.Equal(t, k.plan.Channel.ID, second.ChannelID)
			require.Empty(t, doubtful(), "it is under way again")
			require.Nil(t, again(), "of two who ask one does")

			pass(11 * time.Second)
			present, err := s.NoteAttempt(ctx, second, store.OutcomeNotTaken, "busy")
			require.NoError(t, err)
			require.True(t, present)
			require.Equal(t, []string{id}, doubtful(), "LINE may have taken the first one")
			pass(30 * time.Second)
			require.Empty(t, doubtful(), "its token is dead")
			require.Nil(t, again())
		})
	}
}

func TestAReplyThatLINEDidNotTakeIsNotInDoubt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		k := newTalk(t, s)
		id := k.answered()
		b, err := s.NextBatch(ctx, id, line.Render)
		require.NoError(t, err)
		doubtful := func() []string {
			ids, err := s.DoubtfulReplies(ctx, time.Now().Add(time.Minute), time.Now().Add(-time.Minute), 10)
			require.NoError(t, err)
			return ids
		}
		require.Equal(t, []string{id}, doubtful())
		_, err = s.NoteAttempt(ctx, b, store.OutcomeNotTaken, "busy")
		require.NoError(t, err)
		require.Empty(t, doubtful())
	})
}
