package workflows

import (
	"time"

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
	in.FindingsID = c.askServices(in.ID)
	err := c.queueStep(func(res *activities.TransitionOutput) error {
		in.Seen = c.state.Seen
		return c.do("classify and route", acts.Route, in, res)
	})
	if err != nil {
		workflow.GetLogger(c.ctx).Error("not routed; a supervisor can still assign it", "error", err)
	}
}

// tend does what the rules of the conversation's queue want done by now. Where
// there is more, it is due at once.
func (c *talk) tend() {
	err := c.queueStep(func(res *activities.TransitionOutput) error {
		in := activities.TendInput{
			ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey, ByMS: c.now().UnixMilli(), Seen: c.state.Seen,
		}
		return c.do("look after the rules of its queue", acts.Tend, in, res)
	})
	if err != nil {
		c.state.TendMS = 0 // until the next ingest says when
		workflow.GetLogger(c.ctx).Error("the rules of its queue were not looked after", "error", err)
	}
}

// queueStep does a step about a conversation that waits in a queue, which may
// end it: then what came in is taken in first.
func (c *talk) queueStep(do func(*activities.TransitionOutput) error) error {
	for {
		var res activities.TransitionOutput
		if err := do(&res); err != nil {
			if refused(err) == conversation.CodeConversationClosed {
				c.ingest() // learns how it was closed
				return nil
			}
			return err
		}
		if !res.Behind {
			c.remains = res.Unhandled
			c.settle(res)
			return nil
		}
		c.ingest()
		if c.phase() != conversation.PhaseQueued {
			return nil
		}
	}
}

// askServices has the services that classify asked what the conversation is
// about, where the workstream has any, and returns the name of what they found.
// It takes no longer than they may; what is not known by then decides nothing.
func (c *talk) askServices(step string) string {
	if c.state.Settings.ServicesMS == 0 {
		return ""
	}
	in := activities.ClassifyInput{ID: step, ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID}
	var out activities.ClassifyOutput
	deadline := time.Duration(c.state.Settings.ServicesMS) * time.Millisecond
	if err := workflow.ExecuteActivity(classification(c.ctx, deadline), acts.Classify, in).Get(c.ctx, &out); err != nil {
		workflow.GetLogger(c.ctx).Warn("nobody told what the services that classify found", "error", err)
		return activities.FindingsID(step) // it may be stored all the same
	}
	return out.FindingsID
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
