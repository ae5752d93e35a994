package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
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

// DispatchState is what calls for the dispatcher.
type DispatchState struct {
	Waiting int `db:"waiting"` // conversations that nobody has
	Overdue int `db:"overdue"` // offers whose time is over, and agents silent for too long
}

// DispatchState counts what has called for the dispatcher since before a time.
func (s *Store) DispatchState(ctx context.Context, before time.Time) (DispatchState, error) {
	var st DispatchState
	_, err := s.read().get(ctx, &st, `SELECT
		(SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
			WHERE c.owner = 'queue' AND c.routed_at > 0 AND NOT c.refused AND c.preferred_agent_id = '' AND c.routed_at <= $1)
		+ (SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
			WHERE c.owner = 'queue' AND c.routed_at > 0 AND (c.refused OR c.preferred_agent_id <> '') AND c.routed_at <= $1) AS waiting,
		(SELECT count(*) FROM offers WHERE state = 'live' AND expires_at <= $1)
		+ (SELECT count(*) FROM agent_states WHERE presence <> 'offline' AND last_seen_at <= $2) AS overdue`,
		micros(before), micros(before.Add(-conversation.PresenceGrace)))
	return st, err
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
