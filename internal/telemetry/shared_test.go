package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestStatementsAreCountedByKind(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]int{
		"SELECT 1": kindSelect, "\n\t\tINSERT INTO x": kindInsert, "UPDATE x": kindUpdate, "DELETE FROM x": kindDelete, "WITH x AS": kindOther, "": kindOther,
	} {
		require.Equal(t, want, kindOf(q), q)
	}
}

func TestTheBacklogIsAskedForOnceInAWhileAndFailsNoScrape(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, away := 0, false
		b := newBacklog(func(context.Context) (store.Backlog, error) {
			asked++
			if away {
				return store.Backlog{}, errors.New("the database is away")
			}
			return store.Backlog{Unhandled: 3, OldestUnhandled: time.Now().Add(-time.Minute).UnixMicro(), Waiting: map[string]int{"que_1": 2}}, nil
		}, slog.New(slog.DiscardHandler))
		for range 10 {
			require.NoError(t, testutil.CollectAndCompare(b, strings.NewReader(`
				# HELP kaiwa_line_events_oldest_unhandled_seconds Age of the oldest event that no conversation has taken in; 0 when there is none.
				# TYPE kaiwa_line_events_oldest_unhandled_seconds gauge
				kaiwa_line_events_oldest_unhandled_seconds 60
				# HELP kaiwa_queue_waiting Conversations that wait in a queue.
				# TYPE kaiwa_queue_waiting gauge
				kaiwa_queue_waiting{queue_id="que_1"} 2
			`), "kaiwa_line_events_oldest_unhandled_seconds", "kaiwa_queue_waiting"))
		}
		require.Equal(t, 1, asked)
		away = true
		time.Sleep(backlogEvery)
		require.Equal(t, 1, testutil.CollectAndCount(b))
		require.NoError(t, testutil.CollectAndCompare(b, strings.NewReader(`
			# HELP kaiwa_backlog_known 1 when the database has told the backlog, 0 when it did not in time; then the others are missing.
			# TYPE kaiwa_backlog_known gauge
			kaiwa_backlog_known 0
		`)))
		away = false
		time.Sleep(backlogEvery)
		require.Equal(t, 9, testutil.CollectAndCount(b))
	})
}

func TestTheBacklogOfADatabase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		received := time.Now().Add(-time.Minute)
		_, err := s.AppendLINEEvents(t.Context(), "chn_1", received, []store.InboxEvent{
			{WebhookEventID: "e1", ChatKey: "c", Kind: "message", LineTime: received, Raw: []byte("{}")},
			{WebhookEventID: "e2", Kind: "message", LineTime: received, Raw: []byte("{}"), Disposition: store.DispositionNoSource},
		})
		require.NoError(t, err)
		b, err := s.Backlog(t.Context())
		require.NoError(t, err)
		require.Equal(t, store.Backlog{Unhandled: 1, OldestUnhandled: received.UnixMicro(), Waiting: map[string]int{}}, b)
	})
}

// What counting costs where nobody exports anything: a statement, a wake-up, an
// event that was taken in, a batch.
func BenchmarkCounting(b *testing.B) {
	registry := prometheus.NewRegistry()
	shared, err := NewShared(registry)
	require.NoError(b, err)
	worker, err := NewWorker(registry)
	require.NoError(b, err)
	wake := shared.Wakeups("chat")
	b.ReportAllocs()
	for b.Loop() {
		for range 6 {
			shared.Statement("\n\t\tUPDATE line_events SET")
		}
		wake("delivered")
		worker.Ingested(time.Millisecond)
		worker.Turn("script", "answered", "", time.Millisecond)
		worker.Batch("reply", "accepted")
		worker.Messages("reply", "accepted", 1)
		worker.Replied(time.Millisecond)
		shared.OfferEnded(conversation.OfferAccepted, time.Second)
	}
}
