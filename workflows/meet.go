package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
)

// meet finds out who the customer is. When LINE does not say, the conversation
// goes on without a name.
func (c *talk) meet() {
	if !c.profileDue {
		return
	}
	var out activities.ProfileOutput
	in := activities.ProfileInput{ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey}
	if err := workflow.ExecuteActivity(profileLookup(c.ctx), acts.FetchProfile, in).Get(c.ctx, &out); err != nil {
		workflow.GetLogger(c.ctx).Info("no profile", "error", err)
	}
}

// greet says the automated greeting, once a conversation.
func (c *talk) greet() {
	if c.greeted {
		return
	}
	c.greeted = true
	in := activities.AnnounceInput{ID: c.step("greeting"), ConversationID: c.state.ConversationID, Trigger: automessage.Greeting}
	var out activities.AnnounceOutput
	if err := c.do("greet", acts.Announce, in, &out); err != nil {
		workflow.GetLogger(c.ctx).Warn("no greeting", "error", err)
		return
	}
	c.unsent = c.unsent || out.Messages > 0
}
