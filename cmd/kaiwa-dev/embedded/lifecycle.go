package embedded

import (
	"runtime"
	"sync"
)

// phase is where the server stands.
type phase int

const (
	assembling phase = iota // its parts are made, one after the other in one goroutine
	starting                // the parts are started, each in goroutines of its own
	working
	stopping
)

// lifecycle follows the server through its phases and decides what becomes of
// Logger.Fatal, which the server calls where it cannot go on and which must not
// return.
type lifecycle struct {
	mu     sync.Mutex
	phase  phase
	reason error
	ended  chan struct{}
}

func newLifecycle() *lifecycle {
	return &lifecycle{ended: make(chan struct{})}
}

// giveUp keeps the first reason and ends as little as it can:
//   - assembling, it panics up to assemble (the server's sync.OnceValue does not
//     let Goexit pass);
//   - starting and stopping, it ends the calling goroutine, which others see as a
//     failure or do not miss;
//   - working, it takes the process down, as Temporal's own binary does.
func (l *lifecycle) giveUp(reason error) {
	l.mu.Lock()
	at := l.phase
	if l.reason == nil {
		l.reason = reason
		close(l.ended)
	}
	l.mu.Unlock()
	switch at {
	case starting, stopping:
		runtime.Goexit()
	default:
		panic("temporal: " + reason.Error())
	}
}

// assemble calls f and returns the reason if f gives up.
func (l *lifecycle) assemble(f func() error) (err error) {
	defer func() {
		if reason := l.gaveUp(); reason != nil && recover() != nil {
			err = reason
		}
	}()
	return f()
}

func (l *lifecycle) enter(p phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = p
}

func (l *lifecycle) is(p phase) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == p
}

// gaveUp is the first reason, nil while there is none.
func (l *lifecycle) gaveUp() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// done is closed with the first reason.
func (l *lifecycle) done() <-chan struct{} { return l.ended }
