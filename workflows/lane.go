package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
)

// workLane is the one lane by which messages leave: whenever something waits,
// one activity at a time brings it to LINE, in order. It runs beside the plot,
// so that a slow LINE delays messages and nothing else; it begins when the plot
// rests, so that what one happening causes travels in one call.
func (c *talk) workLane(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return c.unsent && c.resting && c.begun() }); err != nil {
			return
		}
		c.unsent, c.sending = false, true
		more := sendWaiting(ctx, c.state.ConversationID)
		c.sending = false
		c.unsent = c.unsent || more
		c.explain()
	}
}

// sendWaiting brings what waits in a conversation to LINE. It tells whether
// more does.
func sendWaiting(ctx workflow.Context, conversationID string) (more bool) {
	var out activities.SendOutput
	err := workflow.ExecuteActivity(lane(ctx), acts.Send, activities.SendInput{ConversationID: conversationID}).Get(ctx, &out)
	if err != nil {
		workflow.GetLogger(ctx).Error("the lane stopped; what waits goes with the next message", "error", err)
	}
	return out.More
}
