package store_test

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// candidate is a process that wants to lead.
type candidate struct {
	stop  context.CancelFunc
	done  chan struct{}
	terms chan context.Context // one for each term, when it begins
	leads atomic.Bool
}

// runs has a process ask for leadership until the test ends, in a store of its
// own. Each term lasts until its context ends.
func runs(t *testing.T, url, name string) *candidate {
	t.Helper()
	c := &candidate{done: make(chan struct{}), terms: make(chan context.Context, 100)}
	s := storetest.Open(t, url)
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	go func() {
		defer close(c.done)
		s.RunAsLeader(ctx, name, func(ctx context.Context) {
			c.leads.Store(true)
			defer c.leads.Store(false)
			c.terms <- ctx
			<-ctx.Done()
		})
	}()
	t.Cleanup(func() { c.stop(); <-c.done })
	return c
}

func (c *candidate) begins(t *testing.T) context.Context {
	t.Helper()
	select {
	case ctx := <-c.terms:
		return ctx
	case <-time.After(time.Minute):
		require.Fail(t, "it does not lead")
		return nil
	}
}

func eachURL(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			_, url := storetest.New(t, dialect)
			f(t, url)
		})
	}
}

func TestOneLeadsAndTheNextFollowsWhenItStops(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		first := runs(t, url, "relay")
		first.begins(t)
		others := []*candidate{runs(t, url, "relay"), runs(t, url, "relay")}
		other := runs(t, url, "sequencer")
		other.begins(t) // another office
		require.Empty(t, others[0].terms)
		require.Empty(t, others[1].terms)
		first.stop()
		<-first.done
		require.Eventually(t, func() bool { return others[0].leads.Load() || others[1].leads.Load() }, time.Minute, time.Millisecond)
		require.False(t, others[0].leads.Load() && others[1].leads.Load())
	})
}

// Many want to lead and give up all the time; no two terms ever overlap.
func TestTermsNeverOverlap(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var now, terms atomic.Int64
		var overlap atomic.Bool
		var wg sync.WaitGroup
		for range 8 {
			s := storetest.Open(t, url, func(o *store.Options) { o.MaxOpenConns = 2 })
			wg.Go(func() {
				s.RunAsLeader(ctx, "relay", func(context.Context) {
					if now.Add(1) > 1 {
						overlap.Store(true)
					}
					if terms.Add(1) == 10 {
						stop()
					}
					now.Add(-1)
				})
			})
		}
		wg.Wait()
		require.False(t, overlap.Load())
		require.GreaterOrEqual(t, terms.Load(), int64(10))
	})
}

// The office is free as soon as the leader stops: its lock does not outlive it.
func TestATermEndsWithItsContext(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		first := runs(t, url, "relay")
		term := first.begins(t)
		require.NoError(t, term.Err())
		first.stop()
		<-first.done
		require.Error(t, term.Err())
		runs(t, url, "relay").begins(t)
	})
}

func TestWhoStopsBeforeItLeadsNeverLeads(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.RunAsLeader(ctx, "relay", func(context.Context) { t.Error("leads") })
	})
}

func TestALeaderThatReturnsLeadsAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, stop := context.WithCancel(t.Context())
		terms := 0
		s.RunAsLeader(ctx, "relay", func(context.Context) {
			if terms++; terms == 2 {
				stop()
			}
		})
		require.Equal(t, 2, terms)
	})
}

// PostgreSQL ends the leader's connection (a failover, an operator, a cut
// line): the term ends although the process lives, and another one's begins.
func TestALeaderWhoseConnectionEndsLeadsNoLonger(t *testing.T) {
	t.Parallel()
	_, url := storetest.New(t, "postgres")
	first := runs(t, url, "relay")
	term := first.begins(t)
	second := runs(t, url, "relay")
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var ended bool
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`).Scan(&ended))
	require.True(t, ended)
	select {
	case <-term.Done():
	case <-time.After(time.Minute):
		require.Fail(t, "the term goes on")
	}
	require.Eventually(t, func() bool { return first.leads.Load() != second.leads.Load() }, time.Minute, time.Millisecond)
	// Whoever it is, the other follows.
	if first.leads.Load() {
		first.stop()
	}
	second.begins(t)
}
