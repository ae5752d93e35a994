package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
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

// heedLoss gives a conversation to others whose agent is gone. Where it waits,
// the step decides; an agent who has come back by then keeps it.
func (c *talk) heedLoss() {
	if !c.lost {
		return
	}
	c.lost = false
	c.onward("take it from an agent who is gone", activities.TransitionInput{
		ID: c.step(string(conversation.EventAgentLost)), Event: conversation.EventAgentLost,
	})
}

// acceptForAgent accepts an offer for its agent, where the workstream wants
// that. The offer decides, as when its agent does: a supervisor who takes it
// back may be faster.
func (c *talk) acceptForAgent() {
	if c.autoOffer == "" || c.blocked || c.cancelled {
		return
	}
	in := activities.TransitionInput{
		ID:    conversation.DerivedID(conversation.PrefixStep, c.state.ConversationID, "auto_accept", c.autoOffer),
		Event: conversation.EventAccepted, Actor: conversation.Actor{AgentID: c.offeredTo}, OfferID: c.autoOffer,
	}
	c.autoOffer = ""
	c.onward("accept it for its agent", in)
}

// onward carries out a step that nobody asked for. When it is refused, things
// have gone another way, and the conversation stays where it is.
func (c *talk) onward(summary string, in activities.TransitionInput) {
	in.ConversationID, in.ChannelID, in.ChatKey, in.Announce = c.state.ConversationID, c.in.ChannelID, c.in.ChatKey, announcement(in.Event)
	var res activities.TransitionOutput
	if err := c.do(summary, acts.Transition, in, &res); err != nil {
		if refused(err) == conversation.CodeConversationClosed {
			c.ingest() // learns how it was closed
		}
		workflow.GetLogger(c.ctx).Info("a step came too late", "event", in.Event, "error", err)
		return
	}
	c.settle(res)
}

// tellAssigned tells the customer that an agent was found who has yet to come,
// once an offer, where that is switched on.
func (c *talk) tellAssigned() {
	if !c.state.Settings.TellsAssigned || c.offeredTo == "" || c.offeredUntilMS == c.state.ToldMS {
		return
	}
	c.state.ToldMS = c.offeredUntilMS
	in := activities.AnnounceInput{
		ID:             conversation.DerivedID(conversation.PrefixStep, c.state.ConversationID, "assigned", c.state.Epoch, c.offeredUntilMS),
		ConversationID: c.state.ConversationID, Trigger: automessage.AgentAssigned, AgentID: c.offeredTo,
	}
	c.announceAs("say who was found", in)
}
