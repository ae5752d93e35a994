package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// writers are transactions of one SQLite database, each of which waits to be
// told how to end.
type writers struct {
	t *testing.T
	s *store.Store
}

type member struct {
	begun chan struct{}
	end   chan error
	done  chan error
}

const note = `INSERT INTO counters (name, value) VALUES ($1, 1)`

// write begins a transaction that notes its name.
func (w writers) write(ctx context.Context, name string, alone bool) *member {
	m := &member{make(chan struct{}), make(chan error, 1), make(chan error, 1)}
	go func() {
		m.done <- w.s.TxForTest(ctx, alone, func(exec store.Exec) error {
			close(m.begun)
			if err := exec(note, name); err != nil {
				return err
			}
			return <-m.end
		})
	}()
	return m
}

// waits has another transaction wait for the writer, and returns once it does.
func (w writers) waits(ctx context.Context, name string, alone bool) *member {
	w.t.Helper()
	before := w.s.WaitingForTest()
	m := w.write(ctx, name, alone)
	require.Eventually(w.t, func() bool { return w.s.WaitingForTest() == before+1 }, 10*time.Second, time.Millisecond)
	return m
}

// notes are the names that are committed.
func (w writers) notes() string {
	w.t.Helper()
	list, err := w.s.QueryForTest(w.t.Context(), `SELECT coalesce(group_concat(name, ' '), '') FROM counters WHERE value = 1`)
	require.NoError(w.t, err)
	return list
}

func startWriters(t *testing.T) writers {
	t.Helper()
	s, _ := storetest.New(t, "sqlite")
	s.GroupForTest(time.Hour)
	return writers{t, s}
}

func TestWhoWaitsForTheWriterSharesACommit(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	ctx := t.Context()
	a := w.write(ctx, "a", false)
	<-a.begun
	b, c, d := w.waits(ctx, "b", false), w.waits(ctx, "c", false), w.waits(ctx, "d", true)
	a.end <- nil
	<-b.begun
	require.Empty(t, a.done, "not answered before it is committed")
	refused := errors.New("refused")
	b.end <- refused
	<-c.begun
	require.Empty(t, w.notes())
	c.end <- nil
	require.NoError(t, <-a.done)
	require.ErrorIs(t, <-b.done, refused)
	require.NoError(t, <-c.done)
	<-d.begun
	require.Equal(t, "a c", w.notes(), "b alone was taken back, and d is on its own")
	e := w.waits(ctx, "e", false)
	d.end <- nil
	require.NoError(t, <-d.done)
	<-e.begun
	require.Equal(t, "a c d", w.notes(), "nobody joins who wants to be alone")
	e.end <- nil
	require.NoError(t, <-e.done)
}

func TestAStatementThatFailsHarmsItsOwnTransactionOnly(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	ctx := t.Context()
	a := w.write(ctx, "a", false)
	<-a.begun
	same, other := w.waits(ctx, "a", false), w.waits(ctx, "b", false)
	a.end <- nil
	other.end <- nil
	require.ErrorContains(t, <-same.done, "UNIQUE")
	require.NoError(t, <-a.done)
	require.NoError(t, <-other.done)
	require.Equal(t, "a b", w.notes())
}

func TestTheFirstThatFailsTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	ctx := t.Context()
	a := w.write(ctx, "a", false)
	<-a.begun
	b := w.waits(ctx, "b", false)
	a.end <- errors.New("refused")
	require.Error(t, <-a.done)
	b.end <- nil
	require.NoError(t, <-b.done)
	require.Equal(t, "b", w.notes())
}

func TestWhoGivesUpWaitingKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	a := w.write(t.Context(), "a", false)
	<-a.begun
	ctx, cancel := context.WithCancel(t.Context())
	b := w.waits(ctx, "b", false)
	c := w.waits(t.Context(), "c", false)
	cancel()
	require.ErrorIs(t, <-b.done, context.Canceled)
	a.end <- nil
	c.end <- nil
	require.NoError(t, <-a.done)
	require.NoError(t, <-c.done)
	require.Equal(t, "a c", w.notes())
}

// Contexts end at any moment: what was answered with success is there, the rest
// is not, and nobody waits for ever.
func TestManyWritersWhoGiveUpAtAnyMomentLoseNothing(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	const n = 300
	var kept sync.Map
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%17)*time.Millisecond)
			defer cancel()
			name := "w" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
			if err := w.s.TxForTest(ctx, i%13 == 0, func(exec store.Exec) error {
				if err := exec(note, name); err != nil {
					return err
				}
				if i%5 == 0 {
					return errors.New("refused")
				}
				return exec(`UPDATE counters SET value = 2 WHERE name = $1`, name)
			}); err == nil {
				kept.Store(name, true)
			}
		})
	}
	all.Wait()
	rows := 0
	kept.Range(func(any, any) bool { rows++; return true })
	count, err := w.s.QueryForTest(t.Context(), `SELECT count(*) FROM counters WHERE value = 2`)
	require.NoError(t, err)
	stored := 0
	for _, c := range count {
		stored = 10*stored + int(c-'0')
	}
	require.Equal(t, rows, stored)
	last := w.write(t.Context(), "last", true)
	last.end <- nil
	require.NoError(t, <-last.done)
	require.Equal(t, "last", w.notes())
}

func TestAPanicGivesTheWriterBack(t *testing.T) {
	t.Parallel()
	w := startWriters(t)
	ctx := t.Context()
	a := w.write(ctx, "a", false)
	<-a.begun
	panicked := make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		_ = w.s.TxForTest(ctx, false, func(exec store.Exec) error {
			require.NoError(t, exec(note, "p"))
			panic("in the middle")
		})
	}()
	require.Eventually(t, func() bool { return w.s.WaitingForTest() == 1 }, 10*time.Second, time.Millisecond)
	b := w.waits(ctx, "b", false)
	a.end <- nil
	require.Equal(t, "in the middle", <-panicked)
	b.end <- nil
	require.NoError(t, <-a.done)
	require.NoError(t, <-b.done)
	require.Equal(t, "a b", w.notes())
}
