package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// meet finds out who the customer is. When LINE does not say, the conversation
// goes on without a name.
func (c *talk) meet() {
	if !c.profileDue {
		return
	}
	var out activities.ProfileOutput
	in := activities.ProfileInput{ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey}
	if c.quick && workflow.ExecuteLocalActivity(quickLookup(c.ctx), acts.FetchProfile, in).Get(c.ctx, &out) == nil {
		return
	}
	if err := workflow.ExecuteActivity(profileLookup(c.ctx), acts.FetchProfile, in).Get(c.ctx, &out); err != nil {
		workflow.GetLogger(c.ctx).Info("no profile", "error", err)
	}
}

// refresh asks LINE again about a customer or members whose names are old, beside
// the plot: nobody waits for a name that is known. It goes on without them when
// LINE does not tell; the next message asks again, once a while.
func (c *talk) refresh(customer bool, members []string) {
	if !customer && len(members) == 0 || c.refreshing || c.now().Before(c.refreshAfter) {
		return
	}
	c.refreshing = true
	workflow.Go(c.ctx, func(ctx workflow.Context) {
		ctx = profileRefresh(ctx)
		if customer {
			in := activities.ProfileInput{ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey, Refresh: true}
			if err := workflow.ExecuteActivity(ctx, acts.FetchProfile, in).Get(ctx, nil); err != nil {
				workflow.GetLogger(ctx).Info("the profile stays as it was", "error", err)
			}
		}
		if len(members) > 0 {
			in := activities.MembersInput{ChannelID: c.in.ChannelID, IDs: members, Refresh: true}
			if err := workflow.ExecuteActivity(ctx, acts.FetchMembers, in).Get(ctx, nil); err != nil {
				workflow.GetLogger(ctx).Info("names of members stay as they were", "error", err)
			}
		}
		c.refreshing, c.refreshAfter = false, workflow.Now(ctx).Add(refreshPause)
	})
}

// meetMembers finds out who speaks in a group or room.
func (c *talk) meetMembers() {
	if len(c.strangers) == 0 {
		return
	}
	in := activities.MembersInput{ChannelID: c.in.ChannelID, IDs: c.strangers}
	c.strangers = nil
	if c.quick && workflow.ExecuteLocalActivity(quickLookup(c.ctx), acts.FetchMembers, in).Get(c.ctx, nil) == nil {
		return
	}
	if err := workflow.ExecuteActivity(profileLookup(c.ctx), acts.FetchMembers, in).Get(c.ctx, nil); err != nil {
		workflow.GetLogger(c.ctx).Info("no names of members", "error", err)
	}
}

// greet says the automated greeting, once a conversation, and the privacy
// notice before it. Where consent is awaited, it waits as well.
func (c *talk) greet() {
	if c.greeted || c.phase() == conversation.PhaseConsent {
		return
	}
	c.greeted = true
	c.announce("greet", c.step("greeting"), automessage.Greeting)
}

// tellUnshown tells the customer that Kaiwa cannot show what they sent, once
// for all that came together.
func (c *talk) tellUnshown() {
	if !c.unshown {
		return
	}
	c.unshown = false
	c.announce("say what cannot be shown", conversation.DerivedID(conversation.PrefixStep, c.state.ConversationID, "unsupported", c.state.Seen), automessage.UnsupportedMessage)
}

// announce says an automated message.
func (c *talk) announce(summary, step string, trigger automessage.Trigger) {
	c.announceAs(summary, activities.AnnounceInput{ID: step, ConversationID: c.state.ConversationID, Trigger: trigger})
}

func (c *talk) announceAs(summary string, in activities.AnnounceInput) {
	var out activities.AnnounceOutput
	if err := c.do(summary, acts.Announce, in, &out); err != nil {
		workflow.GetLogger(c.ctx).Warn("not announced", "trigger", in.Trigger, "error", err)
		return
	}
	c.unsent = c.unsent || out.Messages > 0
}
