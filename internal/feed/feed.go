// Package feed tells the readers of the record of events, in one process, that
// there is something new. It hands out no events: each reader pages through
// the database at its own pace, so a slow one costs no memory.
package feed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kaiwa/internal/store"
)

const (
	// floor is how often the feed looks whatever it was told, and how long it
	// waits before it listens again.
	floor = time.Second
	// pace is the shortest time between two wake-ups of the readers: under load
	// one look of each takes many batches.
	pace = 50 * time.Millisecond
)

// Feed is one look at the record for all readers of a process. It is safe for
// concurrent use.
type Feed struct {
	store *store.Store
	log   *slog.Logger

	mu   sync.Mutex
	more chan struct{}
}

// New makes a Feed that wakes nobody before Run.
func New(s *store.Store, log *slog.Logger) *Feed {
	return &Feed{store: s, log: log, more: make(chan struct{})}
}

// More returns a channel that is closed when there are events that were not
// there at the time of the call. Whoever takes it before it reads misses
// nothing.
func (f *Feed) More() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.more
}

func (f *Feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.more)
	f.more = make(chan struct{})
}

// Run watches the record until ctx is done. While nothing happens it costs one
// statement a second, however many read.
func (f *Feed) Run(ctx context.Context) {
	hint := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { f.listen(ctx, hint) })
	tick := time.NewTicker(floor)
	defer tick.Stop()
	known, away := int64(-1), false
	for {
		last, err := f.store.LastEvent(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !away:
			away = true
			f.log.Warn("the record of events cannot be read; it is tried again every second", slog.Any("error", err))
		case err == nil:
			away = false
			if last != known {
				known = last
				f.wake()
				if !pause(ctx, pace) {
					return
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-hint:
		case <-tick.C:
		}
	}
}

// listen turns what the database tells into hints. Without it readers are a
// second late.
func (f *Feed) listen(ctx context.Context, hint chan<- struct{}) {
	var lost atomic.Bool
	for ctx.Err() == nil {
		err := f.store.ListenForEvents(ctx, func() {
			lost.Store(false)
			select {
			case hint <- struct{}{}:
			default: // one is waiting already
			}
		})
		if err != nil && !lost.Swap(true) {
			f.log.Warn("the database does not tell of new events; they are looked for every second", slog.Any("error", err))
		}
		pause(ctx, floor)
	}
}

// pause waits, and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
