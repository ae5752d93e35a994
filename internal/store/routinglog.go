package store

import (
	"context"

	"kaiwa/internal/routing"
)

// RoutingLogLine is a line of a conversation's routing log.
type RoutingLogLine struct {
	ID        string `db:"id"`
	Epoch     int64  `db:"epoch"`
	Stage     string `db:"stage"`
	Outcome   string `db:"outcome"` // an enumerated word
	Entry     string `db:"entry"`   // JSON: ids, numbers and enumerated words
	CreatedAt int64  `db:"created_at"`
}

// Position is the line's place in its log.
func (l RoutingLogLine) Position() Position { return Position{At: l.CreatedAt, ID: l.ID} }

const routingLogColumns = `id, epoch, stage, outcome, entry, created_at`

// RoutingLog reads why a conversation went where it went, oldest first, after a
// position (the zero Position starts at the oldest).
func (s *Store) RoutingLog(ctx context.Context, conversationID string, after Position, limit int) ([]RoutingLogLine, error) {
	var lines []RoutingLogLine
	err := s.read().list(ctx, &lines, `SELECT `+routingLogColumns+` FROM routing_log
		WHERE conversation_id = $1 AND (created_at, id) > ($2, $3) ORDER BY created_at, id`+limitTo(limit), conversationID, after.At, after.ID)
	return lines, err
}

// FirstLook is the line of the routing log that tells whom a conversation was
// offered to, or why to nobody, when agents were first looked at after a
// classification: the one whose line has that id, or ("") the last. found is
// false when nobody was looked at before the next one.
func (s *Store) FirstLook(ctx context.Context, conversationID, classification string) (line RoutingLogLine, found bool, _ error) {
	var from RoutingLogLine
	found, err := s.read().get(ctx, &from, `SELECT `+routingLogColumns+` FROM routing_log
		WHERE conversation_id = $1 AND stage = $2 AND ($3 = '' OR id = $3) ORDER BY created_at DESC, id DESC LIMIT 1`,
		conversationID, StageClassification, classification)
	if err != nil || !found {
		return RoutingLogLine{}, false, err
	}
	found, err = s.read().get(ctx, &line, `SELECT `+routingLogColumns+` FROM routing_log
		WHERE conversation_id = $1 AND (created_at, id) > ($2, $3) AND (stage = $4 OR stage = $5 AND outcome IN ($6, $7, $8, $9)) ORDER BY created_at, id LIMIT 1`,
		conversationID, from.CreatedAt, from.ID, StageClassification, StageAssignment,
		string(routing.Offered), string(routing.NoAgent), string(routing.WaitsForOne), string(routing.UnknownQueue))
	if err != nil || !found || line.Stage == StageClassification {
		return RoutingLogLine{}, false, err
	}
	return line, true, nil
}
