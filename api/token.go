package api

import (
	"context"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showToken(t store.Token) Token {
	return Token{
		ID: t.ID, AgentID: t.AgentID, Name: t.Name, Role: Role(t.Role), Scope: shown(t.Scope, func(p string) Permission { return Permission(p) }),
		CreatedBy: Nullable(t.CreatedBy), CreatedAt: Time(t.CreatedAt), ExpiresAt: Time(t.ExpiresAt), RevokedAt: Time(t.RevokedAt), LastUsedAt: Time(t.LastUsedAt),
	}
}

// IssueToken issues a token; its value is in this answer only.
func (s *Server) IssueToken(ctx context.Context, r IssueTokenRequestObject) (IssueTokenResponseObject, error) {
	agent, err := s.store.Agent(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	t := store.Token{ID: idFor(ctx, conversation.PrefixToken), AgentID: agent.ID, Name: r.Body.Name, Role: store.Role(r.Body.Role), ExpiresAt: time.Time(r.Body.ExpiresAt)}
	if t.Role == "" {
		t.Role = agent.Role
	}
	var wrong invalid
	if !agent.Role.Includes(t.Role) {
		wrong.add("/role", "The agent's own role is only %s.", agent.Role)
	}
	if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(time.Now()) {
		wrong.add("/expires_at", "Must be in the future.")
	}
	allowed := permissions(store.Identity{Agent: store.Agent{Role: t.Role}, Token: store.Token{Role: t.Role}})
	for _, p := range r.Body.Scope {
		if !slices.Contains(allowed, p) {
			wrong.add("/scope", "The role %s does not have the permission %s.", t.Role, p)
		}
		t.Scope = append(t.Scope, string(p))
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	value := store.NewTokenValue()
	t, err = s.store.IssueToken(ctx, origin(ctx), t, value)
	return IssueToken201JSONResponse{Token: value, ID: t.ID, AgentID: t.AgentID, Name: t.Name, Role: Role(t.Role), ExpiresAt: Time(t.ExpiresAt)}, err
}

// ListTokens lists tokens without their values.
func (s *Server) ListTokens(ctx context.Context, r ListTokensRequestObject) (ListTokensResponseObject, error) {
	items, next, err := listed("tokens", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Token, error) {
		return s.store.Tokens(ctx, r.Params.AgentID, after, limit)
	}, func(t store.Token) store.Cursor { return store.Cursor{At: t.CreatedAt, ID: t.ID} }, showToken)
	return ListTokens200JSONResponse{Items: items, NextCursor: next}, err
}

// RevokeToken revokes a token.
func (s *Server) RevokeToken(ctx context.Context, r RevokeTokenRequestObject) (RevokeTokenResponseObject, error) {
	return RevokeToken204Response{}, s.store.RevokeToken(ctx, origin(ctx), r.ID)
}
