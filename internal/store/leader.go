package store

import (
	"context"
	"database/sql/driver"
	"hash/fnv"
	"sync"
	"time"
)

// leaderRetry is how long a process that is not the leader waits before it
// asks again, and how often a leader makes sure that it still is.
const leaderRetry = time.Second

// leaderPing is how long a leader's connection may take to answer before
// leadership counts as lost.
const leaderPing = 5 * time.Second

// localLeaders are the locks of SQLite databases, whose processes are one.
var localLeaders sync.Map // url+name → *sync.Mutex

// RunAsLeader runs f in one process at a time among all that share the
// database, and returns when ctx is done. f's context ends when leadership may
// be lost; f is called again when it returns.
//
// PostgreSQL holds the lock by a connection (an advisory lock), so that a dead
// process loses it at once.
func (s *Store) RunAsLeader(ctx context.Context, name string, f func(context.Context)) {
	for ctx.Err() == nil {
		s.leadOnce(ctx, name, f)
		select {
		case <-ctx.Done():
		case <-time.After(leaderRetry):
		}
	}
}

func (s *Store) leadOnce(ctx context.Context, name string, f func(context.Context)) {
	if s.d == dialectSQLite {
		v, _ := localLeaders.LoadOrStore(s.url+"#"+name, &sync.Mutex{})
		m := v.(*sync.Mutex)
		if !m.TryLock() {
			return
		}
		defer m.Unlock()
		f(ctx)
		return
	}
	c, err := s.w.Connx(ctx)
	if err != nil {
		return // the database is away; asked again soon
	}
	defer func() { _ = c.Close() }()
	h := fnv.New64a()
	_, _ = h.Write([]byte("kaiwa/" + name)) // a hash never fails
	var got bool
	err = c.GetContext(ctx, &got, `SELECT pg_try_advisory_lock($1)`, int64(h.Sum64()))
	if err == nil && !got {
		return
	}
	// A connection that holds the lock, or may, is thrown away and never
	// reused: whatever happens to it, the lock ends with it.
	defer func() { _ = c.Raw(func(any) error { return driver.ErrBadConn }) }()
	if err != nil {
		return
	}
	term, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		tick := time.NewTicker(leaderRetry)
		defer tick.Stop()
		for {
			select {
			case <-term.Done():
				return
			case <-tick.C:
				ping, done := context.WithTimeout(term, leaderPing)
				err := c.PingContext(ping)
				done()
				if err != nil {
					return
				}
			}
		}
	})
	f(term)
	cancel()
	wg.Wait()
}
