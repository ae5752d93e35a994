package api

import (
	"context"
	"encoding/json"
	"strconv"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// latest stands for the position after the last event there is.
const latest = "latest"

// position is the position that a caller names in the field at; without one it
// is before the first event.
func (s *Server) position(ctx context.Context, named, at string) (int64, error) {
	switch named {
	case "":
		return 0, nil
	case latest:
		return s.store.LastEvent(ctx)
	}
	seq, err := strconv.ParseUint(named, 10, 63)
	if err != nil {
		return 0, conversation.Invalid(at, "Must be the seq of an event.")
	}
	return int64(seq), nil
}

// viewer is the agent whose eyes a caller sees with; "" sees everything.
func viewer(i store.Identity) string {
	if i.Role().Includes(store.RoleSupervisor) {
		return ""
	}
	return i.Agent.ID
}

// ListEvents lists what happened after a known event.
func (s *Server) ListEvents(ctx context.Context, r ListEventsRequestObject) (ListEventsResponseObject, error) {
	after, err := s.position(ctx, r.Params.After, "/after")
	if err != nil {
		return nil, err
	}
	page, err := s.store.EventPage(ctx, store.EventQuery{
		After: after, Limit: pageSize(r.Params.Limit), ConversationID: r.Params.ConversationID, AgentID: viewer(caller(ctx)),
	})
	if err != nil {
		return nil, err
	}
	var next Nullable
	if page.More {
		next = Nullable(strconv.FormatInt(page.Next, 10))
	}
	return ListEvents200JSONResponse{Items: shown(page.Events, showEvent), NextAfter: page.Next, NextCursor: next}, nil
}

func showEvent(e store.Event) Event {
	return Event{
		Seq: e.Seq, Type: e.Type, ConversationID: Nullable(e.ConversationID), SubjectID: Nullable(e.SubjectID),
		Data: json.RawMessage(e.Data), CreatedAt: fromMicros(e.CreatedAt),
	}
}
