package activities

import (
	"context"
	"encoding/json"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// AnnounceInput asks for an automated message.
type AnnounceInput struct {
	ID             string              `json:"id"` // names the step: the message is stored once
	ConversationID string              `json:"conversation_id"`
	Trigger        automessage.Trigger `json:"trigger"`
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
	drafts, err := a.drafts(ctx, plan, conv, in.Trigger, "")
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	n, err := a.store.Announce(ctx, in.ConversationID, in.ID, in.Trigger == automessage.Greeting, drafts)
	return AnnounceOutput{Messages: n}, final(err)
}

// drafts is what a trigger says to a conversation: one message, or none when
// it is off.
func (a *Activities) drafts(ctx context.Context, plan store.Plan, conv store.Conversation, trigger automessage.Trigger, queueID string) ([]store.Draft, error) {
	overrides := make([]automessage.Override, 0, len(plan.Workstream.Settings.AutomatedMessages))
	asked := false
	for _, o := range plan.Workstream.Settings.AutomatedMessages {
		overrides = append(overrides, automessage.Override{Trigger: automessage.Trigger(o.Trigger), Locale: o.Locale, Text: o.Text, Enabled: o.Enabled})
		asked = asked || o.Trigger == string(trigger) && o.Enabled != nil && *o.Enabled
	}
	text, on := automessage.Text(trigger, conv.Locale, overrides)
	if trigger == automessage.Greeting && conv.Owner == conversation.OwnerBot {
		on = on && asked // a bot greets by itself, unless the workstream wants both
	}
	if !on || text == "" {
		return nil, nil
	}
	values := automessage.Values{CustomerName: conv.DisplayName, Context: map[string]string{}}
	if err := json.Unmarshal([]byte(conv.Context), &values.Context); err != nil {
		return nil, err
	}
	if queueID != "" {
		queue, err := a.store.Queue(ctx, queueID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return nil, err
		}
		values.QueueName = queue.Name
	}
	filled := automessage.Fill(text, values)
	if filled == "" {
		return nil, nil
	}
	return []store.Draft{{
		SenderKind: conversation.SenderSystem, Automated: string(trigger), Content: conversation.TextContent(filled),
	}}, nil
}
