package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// writer is a raw connection to the record, whose transactions commit when the
// test says so.
func writer(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, dsn := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(60000)"
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func record(ctx context.Context, tx *sql.Tx, kind string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO events (type, conversation_id, subject_id, created_at) VALUES ($1, 'cnv_1', '', 1)`, kind)
	return err
}

// sequence numbers everything there is.
func sequence(t *testing.T, s *store.Store) (numbered int) {
	t.Helper()
	for {
		n, err := s.SequenceEvents(t.Context())
		require.NoError(t, err)
		if n == 0 {
			return numbered
		}
		numbered += n
	}
}

func page(t *testing.T, s *store.Store, after int64) []store.Event {
	t.Helper()
	events, err := s.Events(t.Context(), after, 1000, "")
	require.NoError(t, err)
	return events
}

func kinds(events []store.Event) (out []string) {
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

func TestEventsAreNumberedInTheirOrderFromOne(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		s, db := storetest.Open(t, url), writer(t, url)
		require.Zero(t, sequence(t, s), "there is nothing yet")
		var want []string
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		for i := range 2500 { // more than are numbered in one go
			want = append(want, fmt.Sprint("e", i))
			require.NoError(t, record(t.Context(), tx, want[i]))
		}
		require.NoError(t, tx.Commit())
		require.Empty(t, page(t, s, 0), "what has no number is not shown")
		require.Equal(t, 2500, sequence(t, s))
		var got []string
		for after := int64(0); ; {
			events := page(t, s, after)
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				after++
				require.Equal(t, after, e.Seq, "no gap")
			}
			got = append(got, kinds(events)...)
		}
		require.Equal(t, want, got)
		require.Zero(t, sequence(t, s))
	})
}

func TestATransactionThatFailsLeavesNoGap(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		s, db := storetest.Open(t, url), writer(t, url)
		for i := range 6 {
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, record(t.Context(), tx, fmt.Sprint("e", i)))
			if i%2 == 0 {
				require.NoError(t, tx.Rollback())
				continue
			}
			require.NoError(t, tx.Commit())
			require.Equal(t, 1, sequence(t, s))
		}
		events := page(t, s, 0)
		require.Equal(t, []string{"e1", "e3", "e5"}, kinds(events))
		require.Equal(t, int64(3), events[2].Seq)
	})
}

// On PostgreSQL the transaction that inserts first may commit last. It is
// numbered when it commits, after what readers have seen.
func TestAnEventThatIsCommittedLateComesAfterWhatWasSeen(t *testing.T) {
	t.Parallel()
	_, url := storetest.New(t, "postgres")
	s, db := storetest.Open(t, url), writer(t, url)
	slow, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, record(t.Context(), slow, "slow"))
	quick, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, record(t.Context(), quick, "quick"))
	require.NoError(t, quick.Commit())
	require.Equal(t, 1, sequence(t, s))
	seen := page(t, s, 0)
	require.Equal(t, []string{"quick"}, kinds(seen))
	require.NoError(t, slow.Commit())
	require.Equal(t, 1, sequence(t, s))
	require.Equal(t, []string{"slow"}, kinds(page(t, s, seen[0].Seq)), "who pages on misses nothing")
	require.Equal(t, []string{"quick", "slow"}, kinds(page(t, s, 0)), "and everybody reads the same")
}

// Two processes number at once, for a moment: leadership has just changed. The
// second waits for the first, and goes on where that came to.
func TestASecondSequencerWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	_, url := storetest.New(t, "postgres")
	s, db := storetest.Open(t, url), writer(t, url)
	exec := func(tx *sql.Tx, q string) {
		t.Helper()
		_, err := tx.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, record(t.Context(), tx, "a"))
	require.NoError(t, record(t.Context(), tx, "b"))
	require.NoError(t, tx.Commit())
	first, err := db.BeginTx(t.Context(), nil) // has numbered one, and has not committed
	require.NoError(t, err)
	exec(first, `SELECT value FROM counters WHERE name = 'events' FOR UPDATE`)
	exec(first, `UPDATE events SET seq = 1 WHERE type = 'a'`)
	exec(first, `UPDATE counters SET value = 1 WHERE name = 'events'`)
	type answer struct {
		n   int
		err error
	}
	second := make(chan answer, 1)
	go func() {
		n, err := s.SequenceEvents(t.Context())
		second <- answer{n, err}
	}()
	require.Eventually(t, func() bool {
		var waiting bool
		err := db.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	}, time.Minute, time.Millisecond)
	require.NoError(t, first.Commit())
	require.Equal(t, answer{n: 1}, <-second)
	events := page(t, s, 0)
	require.Equal(t, []string{"a", "b"}, kinds(events))
	require.Equal(t, int64(2), events[1].Seq)
}

// Eight writers write, two sequencers number, and two readers page by number
// meanwhile. Transactions hold several events and commit out of order.
func TestReadersByNumberSeeEveryEventOnceWhileItIsWritten(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		const writers, each = 8, 40
		s, db := storetest.Open(t, url), writer(t, url)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var writing, working sync.WaitGroup
		want := make([][]string, writers)
		for w := range writers {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			writing.Go(func() {
				for i := range each {
					tx, err := db.BeginTx(ctx, nil)
					if err != nil {
						t.Error(err)
						return
					}
					for j := range 1 + r.IntN(3) {
						kind := fmt.Sprintf("%d.%d.%d", w, i, j)
						if err := record(ctx, tx, kind); err != nil {
							t.Error(err)
						}
						want[w] = append(want[w], kind)
					}
					if err := tx.Commit(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 2 {
			other := storetest.Open(t, url)
			working.Go(func() {
				for ctx.Err() == nil {
					if _, err := other.SequenceEvents(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		var reading sync.WaitGroup
		var total atomic.Int64 // once it is known
		read := make([][]store.Event, 2)
		for i := range read {
			reading.Go(func() {
				for after := int64(0); total.Load() == 0 || after < total.Load(); {
					events, err := s.Events(ctx, after, 7, "")
					if err != nil {
						t.Error(err)
						return
					}
					if len(events) > 0 {
						after = events[len(events)-1].Seq
						read[i] = append(read[i], events...)
					}
				}
			})
		}
		writing.Wait()
		all := slices.Concat(want...)
		total.Store(int64(len(all)))
		reading.Wait()
		stop()
		working.Wait()

		whole := page(t, s, 0)
		require.ElementsMatch(t, all, kinds(whole))
		for i, e := range whole {
			require.Equal(t, int64(i+1), e.Seq, "no gap")
		}
		for w := range writers {
			mine := slices.DeleteFunc(kinds(whole), func(kind string) bool { return !strings.HasPrefix(kind, strconv.Itoa(w)+".") })
			require.Equal(t, want[w], mine, "each writer's events in the order in which it committed them")
		}
		for _, events := range read {
			require.Equal(t, whole, events, "a reader saw everything, in the same order, and nothing twice")
		}
		require.Zero(t, sequence(t, s))
	})
}

// Eight processes say something in one conversation. Whoever commits first
// comes first, in the transcript and in the record.
func TestAConversationsEventsAreInTheOrderOfItsCommits(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, url)
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		id := k.ingest("", 0).ConversationID
		sequence(t, s)
		before := page(t, s, 0)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 10 {
					draft := store.Draft{SenderKind: conversation.SenderBot, Content: conversation.TextContent("x")}
					if _, err := s.Announce(t.Context(), id, fmt.Sprint(w, ".", i), []store.Draft{draft, draft}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		sequence(t, s)
		var said, recorded []string
		list, err := s.Messages(t.Context(), id, store.MessagePosition{}, 1000)
		require.NoError(t, err)
		for _, m := range list {
			if m.Direction == conversation.Outbound {
				said = append(said, m.ID)
			}
		}
		events, err := s.Events(t.Context(), int64(len(before)), 1000, id)
		require.NoError(t, err)
		for _, e := range events {
			recorded = append(recorded, e.SubjectID)
		}
		require.Len(t, said, 160)
		require.Equal(t, said, recorded)
		none, err := s.Events(t.Context(), 0, 1000, "cnv_other")
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func TestWhoListensIsWokenByEveryBatchThatIsNumbered(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		s, other, db := storetest.Open(t, url), storetest.Open(t, url), writer(t, url)
		ctx, stop := context.WithCancel(t.Context())
		woken, ended := make(chan struct{}, 100), make(chan error)
		go func() { ended <- s.ListenForEvents(ctx, func() { woken <- struct{}{} }) }()
		<-woken // it listens
		for range 3 {
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, record(t.Context(), tx, "x"))
			require.NoError(t, tx.Commit())
			require.Equal(t, 1, sequence(t, other))
			<-woken
		}
		require.Zero(t, sequence(t, other))
		stop()
		require.NoError(t, <-ended)
		require.Empty(t, woken, "one batch wakes once, and nothing wakes nobody")
	})
}

func TestWhoListensLearnsOfALostConnection(t *testing.T) {
	t.Parallel()
	s, url := storetest.New(t, "postgres")
	db := writer(t, url)
	woken, ended := make(chan struct{}, 100), make(chan error)
	go func() { ended <- s.ListenForEvents(t.Context(), func() { woken <- struct{}{} }) }()
	<-woken
	_, err := db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	require.NoError(t, err)
	require.ErrorContains(t, <-ended, "the connection is lost")
}

func TestAnEventTellsWhichQueueIsEnteredAndWhichIsLeft(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, url)
		k := newTalk(t, s)
		k.receive(k.event("e1", "message", "hello"))
		res := k.ingest("", 0)
		step := store.TransitionRequest{ID: "tsn_1", ConversationID: res.ConversationID, ChannelID: k.plan.Channel.ID, ChatKey: k.chat, Event: conversation.EventBotEscalated, QueueID: "que_1"}
		_, err := s.Transition(t.Context(), step)
		require.NoError(t, err)
		step.ID, step.Event, step.Seen = "tsn_2", conversation.EventCancelled, res.Seen
		_, err = s.Transition(t.Context(), step)
		require.NoError(t, err)
		sequence(t, s)
		events := page(t, s, 0)
		in, out := events[len(events)-2], events[len(events)-1]
		require.Equal(t, []string{"conversation.changed", "conversation.closed"}, kinds([]store.Event{in, out}))
		require.Contains(t, in.Data, `"queue_id":"que_1"`)
		require.NotContains(t, in.Data, "left_queue_id")
		require.Contains(t, out.Data, `"left_queue_id":"que_1"`)
	})
}
