package api

import (
	"context"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

func showSurvey(v store.Survey) Survey {
	return Survey{
		ID: v.ID, Name: v.Name, Mode: SurveyMode(v.Mode), ExpiresSeconds: v.ExpiresSeconds, Questions: v.Questions,
		Version: v.Version, CreatedAt: Time(v.CreatedAt), UpdatedAt: Time(v.UpdatedAt),
	}
}

func surveyResponse(v store.Survey) SurveyJSONResponse {
	return SurveyJSONResponse{Body: showSurvey(v), Headers: SurveyResponseHeaders{ETag: etag(v.Version)}}
}

// apply checks the input and puts it into v.
func (in SurveyInput) apply(v *store.Survey) error {
	v.Name = in.Name
	v.Settings = survey.Settings{Mode: survey.Mode(in.Mode), ExpiresSeconds: in.ExpiresSeconds, Questions: in.Questions}.Defaults()
	return v.Validate()
}

// ListSurveys lists surveys.
func (s *Server) ListSurveys(ctx context.Context, r ListSurveysRequestObject) (ListSurveysResponseObject, error) {
	items, next, err := listed("surveys", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Survey, error) {
		return s.store.Surveys(ctx, after, limit)
	}, func(v store.Survey) store.Cursor { return store.Cursor{At: v.CreatedAt, ID: v.ID} }, showSurvey)
	return ListSurveys200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateSurvey creates a survey.
func (s *Server) CreateSurvey(ctx context.Context, r CreateSurveyRequestObject) (CreateSurveyResponseObject, error) {
	v := store.Survey{ID: idFor(ctx, conversation.PrefixSurvey)}
	if err := r.Body.apply(&v); err != nil {
		return nil, err
	}
	v, err := s.store.CreateSurvey(ctx, origin(ctx), v)
	return CreateSurvey201JSONResponse{surveyResponse(v)}, err
}

// GetSurvey reads a survey.
func (s *Server) GetSurvey(ctx context.Context, r GetSurveyRequestObject) (GetSurveyResponseObject, error) {
	v, err := s.store.Survey(ctx, r.ID)
	return GetSurvey200JSONResponse{surveyResponse(v)}, err
}

// UpdateSurvey changes a survey.
func (s *Server) UpdateSurvey(ctx context.Context, r UpdateSurveyRequestObject) (UpdateSurveyResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	v, err := s.store.UpdateSurvey(ctx, origin(ctx), r.ID, version, func(v *store.Survey) error {
		var in SurveyInput
		if err := mergePatch(SurveyInput{Name: v.Name, Mode: SurveyInputMode(v.Mode), ExpiresSeconds: v.ExpiresSeconds, Questions: v.Questions}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(v)
	})
	return UpdateSurvey200JSONResponse{surveyResponse(v)}, err
}

// DeleteSurvey deletes a survey.
func (s *Server) DeleteSurvey(ctx context.Context, r DeleteSurveyRequestObject) (DeleteSurveyResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteSurvey204Response{}, s.store.DeleteSurvey(ctx, origin(ctx), r.ID, version)
}
