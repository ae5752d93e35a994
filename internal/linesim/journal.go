package linesim

import "sync"

// journal is an append-only record in memory, optionally bounded.
type journal[T any] struct {
	mu    sync.Mutex
	limit int
	items []T
}

func newJournal[T any](limit int) *journal[T] { return &journal[T]{limit: limit} }

func (j *journal[T]) add(v T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.items = append(j.items, v)
	// Trimmed at twice the bound, so that appending stays cheap.
	if j.limit > 0 && len(j.items) >= 2*j.limit {
		j.items = append([]T(nil), j.items[len(j.items)-j.limit:]...)
	}
}

// last gives the newest n items that keep accepts, oldest first; n 0 is all.
func (j *journal[T]) last(n int, keep func(T) bool) []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	items := j.items
	if j.limit > 0 && len(items) > j.limit {
		items = items[len(items)-j.limit:]
	}
	out := make([]T, 0, min(len(items), 64))
	for i := len(items) - 1; i >= 0; i-- {
		if !keep(items[i]) {
			continue
		}
		if out = append(out, items[i]); n > 0 && len(out) == n {
			break
		}
	}
	for i, k := 0, len(out)-1; i < k; i, k = i+1, k-1 {
		out[i], out[k] = out[k], out[i]
	}
	return out
}

func (j *journal[T]) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.items = nil
}
