package store

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"kaiwa/internal/conversation"
)

// Limits of context variables.
const (
	MaxVariables     = 100
	MaxVariableName  = 100  // characters
	MaxVariableValue = 4000 // characters
)

// SetContext sets and removes context variables of a conversation that is not
// closed. CodeInvalid names the variable that is too long, or one too many.
func (s *Store) SetContext(ctx context.Context, conversationID string, set map[string]string, remove []string) error {
	for name, value := range set {
		detail := ""
		switch n := utf8.RuneCountInString(name); {
		case n == 0 || n > MaxVariableName:
			detail = fmt.Sprintf("The name of a variable has 1 to %d characters.", MaxVariableName)
		case utf8.RuneCountInString(value) > MaxVariableValue:
			detail = fmt.Sprintf("A variable has at most %d characters.", MaxVariableValue)
		default:
			continue
		}
		return &conversation.Error{Code: conversation.CodeInvalid, Detail: "The variables are not set.",
			Fields: []conversation.FieldError{{Pointer: conversation.Pointer(name), Detail: detail}}}
	}
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		if row.Status == conversation.StatusClosed {
			return conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed; its variables stay as they are.")
		}
		variables := map[string]string{}
		if err := json.Unmarshal([]byte(row.Context), &variables); err != nil {
			return fmt.Errorf("context: %w", err)
		}
		for name, value := range set {
			variables[name] = value
		}
		for _, name := range remove {
			delete(variables, name)
		}
		if len(variables) > MaxVariables {
			return conversation.Errorf(conversation.CodeInvalid, "A conversation has at most %d variables.", MaxVariables)
		}
		b, err := json.Marshal(variables)
		if err != nil {
			return err
		}
		now := micros(s.now())
		if _, err := c.exec(ctx, `UPDATE conversations SET context = $1, updated_at = $2 WHERE id = $3`, string(b), now, row.ID); err != nil {
			return err
		}
		return c.record(ctx, "conversation.context_changed", row.ID, row.ID, "{}", now)
	})
	if err != nil {
		return fmt.Errorf("context of conversation %s: %w", conversationID, err)
	}
	return nil
}

// LinkContact links a conversation's customer to a contact, or to none (""): in
// this conversation, and in those they begin later. CodeInvalid when there is
// no such contact.
func (s *Store) LinkContact(ctx context.Context, conversationID, contactID string) error {
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		if contactID != "" {
			if err := c.exists(ctx, "contacts", contactID, "/contact_id", "contact"); err != nil {
				return err
			}
		}
		now := micros(s.now())
		if _, err := c.exec(ctx, `UPDATE conversations SET contact_id = $1, updated_at = $2 WHERE id = $3`, contactID, now, row.ID); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE social_profiles SET contact_id = $1, updated_at = $2 WHERE channel_id = $3 AND chat_key = $4`,
			contactID, now, row.ChannelID, row.ChatKey); err != nil {
			return err
		}
		return c.record(ctx, "conversation.contact_linked", row.ID, contactID, "{}", now)
	})
	if err != nil {
		return fmt.Errorf("contact of conversation %s: %w", conversationID, err)
	}
	return nil
}
