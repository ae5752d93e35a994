package store

import (
	"context"
	"encoding/json"
	"fmt"

	"kaiwa/internal/conversation"
)

// quotable is a message as one that is to be quoted.
type quotable struct {
	Payload string                    `db:"payload"`
	State   conversation.MessageState `db:"state"`
}

// QuoteToken is LINE's token of a message of the customer that is to be quoted
// in a conversation of the same chat. messageID is the message that quotes it:
// once that is stored, its token is answered whatever became of the other.
// CodeInvalid, at /quote_message_id, when the customer has sent no such message
// or it cannot be quoted; CodeConflict when they have taken it back.
func (s *Store) QuoteToken(ctx context.Context, conversationID, quotedID, messageID string) (string, error) {
	c := s.read()
	var m quotable
	found, err := c.get(ctx, &m, `SELECT m.payload, m.state FROM messages m
		JOIN conversations theirs ON theirs.id = m.conversation_id
		JOIN conversations here ON here.channel_id = theirs.channel_id AND here.chat_key = theirs.chat_key
		WHERE m.id = $1 AND here.id = $2 AND m.direction = 'inbound' AND NOT m.held`, quotedID, conversationID)
	if err != nil {
		return "", err
	}
	token, refusal := "", error(nil)
	switch {
	case !found:
		refusal = conversation.Invalid("/quote_message_id", "The customer has sent no message %q in this chat.", quotedID)
	case m.State == conversation.MessageRecalled:
		refusal = conversation.Errorf(conversation.CodeConflict, "The customer has taken back the message that is to be quoted.")
	default:
		if token, err = quoteToken(m.Payload, "quoteToken"); err != nil {
			return "", fmt.Errorf("payload of message %s: %w", quotedID, err)
		}
		if token == "" {
			refusal = conversation.Invalid("/quote_message_id", "LINE lets texts, stickers, pictures and videos be quoted, and not this message.")
		}
	}
	if refusal == nil || messageID == "" {
		return token, refusal
	}
	if found, err = c.get(ctx, &m, `SELECT payload, state FROM messages WHERE id = $1`, messageID); err != nil || !found {
		return "", errorOr(err, refusal)
	}
	if token, err = quoteToken(m.Payload, "quote_token"); err != nil {
		return "", fmt.Errorf("payload of message %s: %w", messageID, err)
	}
	return token, nil
}

// quoteToken reads a token out of a payload; "" when it has none.
func quoteToken(payload, name string) (string, error) {
	if payload == "" {
		return "", nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &fields); err != nil {
		return "", err
	}
	token := ""
	if raw, there := fields[name]; there {
		if err := json.Unmarshal(raw, &token); err != nil {
			return "", err
		}
	}
	return token, nil
}

func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
