// Package sequencer numbers the record of events: one process at a time, after
// the transactions that wrote them have committed.
package sequencer

import (
	"context"
	"log/slog"
	"time"

	"kaiwa/internal/store"
)

// every is how soon an event gets its number when nothing else hurries.
const every = 100 * time.Millisecond

// Run numbers events until ctx is done.
func Run(ctx context.Context, s *store.Store, logger *slog.Logger) {
	s.RunAsLeader(ctx, "sequencer", func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			n, err := s.SequenceEvents(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				logger.Warn("events could not be numbered; it is tried again", slog.Any("error", err))
			case n > 0:
				continue // there may be more
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}
