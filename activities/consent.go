package activities

import (
	"context"

	"kaiwa/internal/automessage"
	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// AskConsentInput has a customer asked for consent.
type AskConsentInput struct {
	ID             string `json:"id"` // names the step: it asks once
	ConversationID string `json:"conversation_id"`
}

// AskConsent stores the question whether the customer agrees to the privacy
// notice, if it is due; see store.AskConsent.
func (a *Activities) AskConsent(ctx context.Context, in AskConsentInput) (AnnounceOutput, error) {
	conv, err := a.store.Conversation(ctx, in.ConversationID)
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	plan, err := a.plans.get(ctx, conv.ChannelID)
	if err != nil {
		return AnnounceOutput{}, final(err)
	}
	req := store.AskRequest{
		Cause: in.ID, ConversationID: conv.ID, Version: plan.Workstream.Settings.Privacy.Asked(conv.ConsentVersion),
	}
	if req.Notice, err = a.drafts(ctx, plan, conv, automessage.PrivacyNotice, ""); err != nil {
		return AnnounceOutput{}, final(err)
	}
	text, _ := automessage.Text(automessage.ConsentQuestion, conv.Locale, overrides(plan)...) // which cannot be switched off
	if text, err = a.fill(ctx, text, conv, ""); err != nil {
		return AnnounceOutput{}, final(err)
	}
	if text == "" { // nothing but slugs without a value
		text = automessage.Default(automessage.ConsentQuestion, conv.Locale)
	}
	req.Question = automated(automessage.ConsentQuestion, conversation.Content{
		Type: conversation.ContentQuickReplies, Text: text, QuickReplies: consent.Buttons(conv.ID, req.Version, conv.Locale),
	})
	n, err := a.store.AskConsent(ctx, req)
	return AnnounceOutput{Messages: n}, final(err)
}
