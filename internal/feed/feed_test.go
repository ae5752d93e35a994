package feed_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/feed"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// run runs a feed for the test. more is closed when it has looked once.
func run(t *testing.T, s *store.Store) (f *feed.Feed, more <-chan struct{}) {
	t.Helper()
	f = feed.New(s, slog.New(slog.DiscardHandler))
	more = f.More()
	start(t, f)
	return f, more
}

func start(t *testing.T, f *feed.Feed) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// Nobody is told by the database: the numbers are given behind its back.
func TestWhatNobodyTellsOfIsFoundAnyway(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			f, more := run(t, s)
			<-more
			more = f.More()
			raw(t, url, `UPDATE counters SET value = 7 WHERE name = 'events'`)
			<-more
			select {
			case <-f.More():
				require.Fail(t, "nothing has happened since")
			default:
			}
		})
	}
}

func TestAHundredReadersAreWokenTogetherByOneStatement(t *testing.T) {
	t.Parallel()
	s, url := storetest.New(t, "sqlite")
	other := storetest.Open(t, url)
	f, more := run(t, s)
	<-more
	var reading sync.WaitGroup
	for range 100 {
		more := f.More()
		reading.Go(func() { <-more })
	}
	raw(t, url, `INSERT INTO events (type, created_at) VALUES ('x', 1)`)
	_, err := other.SequenceEvents(t.Context())
	require.NoError(t, err)
	reading.Wait()
	require.Less(t, s.Statements(), int64(20))
}

func raw(t *testing.T, url, statement string) {
	t.Helper()
	driver, dsn := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(60000)"
	}
	db, err := sqlx.Open(driver, dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func TestWhoWaitsForOneThingIsToldOfThatOnly(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			f, more := run(t, s)
			<-more
			tells, leave := f.Await("ms_a", "message.accepted", "message.failed")
			defer leave()
			happens := func(subject, kind string) {
				t.Helper()
				more := f.More()
				raw(t, url, `INSERT INTO events (type, subject_id, created_at) VALUES ('`+kind+`', '`+subject+`', 1)`)
				_, err := s.SequenceEvents(t.Context())
				require.NoError(t, err)
				<-more
			}
			happens("ms_a", "message.created")
			happens("ms_b", "message.accepted")
			select {
			case <-tells:
				require.Fail(t, "nothing that was asked for has happened")
			default:
			}
			happens("ms_a", "message.failed")
			happens("ms_a", "message.accepted") // nobody waits for being told twice
			<-tells
			leave()
			happens("ms_a", "message.accepted")
			select {
			case <-tells:
				require.Fail(t, "who has left is told nothing")
			default:
			}
		})
	}
}

// The first look reads no events: what happened before it may be what is waited
// for.
func TestWhoWaitsIsToldWhenEventsWerePassedOver(t *testing.T) {
	t.Parallel()
	s, _ := storetest.New(t, "sqlite")
	f := feed.New(s, slog.New(slog.DiscardHandler))
	tells, leave := f.Await("ms_a", "message.accepted")
	defer leave()
	start(t, f)
	<-tells
}
