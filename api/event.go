package api

import (
	"context"
	"encoding/json"
	"strconv"

	"kaiwa/internal/store"
)

// ListEvents lists what happened after a known event.
func (s *Server) ListEvents(ctx context.Context, r ListEventsRequestObject) (ListEventsResponseObject, error) {
	limit := pageSize(r.Params.Limit)
	events, err := s.store.Events(ctx, r.Params.After, limit+1, r.Params.ConversationID)
	if err != nil {
		return nil, err
	}
	var next Nullable
	if len(events) > limit {
		events = events[:limit]
		next = Nullable(strconv.FormatInt(events[limit-1].Seq, 10))
	}
	after := r.Params.After
	if len(events) > 0 {
		after = events[len(events)-1].Seq
	}
	return ListEvents200JSONResponse{Items: shown(events, showEvent), NextAfter: after, NextCursor: next}, nil
}

func showEvent(e store.Event) Event {
	return Event{
		Seq: e.Seq, Type: e.Type, ConversationID: Nullable(e.ConversationID), SubjectID: Nullable(e.SubjectID),
		Data: json.RawMessage(e.Data), CreatedAt: fromMicros(e.CreatedAt),
	}
}
