package store

import (
	"context"
	"fmt"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// SayRequest is what an agent writes to the customer.
type SayRequest struct {
	// Cause names the request: the same cause stores the messages once.
	Cause          string
	ConversationID string
	Actor          conversation.Actor
	Drafts         []Draft // at least one
}

// MessageID is the id of the nth message of the request.
func (r SayRequest) MessageID(n int) string {
	return conversation.DerivedID(conversation.PrefixMessage, r.Cause, n)
}

// Say stores what an agent writes, pending, and wants the conversation's
// workflow for it: the lane sends it. It returns the messages, which are those
// of the first time when the cause has been here before, and the chat, to be
// woken. Refusals are the life table's: CodeNotAssignedToYou,
// CodeNotAllowedNow, CodeConversationClosed.
func (s *Store) Say(ctx context.Context, req SayRequest) ([]Message, Chat, error) {
	var ids []string
	for i := range req.Drafts {
		ids = append(ids, req.MessageID(i))
	}
	out, chat, err := s.speak(ctx, req.ConversationID, req.Actor, ids, func(conn) ([]Draft, error) { return req.Drafts, nil }, req.Cause)
	if err != nil {
		return nil, Chat{}, fmt.Errorf("write in conversation %s: %w", req.ConversationID, err)
	}
	return out, chat, nil
}

// speak stores what somebody wants said to the customer of a conversation, once
// a cause: the messages of ids, which are the cause's, are returned when they
// are there. what tells what is to be said.
func (s *Store) speak(ctx context.Context, conversationID string, actor conversation.Actor, ids []string, what func(conn) ([]Draft, error), cause string) (out []Message, chat Chat, _ error) {
	err := s.tx(ctx, func(c conn) error {
		out = nil
		if err := c.want(ctx, conversationID); err != nil {
			return err
		}
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		chat = Chat{row.ChannelID, row.ChatKey}
		if err := c.messagesByID(ctx, &out, ids); err != nil || len(out) > 0 {
			return err
		}
		drafts, err := what(c)
		if err != nil {
			return err
		}
		if _, err := conversation.Next(row.phase(), conversation.EventAgentWrote, conversation.Facts{Actor: actor, AgentID: row.AgentID}); err != nil {
			return err
		}
		if out, err = c.insertMessages(ctx, row, cause, drafts); err != nil {
			return err
		}
		_, err = c.exec(ctx, `UPDATE conversations SET last_message_at = $1, updated_at = $2 WHERE id = $3`, out[0].OccurredAt, out[0].CreatedAt, row.ID)
		failpoint.Hit("say.before_commit")
		return err
	})
	if err == nil {
		failpoint.Hit("say.after_commit")
	}
	return out, chat, err
}

// NoteRequest is what an agent, or Kaiwa, writes for agents.
type NoteRequest struct {
	Cause          string // the same cause stores it once
	ConversationID string
	SenderID       string
	SenderName     string
	Automated      string // what of Kaiwa's own writes it, and no agent; "" for an agent's
	Text           string
}

// Note stores an internal message. It is possible in every phase, closed
// conversations included, and never reaches the customer.
func (s *Store) Note(ctx context.Context, req NoteRequest) (Message, error) {
	id := conversation.DerivedID(conversation.PrefixMessage, req.Cause, 0)
	var out []Message
	err := s.tx(ctx, func(c conn) error {
		out = nil
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		if err := c.messagesByID(ctx, &out, []string{id}); err != nil || len(out) > 0 {
			return err
		}
		now, sender := micros(c.s.now()), conversation.SenderAgent
		if req.Automated != "" {
			sender = conversation.SenderSystem
		}
		if _, err := c.exec(ctx, `
			INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, sender_id, sender_name, type, text, automated, state, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			id, row.ID, row.ChannelID, max(now, row.LastMessageAt+1), string(conversation.Internal), string(sender), req.SenderID, req.SenderName,
			conversation.ContentText, req.Text, req.Automated, string(conversation.MessageAccepted), now); err != nil {
			return err
		}
		if err := c.record(ctx, "message.created", row.ID, id, "{}", now); err != nil {
			return err
		}
		return c.messagesByID(ctx, &out, []string{id})
	})
	if err != nil {
		return Message{}, fmt.Errorf("note in conversation %s: %w", req.ConversationID, err)
	}
	return out[0], nil
}

// messagesByID reads messages in the order of a transcript.
func (c conn) messagesByID(ctx context.Context, to *[]Message, ids []string) error {
	return c.list(ctx, to, `SELECT `+messageColumns+` FROM messages WHERE id IN (`+list1(len(ids), 1)+`) ORDER BY occurred_at, ordinal, id`, anys(ids)...)
}
