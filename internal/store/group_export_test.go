package store

import (
	"context"
	"time"
)

// Exec runs a statement of a test.
type Exec func(statement string, args ...any) error

// TxForTest runs f in a transaction of the store's.
func (s *Store) TxForTest(ctx context.Context, alone bool, f func(Exec) error) error {
	return s.transact(ctx, alone, func(c conn) error {
		return f(func(q string, args ...any) error {
			_, err := c.exec(ctx, q, args...)
			return err
		})
	})
}

// GroupForTest sets how long transactions may share a commit.
func (s *Store) GroupForTest(d time.Duration) { s.groupTime = d }

// WaitingForTest is how many wait for the writer of SQLite.
func (s *Store) WaitingForTest() int {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	return len(s.turns.waiting)
}
