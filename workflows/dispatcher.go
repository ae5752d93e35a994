package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
)

// breath is the least time between a look and one that only time calls for.
const breath = 200 * time.Millisecond

// Dispatcher sees to it that the conversations that wait in queues are offered to
// agents, whatever becomes of the processes that look by themselves when they
// change something (see package dispatch): it looks when it is woken, when time
// changes something, and at the latest every conversation.DispatcherFloor. It
// keeps nothing from one look to the next, and ends when nobody has waited and
// nobody has been there for conversation.DispatcherLinger.
func Dispatcher(ctx workflow.Context) error {
	d := &dispatcher{ctx: ctx, kicks: workflow.GetSignalChannel(ctx, conversation.SignalKick)}
	for {
		d.drain() // one look answers all of them
		if err := d.look(); err != nil {
			return err
		}
		d.rest()
		d.explain()
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			d.drain() // the next run begins with a look
			return workflow.NewContinueAsNewError(ctx, Dispatcher)
		}
		if d.done() {
			return nil
		}
		if err := d.wait(); err != nil {
			return err
		}
	}
}

// dispatcher is one run.
type dispatcher struct {
	ctx   workflow.Context
	kicks workflow.ReceiveChannel
	seen  activities.MatchOutput
	quiet time.Time // since when there is nothing to wait for; zero while there is

	timer time.Time // when the one timer rings; zero when none is set
	rang  bool
	stop  workflow.CancelFunc
}

func (d *dispatcher) drain() {
	for d.kicks.ReceiveAsync(nil) {
	}
}

// look matches once. Its only error is that an operator cancelled the run.
func (d *dispatcher) look() error {
	after := d.seen.After
	d.seen = activities.MatchOutput{}
	err := workflow.ExecuteActivity(matching(d.ctx), acts.Match, activities.MatchInput{After: after}).Get(d.ctx, &d.seen)
	if err != nil && d.ctx.Err() == nil {
		// It is retried without limit, so somebody ended it from outside.
		workflow.GetLogger(d.ctx).Warn("a look was ended from outside; there is another", "error", err)
		d.seen = activities.MatchOutput{Waiting: 1}
		return nil
	}
	return err
}

// rest notes since when there is nothing to wait for.
func (d *dispatcher) rest() {
	switch {
	case d.seen.Waiting+d.seen.Offered+d.seen.Present+d.seen.Absent > 0 || d.seen.More || d.kicks.Len() > 0:
		d.quiet = time.Time{}
	case d.quiet.IsZero():
		d.quiet = workflow.Now(d.ctx)
	}
}

// done tells whether there has been nothing to wait for long enough: whoever has
// woken the run a moment ago counts on it.
func (d *dispatcher) done() bool {
	return !d.quiet.IsZero() && (!d.seen.Lingers || workflow.Now(d.ctx).Sub(d.quiet) >= conversation.DispatcherLinger)
}

// nextLook is when the dispatcher looks without being kicked.
func (d *dispatcher) nextLook() time.Time {
	now := workflow.Now(d.ctx)
	if d.seen.More {
		return now.Add(breath)
	}
	next := now.Add(conversation.DispatcherFloor)
	if at := time.UnixMilli(d.seen.NextMS); d.seen.NextMS != 0 && at.Before(next) {
		next = at
	}
	if next.Before(now.Add(breath)) {
		next = now.Add(breath) // two machines' clocks differ
	}
	return next
}

// wait waits for a kick or for the next look. A timer that rings too early is
// left alone: a look more costs less than a timer more.
func (d *dispatcher) wait() error {
	if d.seen.More && d.seen.Made > 0 {
		return nil // it got on: at once
	}
	if next := d.nextLook(); d.timer.IsZero() || next.Before(d.timer) {
		if !d.timer.IsZero() {
			d.stop()
		}
		d.setTimer(next)
	}
	if err := workflow.Await(d.ctx, func() bool { return d.rang || d.kicks.Len() > 0 }); err != nil {
		return err
	}
	if d.kicks.Len() > 0 {
		d.quiet = time.Time{}
	}
	d.rang = false
	return nil
}

func (d *dispatcher) setTimer(at time.Time) {
	ctx, stop := workflow.WithCancel(d.ctx)
	d.timer, d.stop = at, stop
	timer := workflow.NewTimerWithOptions(ctx, at.Sub(workflow.Now(d.ctx)), workflow.TimerOptions{Summary: "look again at the latest"})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil && d.timer.Equal(at) {
			d.timer, d.rang = time.Time{}, true
		}
	})
}

// explain says in words what the dispatcher waits for. It costs no event.
func (d *dispatcher) explain() {
	text := fmt.Sprintf("**%d wait, %d on offer, %d agents there**\n\n", d.seen.Waiting, d.seen.Offered, d.seen.Present)
	text += fmt.Sprintf("- looked %s: %d offers made, %d ended\n", clock(workflow.Now(d.ctx).UnixMilli()), d.seen.Made, d.seen.Ended)
	if d.done() {
		text += "- nothing to wait for\n"
	} else {
		text += fmt.Sprintf("- looks when something changes, and by %s\n", clock(d.nextLook().UnixMilli()))
	}
	workflow.SetCurrentDetails(d.ctx, text)
}
