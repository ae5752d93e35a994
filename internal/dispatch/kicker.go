// Package dispatch wakes the Dispatcher, the workflow that offers waiting
// conversations to agents. The database is the truth of who waits and who is
// free; a kick only says "something changed", so it may be coalesced, repeated
// or lost: the dispatcher looks every few seconds while anything waits.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/conversation"
	"kaiwa/internal/wakeup"
)

const (
	// pause is the least time between two kicks of one process: at most 20 a
	// second, whatever happens.
	pause = 50 * time.Millisecond
	// kickTime bounds one kick.
	kickTime = 5 * time.Second
	// firstRetry and lastRetry bound how long a kick that failed waits until it
	// is tried again.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Temporal returns what kicks the dispatcher, starting it if it does not
// run.
func Temporal(c client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		return wakeup.Deliver(ctx, c, conversation.SignalKick, StartOptions(), conversation.WorkflowDispatcher)
	}
}

// StartOptions are how the dispatcher is started, whoever starts it.
func StartOptions() client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       conversation.WorkflowDispatcherID,
		TaskQueue:                conversation.QueueRouting,
		WorkflowTaskTimeout:      5 * time.Second,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "Offers waiting conversations to agents",
		StaticDetails: "Matches the conversations that wait in queues with the agents who are free. It keeps nothing: all it decides by is in the database. It ends when there is nothing to do, and is started when there is.\n\n" +
			"- **Cancel** and **Terminate** end the run; the next thing that happens, or the reconciler within a minute, starts another. Offers stay as they are.\n" +
			"- **Reset** is harmless: each look begins with what the database says then.",
	}
}

// Kicker kicks the dispatcher on behalf of one process: at once when it was
// quiet, and otherwise together with whatever else asks meanwhile. A kick that
// does not come through is repeated until one does. It is safe for concurrent
// use.
type Kicker struct {
	kick   func(context.Context) error
	logger *slog.Logger
	count  func(outcome string)

	mu      sync.Mutex
	running bool
	again   bool
	closed  bool
	idle    *sync.Cond
	closing chan struct{}
	life    context.Context // ends when closing has taken long enough
	end     context.CancelFunc
}

// NewKicker returns a Kicker. Close it.
func NewKicker(kick func(context.Context) error, logger *slog.Logger) *Kicker {
	k := &Kicker{kick: kick, logger: logger, count: func(string) {}, closing: make(chan struct{})}
	k.idle = sync.NewCond(&k.mu)
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// Counting has a function told what became of each kick that is asked for:
// delivered, failed, or coalesced with another. It is called before anything is.
func (k *Kicker) Counting(count func(outcome string)) *Kicker {
	k.count = count
	return k
}

// Kick asks for the dispatcher to look. It never blocks, and does what it does
// whether ctx, whose values the call to Temporal carries, ends or not.
func (k *Kicker) Kick(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
	case k.running:
		k.count("coalesced")
		k.again = true
	default:
		k.running = true
		go k.work(context.WithoutCancel(ctx))
	}
}

// Close makes the kick that is still owed, once and within kickTime, and takes no
// more: what does not come through then, the dispatcher's next look finds.
func (k *Kicker) Close() {
	defer k.end()
	late := time.AfterFunc(kickTime, k.end)
	defer late.Stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		close(k.closing)
	}
	for k.running {
		k.idle.Wait()
	}
}

// work kicks until nobody has asked since the last kick began.
func (k *Kicker) work(ctx context.Context) {
	wait := firstRetry
	for {
		last := k.isClosed()
		if k.deliver(ctx) {
			wait = firstRetry
			k.rest(pause)
		} else {
			k.owe()
			k.rest(wait)
			wait = min(2*wait, lastRetry)
		}
		if k.done(last) {
			return
		}
	}
}

func (k *Kicker) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// owe notes that the kick that was asked for has not come through.
func (k *Kicker) owe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.again = true
}

func (k *Kicker) deliver(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, kickTime)
	defer cancel()
	defer context.AfterFunc(k.life, cancel)()
	if err := k.kick(ctx); err != nil {
		k.count("failed")
		k.logger.Warn("the dispatcher was not kicked; it is tried again", slog.Any("error", err))
		return false
	}
	k.count("delivered")
	return true
}

func (k *Kicker) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.closing:
	}
}

// done tells whether there is nothing more to do, and says so to others. The
// last kick is the last, whatever is owed.
func (k *Kicker) done(last bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.again && !last && k.life.Err() == nil {
		k.again = false
		return false
	}
	k.running = false
	k.idle.Broadcast()
	return true
}
