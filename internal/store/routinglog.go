package store

import "context"

// RoutingLogLine is a line of a conversation's routing log.
type RoutingLogLine struct {
	ID        string `db:"id"`
	Epoch     int64  `db:"epoch"`
	Stage     string `db:"stage"`
	Outcome   string `db:"outcome"` // an enumerated word
	Entry     string `db:"entry"`   // JSON: ids, numbers and enumerated words
	CreatedAt int64  `db:"created_at"`
}

// RoutingLog reads why a conversation went where it went, oldest first.
func (s *Store) RoutingLog(ctx context.Context, conversationID string) ([]RoutingLogLine, error) {
	var lines []RoutingLogLine
	err := s.read().list(ctx, &lines, `SELECT id, epoch, stage, outcome, entry, created_at FROM routing_log
		WHERE conversation_id = $1 ORDER BY created_at, id`, conversationID)
	return lines, err
}
