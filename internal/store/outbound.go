package store

import (
	"context"
	"encoding/json"
	"fmt"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// Draft is a message to be sent to the customer.
type Draft struct {
	SenderKind           conversation.SenderKind
	SenderID, SenderName string
	Automated            string // the trigger, for automated messages
	Content              conversation.Content
}

// insertOutbound stores drafts as pending messages, in their order, after
// everything the conversation says so far. Their ids are derived from the
// cause and their place, so that the same cause stores them once. It returns
// how many there are.
func (c conn) insertOutbound(ctx context.Context, row conversationRow, cause string, drafts []Draft) (int, error) {
	if len(drafts) == 0 {
		return 0, nil
	}
	now := micros(c.s.now())
	at := max(now, row.LastMessageAt+1)
	var messages, records []any
	for i, d := range drafts {
		content := d.Content
		text := content.Text
		content.Text = ""
		payload, err := json.Marshal(content)
		if err != nil {
			return 0, err
		}
		id := conversation.DerivedID(conversation.PrefixMessage, cause, i)
		messages = append(messages, id, row.ID, row.ChannelID, i, at, string(conversation.Outbound), string(d.SenderKind), d.SenderID, d.SenderName,
			content.Type, text, string(payload), d.Automated, string(conversation.MessagePending), now)
		records = append(records, "message.created", row.ID, id, "{}", now)
	}
	if _, err := c.exec(ctx, `
		INSERT INTO messages (id, conversation_id, channel_id, ordinal, occurred_at, direction, sender_kind, sender_id, sender_name,
			type, text, payload, automated, state, created_at)
		VALUES `+values(len(drafts), 15, 1), messages...); err != nil {
		return 0, err
	}
	if _, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES `+values(len(drafts), 5, 1), records...); err != nil {
		return 0, err
	}
	_, err := c.exec(ctx, `UPDATE conversations SET last_message_at = $1, updated_at = $2 WHERE id = $3`, at, now, row.ID)
	return len(drafts), err
}

// Announce stores automated messages once per cause. Greeting marks the
// conversation as greeted. It returns how many messages wait to be sent; zero
// drafts are allowed (a greeting that is switched off).
func (s *Store) Announce(ctx context.Context, conversationID, cause string, greeting bool, drafts []Draft) (int, error) {
	n := 0
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		var before int
		if _, err := c.get(ctx, &before, `SELECT count(*) FROM messages WHERE id = $1`,
			conversation.DerivedID(conversation.PrefixMessage, cause, 0)); err != nil {
			return err
		}
		if before > 0 || greeting && row.Greeted {
			n = len(drafts)
			return nil
		}
		if n, err = c.insertOutbound(ctx, row, cause, drafts); err != nil {
			return err
		}
		if greeting {
			_, err = c.exec(ctx, `UPDATE conversations SET greeted = TRUE WHERE id = $1`, conversationID)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("announce in conversation %s: %w", conversationID, err)
	}
	failpoint.Hit("announce.after_commit")
	return n, nil
}
