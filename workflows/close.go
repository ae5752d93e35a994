package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// mustClose closes the conversation for a cause of the engine's own, which the
// life table always allows while it is open.
func (c *talk) mustClose(event conversation.Event) {
	if err := c.close(event, c.step(string(event)), conversation.Actor{}, ""); err != nil {
		workflow.GetLogger(c.ctx).Warn("not closed", "event", event, "error", err)
	}
}

// close closes the conversation for a cause, unless something came in that
// lifts the cause. It returns the refusal when the life table has none of it.
func (c *talk) close(event conversation.Event, step string, actor conversation.Actor, dispositionID string) error {
	in := activities.TransitionInput{
		ID: step, ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
		Event: event, Actor: actor, DispositionID: dispositionID,
	}
	if !silent(event) {
		in.Announce = automessage.Closed
	}
	for {
		in.Seen = c.state.Seen
		var res activities.TransitionOutput
		if err := c.do("close", acts.Transition, in, &res); err != nil {
			if refused(err) == conversation.CodeConversationClosed {
				c.ingest() // learns how it was closed
			}
			return err
		}
		if !res.Behind {
			c.remains = res.Unhandled
			c.settle(res)
			return nil
		}
		before := c.state.Unanswered
		c.ingest()
		if c.closed() || lapses(event) && (c.state.Unanswered > before || c.answered != nil) {
			return nil // the customer wrote: that is answered instead
		}
	}
}

// silent tells whether a closing message makes no sense: the customer has
// blocked the account, so nobody would read it.
func silent(event conversation.Event) bool { return event == conversation.EventCustomerBlocked }

// lapses tells whether a message of the customer lifts the cause of closing.
func lapses(event conversation.Event) bool {
	switch event {
	case conversation.EventBotIdle, conversation.EventBotEnded, conversation.EventAutoClosed, conversation.EventTimeoutRule,
		conversation.EventWrapUpDone, conversation.EventWrapUpExpired:
		return true
	}
	return false
}
