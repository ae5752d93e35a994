package api

import (
	"context"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// actor is the caller as the life table's guards know them.
func actor(ctx context.Context) conversation.Actor {
	i := caller(ctx)
	return conversation.Actor{AgentID: i.Agent.ID, Supervisor: i.Role().Includes(store.RoleSupervisor)}
}

// act asks the conversation's workflow for a step of its life and answers with
// the conversation. Whether the caller may is decided by the life table: here,
// before a workflow is asked, and for good in the transaction.
func (s *Server) act(ctx context.Context, id string, req conversation.ActionRequest) (Conversation, error) {
	return s.actAs(ctx, id, updateID(ctx), req)
}

// actAs is act by an update id of its own.
func (s *Server) actAs(ctx context.Context, id, update string, req conversation.ActionRequest) (Conversation, error) {
	c, err := s.store.Conversation(ctx, id)
	if err != nil {
		return Conversation{}, err
	}
	req.ConversationID, req.Actor = c.ID, actor(ctx)
	// An attempt before this one may have done it, its answer lost. Then its
	// workflow may not know either.
	done, err := s.store.StepDone(ctx, conversation.UpdateStepID(c.ID, update))
	if err != nil {
		return Conversation{}, err
	}
	if done {
		s.inbox.Notify(c.ChannelID, c.ChatKey)
		return showConversation(c), nil
	}
	if err := mayAct(c, req); err != nil {
		return Conversation{}, err
	}
	if _, err := s.engine.Act(ctx, c.WorkflowID(), update, req); err != nil {
		return s.actAgain(ctx, c, update, req, err)
	}
	c, err = s.store.Conversation(ctx, id)
	return showConversation(c), err
}

// mayAct refuses what the life table refuses as the conversation stands. What
// becomes of an offer, the offer's row decides.
func mayAct(c store.Conversation, req conversation.ActionRequest) error {
	if req.Event == conversation.EventAccepted && c.Status != conversation.StatusClosed {
		return nil
	}
	_, err := conversation.Next(conversation.Phase{Status: c.Status, Owner: c.Owner}, req.Event, conversation.Facts{Actor: req.Actor, AgentID: c.AgentID})
	return err
}

// actAgain tells what became of a step that the workflow engine did not answer:
// its run may have ended meanwhile, or its process died. The database knows
// whether it was done, and whether it still can be.
func (s *Server) actAgain(ctx context.Context, c store.Conversation, update string, req conversation.ActionRequest, failure error) (Conversation, error) {
	if conversation.CodeOf(failure) != conversation.CodeUnavailable {
		return Conversation{}, failure
	}
	s.inbox.Notify(c.ChannelID, c.ChatKey)
	done, err := s.store.StepDone(ctx, conversation.UpdateStepID(c.ID, update))
	if err != nil {
		return Conversation{}, failure
	}
	now, err := s.store.Conversation(ctx, c.ID)
	switch {
	case err != nil:
		return Conversation{}, failure
	case done:
		return showConversation(now), nil
	}
	if refused := mayAct(now, req); refused != nil {
		return Conversation{}, refused
	}
	return Conversation{}, failure
}

// PickConversation takes a conversation that waits.
func (s *Server) PickConversation(ctx context.Context, r PickConversationRequestObject) (PickConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventPicked})
	return PickConversation200JSONResponse(c), err
}

// AssignConversation gives a conversation to an agent.
func (s *Server) AssignConversation(ctx context.Context, r AssignConversationRequestObject) (AssignConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventAssigned, AgentID: r.Body.AgentID})
	return AssignConversation200JSONResponse(c), err
}

// TransferConversation passes a conversation to an agent, a queue or a bot.
func (s *Server) TransferConversation(ctx context.Context, r TransferConversationRequestObject) (TransferConversationResponseObject, error) {
	req, err := transferTo(r.Body.AgentID, r.Body.QueueID, r.Body.BotID)
	if err != nil {
		return nil, err
	}
	c, err := s.act(ctx, r.ID, req)
	return TransferConversation200JSONResponse(c), err
}

// transferTo is the request to pass a conversation to one of the three.
func transferTo(agentID, queueID, botID string) (conversation.ActionRequest, error) {
	req := conversation.ActionRequest{AgentID: agentID, QueueID: queueID, BotID: botID}
	named := 0
	for _, to := range []struct {
		id    string
		event conversation.Event
	}{
		{req.AgentID, conversation.EventTransferredAgent}, {req.QueueID, conversation.EventTransferredQueue}, {req.BotID, conversation.EventTransferredBot},
	} {
		if to.id != "" {
			named, req.Event = named+1, to.event
		}
	}
	if named != 1 {
		return req, &conversation.Error{Code: conversation.CodeInvalid, Detail: "Name one destination.",
			Fields: []conversation.FieldError{{Pointer: "", Detail: "Exactly one of agent_id, queue_id and bot_id is needed."}}}
	}
	return req, nil
}

// ReleaseConversation gives a conversation back to its queue.
func (s *Server) ReleaseConversation(ctx context.Context, r ReleaseConversationRequestObject) (ReleaseConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventReleased})
	return ReleaseConversation200JSONResponse(c), err
}

// ParkConversation sets a conversation aside.
func (s *Server) ParkConversation(ctx context.Context, r ParkConversationRequestObject) (ParkConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventParked})
	return ParkConversation200JSONResponse(c), err
}

// ResumeConversation takes a parked conversation up again.
func (s *Server) ResumeConversation(ctx context.Context, r ResumeConversationRequestObject) (ResumeConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventResumed})
	return ResumeConversation200JSONResponse(c), err
}

// EndConversation ends a conversation for the customer.
func (s *Server) EndConversation(ctx context.Context, r EndConversationRequestObject) (EndConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventEnded})
	return EndConversation200JSONResponse(c), err
}

// WrapUpConversation finishes wrap-up. The note is stored first, so that no
// text passes through the workflow; the same request stores it once.
func (s *Server) WrapUpConversation(ctx context.Context, r WrapUpConversationRequestObject) (WrapUpConversationResponseObject, error) {
	var in WrapUpInput
	if r.Body != nil {
		in = *r.Body
	}
	if note := strings.TrimSpace(in.Note); note != "" {
		c, err := s.store.Conversation(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		own := actor(ctx)
		if own.AgentID != c.AgentID && !own.Supervisor {
			return nil, conversation.Errorf(conversation.CodeNotAssignedToYou, "Only the agent who has this conversation, or a supervisor, may do this.")
		}
		if _, err := s.note(ctx, r.ID, note); err != nil {
			return nil, err
		}
	}
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventWrapUpDone, DispositionID: in.DispositionID})
	return WrapUpConversation200JSONResponse(c), err
}

// HandOffConversation takes a conversation from its bot.
func (s *Server) HandOffConversation(ctx context.Context, r HandOffConversationRequestObject) (HandOffConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventHandedOff})
	return HandOffConversation200JSONResponse(c), err
}

// CloseConversation closes a conversation at once.
func (s *Server) CloseConversation(ctx context.Context, r CloseConversationRequestObject) (CloseConversationResponseObject, error) {
	c, err := s.act(ctx, r.ID, conversation.ActionRequest{Event: conversation.EventForceClosed})
	return CloseConversation200JSONResponse(c), err
}
