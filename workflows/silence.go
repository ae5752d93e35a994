package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// expectSilence has the time-out rules looked after when one may be due, if
// anybody has just said something. Whether they have, the database knows when the
// time has come: what an agent writes is no event of its own here.
func (c *talk) expectSilence() {
	shortest := c.state.Settings.SilenceS * 1000
	if shortest == 0 || c.phase() != conversation.PhaseServed {
		c.state.SilenceMS = 0
		return
	}
	if at := c.now().UnixMilli() + shortest; c.state.SilenceMS == 0 || at < c.state.SilenceMS {
		c.state.SilenceMS = at
	}
}

// heedNewRules has the time-out rules looked after at once, because they are
// others than before: one of them may be due already in the silence that there
// is.
func (c *talk) heedNewRules() {
	if c.state.SilenceMS != 0 {
		c.state.SilenceMS, c.state.SilentMS = c.now().UnixMilli(), 0
	}
}

// heedSilence has the time-out rules act that are due.
func (c *talk) heedSilence() {
	in := activities.SilenceInput{
		ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, AfterMS: c.state.SilentMS, ByMS: c.now().UnixMilli(),
	}
	var out activities.SilenceOutput
	if err := c.do("look after the time-out rules", acts.Silence, in, &out); err != nil {
		c.state.SilenceMS = 0 // until somebody says something
		workflow.GetLogger(c.ctx).Error("the time-out rules were not looked after", "error", err)
		return
	}
	c.state.SilenceMS, c.state.SilentMS = out.NextMS, in.ByMS
	c.unsent = c.unsent || out.Messages > 0
	switch out.Step {
	case conversation.EventParked:
		c.parkSilent()
	case conversation.EventTimeoutRule:
		c.mustClose(conversation.EventTimeoutRule)
	}
}

// parkSilent sets the conversation aside on behalf of a time-out rule.
func (c *talk) parkSilent() {
	in := activities.TransitionInput{
		ID: c.step(string(conversation.EventParked)), ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
		Event: conversation.EventParked, Note: string(conversation.EventTimeoutRule), Announce: automessage.SessionEnded,
	}
	var res activities.TransitionOutput
	if err := c.do("set it aside", acts.Transition, in, &res); err != nil {
		if refused(err) == conversation.CodeConversationClosed {
			c.ingest() // learns how it was closed
		}
		workflow.GetLogger(c.ctx).Warn("not set aside", "error", err)
		return
	}
	c.settle(res)
}
