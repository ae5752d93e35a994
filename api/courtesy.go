package api

import (
	"context"

	"kaiwa/internal/store"
)

// served is a conversation that the caller serves, and what its channel is set to.
// CodeNotAssignedToYou and others of the life table when they do not.
func (s *Server) served(ctx context.Context, id string) (store.Conversation, store.Plan, error) {
	c, err := s.store.Conversation(ctx, id)
	if err != nil {
		return c, store.Plan{}, err
	}
	if err := c.ServedBy(caller(ctx).Agent.ID); err != nil {
		return c, store.Plan{}, err
	}
	plan, err := s.store.Plan(ctx, c.ChannelID)
	return c, plan, err
}

// ShowTyping shows the customer that the agent is typing.
func (s *Server) ShowTyping(ctx context.Context, r ShowTypingRequestObject) (ShowTypingResponseObject, error) {
	c, plan, err := s.served(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return ShowTyping204Response{}, s.courtesy.Typing(ctx, plan, c)
}

// MarkRead notes up to which message the agent has read.
func (s *Server) MarkRead(ctx context.Context, r MarkReadRequestObject) (MarkReadResponseObject, error) {
	c, plan, err := s.served(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return MarkRead204Response{}, s.courtesy.Read(ctx, plan, c, r.Body.MessageID)
}
