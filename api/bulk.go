package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
)

// bulkAtOnce is how many conversations of one request are worked on at the same
// time.
const bulkAtOnce = 8

// ActOnConversations does the same with many conversations, each on its own: a
// refusal of one is its own, and so is what names its step.
func (s *Server) ActOnConversations(ctx context.Context, r ActOnConversationsRequestObject) (ActOnConversationsResponseObject, error) {
	do, err := s.bulkAction(ctx, *r.Body)
	if err != nil {
		return nil, err
	}
	request := updateID(ctx)
	results := make([]BulkItem, len(r.Body.ConversationIds))
	var work errgroup.Group
	work.SetLimit(bulkAtOnce)
	for i, id := range r.Body.ConversationIds {
		work.Go(func() error {
			results[i] = s.bulkItem(ctx, id, do(id, conversation.DerivedID("upd_", request, id)))
			return nil
		})
	}
	_ = work.Wait() // what failed is told item by item
	return ActOnConversations200JSONResponse{Items: results}, nil
}

// bulkAction checks a request and returns what it does with a conversation, by
// an update id.
func (s *Server) bulkAction(ctx context.Context, in BulkInput) (func(id, update string) error, error) {
	var wrong invalid
	for i, id := range in.ConversationIds {
		if slices.Contains(in.ConversationIds[:i], id) {
			wrong.add("/conversation_ids/"+strconv.Itoa(i), "This is in the list already.")
		}
	}
	uses := map[BulkInputAction][]string{
		BulkInputActionAssign: {"agent_id"}, BulkInputActionTransfer: {"agent_id", "queue_id", "bot_id"}, BulkInputActionRouting: {"priority", "skills", "queue_id"},
	}[in.Action]
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"agent_id", in.AgentID != ""}, {"queue_id", in.QueueID != ""}, {"bot_id", in.BotID != ""}, {"priority", in.Priority != nil}, {"skills", in.Skills != nil},
	} {
		if field.given && !slices.Contains(uses, field.name) {
			wrong.add(conversation.Pointer(field.name), "The action %s does not have it.", in.Action)
		}
	}
	if in.Action == BulkInputActionAssign && in.AgentID == "" {
		wrong.add("/agent_id", "Name the agent who gets them.")
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	step := func(req conversation.ActionRequest) func(id, update string) error {
		return func(id, update string) error {
			_, err := s.actAs(ctx, id, update, req)
			return err
		}
	}
	switch in.Action {
	case BulkInputActionAssign:
		return step(conversation.ActionRequest{Event: conversation.EventAssigned, AgentID: in.AgentID}), nil
	case BulkInputActionTransfer:
		req, err := transferTo(in.AgentID, in.QueueID, in.BotID)
		return step(req), err
	case BulkInputActionClose:
		return step(conversation.ActionRequest{Event: conversation.EventForceClosed}), nil
	case BulkInputActionRouting:
		o, err := s.overrideOf(ctx, RoutingPatch{Priority: in.Priority, Skills: in.Skills, QueueID: in.QueueID})
		return func(id, update string) error {
			_, err := s.reroute(ctx, id, update, o)
			return err
		}, err
	}
	return func(id, update string) error {
		return s.dispatched(ctx, s.store.TakeBack(ctx, conversation.UpdateStepID(id, update), id, caller(ctx).Agent.ID))
	}, nil
}

// bulkItem says what came of one, in the words of a problem.
func (s *Server) bulkItem(ctx context.Context, id string, err error) BulkItem {
	if err == nil {
		return BulkItem{ConversationID: id, Status: http.StatusOK}
	}
	e := s.asError(ctx, err)
	return BulkItem{ConversationID: id, Status: kinds[e.Code].status, Code: Nullable(e.Code), Detail: Nullable(e.Detail)}
}
