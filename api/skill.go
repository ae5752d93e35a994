package api

import (
	"context"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showSkill(k store.Skill) Skill {
	return Skill{ID: k.ID, Name: k.Name, Version: k.Version, CreatedAt: Time(k.CreatedAt), UpdatedAt: Time(k.UpdatedAt)}
}

func skillResponse(k store.Skill) SkillJSONResponse {
	return SkillJSONResponse{Body: showSkill(k), Headers: SkillResponseHeaders{ETag: etag(k.Version)}}
}

// ListSkills lists skills.
func (s *Server) ListSkills(ctx context.Context, r ListSkillsRequestObject) (ListSkillsResponseObject, error) {
	items, next, err := listed("skills", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Skill, error) {
		return s.store.Skills(ctx, after, limit)
	}, func(k store.Skill) store.Cursor { return store.Cursor{At: k.CreatedAt, ID: k.ID} }, showSkill)
	return ListSkills200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateSkill creates a skill.
func (s *Server) CreateSkill(ctx context.Context, r CreateSkillRequestObject) (CreateSkillResponseObject, error) {
	k, err := s.store.CreateSkill(ctx, origin(ctx), store.Skill{ID: idFor(ctx, conversation.PrefixSkill), Name: r.Body.Name})
	return CreateSkill201JSONResponse{skillResponse(k)}, err
}

// GetSkill reads a skill.
func (s *Server) GetSkill(ctx context.Context, r GetSkillRequestObject) (GetSkillResponseObject, error) {
	k, err := s.store.Skill(ctx, r.ID)
	return GetSkill200JSONResponse{skillResponse(k)}, err
}

// UpdateSkill changes a skill.
func (s *Server) UpdateSkill(ctx context.Context, r UpdateSkillRequestObject) (UpdateSkillResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	k, err := s.store.UpdateSkill(ctx, origin(ctx), r.ID, version, func(k *store.Skill) error {
		var in SkillInput
		if err := mergePatch(SkillInput{Name: k.Name}, *r.Body, &in); err != nil {
			return err
		}
		k.Name = in.Name
		return nil
	})
	return UpdateSkill200JSONResponse{skillResponse(k)}, err
}

// DeleteSkill deletes a skill.
func (s *Server) DeleteSkill(ctx context.Context, r DeleteSkillRequestObject) (DeleteSkillResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteSkill204Response{}, s.store.DeleteSkill(ctx, origin(ctx), r.ID, version)
}
