package sequencer_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/sequencer"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// begins has a chat begin a conversation, which is an event.
func begins(t *testing.T, s *store.Store, chat string) {
	t.Helper()
	_, err := s.AppendLINEEvents(t.Context(), "chn_shop", time.Now(), []store.InboxEvent{{WebhookEventID: chat, ChatKey: chat, SourceType: "user", SourceID: chat, Raw: []byte("{}")}})
	require.NoError(t, err)
	_, err = s.Ingest(t.Context(), store.IngestRequest{ChannelID: "chn_shop", ChatKey: chat, Plan: &store.Plan{}}, func(store.LINEEvent) store.Item {
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello"}}
	})
	require.NoError(t, err)
}

func TestEventsGetTheirNumbersWhileTheSequencerRuns(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{}, 2)
			for _, process := range []*store.Store{s, storetest.Open(t, url)} {
				go func() {
					sequencer.Run(ctx, process, slog.New(slog.DiscardHandler))
					done <- struct{}{}
				}()
			}
			for i := range 10 {
				begins(t, s, fmt.Sprint("c", i))
			}
			var events []store.Event
			require.Eventually(t, func() bool {
				var err error
				events, err = s.Events(t.Context(), 0, 100, "")
				return err == nil && len(events) == 20 // a conversation and a message each
			}, time.Minute, 5*time.Millisecond)
			for i, e := range events {
				require.Equal(t, int64(i+1), e.Seq)
			}
			stop()
			<-done
			<-done
			begins(t, s, "late")
			events, err := s.Events(t.Context(), 20, 100, "")
			require.NoError(t, err)
			require.Empty(t, events, "nobody numbers any more")
		})
	}
}
