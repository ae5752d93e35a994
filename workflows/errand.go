package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
)

// doErrands has done what is due in the chat beside the conversation, beside the
// plot: a new friend is welcomed, a group is left, files that waited for the
// channel's access token are fetched. The database knows what is
// due, so that a run that ends meanwhile leaves the rest to the next.
func (c *talk) doErrands(due bool) {
	c.errands = due
	if !due || c.onErrand {
		return
	}
	c.onErrand = true
	workflow.Go(c.ctx, func(ctx workflow.Context) {
		for c.errands {
			c.errands = false
			in := activities.ErrandsInput{ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey}
			var out activities.ErrandsOutput
			err := workflow.ExecuteActivity(errands(ctx), acts.RunErrands, in).Get(ctx, &out)
			if err != nil && !errors.Is(err, temporal.ErrNoData) { // which an earlier version told
				workflow.GetLogger(ctx).Warn("not done in the chat", "error", err)
			}
			c.fetchMedia(out.Media)
		}
		c.onErrand = false
	})
}
