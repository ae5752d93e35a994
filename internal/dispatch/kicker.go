package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// kickTime bounds one attempt.
	kickTime = 5 * time.Second
	// firstRetry is how long an attempt that failed waits until it is made again;
	// after each more it waits twice as long.
	firstRetry = 500 * time.Millisecond
)

// kicker does something on behalf of one process: at once when it was quiet, and
// otherwise together with whatever else asks meanwhile. What does not succeed is
// repeated until it does. It is safe for concurrent use.
type kicker struct {
	kick   func(context.Context) error
	what   string        // for the log
	pause  time.Duration // the least that it rests after one; otherwise as long as that took
	most   time.Duration // the most that it does
	retry  time.Duration // the most that an attempt that failed waits
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

func newKicker(what string, kick func(context.Context) error, pause, most, retry time.Duration, logger *slog.Logger) *kicker {
	k := &kicker{kick: kick, what: what, pause: pause, most: most, retry: retry, logger: logger, count: func(string) {}, closing: make(chan struct{})}
	k.idle = sync.NewCond(&k.mu)
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// ask asks for it to be done. It never blocks, and does what it does whether ctx,
// whose values the attempt carries, ends or not.
func (k *kicker) ask(ctx context.Context) {
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

// close does what is still owed, once and within kickTime, and takes no more: what
// does not succeed then, the dispatcher's next look finds.
func (k *kicker) close() {
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

// work goes on until nobody has asked since the last attempt began.
func (k *kicker) work(ctx context.Context) {
	wait := firstRetry
	for {
		last, begun := k.isClosed(), time.Now()
		if k.attempt(ctx) {
			wait = firstRetry
			k.rest(min(max(k.pause, time.Since(begun)), k.most))
		} else {
			k.owe()
			k.rest(wait)
			wait = min(2*wait, k.retry)
		}
		if k.done(last) {
			return
		}
	}
}

func (k *kicker) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// owe notes that what was asked for is not done.
func (k *kicker) owe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.again = true
}

func (k *kicker) attempt(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, kickTime)
	defer cancel()
	defer context.AfterFunc(k.life, cancel)()
	if err := k.kick(ctx); err != nil {
		k.count("failed")
		k.logger.Warn(k.what+" failed; it is tried again", slog.Any("error", err))
		return false
	}
	k.count("delivered")
	return true
}

func (k *kicker) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.closing:
	}
}

// done tells whether there is nothing more to do, and says so to others. The
// last attempt is the last, whatever is owed.
func (k *kicker) done(last bool) bool {
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
