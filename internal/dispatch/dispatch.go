// Package dispatch has waiting conversations offered to agents. The database is
// the truth of who waits and who is free, and a look at it (store.Match) may be
// made at any time by anybody.
//
// Whoever changes something looks at once, in the process that has changed it.
// That it happens all the same when the process dies, and whatever time alone
// brings about, is the part of the Dispatcher, a workflow: it looks every few
// seconds while anybody waits or is there, and is woken when it may not run.
package dispatch

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/wakeup"
)

const (
	// lookPause and lookRest are the least and the most that one process rests
	// from a look to the next, and between them as long as the look took: at most 20
	// a second, and half of one connection's time. On a busy machine a look takes long
	// because it waits for a processor, and who has just come waits for the rest.
	lookPause = 50 * time.Millisecond
	lookRest  = 250 * time.Millisecond
	// wakePause is the least time between two wake-ups of the workflow by one
	// process. It goes on for conversation.DispatcherLinger after the last one.
	wakePause = 5 * time.Second
	// lookRetry and wakeRetry are the most that passes until what failed is tried
	// again: somebody waits for a look, and nobody for the workflow.
	lookRetry = time.Second
	wakeRetry = 10 * time.Second
	// breath is the time between two looks when the first left something to do
	// and got on with nothing: somebody else was changing what it wanted to.
	breath = 100 * time.Millisecond
)

// Wake returns what wakes the Dispatcher, starting it if it does not run.
func Wake(c client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		return wakeup.Deliver(ctx, c, conversation.SignalKick, StartOptions(), conversation.WorkflowDispatcher)
	}
}

// StartOptions are how the Dispatcher is started, whoever starts it.
func StartOptions() client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       conversation.WorkflowDispatcherID,
		TaskQueue:                conversation.QueueRouting,
		WorkflowTaskTimeout:      5 * time.Second,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "Offers waiting conversations to agents",
		StaticDetails: "Matches the conversations that wait in queues with the agents who are free. Processes look by themselves when they change something; this run looks when time changes something, and every ten seconds in any case. It keeps nothing: all it decides by is in the database. It ends when there has been nothing to do for a while, and is started when there is.\n\n" +
			"- **Cancel** and **Terminate** end the run; the next thing that happens, or the reconciler within a minute, starts another. Offers stay as they are.\n" +
			"- **Reset** is harmless: each look begins with what the database says then.",
	}
}

// Dispatcher is the part that one process has in dispatching. It is safe for
// concurrent use.
type Dispatcher struct {
	*Looker
	looks, wakes *kicker

	mu    sync.Mutex
	timer *time.Timer // of the next look that time alone calls for; nil while there is none
	at    time.Time
}

// New returns a Dispatcher that looks by looker and has wake wake the workflow.
// Close it.
func New(looker *Looker, wake func(context.Context) error) *Dispatcher {
	d := &Dispatcher{Looker: looker}
	d.looks = newKicker("looking who waits", d.lookThrough, lookPause, lookRest, lookRetry, looker.Logger)
	d.wakes = newKicker("waking the dispatcher", wake, wakePause, wakePause, wakeRetry, looker.Logger)
	return d
}

// Counting has a function told what became of each wake-up that is asked for:
// delivered, failed, or coalesced with another. It is called before anything is.
func (d *Dispatcher) Counting(count func(outcome string)) *Dispatcher {
	d.wakes.count = count
	return d
}

// Kick says that something changed that assignment goes by: this process looks,
// at once or together with what else changes within a moment, and sees to it that
// the workflow runs. It never blocks, and may get lost without harm.
func (d *Dispatcher) Kick(ctx context.Context) {
	d.wakes.ask(ctx)
	d.looks.ask(ctx)
}

// Close looks once more if that is owed, and takes no more.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.mu.Unlock()
	var both sync.WaitGroup
	both.Go(d.looks.close)
	both.Go(d.wakes.close)
	both.Wait()
}

// lookThrough looks until there is nothing more to do at once.
func (d *Dispatcher) lookThrough(ctx context.Context) error {
	var req store.MatchRequest
	for {
		req.Deadline, _ = ctx.Deadline()
		res, err := d.Look(ctx, req)
		if err != nil {
			return err
		}
		if req.After = res.After; !res.More {
			d.lookAt(ctx, res.NextAt)
			return nil
		}
		if res.Made > 0 {
			continue
		}
		select {
		case <-time.After(breath):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookAt has this process look at a time. What is farther away is left to the
// workflow, which looks before that and then knows of it.
func (d *Dispatcher) lookAt(ctx context.Context, at time.Time) {
	now := time.Now()
	if at.IsZero() || at.After(now.Add(conversation.DispatcherFloor)) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.at.After(now) && !at.Before(d.at) {
		return
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	ctx = context.WithoutCancel(ctx)
	d.at = at
	d.timer = time.AfterFunc(max(lookPause, at.Sub(now)+time.Millisecond), func() { d.looks.ask(ctx) })
}
