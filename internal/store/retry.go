package store

import (
	"context"
	"encoding/json"
	"fmt"

	"kaiwa/internal/conversation"
)

// RetryMessageID is the id of the message that retries one that failed.
func RetryMessageID(messageID string) string {
	return conversation.DerivedID(conversation.PrefixMessage, retryCause(messageID), 0)
}

func retryCause(messageID string) string { return "retry/" + messageID }

// Retry sends once more what a message that failed said: as a message of its
// own, after everything the conversation says so far, which takes the failed
// one's file over. There is one such message for each that failed, however often
// it is asked for; when that one fails too, it is the one to be retried. It
// returns it, and the chat, to be woken.
//
// CodeNotFound when the conversation has no such message; CodeConflict when it
// is not failed: what is uncertain LINE may have taken, so that whoever wants it
// said again writes it again. Otherwise the refusals are those of Say.
func (s *Store) Retry(ctx context.Context, conversationID, messageID string, actor conversation.Actor) (Message, Chat, error) {
	id := RetryMessageID(messageID)
	out, chat, err := s.speak(ctx, conversationID, actor, []string{id}, func(c conn) ([]Draft, error) {
		failed, err := c.failedMessage(ctx, conversationID, messageID)
		if err != nil {
			return nil, err
		}
		draft, err := failed.draft()
		if err != nil {
			return nil, err
		}
		if _, err := c.exec(ctx, `UPDATE messages SET retry_id = $1 WHERE id = $2`, id, messageID); err != nil {
			return nil, err
		}
		return []Draft{draft}, c.record(ctx, "message.retried", conversationID, messageID, jsonOf(map[string]string{"retry_id": id}), micros(s.now()))
	}, retryCause(messageID))
	if err != nil {
		return Message{}, Chat{}, fmt.Errorf("retry message %s of conversation %s: %w", messageID, conversationID, err)
	}
	return out[0], chat, nil
}

// failedMessage reads a message that may be retried.
func (c conn) failedMessage(ctx context.Context, conversationID, messageID string) (Message, error) {
	var list []Message
	if err := c.messagesByID(ctx, &list, []string{messageID}); err != nil {
		return Message{}, err
	}
	switch {
	case len(list) == 0 || list[0].ConversationID != conversationID || list[0].Direction != conversation.Outbound:
		return Message{}, conversation.Errorf(conversation.CodeNotFound, "The conversation has no message %s to the customer.", messageID)
	case list[0].State == conversation.MessageUncertain:
		return Message{}, conversation.Errorf(conversation.CodeConflict, "LINE may have taken this message, so it is not sent again. If the customer did not get it, write it again.")
	case list[0].State != conversation.MessageFailed:
		return Message{}, conversation.Errorf(conversation.CodeConflict, "This message is %s; only one that failed is sent again.", list[0].State)
	}
	return list[0], nil
}

// draft is what the message says, to be said again.
func (m Message) draft() (Draft, error) {
	d := Draft{SenderKind: m.SenderKind, SenderID: m.SenderID, SenderName: m.SenderName, Automated: m.Automated, AttachmentID: m.AttachmentID, inPlaceOf: m.ID}
	if err := json.Unmarshal([]byte(m.Payload), &d.Content); err != nil {
		return d, fmt.Errorf("payload of message %s: %w", m.ID, err)
	}
	d.Content.Type, d.Content.Text = m.Type, m.Text
	return d, nil
}
