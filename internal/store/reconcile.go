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

// unsaidBy tells whether a closed conversation has something to say yet:
// messages, or a survey that has not begun. Once that has, it says the rest.
func unsaidBy(id string) string {
	return `(EXISTS (SELECT 1 FROM survey_invitations WHERE conversation_id = ` + id + ` AND ` + notBegun + `)
		OR NOT EXISTS (SELECT 1 FROM survey_invitations WHERE conversation_id = ` + id + `) AND (
			EXISTS (SELECT 1 FROM messages WHERE conversation_id = ` + id + ` AND state = 'pending' AND batch_id = '')
			OR EXISTS (SELECT 1 FROM batches WHERE conversation_id = ` + id + ` AND state = 'frozen')))`
}

// UnsaidConversations lists conversations that were closed before a time and
// have something to say yet: their runs say it, or are gone. What waits for an
// access token that LINE takes is not among them.
func (s *Store) UnsaidConversations(ctx context.Context, before time.Time, limit int) ([]OpenConversation, error) {
	var list []OpenConversation
	err := s.read().list(ctx, &list, `SELECT c.id, c.channel_id, c.chat_key, c.updated_at FROM conversations c
		WHERE c.id IN (SELECT conversation_id FROM messages WHERE state = 'pending' AND batch_id = '' UNION SELECT conversation_id FROM batches WHERE state = 'frozen'
			UNION SELECT conversation_id FROM survey_invitations WHERE `+notBegun+`)
			AND c.status = 'closed' AND c.closed_at <= $1 AND NOT EXISTS (SELECT 1 FROM channels h WHERE h.id = c.channel_id AND (h.held_at > 0 OR h.resumed_at > 0))
			AND `+unsaidBy("c.id")+` ORDER BY c.id LIMIT $2`, micros(before), limit)
	return list, err
}

// DispatchState is what calls for the dispatcher.
type DispatchState struct {
	Waiting int `db:"waiting"` // conversations that nobody has
	Overdue int `db:"overdue"` // offers whose time is over, agents silent for too long, and those who are gone and hold conversations
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
		+ (SELECT count(*) FROM agent_states WHERE presence <> 'offline' AND last_seen_at <= $2)
		+ (SELECT count(*) FROM agent_states s WHERE presence = 'offline' AND review_at <= $1 AND since <= $1
			AND (SELECT count(*) FROM conversations c WHERE c.agent_id = s.agent_id AND c.owner = 'agent' AND c.status = 'active') > 0) AS overdue`,
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

// Underway counts what moves by itself, now or at once: nothing of it waits for
// a person or a deadline.
type Underway struct {
	Unhandled  int `db:"unhandled"`  // events of LINE that nobody has taken in
	Wanted     int `db:"wanted"`     // chats whose workflow has something else to look at
	Pending    int `db:"pending"`    // messages in no batch yet
	Frozen     int `db:"frozen"`     // batches that are on their way to LINE
	Unrouted   int `db:"unrouted"`   // conversations whose queue is not decided
	Unanswered int `db:"unanswered"` // conversations whose bot owes an answer
	Expired    int `db:"expired"`    // offers whose time is over, and nobody has noticed
	Surveys    int `db:"surveys"`    // surveys that have not begun, or whose workflow has something to look at
	Files      int `db:"files"`      // files that are being fetched
	Unnumbered int `db:"unnumbered"` // events of the record without a number
	// LastEvent and LastReceived are the ids of the last event of the record and
	// of the last one of LINE: while they stay, nothing has happened.
	LastEvent    int64 `db:"last_event"`
	LastReceived int64 `db:"last_received"`
}

// Underway counts what moves by itself.
func (s *Store) Underway(ctx context.Context) (Underway, error) {
	var u Underway
	_, err := s.read().get(ctx, &u, `SELECT
		(SELECT count(*) FROM line_events WHERE handled_at IS NULL) AS unhandled,
		(SELECT count(*) FROM chats WHERE wanted_at > 0) AS wanted,
		(SELECT count(*) FROM messages WHERE state = 'pending' AND batch_id = '') AS pending,
		(SELECT count(*) FROM batches WHERE state = 'frozen') AS frozen,
		(SELECT count(*) FROM conversations WHERE status <> 'closed' AND owner = 'queue' AND routed_at = 0) AS unrouted,
		(SELECT count(*) FROM conversations WHERE status <> 'closed' AND owner = 'bot' AND EXISTS (SELECT 1 FROM messages m
			WHERE m.conversation_id = conversations.id AND m.direction = 'inbound' AND m.state <> 'recalled' AND m.position > bot_position)) AS unanswered,
		(SELECT count(*) FROM offers WHERE state = 'live' AND expires_at <= $1) AS expired,
		(SELECT count(*) FROM survey_invitations WHERE wanted_at > 0 OR `+notBegun+`) AS surveys,
		(SELECT count(*) FROM attachments WHERE state = 'pending' AND direction = 'inbound') AS files,
		(SELECT count(*) FROM events WHERE seq IS NULL) AS unnumbered,
		(SELECT coalesce(max(id), 0) FROM events) AS last_event,
		(SELECT coalesce(max(id), 0) FROM line_events) AS last_received`, micros(s.now()))
	return u, err
}
