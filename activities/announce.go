package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// AnnounceInput asks for an automated message.
type AnnounceInput struct {
	ID             string              `json:"id"` // names the step: the message is stored once
	ConversationID string              `json:"conversation_id"`
	Trigger        automessage.Trigger `json:"trigger"`
	AgentID        string              `json:"agent_id,omitempty"` // whom it names; "" is the conversation's
}

// AnnounceOutput says how many messages wait to be sent.
type AnnounceOutput struct {
	Messages int `json:"messages"`
}

// Announce stores an automated message, if its trigger is on.
func (a *Activities) Announce(ctx context.Context, in AnnounceInput) (AnnounceOutput, error) {
	conv, err := a.store.Conversation(ctx, in.ConversationID)
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	plan, err := a.plans.get(ctx, conv.ChannelID)
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	if in.AgentID != "" {
		conv.AgentID = in.AgentID
	}
	drafts, err := a.drafts(ctx, plan, conv, in.Trigger, conv.QueueID)
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	var n int
	if in.Trigger == automessage.Greeting {
		n, err = a.greet(ctx, plan, conv, in, drafts)
	} else {
		n, err = a.store.Announce(ctx, in.ConversationID, in.ID, drafts)
	}
	return AnnounceOutput{Messages: n}, final(err)
}

// greet stores what a conversation begins with: the privacy notice, where the
// workstream shows one that the customer has not seen, and the greeting.
func (a *Activities) greet(ctx context.Context, plan store.Plan, conv store.Conversation, in AnnounceInput, drafts []store.Draft) (int, error) {
	g := store.Greeting{Drafts: drafts, Version: plan.Workstream.Settings.Privacy.Version}
	if plan.Workstream.Settings.Privacy.Notice {
		var err error
		if g.Notice, err = a.drafts(ctx, plan, conv, automessage.PrivacyNotice, ""); err != nil {
			return 0, err
		}
	}
	return a.store.Greet(ctx, in.ConversationID, in.ID, g)
}

// drafts is what a trigger says to a conversation: one message, or none when
// it is off. The agent it names is the conversation's.
func (a *Activities) drafts(ctx context.Context, plan store.Plan, conv store.Conversation, trigger automessage.Trigger, queueID string) ([]store.Draft, error) {
	layers := overrides(plan)
	text, on := automessage.Text(trigger, conv.Locale, layers...)
	if trigger == automessage.Greeting && conv.Owner == conversation.OwnerBot {
		on = on && asked(trigger, layers) // a bot greets by itself, unless somebody wants both
	}
	if !on {
		return nil, nil
	}
	return a.filled(ctx, trigger, text, conv, queueID, automessage.Values{})
}

// draftsWith is drafts of a trigger that somebody has asked for, with more to
// say: it is on unless it is switched off.
func (a *Activities) draftsWith(ctx context.Context, plan store.Plan, conv store.Conversation, trigger automessage.Trigger, queueID string, values automessage.Values) ([]store.Draft, error) {
	on := true
	layers := append([][]automessage.Override{{{Trigger: trigger, Enabled: &on}}}, overrides(plan)...)
	text, on := automessage.Text(trigger, conv.Locale, layers...)
	if !on {
		return nil, nil
	}
	return a.filled(ctx, trigger, text, conv, queueID, values)
}

// filled is the message that a text says to a conversation, if any is left of it.
func (a *Activities) filled(ctx context.Context, trigger automessage.Trigger, text string, conv store.Conversation, queueID string, values automessage.Values) ([]store.Draft, error) {
	said, err := a.fillWith(ctx, text, conv, queueID, values)
	if err != nil || said == "" {
		return nil, err
	}
	return []store.Draft{automated(trigger, conversation.TextContent(said))}, nil
}

func automated(trigger automessage.Trigger, content conversation.Content) store.Draft {
	return store.Draft{SenderKind: conversation.SenderSystem, Automated: string(trigger), Content: content}
}

// overrides are what the workstream says otherwise, and over it the channel.
func overrides(plan store.Plan) [][]automessage.Override {
	return store.Overrides(plan.Workstream.Settings.AutomatedMessages, plan.Channel.AutomatedMessages)
}

// asked tells whether somebody has switched a trigger on by name.
func asked(trigger automessage.Trigger, layers [][]automessage.Override) bool {
	return slices.ContainsFunc(slices.Concat(layers...), func(o automessage.Override) bool {
		return o.Trigger == trigger && o.Enabled != nil && *o.Enabled
	})
}

// fill puts names and numbers into a text about a conversation.
func (a *Activities) fill(ctx context.Context, text string, conv store.Conversation, queueID string) (string, error) {
	return a.fillWith(ctx, text, conv, queueID, automessage.Values{})
}

// fillWith does the same with values that are known already.
func (a *Activities) fillWith(ctx context.Context, text string, conv store.Conversation, queueID string, values automessage.Values) (string, error) {
	values.CustomerName, values.Context = conv.DisplayName, map[string]string{}
	if err := json.Unmarshal([]byte(conv.Context), &values.Context); err != nil {
		return "", fmt.Errorf("context of conversation %s: %w", conv.ID, err)
	}
	if queueID != "" {
		queue, err := a.store.Queue(ctx, queueID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return "", err
		}
		values.QueueName = queue.Name
	}
	if conv.AgentID != "" && automessage.NamesAgent(text) {
		agent, err := a.store.Agent(ctx, conv.AgentID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return "", err
		}
		values.AgentName = agent.Name
	}
	return automessage.Fill(text, values), nil
}
