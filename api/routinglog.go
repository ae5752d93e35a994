package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kaiwa/internal/store"
)

// GetRoutingLog tells why a conversation went where it went.
func (s *Server) GetRoutingLog(ctx context.Context, r GetRoutingLogRequestObject) (GetRoutingLogResponseObject, error) {
	if _, err := s.store.Conversation(ctx, r.ID); err != nil {
		return nil, err
	}
	lines, err := s.store.RoutingLog(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	entries := make([]any, len(lines))
	var ids []string
	for i, l := range lines {
		if err := json.Unmarshal([]byte(l.Entry), &entries[i]); err != nil {
			return nil, fmt.Errorf("routing log %s: %w", l.ID, err)
		}
		eachID(entries[i], func(_ map[string]any, _, id string) { ids = append(ids, id) })
	}
	names, err := s.store.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := GetRoutingLog200JSONResponse{Items: make([]RoutingLogEntry, len(lines))}
	for i, l := range lines {
		eachID(entries[i], func(object map[string]any, kind, id string) {
			if name, known := names[id]; known {
				object[kind+"_name"] = name
			}
		})
		if out.Items[i], err = showRoutingLine(l, entries[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func showRoutingLine(l store.RoutingLogLine, entry any) (RoutingLogEntry, error) {
	raw, err := json.Marshal(entry)
	return RoutingLogEntry{ID: l.ID, Stage: RoutingLogEntryStage(l.Stage), Outcome: l.Outcome, Entry: raw, CreatedAt: fromMicros(l.CreatedAt)}, err
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
