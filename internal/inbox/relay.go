package inbox

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

const (
	// relayAge is how long an event may be unhandled before the relay asks for
	// its chat again.
	relayAge = 2 * time.Second
	// relayEvery is how often the relay looks: a lost wake-up costs relayAge,
	// this, and a moment.
	relayEvery = 500 * time.Millisecond
	// relayBatch bounds the chats, and the surveys, of one look beside those that
	// were asked for already.
	relayBatch = 200
	// relayRate bounds the wake-ups of a second, and relayBurst those of one
	// look: an outage's backlog must not become a flood.
	relayRate  = 200
	relayBurst = 100
	// relayMaxWait is how long the relay leaves one alone at most, after wake-ups
	// that brought nothing.
	relayMaxWait = 30 * time.Second
	// rulesSettle is how long a change of rules is known before anybody is woken for
	// it: longer than a step may take that began before, and than what it has kept
	// of the configuration is used. So whoever is woken acts by the new rules, and
	// whoever comes to wait afterwards does anyway.
	rulesSettle = 12 * time.Second
)

// Relay wakes chats whose events stay unhandled, and surveys whose answers do:
// the wake-up was lost with its process, or Temporal was away. One process at a
// time does it.
type Relay struct {
	sources []source
	store   *store.Store
	logger  *slog.Logger
	count   func(source string)
}

// source is one kind of workflow that may wait for a wake-up.
type source struct {
	name      string
	waiting   func(ctx context.Context, before time.Time, limit int) ([]key, error)
	signaller *Signaller
}

// NewRelay returns a Relay that wakes chats and surveys through a Signaller
// each.
func NewRelay(s *store.Store, chats, surveys *Signaller, logger *slog.Logger) *Relay {
	return &Relay{store: s, logger: logger, count: func(string) {}, sources: []source{
		{"chats", func(ctx context.Context, before time.Time, limit int) ([]key, error) {
			list, err := s.UnhandledChats(ctx, before, limit)
			return keys(list, err, func(c store.Chat) key { return key{c.ChannelID, c.ChatKey} })
		}, chats},
		{"surveys", func(ctx context.Context, before time.Time, limit int) ([]key, error) {
			list, err := s.WantedSurveys(ctx, before, limit)
			return keys(list, err, func(w conversation.SurveyInput) key { return key{w.ChannelID, w.ConversationID} })
		}, surveys},
	}}
}

func keys[T any](list []T, err error, of func(T) key) ([]key, error) {
	out := make([]key, len(list))
	for i, t := range list {
		out[i] = of(t)
	}
	return out, err
}

// Counting has a function told of each wake-up that the relay asks for: of
// "chats" or of "surveys". It is called before Run.
func (r *Relay) Counting(count func(source string)) *Relay {
	r.count = count
	return r
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
	sources map[string]*turns
	noticed map[store.RuleChange]time.Time // when it first saw a change that is not spread yet
}

func newTerm() *term { return &term{sources: map[string]*turns{}} }

// turns are whose turn it is in one source.
type turns struct {
	limiter *rate.Limiter
	asked   map[key]patience // what was asked for and waits still
}

func (t *term) of(source string) *turns {
	if t.sources[source] == nil {
		t.sources[source] = &turns{limiter: rate.NewLimiter(relayRate, relayBurst)}
	}
	return t.sources[source]
}

// patience is how long one is left alone after a wake-up.
type patience struct {
	until time.Time
	wait  time.Duration
}

// look asks for those whose turn it is.
func (r *Relay) look(ctx context.Context, now time.Time, t *term) error {
	if err := r.heedRules(ctx, now, t); err != nil {
		return err
	}
	for _, from := range r.sources {
		turns := t.of(from.name)
		waiting, err := from.waiting(ctx, now.Add(-relayAge), relayBatch+len(turns.asked))
		if err != nil {
			return err
		}
		for range turns.ask(waiting, now, from.signaller) {
			r.count(from.name)
		}
	}
	return nil
}

// heedRules has chats wanted whose conversations have a nearer deadline since
// rules were changed, a few at each look.
func (r *Relay) heedRules(ctx context.Context, now time.Time, t *term) error {
	changes, err := r.store.RuleChanges(ctx)
	if err != nil {
		return err
	}
	noticed := map[store.RuleChange]time.Time{}
	for _, c := range changes {
		since, known := t.noticed[c]
		if !known {
			since = now
		}
		if now.Sub(since) < rulesSettle {
			noticed[c] = since
		} else if err := r.store.SpreadRuleChange(ctx, c); err != nil {
			return err
		}
	}
	t.noticed = noticed
	_, err = r.store.WantForRules(ctx)
	return err
}

// ask asks for those whose turn it is, and tells how many they were.
func (t *turns) ask(waiting []key, now time.Time, signaller *Signaller) (n int) {
	asked := make(map[key]patience, len(waiting))
	var due []key
	for _, k := range waiting {
		p, again := t.asked[k]
		if again {
			asked[k] = p
		}
		if !now.Before(p.until) && !signaller.UnderWay(k.channelID, k.chatKey) {
			due = append(due, k)
		}
	}
	t.asked = asked
	// Who was never asked for comes first, then whose turn came earliest: those
	// that cannot be helped take nobody's place, however many they are.
	slices.SortStableFunc(due, func(a, b key) int { return asked[a].until.Compare(asked[b].until) })
	for _, k := range due {
		if !t.limiter.AllowN(now, 1) {
			return n // the others' turn is at the next look
		}
		signaller.Remind(k.channelID, k.chatKey)
		n++
		wait := min(max(2*asked[k].wait, relayAge), relayMaxWait)
		asked[k] = patience{now.Add(wait), wait}
	}
	return n
}
