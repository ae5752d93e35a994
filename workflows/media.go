package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
)

// mediaAtOnce is how many files of one conversation are fetched at once.
const mediaAtOnce = 20

// fetchMedia has files fetched, beside the plot: a slow one delays only itself.
// What was fetched stands in the database; the plot hears of it only when there
// is something to say.
//
// Files are in the state until they are done, so the next run goes on with
// them: fetching is begun again there, and the activity does not mind. A closed
// conversation waits for its files (see finish), unless there is a next one,
// which then takes them along. The wait is bounded, because the activity is: by
// mediaBudget, and its own idea of what is too late.
func (c *talk) fetchMedia(ids []string) {
	for _, id := range ids {
		if slices.Contains(c.media, id) {
			continue
		}
		c.media = append(c.media, id)
		workflow.Go(c.ctx, func(ctx workflow.Context) {
			if err := workflow.Await(ctx, func() bool { return c.fetching < mediaAtOnce }); err != nil {
				return
			}
			c.fetching++
			c.fetchOne(ctx, id)
			c.fetching--
			c.media = slices.DeleteFunc(c.media, func(m string) bool { return m == id })
		})
	}
}

func (c *talk) fetchOne(ctx workflow.Context, id string) {
	var out activities.MediaOutput
	if err := workflow.ExecuteActivity(media(ctx), acts.FetchMedia, activities.MediaInput{AttachmentID: id}).Get(ctx, &out); err != nil {
		workflow.GetLogger(ctx).Error("a file was not fetched; the sweep ends it", "attachment", id, "error", err)
		return
	}
	switch {
	case out.Messages == 0:
	case out.ConversationID == c.state.ConversationID:
		c.unsent = true
	default:
		c.sendFor(ctx, out.ConversationID)
	}
}

// sendFor sends what waits in a conversation that an earlier run closed, whose
// lane is no more.
func (c *talk) sendFor(ctx workflow.Context, conversationID string) {
	for more := true; more; {
		var out activities.SendOutput
		if err := workflow.ExecuteActivity(lane(ctx), acts.Send, activities.SendInput{ConversationID: conversationID}).Get(ctx, &out); err != nil {
			workflow.GetLogger(ctx).Error("what was to be said about a file was not sent", "conversation", conversationID, "error", err)
			return
		}
		more = out.More
	}
}

// nothingBeside tells whether nothing is done beside the plot but sending.
func (c *talk) nothingBeside() bool { return len(c.media) == 0 && !c.onErrand && !c.onMenu }

// awaitMedia waits until no file is being fetched, no errand done and no rich menu
// shown, or something arrives.
func (c *talk) awaitMedia() error {
	return workflow.Await(c.ctx, func() bool { return c.nothingBeside() || c.arrived() })
}
