package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
)

// happening is what a conversation may have to look after.
type happening int

const (
	happenedNothing happening = iota
	happenedCancel
	happenedTurn
	happenedBlock
	happenedRequest
	happenedInbox
	happenedDeadline
	happenedLength
)

// next waits until something happens and says what. What the customer wrote
// comes before a deadline, so that a message in the last second counts.
func (c *talk) next() happening {
	c.setAlarm()
	c.resting = true
	defer func() { c.resting = false }()
	if err := workflow.Await(c.ctx, func() bool { return c.happened() != happenedNothing }); err != nil {
		return happenedCancel // the context is never cancelled; this ends the run rather than spin
	}
	return c.happened()
}

func (c *talk) happened() happening {
	switch {
	case c.cancelled:
		return happenedCancel
	case c.answered != nil:
		return happenedTurn
	case c.blocked:
		return happenedBlock
	case len(c.requests) > 0:
		return happenedRequest
	case c.tooLong():
		// The history is long: nothing new is begun until what is under way is
		// done. The next run begins with an ingest, so nothing is missed.
		if c.quiet() {
			return happenedLength
		}
		return happenedNothing
	case c.arrived():
		return happenedInbox
	case c.alarm.rang:
		return happenedDeadline
	}
	return happenedNothing
}

func (c *talk) tooLong() bool { return workflow.GetInfo(c.ctx).GetContinueAsNewSuggested() }

// quiet tells whether nothing is under way.
func (c *talk) quiet() bool {
	return !c.asking && c.answered == nil && !c.sending && !c.unsent && !c.onErrand && !c.onMenu && workflow.AllHandlersFinished(c.ctx)
}

// continueAsNew goes on in a new run with a short history. Wake-ups that are
// there are taken, because the new run begins with an ingest; nothing yields
// after that.
func (c *talk) continueAsNew() error {
	c.drain()
	next := c.in
	next.State, next.Media = &c.state, c.media
	return workflow.NewContinueAsNewError(c.ctx, Conversation, next)
}

// finish ends the run of a closed conversation. What is still to be sent is
// sent first, and files are fetched. When something waits for the next
// conversation, the run goes on as that, and takes the fetching along, and the
// rich menu.
func (c *talk) finish() error {
	c.explain()
	c.resting = true
	if c.heldMS > 0 {
		c.unsent = true // a closed conversation gets no reply token to wait for
	}
	if err := workflow.Await(c.ctx, func() bool {
		return !c.sending && !c.unsent && (c.nothingBeside() || c.remains || c.arrived())
	}); err != nil {
		return err
	}
	c.startSurvey()
	c.refuseRequests()
	if !c.remains && !c.arrived() {
		return nil
	}
	c.drain()
	return workflow.NewContinueAsNewError(c.ctx, Conversation, conversation.WorkflowInput{
		ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey, Media: c.media, Left: c.state.ConversationID, RichMenu: c.onMenu,
	})
}
