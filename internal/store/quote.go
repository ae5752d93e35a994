package store

import (
	"context"
	"encoding/json"
	"strings"

	"kaiwa/internal/conversation"
)

// quotable is a message as one that is to be quoted.
type quotable struct {
	ID         string                    `db:"id"`
	Payload    string                    `db:"payload"`
	QuoteToken string                    `db:"quote_token"`
	State      conversation.MessageState `db:"state"`
}

// token is LINE's token of the message; "" when it cannot be quoted. Those of
// customers' messages were in the payload before they had a column.
func (q quotable) token() string {
	if q.QuoteToken != "" {
		return q.QuoteToken
	}
	var fields struct {
		QuoteToken string `json:"quoteToken"`
	}
	if !strings.Contains(q.Payload, `"quoteToken"`) || json.Unmarshal([]byte(q.Payload), &fields) != nil {
		return ""
	}
	return fields.QuoteToken
}

// QuoteToken is LINE's token of a message, of the customer or of the account,
// that is to be quoted in a conversation of the same chat. messageID is the
// message that quotes it: once that is stored, whatever becomes of the other is
// no refusal any more. CodeInvalid, at /quote_message_id, when the chat has no
// such message or it cannot be quoted; CodeConflict when it was taken back, or
// LINE does not have it.
func (s *Store) QuoteToken(ctx context.Context, conversationID, quotedID, messageID string) (string, error) {
	c := s.read()
	var m quotable
	found, err := c.get(ctx, &m, `SELECT m.id, m.payload, m.quote_token, m.state FROM messages m
		JOIN conversations theirs ON theirs.id = m.conversation_id
		JOIN conversations here ON here.channel_id = theirs.channel_id AND here.chat_key = theirs.chat_key
		WHERE m.id = $1 AND here.id = $2 AND m.direction IN ('inbound', 'outbound') AND NOT m.held`, quotedID, conversationID)
	if err != nil {
		return "", err
	}
	token, refusal := m.token(), error(nil)
	switch {
	case !found:
		refusal = conversation.Invalid("/quote_message_id", "There is no message %q to or from the customer in this chat.", quotedID)
	case m.State == conversation.MessageRecalled:
		refusal = conversation.Errorf(conversation.CodeConflict, "The customer has taken back the message that is to be quoted.")
	case m.State == conversation.MessagePending || m.State == conversation.MessageFailed:
		refusal = conversation.Errorf(conversation.CodeConflict, "The message that is to be quoted is %s. It can be quoted once LINE has taken it.", m.State)
	case token == "":
		refusal = conversation.Invalid("/quote_message_id", "LINE lets texts, stickers, pictures and videos be quoted, and templates of the account, and not this message.")
	}
	if refusal == nil || messageID == "" {
		return token, refusal
	}
	var stored bool
	if _, err := c.get(ctx, &stored, `SELECT EXISTS (SELECT 1 FROM messages WHERE id = $1)`, messageID); err != nil || stored {
		return "", err
	}
	return "", refusal
}

// quoteTokens are LINE's tokens of messages that others quote, by Kaiwa's ids.
// What was taken back meanwhile has none.
func (c conn) quoteTokens(ctx context.Context, ids []string) (map[string]string, error) {
	tokens := map[string]string{}
	if len(ids) == 0 {
		return tokens, nil
	}
	var list []quotable
	if err := c.list(ctx, &list, `SELECT id, payload, quote_token, state FROM messages WHERE state <> 'recalled' AND id IN (`+list1(len(ids), 1)+`)`, anys(ids)...); err != nil {
		return nil, err
	}
	for _, m := range list {
		tokens[m.ID] = m.token()
	}
	return tokens, nil
}

// Quotable tells whether LINE lets the message be quoted.
func (m Message) Quotable() bool {
	return m.State == conversation.MessageAccepted && quotable{Payload: m.Payload, QuoteToken: m.QuoteToken}.token() != ""
}

// lineTokens are what payloads may hold of LINE's tokens: quoteToken and
// quote_token only where they were stored before the tokens had a column.
var lineTokens = []string{"quoteToken", "quote_token", "markAsReadToken"}

// Shown is the payload for people and bots: without LINE's tokens. nil for none.
func (m Message) Shown() json.RawMessage {
	if m.Payload == "" {
		return nil
	}
	had := false
	for _, name := range lineTokens {
		had = had || strings.Contains(m.Payload, `"`+name+`"`)
	}
	var fields map[string]json.RawMessage
	if !had || json.Unmarshal([]byte(m.Payload), &fields) != nil {
		return json.RawMessage(m.Payload)
	}
	for _, name := range lineTokens {
		delete(fields, name)
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage(m.Payload)
	}
	return out
}
