package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// patience is how long something is waited for that takes a moment: a run that
// waits longer says so and ends, rather than hang.
const patience = 2 * time.Minute

// awaited are things that are expected to happen, by name.
type awaited struct {
	mu    sync.Mutex
	marks map[string]*mark
}

// mark is one of them.
type mark struct {
	name string
	done chan struct{}
	at   time.Time // when it happened; to be read once done is closed
}

// expect begins to wait for something, before what causes it is done.
func (a *awaited) expect(name string) *mark {
	m := &mark{name: name, done: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.marks == nil {
		a.marks = map[string]*mark{}
	}
	a.marks[name] = m
	return m
}

// happened notes that something has. What nobody expects is passed over.
func (a *awaited) happened(name string, at time.Time) {
	a.mu.Lock()
	m := a.marks[name]
	delete(a.marks, name)
	a.mu.Unlock()
	if m != nil {
		m.at = at
		close(m.done)
	}
}

// wait returns once it has happened.
func (m *mark) wait(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
		return fmt.Errorf("%s: %w", m.name, errTooSlow)
	}
}

// last is the latest of marks that have all happened.
func last(marks []*mark) (at time.Time) {
	for _, m := range marks {
		if m.at.After(at) {
			at = m.at
		}
	}
	return at
}

// waitAll returns once all of them have happened.
func waitAll(ctx context.Context, marks []*mark) error {
	for _, m := range marks {
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
