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
		if err := workflow.Await(ctx, func() bool { return c.unsent && c.resting && c.begun() }); err != nil {
			return
		}
		c.unsent, c.sending = false, true
		quick := c.quick
		c.quick = false
		more := sendWaiting(ctx, c.state.ConversationID, quick)
		c.sending = false
		c.unsent = c.unsent || more
		c.explain()
	}
}

// sendWaiting brings what waits in a conversation to LINE, within the task at
// hand if LINE is quick. It tells whether more waits.
func sendWaiting(ctx workflow.Context, conversationID string, quick bool) (more bool) {
	var out activities.SendOutput
	in := activities.SendInput{ConversationID: conversationID}
	if quick {
		err := workflow.ExecuteLocalActivity(quickLane(ctx), acts.Send, activities.SendInput{ConversationID: conversationID, Quick: true}).Get(ctx, &out)
		if err == nil {
			return out.More
		}
		if wait := retryDelay(err); wait > 0 {
			in.NotBefore = workflow.Now(ctx).Add(wait).UnixMilli()
		}
	}
	err := workflow.ExecuteActivity(lane(ctx), acts.Send, in).Get(ctx, &out)
	if err != nil {
		workflow.GetLogger(ctx).Error("the lane stopped; what waits goes with the next message", "error", err)
	}
	return out.More
}

// retryDelay is how long an activity that failed wants to be left alone.
func retryDelay(err error) time.Duration {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.NextRetryDelay()
	}
	return 0
}
