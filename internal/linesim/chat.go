package linesim

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// ChatMessage is one bubble on the customer's phone.
type ChatMessage struct {
	ID        string `json:"id"`
	ChannelID string `json:"channel_id"`
	// ChatID is the user, group or room.
	ChatID string `json:"chat_id"`
	// UserID is who wrote it; empty when the account did.
	UserID string `json:"user_id,omitempty"`
	// Direction is "customer" (from the phone) or "account" (from the bot).
	Direction string `json:"direction"`
	Type      string `json:"type"`
	// Body is LINE's message object for the account's messages, and a Message
	// without its content for the customer's. Empty once unsent.
	Body json.RawMessage `json:"body"`
	At   time.Time       `json:"at"`
	// Via is reply, push or multicast for the account's messages.
	Via string `json:"via,omitempty"`
	// RequestID is the x-line-request-id of the call that sent it.
	RequestID string `json:"request_id,omitempty"`
	// EventID, ReplyToken belong to the event a customer's message made.
	EventID    string `json:"event_id,omitempty"`
	ReplyToken string `json:"reply_token,omitempty"`
	QuoteToken string `json:"quote_token,omitempty"`
	Read       bool   `json:"read"`
	Unsent     bool   `json:"unsent"`
}

// Text is the body's text, for text messages of either direction.
func (m ChatMessage) Text() string {
	var body struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return ""
	}
	return body.Text
}

type messageRow struct {
	ID         int64  `db:"id"`
	ChannelID  string `db:"channel_id"`
	ChatID     string `db:"chat_id"`
	UserID     string `db:"user_id"`
	Direction  string `db:"direction"`
	Type       string `db:"type"`
	Body       string `db:"body"`
	AtMS       int64  `db:"at_ms"`
	Via        string `db:"via"`
	RequestID  string `db:"request_id"`
	EventID    string `db:"event_id"`
	ReplyToken string `db:"reply_token"`
	QuoteToken string `db:"quote_token"`
	ReadToken  string `db:"read_token"`
	ReadMS     int64  `db:"read_ms"`
	UnsentMS   int64  `db:"unsent_ms"`
	Hidden     bool   `db:"hidden"`
}

func (r messageRow) insert(t *txn) error {
	_, err := t.exec(insertMessage, r.ID, r.ChannelID, r.ChatID, r.UserID, r.Direction, r.Type, r.Body, r.AtMS, r.Via, r.RequestID,
		r.EventID, r.ReplyToken, r.QuoteToken, r.ReadToken, r.ReadMS, r.Hidden)
	return err
}

func (r messageRow) shown() ChatMessage {
	return ChatMessage{
		ID: strconv.FormatInt(r.ID, 10), ChannelID: r.ChannelID, ChatID: r.ChatID, UserID: r.UserID, Direction: r.Direction, Type: r.Type,
		Body: json.RawMessage(r.Body), At: msTime(r.AtMS), Via: r.Via, RequestID: r.RequestID, EventID: r.EventID, ReplyToken: r.ReplyToken,
		QuoteToken: r.QuoteToken, Read: r.ReadMS > 0, Unsent: r.UnsentMS > 0,
	}
}

// Chat is what the customer's phone shows, in order, both directions. Messages
// the account sent while it was blocked are not there: the phone never got
// them. chatID is a user, group or room.
func (s *Simulator) Chat(ctx context.Context, channelID, chatID string) ([]ChatMessage, error) {
	return s.chatTail(ctx, channelID, chatID, -1)
}

// chatTail is the newest limit bubbles, oldest first; a negative limit is all.
func (s *Simulator) chatTail(ctx context.Context, channelID, chatID string, limit int) ([]ChatMessage, error) {
	var rows []messageRow
	err := s.store.r.SelectContext(ctx, &rows, `SELECT * FROM messages WHERE channel_id = ? AND chat_id = ? AND hidden = 0 ORDER BY id DESC LIMIT ?`, channelID, chatID, limit)
	if err != nil {
		return nil, fmt.Errorf("read chat of %s: %w", chatID, err)
	}
	out := make([]ChatMessage, len(rows))
	for i, r := range rows {
		out[len(rows)-1-i] = r.shown()
	}
	return out, nil
}

// ChatSummary is one line of the list of chats.
type ChatSummary struct {
	ChannelID string    `json:"channel_id" db:"channel_id"`
	ChatID    string    `json:"chat_id" db:"chat_id"`
	Customer  int       `json:"customer" db:"customer"`
	Account   int       `json:"account" db:"account"`
	LastMS    int64     `json:"-" db:"last_ms"`
	LastAt    time.Time `json:"last_at" db:"-"`
}

// Chats lists every chat with its number of bubbles by direction.
func (s *Simulator) Chats(ctx context.Context) ([]ChatSummary, error) {
	out := []ChatSummary{}
	err := s.store.r.SelectContext(ctx, &out, `SELECT channel_id, chat_id, sum(direction = 'customer') AS customer, sum(direction = 'account') AS account, max(at_ms) AS last_ms
		FROM messages WHERE hidden = 0 GROUP BY channel_id, chat_id ORDER BY last_ms DESC`)
	if err != nil {
		return nil, fmt.Errorf("read chats: %w", err)
	}
	for i := range out {
		out[i].LastAt = msTime(out[i].LastMS)
	}
	return out, nil
}
