package store

import (
	"context"
	"time"
)

// OpenConversation is a conversation that should have a run.
type OpenConversation struct {
	ID        string `db:"id"`
	ChannelID string `db:"channel_id"`
	ChatKey   string `db:"chat_key"`
	UpdatedAt int64  `db:"updated_at"`
}

// OpenConversations lists conversations that are not closed, by id, after one.
func (s *Store) OpenConversations(ctx context.Context, after string, limit int) ([]OpenConversation, error) {
	var list []OpenConversation
	err := s.read().list(ctx, &list, `SELECT id, channel_id, chat_key, updated_at FROM conversations
		WHERE status <> 'closed' AND id > $1 ORDER BY id LIMIT $2`, after, limit)
	return list, err
}

// HasOpenConversation tells whether a chat has a conversation that is not
// closed.
func (s *Store) HasOpenConversation(ctx context.Context, channelID, chatKey string) (bool, error) {
	var n int
	_, err := s.read().get(ctx, &n, `SELECT count(*) FROM conversations WHERE channel_id = $1 AND chat_key = $2 AND status <> 'closed'`, channelID, chatKey)
	return n > 0, err
}

// InboxState tells how the inbox does.
type InboxState struct {
	Unhandled int   `db:"unhandled"`
	Oldest    int64 `db:"oldest"` // when the oldest unhandled event was received; 0 when there is none
}

// InboxState counts events received before a time that nobody has handled.
func (s *Store) InboxState(ctx context.Context, before time.Time) (InboxState, error) {
	var st InboxState
	_, err := s.read().get(ctx, &st, `SELECT count(*) AS unhandled, coalesce(min(received_at), 0) AS oldest FROM line_events
		WHERE handled_at IS NULL AND received_at < $1`, micros(before))
	return st, err
}
