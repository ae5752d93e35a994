package store

import (
	"context"
	"time"
)

// LINEUsage is what Kaiwa has sent by LINE.
type LINEUsage struct {
	Replies int64 `db:"replies"` // calls that LINE took as replies, which are free
	Pushes  int64 `db:"pushes"`  // calls that LINE took as pushes
	Charged int64 `db:"charged"` // paid messages that LINE counts for these pushes: their recipients
}

const usageColumns = `coalesce(sum(CASE WHEN kind = 'reply' THEN 1 ELSE 0 END), 0) AS replies,
	coalesce(sum(CASE WHEN kind = 'push' THEN 1 ELSE 0 END), 0) AS pushes, CAST(coalesce(sum(charged), 0) AS BIGINT) AS charged`

// ConversationUsage sums what was sent in a conversation.
func (s *Store) ConversationUsage(ctx context.Context, conversationID string) (LINEUsage, error) {
	var u LINEUsage
	_, err := s.read().get(ctx, &u, `SELECT `+usageColumns+` FROM batches WHERE conversation_id = $1 AND state = '`+BatchAccepted+`'`, conversationID)
	return u, err
}

// ChannelUsage sums what was sent by a channel in the month of a time. Other
// senders of the same LINE account, such as its manager, are not in it.
func (s *Store) ChannelUsage(ctx context.Context, channelID string, at time.Time) (LINEUsage, error) {
	_, from, until := QuotaMonth(at)
	var u LINEUsage
	_, err := s.read().get(ctx, &u, `SELECT `+usageColumns+` FROM batches
		WHERE channel_id = $1 AND finished_at >= $2 AND finished_at < $3 AND state = '`+BatchAccepted+`' AND channel_id <> ''`,
		channelID, micros(from), micros(until))
	return u, err
}
