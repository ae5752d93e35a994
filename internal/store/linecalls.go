package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// TakeCalls takes n calls of an endpoint out of those that all workers may
// make together within one second, in one statement. It tells whether there
// were as many left. A worker whose clock is behind gets none.
func (s *Store) TakeCalls(ctx context.Context, channelID, endpoint string, second time.Time, n, together int64) (bool, error) {
	if n > together {
		return false, conversation.Errorf(conversation.CodeInvalid, "%d calls are more than the %d there are.", n, together)
	}
	rows, err := s.write().exec(ctx, `INSERT INTO line_calls (channel_id, endpoint, second, taken) VALUES ($1, $2, $3, $4)
		ON CONFLICT (channel_id, endpoint) DO UPDATE
		SET taken = CASE WHEN line_calls.second = excluded.second THEN line_calls.taken ELSE 0 END + excluded.taken, second = excluded.second
		WHERE line_calls.second < excluded.second OR line_calls.second = excluded.second AND line_calls.taken + excluded.taken <= $5`,
		channelID, endpoint, second.Unix(), n, together)
	if err != nil {
		return false, fmt.Errorf("calls of %s for channel %s: %w", endpoint, channelID, err)
	}
	return rows > 0, nil
}
