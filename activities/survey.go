package activities

import (
	"context"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// StartSurveyOutput says whether a survey follows.
type StartSurveyOutput struct {
	Invited bool `json:"invited"`
}

// StartSurvey begins the survey after a closed conversation, if its workstream
// has one for the way it ended.
func (a *Activities) StartSurvey(ctx context.Context, in conversation.SurveyInput) (StartSurveyOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return StartSurveyOutput{}, final(err)
	}
	invited, err := a.store.Invite(ctx, store.InviteRequest{
		ConversationID: in.ConversationID, Policy: surveyPolicy(plan), Deadline: attemptDeadline(ctx),
	})
	if err != nil || !invited {
		return StartSurveyOutput{}, final(err)
	}
	return StartSurveyOutput{Invited: true}, a.wakeSurvey(ctx, in.ChannelID, in.ConversationID)
}

func surveyPolicy(plan store.Plan) survey.Policy {
	w := plan.Workstream.Settings
	return survey.Policy{AgentSurveyID: w.SurveyID, BotSurveyID: w.BotSurveyID, After: w.SurveyAfter}
}

// AdvanceSurveyInput asks for the next step of a survey.
type AdvanceSurveyInput struct {
	ConversationID string `json:"conversation_id"`
	Expire         bool   `json:"expire,omitempty"` // its time is over
	Cancel         bool   `json:"cancel,omitempty"` // an operator ended it
}

// AdvanceSurvey does what is due in a survey; see store.AdvanceSurvey.
func (a *Activities) AdvanceSurvey(ctx context.Context, in AdvanceSurveyInput) (store.SurveyStep, error) {
	inv, err := a.store.InvitationAfter(ctx, in.ConversationID)
	if err != nil {
		return store.SurveyStep{}, final(err)
	}
	words, err := a.surveyWords(ctx, inv)
	if err != nil {
		return store.SurveyStep{}, final(err)
	}
	step, err := a.store.AdvanceSurvey(ctx, store.AdvanceRequest{
		ConversationID: in.ConversationID, Expire: in.Expire, Cancel: in.Cancel, Say: words, Deadline: attemptDeadline(ctx),
	})
	return step, final(err)
}

// surveyWords are what a survey says, in the language it began in.
func (a *Activities) surveyWords(ctx context.Context, inv store.Invitation) (store.SurveyWords, error) {
	conv, err := a.store.Conversation(ctx, inv.ConversationID)
	if err != nil {
		return store.SurveyWords{}, err
	}
	conv.Locale = inv.Locale
	plan, err := a.plans.get(ctx, inv.ChannelID)
	if err != nil {
		return store.SurveyWords{}, err
	}
	var words store.SurveyWords
	if words.Invitation, err = a.drafts(ctx, plan, conv, automessage.SurveyInvitation, inv.QueueID); err != nil {
		return words, err
	}
	if words.Thanks, err = a.drafts(ctx, plan, conv, automessage.SurveyThanks, inv.QueueID); err != nil {
		return words, err
	}
	if inv.Mode == survey.ModeLink {
		text := ""
		if len(words.Invitation) > 0 {
			text = words.Invitation[0].Content.Text
		}
		card, err := survey.Card(text, a.surveyLink(inv.ID, inv.ExpiresAt), inv.Locale)
		words.Invitation = nil // the card says it
		words.Question = func(int) store.Draft { return automated(automessage.SurveyInvitation, card) }
		return words, err
	}
	words.Question = func(i int) store.Draft {
		return automated(automessage.SurveyInvitation, inv.Questions[i].Ask(inv.ID, inv.Locale))
	}
	return words, nil
}

// surveyLink is the address of a survey's page.
func (a *Activities) surveyLink(invitationID string, expires time.Time) string {
	return a.publicURL + survey.Path + survey.Token(a.store.Keys(), invitationID, expires)
}
