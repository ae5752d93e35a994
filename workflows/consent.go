package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// askConsent asks whether the customer agrees to the privacy notice, and again
// whenever they write something else: the buttons are only under the last
// message. The answer is found by the ingest that takes it in, which moves the
// conversation on; what was held until then counts as unanswered.
func (c *talk) askConsent() {
	if c.phase() != conversation.PhaseConsent || !c.ask || c.more {
		return
	}
	c.ask = false
	in := activities.AskConsentInput{
		ID:             conversation.DerivedID(conversation.PrefixStep, c.state.ConversationID, "ask", c.state.Seen),
		ConversationID: c.state.ConversationID,
	}
	var out activities.AnnounceOutput
	if err := c.do("ask for consent", acts.AskConsent, in, &out); err != nil {
		workflow.GetLogger(c.ctx).Warn("not asked for consent", "error", err)
		return
	}
	c.unsent = c.unsent || out.Messages > 0
}

// heedRefusal says goodbye to a customer who does not agree. The conversation
// is closed, and what they wrote is deleted.
func (c *talk) heedRefusal() {
	if c.reason == conversation.ReasonConsentRefused {
		c.announce("say goodbye", c.step(string(conversation.EventConsentRefused)), automessage.ConsentRefused)
	}
}
