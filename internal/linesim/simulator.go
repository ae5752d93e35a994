package linesim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Simulator. The zero value is an in-memory one.
type Options struct {
	// Path is the SQLite file that keeps the state over restarts; "" keeps it
	// in memory.
	Path string
	// Logger gets what went wrong inside; nil discards it.
	Logger *slog.Logger
	// Now lets tests move the clock: reply tokens expire, redeliveries fall
	// due, a new month begins. nil is time.Now.
	Now func() time.Time
	// PublicURL is how browsers and bots reach the simulator, for the URLs it
	// makes itself (profile pictures, account linking). See SetPublicURL.
	PublicURL string
	// MaxCalls and MaxDeliveries bound the records Calls and Deliveries give,
	// oldest dropped first; 0 keeps all. Messages, tokens and retry keys are
	// never bounded.
	MaxCalls, MaxDeliveries int
	// WebhookTimeout is how long LINE waits for a 2xx; 0 is LINE's own 2 s.
	WebhookTimeout time.Duration
	// RedeliveryBackoff are the waits between redeliveries, the last one
	// repeating; empty is 1 s, 2 s, 5 s, 10 s, 20 s, 30 s, 60 s. LINE does not
	// disclose its schedule; this one is quick so that tests are.
	RedeliveryBackoff []time.Duration
	// RedeliverFor is how long after the event LINE goes on trying; 0 is 15
	// minutes.
	RedeliverFor time.Duration
}

// Simulator is a stand-in for the LINE Platform: its API hosts, its webhooks
// and its users' phones. All methods may be used concurrently.
type Simulator struct {
	opts   Options
	log    *slog.Logger
	now    func() time.Time
	store  *store
	public atomic.Pointer[string]

	accounts *accounts
	faults   *faultSet
	rates    *rateLimits
	calls    *journal[Call]
	posts    *journal[Delivery]
	hub      *hub
	outbox   *outbox
	clock    *chatClock

	lastMessage atomic.Int64
	observe     atomic.Pointer[func(Call)]
	handler     http.Handler
}

// New opens the state, and resumes the deliveries a former process left.
// Close it when done; ctx only bounds the start.
func New(ctx context.Context, o Options) (*Simulator, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	movable := o.Now != nil
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.WebhookTimeout == 0 {
		o.WebhookTimeout = 2 * time.Second
	}
	if len(o.RedeliveryBackoff) == 0 {
		o.RedeliveryBackoff = []time.Duration{1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}
	}
	if o.RedeliverFor == 0 {
		o.RedeliverFor = 15 * time.Minute
	}
	st, err := openStore(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	s := &Simulator{
		opts:   o,
		log:    o.Logger,
		now:    o.Now,
		store:  st,
		faults: newFaultSet(),
		rates:  newRateLimits(),
		calls:  newJournal[Call](o.MaxCalls),
		posts:  newJournal[Delivery](o.MaxDeliveries),
		hub:    newHub(),
		clock:  newChatClock(),
	}
	s.SetPublicURL(o.PublicURL)
	if err := s.load(ctx, movable); err != nil {
		if cerr := st.close(); cerr != nil {
			err = errors.Join(err, cerr)
		}
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

func (s *Simulator) load(ctx context.Context, movableClock bool) error {
	if err := s.store.prepare(hotStatements...); err != nil {
		return err
	}
	var err error
	if s.accounts, err = loadAccounts(ctx, s.store); err != nil {
		return err
	}
	var last sql.NullInt64
	if err := s.store.r.GetContext(ctx, &last, `SELECT max(id) FROM messages`); err != nil {
		return fmt.Errorf("read last message id: %w", err)
	}
	s.lastMessage.Store(max(last.Int64, firstMessageID))
	s.outbox = newOutbox(s, movableClock)
	return s.outbox.resume(ctx)
}

// hotStatements run for every message.
var hotStatements = []string{
	insertMessage, insertEvent, insertReplyToken, beginAttempt, renewReplyToken, eventDone,
	selectReplyToken, spendReplyToken, selectRetryKey, upsertRetryKey, countMessages, selectBlocked, selectUserExists,
}

// firstMessageID makes ids look like LINE's: 18 digits, beyond what a float
// holds exactly, so that a client that treats them as numbers is found out.
const firstMessageID = 561230966842064896

// SetPublicURL changes where the simulator says it is reached, for when the
// port is only known after listening.
func (s *Simulator) SetPublicURL(u string) { s.public.Store(&u) }

// Observe has a function called with every API call once it is carried out,
// before it is answered; nil ends that. It is called concurrently and holds up
// the answer.
func (s *Simulator) Observe(f func(Call)) {
	if f == nil {
		s.observe.Store(nil)
		return
	}
	s.observe.Store(&f)
}

func (s *Simulator) publicURL() string { return *s.public.Load() }

// Handler serves LINE's API host, its data host, OAuth, the control API below
// /_control/ and the phone page at /, all on one address.
func (s *Simulator) Handler() http.Handler { return s.handler }

// Close stops deliveries and closes the file. A webhook that is in flight
// stays pending and is redelivered by the next New on the same file.
func (s *Simulator) Close() error {
	s.hub.close()
	s.outbox.stop()
	return s.store.close()
}

// chatClock gives each chat strictly increasing event times. Two events of
// one user never share a millisecond at LINE, and clients order by it.
type chatClock struct {
	mu   sync.Mutex
	last map[string]int64
}

func newChatClock() *chatClock { return &chatClock{last: map[string]int64{}} }

func (c *chatClock) next(chat string, now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	ms := max(now.UnixMilli(), c.last[chat]+1)
	c.last[chat] = ms
	return ms
}
