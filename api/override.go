package api

import (
	"context"
	"strconv"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// override is what a supervisor changes of a conversation that waits.
type override struct {
	conversation.Override
	queueID string // "" leaves it where it is
}

// overrideOf checks a change of routing.
func (s *Server) overrideOf(ctx context.Context, in RoutingPatch) (override, error) {
	o := override{conversation.Override{Priority: in.Priority, Skills: in.Skills}, in.QueueID}
	if o.Priority == nil && o.Skills == nil && o.queueID == "" {
		return o, conversation.Invalid("", "Give at least one of priority, skills and queue_id.")
	}
	if o.queueID != "" {
		if _, err := s.store.Queue(ctx, o.queueID); conversation.CodeOf(err) == conversation.CodeNotFound {
			return o, conversation.Invalid("/queue_id", "There is no queue %q.", o.queueID)
		} else if err != nil {
			return o, err
		}
	}
	if o.Skills == nil {
		return o, nil
	}
	var wrong invalid
	seen := map[string]bool{}
	for i, k := range *o.Skills {
		if seen[k.SkillID] {
			wrong.add("/skills/"+strconv.Itoa(i)+"/skill_id", "Name each skill once.")
		}
		seen[k.SkillID] = true
		if k.Level < routing.MinLevel || k.Level > routing.MaxLevel {
			wrong.add("/skills/"+strconv.Itoa(i)+"/level", "A level is between %d and %d.", routing.MinLevel, routing.MaxLevel)
		}
	}
	if err := wrong.err(); err != nil {
		return o, err
	}
	return o, s.store.SkillsExist(ctx, "/skills", *o.Skills)
}

// reroute changes what a waiting conversation asks for. A change of queue is a
// step of its life, so its workflow carries it out, with whatever else is
// changed; the rest is no step, and its row is changed at once.
func (s *Server) reroute(ctx context.Context, id, update string, o override) (Conversation, error) {
	c, err := s.store.Conversation(ctx, id)
	if err != nil {
		return Conversation{}, err
	}
	if o.queueID != "" && o.queueID != c.QueueID {
		return s.actAs(ctx, id, update, conversation.ActionRequest{Event: conversation.EventTransferredQueue, QueueID: o.queueID, Override: &o.Override})
	}
	if err := s.store.Override(ctx, store.OverrideRequest{
		ID: conversation.UpdateStepID(c.ID, update), ConversationID: c.ID, ActorID: caller(ctx).Agent.ID, Override: o.Override,
	}); err != nil {
		return Conversation{}, err
	}
	s.dispatcher.Kick(ctx)
	c, err = s.store.Conversation(ctx, id)
	return showConversation(c), err
}

// PatchRouting changes priority, required skills or queue of a conversation that
// waits.
func (s *Server) PatchRouting(ctx context.Context, r PatchRoutingRequestObject) (PatchRoutingResponseObject, error) {
	o, err := s.overrideOf(ctx, *r.Body)
	if err != nil {
		return nil, err
	}
	c, err := s.reroute(ctx, r.ID, updateID(ctx), o)
	return PatchRouting200JSONResponse(c), err
}
