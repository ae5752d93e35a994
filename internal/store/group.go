package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// SQLite has one writer, and a commit waits until the disk has it. Under load
// transactions therefore share a commit: whoever waits for the writer while
// another transaction works goes on in the same one, behind a savepoint, and
// all are answered when it is committed. One that fails is taken back alone.
// PostgreSQL does as much by itself.

// groupTime and groupSize bound what the first of a group waits for the others.
// While another process waits for the file it is politeTime: webhooks that are to
// be acknowledged wait for what workflows do with earlier ones.
const (
	groupTime  = 25 * time.Millisecond
	politeTime = 5 * time.Millisecond
	groupSize  = 64
)

// group is one SQLite transaction with those of the store's that share it.
// Whoever has the turn has the group.
type group struct {
	tx      *sqlx.Tx
	leave   func()        // lets other processes write
	awaited func() bool   // another process waits for that
	polite  time.Time     // who comes later begins another, while it does
	until   time.Time     // who comes later begins another
	members int           // that are to be committed
	closed  bool          // nobody may join
	lost    error         // SQLite has taken all of it back
	done    chan struct{} // closed once it is over
	err     error         // how it ended, for all members; read after done
}

func (g *group) open() bool {
	now := time.Now()
	return !g.closed && g.lost == nil && g.members < groupSize && now.Before(g.until) && (now.Before(g.polite) || !g.awaited())
}

// run runs one member's part.
func (g *group) run(ctx context.Context, f func() error) (err error) {
	if g.members == 0 {
		g.closed = true // what fails first is taken back with the transaction
		if err := f(); err != nil {
			return err
		}
		g.closed = false
		g.members++
		return nil
	}
	if err := g.do(ctx, "SAVEPOINT member"); err != nil {
		return err
	}
	failed := errors.New("panic")
	defer func() {
		if failed != nil && g.do(ctx, "ROLLBACK TO member") != nil {
			return // nothing is left of the others either
		}
		if err := g.do(ctx, "RELEASE member"); err == nil && failed == nil {
			g.members++
		}
	}()
	failed = f()
	return failed
}

// do runs a statement of the group's own. When that fails, SQLite has ended the
// transaction by itself, as it does when the disk is full.
func (g *group) do(ctx context.Context, q string) error {
	if _, err := g.tx.ExecContext(context.WithoutCancel(ctx), q); err != nil {
		g.lost = fmt.Errorf("the shared transaction was lost: %w", err)
	}
	return g.lost
}

// finish ends the transaction and tells the members.
func (g *group) finish() {
	defer close(g.done)
	defer g.leave()
	switch {
	case g.lost != nil || g.members == 0:
		g.err = g.lost
		_ = g.tx.Rollback() // as it is over, whatever this says
	default:
		if err := g.tx.Commit(); err != nil {
			g.err = fmt.Errorf("commit: %w", err)
			_ = g.tx.Rollback()
		}
	}
}

// turns hands the one writer from one to the next, in the order of asking. The
// zero value is free.
type turns struct {
	mu      sync.Mutex
	busy    bool
	waiting []turn
}

// turn is a wish to write.
type turn struct {
	alone bool        // in a transaction of its own
	come  chan *group // gets the group to join, nil to begin one
}

// take waits for the writer. It returns the group to join, nil to begin one.
func (t *turns) take(ctx context.Context, alone bool) (*group, error) {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return nil, nil
	}
	come := make(chan *group, 1)
	t.waiting = append(t.waiting, turn{alone, come})
	t.mu.Unlock()
	select {
	case g := <-come:
		return g, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	for i, w := range t.waiting {
		if w.come == come {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			t.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	t.mu.Unlock()
	t.give(<-come) // it came in the same moment
	return nil, ctx.Err()
}

// give ends a turn. An open group goes to whoever is next, if they may join it,
// and is committed otherwise; then the writer itself goes on.
func (t *turns) give(g *group) {
	if g != nil {
		if t.pass(g) {
			return
		}
		g.finish()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.busy = false
		return
	}
	t.waiting[0].come <- nil
	t.waiting = t.waiting[1:]
}

func (t *turns) pass(g *group) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 || t.waiting[0].alone || !g.open() {
		return false
	}
	t.waiting[0].come <- g
	t.waiting = t.waiting[1:]
	return true
}

// grouped runs f in a transaction that it may share.
func (s *Store) grouped(ctx context.Context, alone bool, f func(conn) error) error {
	g, err := s.turns.take(ctx, alone)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if g == nil {
		// No member's context may end what others share.
		leave := s.neighbours.enter()
		tx, err := s.w.BeginTxx(context.WithoutCancel(ctx), nil)
		if err != nil {
			leave()
			s.turns.give(nil)
			return fmt.Errorf("begin: %w", err)
		}
		now := time.Now()
		g = &group{tx: tx, leave: leave, awaited: s.neighbours.awaited, polite: now.Add(politeTime), until: now.Add(s.groupTime), done: make(chan struct{})}
	}
	err = func() error {
		defer func() { // also when f panics
			g.closed = g.closed || alone
			s.turns.give(g)
		}()
		return g.run(ctx, func() error { return f(conn{s: s, x: g.tx, whole: true}) })
	}()
	<-g.done
	if g.err != nil {
		return g.err
	}
	return err
}
