package inbox

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"kaiwa/internal/store"
)

const (
	// relayAge is how long an event may be unhandled before the relay asks for
	// its chat again.
	relayAge = 2 * time.Second
	// relayEvery is how often the relay looks: a lost wake-up costs relayAge,
	// this, and a moment.
	relayEvery = 500 * time.Millisecond
	// relayBatch bounds the chats of one look beside those that are left alone for now, relayRate those of one second:
	// an outage's backlog must not become a flood.
	relayBatch = 200
	relayRate  = 200
	// relayMaxWait is how long the relay leaves a chat alone at most, after
	// wake-ups that brought nothing.
	relayMaxWait = 30 * time.Second
)

// Relay wakes chats whose events stay unhandled: the wake-up was lost with its
// process, or Temporal was away. One process at a time does it.
type Relay struct {
	store     *store.Store
	signaller *Signaller
	logger    *slog.Logger
}

// NewRelay returns a Relay that wakes through a Signaller.
func NewRelay(s *store.Store, signaller *Signaller, logger *slog.Logger) *Relay {
	return &Relay{s, signaller, logger}
}

// Run works until ctx is done.
func (r *Relay) Run(ctx context.Context) {
	r.store.RunAsLeader(ctx, "relay", r.lead)
}

// patience is how long a chat is left alone after a wake-up.
type patience struct {
	until time.Time
	wait  time.Duration
}

func (r *Relay) lead(ctx context.Context) {
	limiter := rate.NewLimiter(relayRate, relayRate/4)
	waits := map[store.Chat]patience{}
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		chats, err := r.store.UnhandledChats(ctx, now.Add(-relayAge), relayBatch+len(waits))
		if err != nil {
			if ctx.Err() == nil {
				r.logger.Warn("the relay cannot look for unhandled events", slog.Any("error", err))
			}
			continue
		}
		still := make(map[store.Chat]patience, len(chats))
		for _, c := range chats {
			p := waits[c]
			if now.After(p.until) && !r.signaller.UnderWay(c.ChannelID, c.ChatKey) {
				if limiter.Wait(ctx) != nil {
					return
				}
				r.signaller.Notify(c.ChannelID, c.ChatKey)
				p.wait = min(max(2*p.wait, relayAge), relayMaxWait)
				p.until = now.Add(p.wait)
			}
			still[c] = p
		}
		waits = still
	}
}
