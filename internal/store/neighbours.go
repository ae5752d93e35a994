package store

import "time"

// Processes that write to one SQLite file are kept apart by SQLite itself, but
// not in turn: who waits for the file asks now and then, up to 100 ms apart, and
// a process with much to write has taken it again by then. An API next to a busy
// worker would answer hardly any webhook. So they also queue, for two locks
// that are nothing but manners: who wants to write takes the first one, waits
// with it for the second, gives the first one back, and the second when it has
// written. Two processes that both have much to write thus take turns.
const (
	// askAgain is how often a lock is asked for, mannersTime how long at most:
	// somebody who holds it may be stopped, and SQLite decides in any case.
	askAgain    = 300 * time.Microsecond
	mannersTime = 500 * time.Millisecond
)

// enter waits for this process's turn at the file, and returns what ends it.
func (n *neighbours) enter() (leave func()) {
	if n == nil {
		return func() {}
	}
	until := time.Now().Add(n.patience)
	if !n.first.take(until) {
		return func() {}
	}
	defer n.first.give()
	if !n.second.take(until) {
		return func() {}
	}
	return n.second.give
}

// awaited tells whether another process waits for its turn. Who asks has the
// turn.
func (n *neighbours) awaited() bool {
	if n == nil {
		return false
	}
	if !n.first.take(time.Time{}) {
		return true
	}
	n.first.give()
	return false
}
