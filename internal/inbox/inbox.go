// Package inbox wakes the workflows of LINE chats. The database is the inbox
// and the truth; a wake-up only says "there is something for you", so it may
// be coalesced, repeated or lost: the relay repeats what is lost.
package inbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/wakeup"
)

const (
	// parallel is how many wake-ups one process has under way at once, and
	// busyParallel how many while it is busy, with a busyPause between them.
	// Storing comes first then, for LINE waits for that; and the later a chat is
	// woken the more goes together.
	parallel, busyParallel = 64, 1
	busyPause              = 25 * time.Millisecond
	// A process is busy when so many webhooks wait to be stored, and for busyTime
	// after: commits answer many at once.
	busyWebhooks = 16
	busyTime     = 100 * time.Millisecond
	// waitingChats bounds the chats that wait for their turn. Beyond it the
	// relay has to find them: the events are in the database.
	waitingChats = 20_000
	// signalTime bounds one wake-up.
	signalTime = 5 * time.Second
)

// Waker delivers one wake-up.
type Waker func(ctx context.Context, channelID, chatKey string) error

// Temporal returns the Waker that signals a chat's workflow, starting it if
// none runs.
func Temporal(c client.Client) Waker {
	return func(ctx context.Context, channelID, chatKey string) error {
		return wakeup.Deliver(ctx, c, conversation.SignalWake, StartOptions(channelID, chatKey),
			conversation.WorkflowConversation, conversation.WorkflowInput{ChannelID: channelID, ChatKey: chatKey})
	}
}

// Tasked tells whether a workflow that a Waker wakes has a task to do, waiting or
// under way. When that cannot be found out, it has none.
type Tasked func(ctx context.Context, channelID, chatKey string) bool

// TemporalTasks returns the Tasked of what Temporal wakes.
func TemporalTasks(c client.Client) Tasked {
	return func(ctx context.Context, channelID, chatKey string) bool {
		return hasTask(ctx, c, conversation.WorkflowID(channelID, chatKey))
	}
}

// hasTask reads the state of the latest run, which Temporal has in memory. One
// that was terminated keeps the task that it had.
func hasTask(ctx context.Context, c client.Client, workflowID string) bool {
	run, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	return err == nil && run.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING && run.GetPendingWorkflowTask() != nil
}

// taskTimeout is how long a workflow task may take before Temporal gives it to
// another worker: what a dead worker costs the customer.
const taskTimeout = 5 * time.Second

// StartOptions are how a chat's workflow is started, whoever starts it.
func StartOptions(channelID, chatKey string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       conversation.WorkflowID(channelID, chatKey),
		TaskQueue:                conversation.QueueConversations,
		WorkflowTaskTimeout:      taskTimeout,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "A LINE chat's conversations",
		StaticDetails: "Runs the conversations of one LINE chat of channel `" + channelID + "`, one after the other.\n\n" +
			"- **Cancel** closes the conversation gracefully.\n" +
			"- **Terminate** stops the run; the reconciler, or the customer's next message, takes the conversation up again.\n" +
			"- **Reset** goes back in the plot; what was done is not done twice.",
	}
}

// Signaller delivers wake-ups right after a webhook is stored, in the same
// process. For each chat one is under way at most; what comes meanwhile goes
// together with the next. Another one does the same for surveys, named by their
// conversations instead of chats. It is safe for concurrent use.
type Signaller struct {
	wake   Waker
	tasked Tasked
	logger *slog.Logger
	count  func(outcome string)

	mu      sync.Mutex
	chats   map[key]*chat
	queue   []key
	idle    *sync.Cond
	running int
	taking  int // webhooks that are being stored
	busyTo  time.Time
	calming bool // calm will look whether it is over
	closed  bool // nothing more is taken
	dropped bool // nothing more is delivered
	ctx     context.Context
	cancel  context.CancelFunc
}

type key struct{ channelID, chatKey string }

// chat is a chat with a wake-up waiting or under way.
type chat struct {
	underWay bool
	again    bool // something came while one was under way
	reminder bool // nothing new came: it is for the case that a wake-up was lost
}

// NewSignaller returns a Signaller. Close it.
func NewSignaller(wake Waker, logger *slog.Logger) *Signaller {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Signaller{wake: wake, tasked: func(context.Context, string, string) bool { return false }, logger: logger, count: func(string) {}, chats: map[key]*chat{}, ctx: ctx, cancel: cancel}
	s.idle = sync.NewCond(&s.mu)
	return s
}

// The outcomes of wake-ups, for metrics.
const (
	outcomeDelivered = "delivered"
	outcomeFailed    = "failed"
	outcomeCoalesced = "coalesced" // another one does for both
	outcomeDropped   = "dropped"   // too many waited
	outcomeSpared    = "spared"    // a reminder of one that has a task to do
)

// Counting has a function told what became of each wake-up that is asked for.
// It is called before anything is.
func (s *Signaller) Counting(count func(outcome string)) *Signaller {
	s.count = count
	return s
}

// Sparing has reminders pass over whoever has a task to do anyway. It is called
// before anything is asked for.
func (s *Signaller) Sparing(tasked Tasked) *Signaller {
	s.tasked = tasked
	return s
}

// Notify asks for a chat to be woken. It never blocks.
func (s *Signaller) Notify(channelID, chatKey string) { s.ask(channelID, chatKey, false) }

// Remind is Notify for a chat whose events are unhandled for longer than they
// should be: its wake-up was lost, or there is much to do. A chat with a task to
// do is left alone, for the task takes everything in; another wake-up would only
// make more work where there is too much.
func (s *Signaller) Remind(channelID, chatKey string) { s.ask(channelID, chatKey, true) }

func (s *Signaller) ask(channelID, chatKey string, reminder bool) {
	k := key{channelID, chatKey}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if c := s.chats[k]; c != nil {
		s.count(outcomeCoalesced)
		if !reminder {
			c.again, c.reminder = c.again || c.underWay, false
		}
		return
	}
	if len(s.chats) >= waitingChats {
		s.count(outcomeDropped)
		return
	}
	s.chats[k] = &chat{reminder: reminder}
	s.queue = append(s.queue, k)
	s.hurry()
}

// hurry has what waits delivered by as many as may be.
func (s *Signaller) hurry() {
	for n := len(s.queue); n > 0 && s.running < s.atOnce(); n-- {
		s.running++
		go s.work()
	}
}

// atOnce is how many wake-ups may be under way now.
func (s *Signaller) atOnce() int {
	if s.busy() {
		return busyParallel
	}
	return parallel
}

func (s *Signaller) busy() bool { return !s.closed && time.Now().Before(s.busyTo) }

// pause waits a moment while the process is busy.
func (s *Signaller) pause() {
	s.mu.Lock()
	wait := s.busy()
	s.mu.Unlock()
	if !wait {
		return
	}
	timer := time.NewTimer(busyPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// Taking says that a webhook is being stored, until stored is called.
func (s *Signaller) Taking() (stored func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking++; s.taking >= busyWebhooks {
		s.busyTo = time.Now().Add(busyTime)
		if !s.calming {
			s.calming = true
			time.AfterFunc(busyTime, s.calm)
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taking--
	}
}

// calm has what waits delivered once the process is no longer busy.
func (s *Signaller) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy() {
		time.AfterFunc(time.Until(s.busyTo), s.calm)
		return
	}
	s.calming = false
	s.hurry()
}

// UnderWay tells whether a wake-up of a chat waits or is under way here.
func (s *Signaller) UnderWay(channelID, chatKey string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chats[key{channelID, chatKey}] != nil
}

// Close delivers what it was asked for so far, for at most signalTime, and drops
// the rest; the relay of another process, or of the next start, repeats it.
func (s *Signaller) Close() {
	s.mu.Lock()
	s.closed = true
	s.hurry()
	s.mu.Unlock()
	stop := time.AfterFunc(signalTime, s.drop)
	defer stop.Stop()
	s.mu.Lock()
	for s.running > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	s.cancel()
}

// drop gives up what waits and what is under way.
func (s *Signaller) drop() {
	s.mu.Lock()
	s.queue, s.dropped = nil, true
	s.mu.Unlock()
	s.cancel()
}

// work delivers wake-ups until none waits.
func (s *Signaller) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && s.running <= s.atOnce() {
		k := s.queue[0]
		s.queue = s.queue[1:]
		c := s.chats[k]
		c.underWay, c.again = true, false
		reminder := c.reminder
		s.mu.Unlock()
		s.deliver(k, reminder)
		s.pause()
		s.mu.Lock()
		if c.again && !s.dropped {
			c.underWay = false
			s.queue = append(s.queue, k)
			continue
		}
		delete(s.chats, k)
	}
	s.running--
	s.idle.Broadcast()
	s.hurry()
}

func (s *Signaller) deliver(k key, reminder bool) {
	ctx, cancel := context.WithTimeout(s.ctx, signalTime)
	defer cancel()
	if reminder && s.tasked(ctx, k.channelID, k.chatKey) {
		s.count(outcomeSpared)
		return
	}
	failpoint.Hit("signal.before")
	if err := s.wake(ctx, k.channelID, k.chatKey); err != nil {
		s.count(outcomeFailed)
		s.logger.Warn("a chat was not woken; the relay will do it", slog.String("channel", k.channelID), slog.String("chat", k.chatKey), slog.Any("error", err))
		return
	}
	s.count(outcomeDelivered)
	failpoint.Hit("signal.after")
}
