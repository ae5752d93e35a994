package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/routing"
)

// OutcomeQueueNamed is the outcome in the routing log of a route that rules did
// not decide: somebody named the queue.
const OutcomeQueueNamed = "queue_named"

// Arrival is a conversation that came to wait for people.
type Arrival struct {
	Position
	WorkstreamID string
	QueueID      string    // that was found for it first, before queues passed it on; "" is none
	At           time.Time // when it first waited
}

// Arrivals lists the conversations that began from a time on and before another,
// and came to wait, in the order in which they began, after a position (the zero
// Position begins with the first).
func (s *Store) Arrivals(ctx context.Context, from, to time.Time, after Position, limit int) ([]Arrival, error) {
	var rows []struct {
		ID            string `db:"id"`
		WorkstreamID  string `db:"workstream_id"`
		CreatedAt     int64  `db:"created_at"`
		FirstWaitedAt int64  `db:"first_waited_at"`
		Entry         string `db:"entry"`
	}
	if after == (Position{}) {
		after.At = micros(from)
	}
	if err := s.read().list(ctx, &rows, `
		SELECT c.id, c.workstream_id, c.created_at, c.first_waited_at, coalesce((SELECT l.entry FROM routing_log l
			WHERE l.conversation_id = c.id AND l.stage = $1 AND l.outcome IN ($2, $3, $4, $5, $6, $7) ORDER BY l.created_at, l.id LIMIT 1), '{}') AS entry
		FROM conversations c WHERE (c.created_at, c.id) > ($8, $9) AND c.created_at < $10 AND c.first_waited_at > 0 ORDER BY c.created_at, c.id`+limitTo(limit),
		StageRoute, string(routing.RouteByRule), string(routing.RouteBySplit), string(routing.RouteSoonest), string(routing.RouteFallback), string(routing.RouteNone),
		OutcomeQueueNamed, after.At, after.ID, micros(to)); err != nil {
		return nil, err
	}
	list := make([]Arrival, len(rows))
	for i, r := range rows {
		var route struct {
			QueueID string `json:"queue_id"`
		}
		if err := json.Unmarshal([]byte(r.Entry), &route); err != nil {
			return nil, fmt.Errorf("routing log of conversation %s: %w", r.ID, err)
		}
		list[i] = Arrival{Position{At: r.CreatedAt, ID: r.ID}, r.WorkstreamID, route.QueueID, fromMicros(r.FirstWaitedAt)}
	}
	return list, nil
}
