package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
)

// Courtesies are what a workstream lets customers see beside messages, and how
// current the names of customers are.
type Courtesies struct {
	// Typing is when customers see LINE's loading animation; "" means always.
	Typing TypingMode `json:"typing,omitempty"`
	// MarkAsRead is when LINE shows a customer's message as read; "" means never.
	MarkAsRead ReadMode `json:"mark_as_read,omitempty"`
	// ProfileSeconds is how old what LINE told of a customer, or of a member of a
	// group, may be when they write; 0 means DefaultProfileAge.
	ProfileSeconds int64 `json:"profile_seconds,omitempty"`
}

// TypingMode is when the loading animation is shown.
type TypingMode string

// The modes of typing.
const (
	TypingAlways TypingMode = "always" // while a bot thinks and while an agent types
	TypingBot    TypingMode = "bot"    // while a bot thinks
	TypingAgent  TypingMode = "agent"  // while an agent types
	TypingNever  TypingMode = "never"
)

// Bot tells whether it is shown while a bot thinks.
func (m TypingMode) Bot() bool { return m == "" || m == TypingAlways || m == TypingBot }

// Agent tells whether it is shown while an agent types.
func (m TypingMode) Agent() bool { return m == "" || m == TypingAlways || m == TypingAgent }

// ReadMode is when a customer's message is shown as read.
type ReadMode string

// The modes of reading.
const (
	ReadByAgent ReadMode = "agent_reads" // when the agent who serves has read it
	ReadNever   ReadMode = "never"
)

// DefaultProfileAge is how old what LINE told of a customer may be where nothing
// else is set.
const DefaultProfileAge = 24 * time.Hour

// ProfileAge is how old what LINE told of a customer may be.
func (c Courtesies) ProfileAge() time.Duration {
	if c.ProfileSeconds == 0 {
		return DefaultProfileAge
	}
	return time.Duration(c.ProfileSeconds) * time.Second
}

// ServedBy checks that an agent serves a conversation, and not a supervisor in
// their place: CodeNotAssignedToYou, CodeNotAllowedNow, CodeConversationClosed or
// CodeConsentPending when not.
func (c Conversation) ServedBy(agentID string) error {
	_, err := conversation.Next(conversation.Phase{Status: c.Status, Owner: c.Owner}, conversation.EventAgentWrote, conversation.Facts{})
	if err == nil && c.AgentID != agentID {
		err = conversation.Errorf(conversation.CodeNotAssignedToYou, "Only the agent who has this conversation may do this.")
	}
	return err
}

// sendAfter is how long before it is sent a message is made at most, by which
// ClaimTyping finds what was sent.
const sendAfter = 10 * time.Minute

// ClaimTyping has the loading animation be shown in a conversation for so long by
// whoever asks, and by nobody else until it is over or a message of the account
// has ended it. It is not to be shown when the result is false: somebody else has
// done so, or another system serves the chat.
func (s *Store) ClaimTyping(ctx context.Context, conversationID string, d time.Duration) (bool, error) {
	now := s.now()
	n, err := s.write().exec(ctx, `
		INSERT INTO courtesies (conversation_id, typing_at, typing_until)
		SELECT c.id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM conversations c WHERE c.id = $1
			AND NOT EXISTS (SELECT 1 FROM chats h WHERE h.channel_id = c.channel_id AND h.chat_key = c.chat_key AND h.standby)
		ON CONFLICT (conversation_id) DO UPDATE SET typing_at = excluded.typing_at, typing_until = excluded.typing_until
		WHERE courtesies.typing_until <= excluded.typing_at OR EXISTS (SELECT 1 FROM messages m
			WHERE m.conversation_id = $1 AND m.occurred_at > courtesies.typing_at - $4 AND m.direction = 'outbound' AND m.sent_at > courtesies.typing_at)`,
		conversationID, micros(now), micros(now.Add(d)), sendAfter.Microseconds())
	if err != nil {
		return false, fmt.Errorf("typing in conversation %s: %w", conversationID, err)
	}
	return n > 0, nil
}

// MarkLease is how long whoever tells LINE that a message is read has for it:
// after that somebody else may.
const MarkLease = 15 * time.Second

// Read notes that the agent of a conversation has read it up to a message, and,
// with mark, that LINE is to be told so: by the newest message of the customer up
// to there that can be marked. It tells whether that is so: the caller is the one
// to do it, within MarkLease. What was read stays read: an earlier message
// changes nothing. CodeInvalid, at /message_id, when the conversation has no such
// message.
func (s *Store) Read(ctx context.Context, conversationID, agentID, messageID string, mark bool) (due bool, _ error) {
	err := s.tx(ctx, func(c conn) error {
		due = false
		var m struct {
			OccurredAt int64 `db:"occurred_at"`
			Ordinal    int64 `db:"ordinal"`
		}
		found, err := c.get(ctx, &m, `SELECT occurred_at, ordinal FROM messages WHERE id = $1 AND conversation_id = $2 AND NOT held`, messageID, conversationID)
		if err != nil {
			return err
		}
		if !found {
			return conversation.Invalid("/message_id", "The conversation has no message %q.", messageID)
		}
		now := s.now()
		n, err := c.exec(ctx, `
			INSERT INTO courtesies (conversation_id, read_at, read_message_id, read_occurred_at, read_ordinal) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (conversation_id) DO UPDATE SET read_at = excluded.read_at, read_message_id = excluded.read_message_id,
				read_occurred_at = excluded.read_occurred_at, read_ordinal = excluded.read_ordinal
			WHERE (courtesies.read_occurred_at, courtesies.read_ordinal, courtesies.read_message_id) < (excluded.read_occurred_at, excluded.read_ordinal, excluded.read_message_id)`,
			conversationID, micros(now), messageID, m.OccurredAt, m.Ordinal)
		if err != nil || n == 0 {
			return err
		}
		if mark {
			n, err := c.exec(ctx, `
				UPDATE courtesies SET mark_message_id = newest.id, mark_due_at = $2, mark_attempts = 0, mark_failure = ''
				FROM (SELECT id FROM messages WHERE conversation_id = $1 AND (occurred_at, ordinal, id) <= ($3, $4, $5)
					AND direction = 'inbound' AND read_token <> '' AND NOT held ORDER BY occurred_at DESC, ordinal DESC, id DESC LIMIT 1) AS newest
				WHERE courtesies.conversation_id = $1 AND courtesies.mark_message_id <> newest.id`,
				conversationID, micros(now.Add(MarkLease)), m.OccurredAt, m.Ordinal, messageID)
			if err != nil {
				return err
			}
			due = n > 0
		}
		return c.record(ctx, "conversation.read", conversationID, messageID, `{"agent_id":"`+agentID+`"}`, micros(now))
	})
	if err != nil {
		return false, fmt.Errorf("reading conversation %s: %w", conversationID, err)
	}
	return due, nil
}

// Mark is that LINE is to be told that a message is read.
type Mark struct {
	ConversationID string `db:"conversation_id"`
	MessageID      string `db:"mark_message_id"`
	ChannelID      string `db:"channel_id"`
	Token          string `db:"read_token"` // "" when the customer has taken the message back
	Standby        bool   `db:"standby"`    // another system serves the chat
	Attempts       int64  `db:"mark_attempts"`
	ReadAt         int64  `db:"read_at"`
}

// Mark reads what LINE is to be told of a conversation; nil when that is nothing.
func (s *Store) Mark(ctx context.Context, conversationID string) (*Mark, error) {
	var m Mark
	found, err := s.read().get(ctx, &m, `SELECT k.conversation_id, k.mark_message_id, c.channel_id, m.read_token, h.standby, k.mark_attempts, k.read_at
		FROM courtesies k JOIN conversations c ON c.id = k.conversation_id JOIN messages m ON m.id = k.mark_message_id
		JOIN chats h ON h.channel_id = c.channel_id AND h.chat_key = c.chat_key
		WHERE k.conversation_id = $1 AND k.mark_due_at > 0`, conversationID)
	if err != nil {
		return nil, fmt.Errorf("what LINE is told of conversation %s: %w", conversationID, err)
	}
	if !found {
		return nil, nil
	}
	return &m, nil
}

// Marked notes that LINE was told, or would not hear of it with that failure. What
// has been read meanwhile is still to be told.
func (s *Store) Marked(ctx context.Context, m Mark, failure string) error {
	_, err := s.write().exec(ctx, `UPDATE courtesies SET mark_due_at = 0, mark_failure = $1 WHERE conversation_id = $2 AND mark_message_id = $3`,
		failure, m.ConversationID, m.MessageID)
	return err
}

// MarkLater has LINE told another time.
func (s *Store) MarkLater(ctx context.Context, m Mark, at time.Time, failure string) error {
	_, err := s.write().exec(ctx, `UPDATE courtesies SET mark_due_at = $1, mark_attempts = mark_attempts + 1, mark_failure = $2
		WHERE conversation_id = $3 AND mark_message_id = $4 AND mark_due_at > 0`, micros(at), failure, m.ConversationID, m.MessageID)
	return err
}

// MarksDue names conversations of which LINE is to be told by now what was read:
// whoever was to do it has died, or LINE did not answer. Of several who ask at
// once each gets others, for MarkLease.
func (s *Store) MarksDue(ctx context.Context, limit int) ([]string, error) {
	now := s.now()
	var ids []string
	err := s.write().list(ctx, &ids, `UPDATE courtesies SET mark_due_at = $1 WHERE conversation_id IN (
			SELECT conversation_id FROM courtesies WHERE mark_due_at > 0 AND mark_due_at <= $2 ORDER BY mark_due_at`+limitTo(limit)+s.d.skipLocked()+`)
		AND mark_due_at > 0 AND mark_due_at <= $2 RETURNING conversation_id`, micros(now.Add(MarkLease)), micros(now))
	if err != nil {
		return nil, fmt.Errorf("what LINE is to be told of: %w", err)
	}
	return ids, nil
}

// UnreadMost is the most that Unread counts.
const UnreadMost = 99

// Unread counts the messages of the customer that come after what an agent has
// read, UnreadMost at most, of each conversation.
func (s *Store) Unread(ctx context.Context, ids []string) (map[string]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []struct {
		ID     string `db:"id"`
		Unread int64  `db:"unread"`
	}
	err := s.read().list(ctx, &rows, `SELECT c.id, (SELECT count(*) FROM (
			SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'inbound' AND NOT m.held
			AND (m.occurred_at, m.ordinal, m.id) > (coalesce(k.read_occurred_at, 0), coalesce(k.read_ordinal, 0), coalesce(k.read_message_id, ''))`+limitTo(UnreadMost)+`) AS later) AS unread
		FROM conversations c LEFT JOIN courtesies k ON k.conversation_id = c.id WHERE c.id `+s.d.among(1), s.d.ids(ids))
	if err != nil {
		return nil, fmt.Errorf("unread messages: %w", err)
	}
	unread := make(map[string]int64, len(rows))
	for _, r := range rows {
		unread[r.ID] = r.Unread
	}
	return unread, nil
}
