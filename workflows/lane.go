package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
)

// workLane is the one lane by which messages leave: whenever something waits,
// one activity at a time brings it to LINE, in order. It runs beside the plot,
// so that a slow LINE delays messages and nothing else; it begins when the plot
// rests, so that what one happening causes travels in one call.
//
// While LINE is quick the activity is a local one, within the task at hand: that
// costs one event instead of three and a task, and what happens meanwhile waits
// no longer than LINE takes.
func (c *talk) workLane(ctx workflow.Context) {
	for {
		if err := c.awaitUnsent(ctx); err != nil {
			return
		}
		c.unsent, c.sending = false, true
		quick := c.quick
		c.quick = false
		out := sendWaiting(ctx, c.state.ConversationID, quick)
		c.sending, c.heldMS = false, out.HeldUntil
		c.unsent = c.unsent || out.More
		c.explain()
	}
}

// awaitUnsent waits until the lane has something to do. What is held back for a
// free reply goes when something else wakes the lane, as the customer's next
// message does, or when its time is over.
func (c *talk) awaitUnsent(ctx workflow.Context) error {
	ready := func() bool { return c.unsent && c.resting && c.begun() }
	if c.heldMS > 0 {
		wait := time.UnixMilli(c.heldMS).Sub(workflow.Now(ctx))
		woken, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: max(wait, time.Millisecond), TimerOptions: workflow.TimerOptions{Summary: "send what waits for a free reply"},
		}, ready)
		if err != nil || woken {
			return err
		}
		c.unsent = true
	}
	return workflow.Await(ctx, ready)
}

// sendWaiting brings what waits in a conversation to LINE, within the task at
// hand if LINE is quick.
func sendWaiting(ctx workflow.Context, conversationID string, quick bool) (out activities.SendOutput) {
	in := activities.SendInput{ConversationID: conversationID}
	if quick {
		err := workflow.ExecuteLocalActivity(quickLane(ctx), acts.Send, activities.SendInput{ConversationID: conversationID, Quick: true}).Get(ctx, &out)
		if err == nil {
			return out
		}
		if wait := retryDelay(err); wait > 0 {
			in.NotBefore = workflow.Now(ctx).Add(wait).UnixMilli()
		}
	}
	err := workflow.ExecuteActivity(lane(ctx), acts.Send, in).Get(ctx, &out)
	if err != nil {
		workflow.GetLogger(ctx).Error("the lane stopped; what waits goes with the next message", "error", err)
	}
	return out
}

// retryDelay is how long an activity that failed wants to be left alone.
func retryDelay(err error) time.Duration {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.NextRetryDelay()
	}
	return 0
}
