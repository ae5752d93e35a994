package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kaiwa/internal/store"
)

// GetRoutingLog tells why a conversation went where it went, oldest line first.
func (s *Server) GetRoutingLog(ctx context.Context, r GetRoutingLogRequestObject) (GetRoutingLogResponseObject, error) {
	var after store.Position
	if err := readCursor("routing-log", r.Params.Cursor, &after); err != nil {
		return nil, err
	}
	limit := pageSize(r.Params.Limit)
	lines, err := s.store.RoutingLog(ctx, r.ID, after, limit+1)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 { // as of a conversation that does not exist
		if _, err := s.store.Conversation(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	lines, next, err := page("routing-log", lines, limit, func(l store.RoutingLogLine) any { return l.Position() })
	if err != nil {
		return nil, err
	}
	entries := make([]json.RawMessage, len(lines))
	for i, l := range lines {
		entries[i] = json.RawMessage(l.Entry)
	}
	if entries, err = s.named(ctx, entries); err != nil {
		return nil, fmt.Errorf("routing log of %s: %w", r.ID, err)
	}
	out := GetRoutingLog200JSONResponse{Items: make([]RoutingLogEntry, len(lines)), NextCursor: next}
	for i, l := range lines {
		out.Items[i] = RoutingLogEntry{ID: l.ID, Stage: RoutingStage(l.Stage), Outcome: l.Outcome, Entry: entries[i], CreatedAt: fromMicros(l.CreatedAt)}
	}
	return out, nil
}

// named puts the name of each thing beside its id in entries of a routing log.
func (s *Server) named(ctx context.Context, entries []json.RawMessage) ([]json.RawMessage, error) {
	values := make([]any, len(entries))
	var ids []string
	for i, entry := range entries {
		if err := json.Unmarshal(entry, &values[i]); err != nil {
			return nil, err
		}
		eachID(values[i], func(_ map[string]any, _, id string) { ids = append(ids, id) })
	}
	names, err := s.store.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]json.RawMessage, len(entries))
	for i, value := range values {
		eachID(value, func(object map[string]any, kind, id string) {
			if name, known := names[id]; known {
				object[kind+"_name"] = name
			}
		})
		if out[i], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachID calls f for every "KIND_id" there is in v, with the object it is in.
func eachID(v any, f func(object map[string]any, kind, id string)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			eachID(x, f)
		}
	case map[string]any:
		for name, x := range v {
			if id, ok := x.(string); ok {
				if kind, found := strings.CutSuffix(name, "_id"); found && id != "" {
					f(v, kind, id)
				}
				continue
			}
			eachID(x, f)
		}
	}
}
