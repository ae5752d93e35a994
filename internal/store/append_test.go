package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func one(id, chat string) store.InboxEvent {
	return store.InboxEvent{WebhookEventID: id, ChatKey: chat, SourceType: "user", SourceID: chat, Kind: "message", Raw: []byte(`{"x":"` + id + ` สวัสดี"}`), LineTime: time.UnixMilli(1_700_000_000_000)}
}

// Webhooks that come at once are stored together, each as if it had come alone.
func TestWebhooksThatComeAtOnceAreStoredTogether(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			var statements atomic.Int64
			s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Observe = func(string) { statements.Add(1) } })
			const n = 200
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					id := fmt.Sprint("e", i/2) // everything comes twice
					chats, err := s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{one(id, "chat "+id), one("fact "+id, "")})
					if err != nil || len(chats) != 2 {
						t.Errorf("%s: %v, %v", id, chats, err)
					}
				})
			}
			all.Wait()
			require.Less(t, statements.Load(), int64(n), "a statement takes several")
			chats, err := s.UnhandledChats(t.Context(), time.Now().Add(time.Minute), 1000)
			require.NoError(t, err)
			require.Len(t, chats, n/2+1)
			res, err := s.Ingest(t.Context(), store.IngestRequest{ChannelID: "chn_shop", ChatKey: "chat e7", Plan: &store.Plan{}}, func(e store.LINEEvent) store.Item {
				require.Equal(t, `{"x":"e7 สวัสดี"}`, string(e.Raw), "to the byte")
				require.EqualValues(t, 1_700_000_000_000_000, e.LineTime)
				return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello"}}
			})
			require.NoError(t, err)
			require.Equal(t, 1, res.Messages)
		})
	}
}

// What comes while somebody else writes to the file goes together once they have
// written, whoever asked for the writer first.
func TestWebhooksThatComeWhileTheFileIsBusyAreStoredTogether(t *testing.T) {
	t.Parallel()
	s, _ := storetest.New(t, "sqlite")
	const n = 20
	var all sync.WaitGroup
	before := s.Statements()
	require.NoError(t, s.TxForTest(t.Context(), true, func(store.Exec) error {
		for i := range n {
			all.Go(func() {
				id := fmt.Sprint("e", i)
				if chats, err := s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{one(id, "chat "+id)}); err != nil || len(chats) != 1 {
					t.Errorf("%s: %v, %v", id, chats, err)
				}
			})
		}
		require.Eventually(t, func() bool { return s.WebhooksForTest() == n && s.WaitingForTest() == 1 }, 10*time.Second, time.Millisecond)
		return nil
	}))
	all.Wait()
	require.EqualValues(t, 1, s.Statements()-before)
	st, err := s.InboxState(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.EqualValues(t, n, st.Unhandled)
}

// Who has given up meanwhile is not stored, and holds up nobody.
func TestAWebhookNobodyWaitsForIsLeftOut(t *testing.T) {
	t.Parallel()
	s, _ := storetest.New(t, "sqlite")
	var all sync.WaitGroup
	require.NoError(t, s.TxForTest(t.Context(), true, func(store.Exec) error {
		ctx, give := context.WithCancel(t.Context())
		all.Go(func() {
			_, err := s.AppendLINEEvents(ctx, "chn_shop", time.Now(), []store.InboxEvent{one("e1", "chat")})
			assert.ErrorIs(t, err, context.Canceled)
		})
		require.Eventually(t, func() bool { return s.WebhooksForTest() == 1 && s.WaitingForTest() == 1 }, 10*time.Second, time.Millisecond)
		give()
		all.Wait()
		all.Go(func() {
			_, err := s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{one("e2", "chat")})
			assert.NoError(t, err)
		})
		require.Eventually(t, func() bool { return s.WebhooksForTest() == 2 }, 10*time.Second, time.Millisecond)
		return nil
	}))
	all.Wait()
	st, err := s.InboxState(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.EqualValues(t, 1, st.Unhandled)
}

// A webhook that the database refuses harms none that it was to be stored with.
func TestAWebhookThatCannotBeStoredHarmsNoOther(t *testing.T) {
	t.Parallel()
	s, _ := storetest.New(t, "postgres") // SQLite takes everything
	var refused atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			e := one(fmt.Sprint("e", i), "chat")
			if i%10 == 0 {
				e.ChatKey = "no\x00 text"
			}
			if _, err := s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{e}); err != nil {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 10, refused.Load())
	st, err := s.InboxState(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.EqualValues(t, 90, st.Unhandled)
}

func TestNobodyWaitsForAWebhookLongerThanTheyWant(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, _ := storetest.New(t, dialect)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.AppendLINEEvents(ctx, "chn_shop", time.Now(), []store.InboxEvent{one("e1", "chat")})
			require.ErrorIs(t, err, context.Canceled)
			_, err = s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{one("e2", "chat")})
			require.NoError(t, err, "and the next one is stored")
		})
	}
}
