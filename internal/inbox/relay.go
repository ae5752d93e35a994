package inbox

import (
	"context"
	"log/slog"
	"slices"
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
	// relayBatch bounds the chats of one look beside those that were asked for
	// already.
	relayBatch = 200
	// relayRate bounds the wake-ups of a second, and relayBurst those of one
	// look: an outage's backlog must not become a flood.
	relayRate  = 200
	relayBurst = 100
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

func (r *Relay) lead(ctx context.Context) {
	t := newTerm()
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.look(ctx, time.Now(), t); err != nil && ctx.Err() == nil {
			r.logger.Warn("the relay cannot look for unhandled events", slog.Any("error", err))
		}
	}
}

// term is what a leader remembers from one look to the next.
type term struct {
	limiter *rate.Limiter
	asked   map[store.Chat]patience // chats that were asked for and are unhandled still
}

func newTerm() *term {
	return &term{rate.NewLimiter(relayRate, relayBurst), map[store.Chat]patience{}}
}

// patience is how long a chat is left alone after a wake-up.
type patience struct {
	until time.Time
	wait  time.Duration
}

// look asks for the chats whose turn it is.
func (r *Relay) look(ctx context.Context, now time.Time, t *term) error {
	chats, err := r.store.UnhandledChats(ctx, now.Add(-relayAge), relayBatch+len(t.asked))
	if err != nil {
		return err
	}
	asked := make(map[store.Chat]patience, len(chats))
	var due []store.Chat
	for _, c := range chats {
		p, again := t.asked[c]
		if again {
			asked[c] = p
		}
		if !now.Before(p.until) && !r.signaller.UnderWay(c.ChannelID, c.ChatKey) {
			due = append(due, c)
		}
	}
	t.asked = asked
	// Who was never asked for comes first, then whose turn came earliest: chats
	// that cannot be helped take nobody's place, however many they are.
	slices.SortStableFunc(due, func(a, b store.Chat) int { return asked[a].until.Compare(asked[b].until) })
	for _, c := range due {
		if !t.limiter.AllowN(now, 1) {
			return nil // the others' turn is at the next look
		}
		r.signaller.Notify(c.ChannelID, c.ChatKey)
		wait := min(max(2*asked[c].wait, relayAge), relayMaxWait)
		asked[c] = patience{now.Add(wait), wait}
	}
	return nil
}
