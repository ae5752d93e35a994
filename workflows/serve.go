package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
)

// heedCustomer moves the conversation when the customer writes in a phase that
// a message ends: parked, it goes back to a queue; in wrap-up, its agent has it
// again.
func (c *talk) heedCustomer() {
	if !c.wrote {
		return
	}
	c.wrote = false
	t, err := conversation.Next(c.phase(), conversation.EventCustomerWrote, conversation.Facts{})
	if err != nil || t.From == t.To {
		return
	}
	in := activities.TransitionInput{
		ID: c.step(string(t.Event)), ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey, Event: t.Event,
	}
	var res activities.TransitionOutput
	if err := c.do("the customer came back", acts.Transition, in, &res); err != nil {
		workflow.GetLogger(c.ctx).Warn("the customer's return changed nothing", "error", err)
		return
	}
	c.settle(res)
}

// route classifies a conversation that has come to wait, and decides its queue.
// It is owed until it is done, whichever run does it; from then on the
// conversation is offered to agents.
func (c *talk) route() {
	if c.phase() != conversation.PhaseQueued || c.state.Routed {
		return
	}
	in := activities.RouteInput{
		ID: c.step(string(conversation.EventRouted)), ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
	}
	var res activities.TransitionOutput
	if err := c.do("classify and route", acts.Route, in, &res); err != nil {
		if refused(err) == conversation.CodeConversationClosed {
			c.ingest() // learns how it was closed
			return
		}
		workflow.GetLogger(c.ctx).Error("not routed; a supervisor can still assign it", "error", err)
		return
	}
	c.settle(res)
}
