// Package sequencer numbers the record of events: one process at a time, after
// the transactions that wrote them have committed.
package sequencer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kaiwa/internal/store"
)

const (
	// every is how often it looks whatever it was told: a hint may be lost, and
	// SQLite gives none to another process.
	every = 100 * time.Millisecond
	// After a look it waits restShare times as long as that took, within minRest
	// and maxRest: numbering costs an idle machine nothing and a busy one little,
	// since one look numbers what many transactions have written meanwhile.
	restShare        = 5
	minRest, maxRest = 2 * time.Millisecond, 50 * time.Millisecond
)

// Run numbers events until ctx is done.
func Run(ctx context.Context, s *store.Store, logger *slog.Logger) {
	s.RunAsLeader(ctx, "sequencer", func(ctx context.Context) {
		hint := make(chan struct{}, 1)
		var listening sync.WaitGroup
		defer listening.Wait()
		listening.Go(func() { listen(ctx, s, hint, logger) })
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			began := time.Now()
			n, err := s.SequenceEvents(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				logger.Warn("events could not be numbered; it is tried again", slog.Any("error", err))
			case n > 0:
				if !wait(ctx, min(max(restShare*time.Since(began), minRest), maxRest)) {
					return
				}
				if n == store.SequenceLimit {
					continue // there is more
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-hint:
			case <-tick.C:
			}
		}
	})
}

// listen turns what the database tells into hints. Without it events get their
// numbers a little later.
func listen(ctx context.Context, s *store.Store, hint chan<- struct{}, logger *slog.Logger) {
	for {
		err := s.ListenForRecords(ctx, func() {
			select {
			case hint <- struct{}{}:
			default: // one is waiting already
			}
		})
		if err != nil && ctx.Err() == nil {
			logger.Debug("the database does not tell what is to be numbered", slog.Any("error", err))
		}
		if !wait(ctx, time.Second) {
			return
		}
	}
}

// wait waits, and tells whether ctx still lives.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
