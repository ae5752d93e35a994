package api

import (
	"context"

	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

func showInvitation(inv store.Invitation) SurveyInvitation {
	return SurveyInvitation{
		ID: inv.ID, ConversationID: inv.ConversationID, SurveyID: inv.SurveyID, ChannelID: inv.ChannelID,
		AgentID: Nullable(inv.AgentID), QueueID: Nullable(inv.QueueID), BotID: Nullable(inv.BotID), Locale: inv.Locale,
		Mode: SurveyInvitationMode(inv.Mode), State: SurveyInvitationState(inv.State), Questions: inv.Questions, Asked: inv.Asked,
		CreatedAt: Time(inv.CreatedAt), ExpiresAt: Time(inv.ExpiresAt), EndedAt: Time(inv.EndedAt),
		Answers: shown(inv.Answers, func(a store.SurveyAnswer) SurveyAnswer {
			q, _ := survey.Find(inv.Questions, a.QuestionID) // answers are kept for questions there are
			out := SurveyAnswer{
				QuestionID: a.QuestionID, Kind: SurveyAnswerKind(q.Kind), Value: Nullable(a.Value), Via: SurveyAnswerVia(a.Via), Late: a.Late, CreatedAt: Time(a.CreatedAt),
			}
			if q.Kind.Scored() && a.Value != survey.Skipped {
				out.Score = &a.Score
			}
			return out
		}),
	}
}

// GetConversationSurvey reads the survey that followed a conversation.
func (s *Server) GetConversationSurvey(ctx context.Context, r GetConversationSurveyRequestObject) (GetConversationSurveyResponseObject, error) {
	if _, err := s.store.Conversation(ctx, r.ID); err != nil {
		return nil, err
	}
	inv, err := s.store.InvitationAfter(ctx, r.ID)
	return GetConversationSurvey200JSONResponse(showInvitation(inv)), err
}

// ListSurveyInvitations lists the surveys that followed conversations.
func (s *Server) ListSurveyInvitations(ctx context.Context, r ListSurveyInvitationsRequestObject) (ListSurveyInvitationsResponseObject, error) {
	p := r.Params
	items, next, err := listed("survey-invitations", p.Cursor, p.Limit, func(after store.Cursor, limit int) ([]store.Invitation, error) {
		return s.store.Invitations(ctx, store.InvitationFilter{
			SurveyID: p.SurveyID, AgentID: p.AgentID, QueueID: p.QueueID, BotID: p.BotID, ChannelID: p.ChannelID, State: survey.State(p.State),
		}, after, limit)
	}, func(inv store.Invitation) store.Cursor { return store.Cursor{At: inv.CreatedAt, ID: inv.ID} }, showInvitation)
	return ListSurveyInvitations200JSONResponse{Items: items, NextCursor: next}, err
}
