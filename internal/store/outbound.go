package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/traceparent"
)

// Draft is a message to be sent to the customer.
type Draft struct {
	SenderKind           conversation.SenderKind
	SenderID, SenderName string
	Automated            string // the trigger, for automated messages
	Content              conversation.Content
	AttachmentID         string // of an uploaded file that the message sends
	Unsendable           string // why it cannot be sent, for people: it is kept as failed; "" when it is to be sent
	inPlaceOf            string // a message that failed, whose file it takes over; "" for none
}

// insertOutbound stores drafts as messages, in their order, after everything the
// conversation says so far: pending, and failed those that cannot be sent. Their ids are derived from the
// cause and their place, so that the same cause stores them once. It returns
// how many there are.
func (c conn) insertOutbound(ctx context.Context, row conversationRow, cause string, drafts []Draft) (int, error) {
	messages, err := c.insertMessages(ctx, row, cause, drafts)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	last := messages[0]
	_, err = c.exec(ctx, `UPDATE conversations SET last_message_at = $1, updated_at = $2 WHERE id = $3`, last.OccurredAt, last.CreatedAt, row.ID)
	return len(messages), err
}

// insertMessages is insertOutbound without the conversation's row, whose
// last_message_at becomes the messages' time.
func (c conn) insertMessages(ctx context.Context, row conversationRow, cause string, drafts []Draft) ([]Message, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	now := micros(c.s.now())
	at := max(now, row.LastMessageAt+1)
	messages := make([]Message, len(drafts))
	var args []any
	var records []happened
	span := traceparent.Of(ctx)
	columns, width := "", 18
	if span != "" {
		columns, width = ", traceparent", 19
	}
	for i, d := range drafts {
		content := d.Content
		text := content.Text
		content.Text = ""
		payload, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		m := Message{
			ID: conversation.DerivedID(conversation.PrefixMessage, cause, i), ConversationID: row.ID, Ordinal: int64(i), OccurredAt: at,
			Direction: conversation.Outbound, SenderKind: d.SenderKind, SenderID: d.SenderID, SenderName: d.SenderName,
			Type: content.Type, Text: text, Payload: string(payload), Automated: d.Automated, State: conversation.MessagePending,
			AttachmentID: d.AttachmentID, CreatedAt: now,
		}
		if d.Unsendable != "" {
			m.State, m.Failure, m.FailureDetail = conversation.MessageFailed, FailureUnsendable, d.Unsendable
		}
		if m.AttachmentID != "" {
			if err := c.takeAttachment(ctx, row.ID, m.AttachmentID, m.ID, d.inPlaceOf); err != nil {
				return nil, err
			}
		}
		messages[i] = m
		args = append(args, m.ID, m.ConversationID, row.ChannelID, m.Ordinal, m.OccurredAt, string(m.Direction), string(m.SenderKind), m.SenderID, m.SenderName,
			m.Type, m.Text, m.Payload, m.Automated, string(m.State), m.Failure, m.FailureDetail, m.AttachmentID, m.CreatedAt)
		if span != "" {
			args = append(args, span)
		}
		records = append(records, happened{"message.created", row.ID, m.ID, "{}"})
		if m.State == conversation.MessageFailed {
			records = append(records, happened{"message.failed", row.ID, m.ID, "{}"})
		}
	}
	if _, err := c.exec(ctx, `
		INSERT INTO messages (id, conversation_id, channel_id, ordinal, occurred_at, direction, sender_kind, sender_id, sender_name,
			type, text, payload, automated, state, failure, failure_detail, attachment_id, created_at`+columns+`)
		VALUES `+values(len(drafts), width, 1), args...); err != nil {
		return nil, err
	}
	return messages, c.recordAll(ctx, records, now)
}

// Announce stores automated messages once per cause. It returns how many wait
// to be sent; zero drafts are allowed.
func (s *Store) Announce(ctx context.Context, conversationID, cause string, drafts []Draft) (int, error) {
	return s.announce(ctx, conversationID, cause, func(c conn, row conversationRow) (int, error) {
		return c.insertOutbound(ctx, row, cause, drafts)
	})
}

// Greeting is what a conversation begins with.
type Greeting struct {
	Drafts  []Draft // may be empty: the greeting is switched off
	Notice  []Draft // goes before them, once for every version and customer; may be empty
	Version string  // of the notice
}

// Greet stores what a conversation begins with, once, and marks it as greeted.
// It returns how many messages wait to be sent.
func (s *Store) Greet(ctx context.Context, conversationID, cause string, g Greeting) (int, error) {
	return s.announce(ctx, conversationID, cause, func(c conn, row conversationRow) (int, error) {
		if row.Greeted {
			return len(g.Drafts), nil
		}
		drafts := g.Drafts
		if len(g.Notice) > 0 {
			shown := ""
			if _, err := c.get(ctx, &shown, `SELECT notice_version FROM social_profiles WHERE id = $1`, profileID(row.ChannelID, row.ChatKey)); err != nil {
				return 0, err
			}
			if shown != g.Version {
				drafts = slices.Concat(g.Notice, g.Drafts)
				if err := c.noticed(ctx, row, g.Version); err != nil {
					return 0, err
				}
			}
		}
		n, err := c.insertOutbound(ctx, row, cause, drafts)
		if err != nil {
			return 0, err
		}
		_, err = c.exec(ctx, `UPDATE conversations SET greeted = TRUE WHERE id = $1`, row.ID)
		return n, err
	})
}

// announce does something about a conversation, whose row is locked, once per
// cause. What was done before is answered with one message at least, so that
// somebody looks after it.
func (s *Store) announce(ctx context.Context, conversationID, cause string, do func(conn, conversationRow) (int, error)) (int, error) {
	n := 0
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		done, err := c.announced(ctx, cause)
		if err != nil {
			return err
		}
		if done {
			n = 1
			return nil
		}
		n, err = do(c, row)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("announce in conversation %s: %w", conversationID, err)
	}
	failpoint.Hit("announce.after_commit")
	return n, nil
}

// announced tells whether a cause has stored its messages before.
func (c conn) announced(ctx context.Context, cause string) (bool, error) {
	var n int
	_, err := c.get(ctx, &n, `SELECT count(*) FROM messages WHERE id = $1`, conversation.DerivedID(conversation.PrefixMessage, cause, 0))
	return n > 0, err
}
