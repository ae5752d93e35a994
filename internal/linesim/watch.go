package linesim

import (
	"maps"
	"slices"
	"sync"
)

// watchers are told what phones show.
type watchers struct {
	mu   sync.Mutex
	made int
	by   map[int]func(ChatMessage)
}

// Watch has f called with every message of an account that a phone shows from
// now on, until stop is called. f must return at once: LINE's answer waits for
// it.
func (s *Simulator) Watch(f func(ChatMessage)) (stop func()) {
	w := &s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[int]func(ChatMessage){}
	}
	w.made++
	id := w.made
	w.by[id] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.by, id)
	}
}

func (w *watchers) tell(shown []ChatMessage) {
	w.mu.Lock()
	list := slices.Collect(maps.Values(w.by))
	w.mu.Unlock()
	for _, f := range list {
		for _, m := range shown {
			f(m)
		}
	}
}
