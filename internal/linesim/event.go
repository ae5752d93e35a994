package linesim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// event is a webhook event as LINE serialises it. Source:
// https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects
type event struct {
	Type            string          `json:"type"`
	Message         any             `json:"message,omitempty"`
	Unsend          any             `json:"unsend,omitempty"`
	Follow          any             `json:"follow,omitempty"`
	Postback        any             `json:"postback,omitempty"`
	Link            any             `json:"link,omitempty"`
	Joined          any             `json:"joined,omitempty"`
	Left            any             `json:"left,omitempty"`
	Video           any             `json:"videoPlayComplete,omitempty"`
	Beacon          any             `json:"beacon,omitempty"`
	Membership      any             `json:"membership,omitempty"`
	WebhookEventID  string          `json:"webhookEventId"`
	DeliveryContext deliveryContext `json:"deliveryContext"`
	Timestamp       int64           `json:"timestamp"`
	Source          eventSource     `json:"source"`
	ReplyToken      string          `json:"replyToken,omitempty"`
	Mode            string          `json:"mode"`
}

type deliveryContext struct {
	IsRedelivery bool `json:"isRedelivery"`
}

type eventSource struct {
	Type    string `json:"type"`
	GroupID string `json:"groupId,omitempty"`
	RoomID  string `json:"roomId,omitempty"`
	UserID  string `json:"userId,omitempty"`
}

// chat is whom an answer to the event goes to.
func (src eventSource) chat() string {
	switch {
	case src.GroupID != "":
		return src.GroupID
	case src.RoomID != "":
		return src.RoomID
	}
	return src.UserID
}

func sourceOf(userID, groupID, roomID string) eventSource {
	switch {
	case groupID != "":
		return eventSource{Type: "group", GroupID: groupID, UserID: userID}
	case roomID != "":
		return eventSource{Type: "room", RoomID: roomID, UserID: userID}
	}
	return eventSource{Type: "user", UserID: userID}
}

func modeOf(c Channel) string {
	if c.Standby {
		return "standby"
	}
	return "active"
}

// asRedelivered marks an event's JSON as redelivered; everything else, the id
// and the time among it, stays as it was.
func asRedelivered(body []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("redelivered event: %w", err)
	}
	fields["deliveryContext"] = json.RawMessage(`{"isRedelivery":true}`)
	return json.Marshal(fields)
}

const (
	insertEvent      = `INSERT INTO events (id, channel_id, chat_id, at_ms, body, reply_token, state, attempts, next_ms) VALUES (?, ?, ?, ?, ?, ?, 'pending', 0, 0)`
	insertReplyToken = `INSERT INTO reply_tokens (token, channel_id, chat_id, event_ms, received_ms, used_by) VALUES (?, ?, ?, ?, ?, '')`
)

// outEvent is an event on its way to the bot.
type outEvent struct {
	ID         string `db:"id"`
	ChannelID  string `db:"channel_id"`
	ChatID     string `db:"chat_id"`
	AtMS       int64  `db:"at_ms"`
	Body       string `db:"body"`
	ReplyToken string `db:"reply_token"`
	Attempts   int    `db:"attempts"`
	NextMS     int64  `db:"next_ms"`
}

// insertOutEvent stores the event and its reply token as pending, in the
// transaction of whatever caused it.
func insertOutEvent(t *txn, e *outEvent) error {
	if _, err := t.exec(insertEvent, e.ID, e.ChannelID, e.ChatID, e.AtMS, e.Body, e.ReplyToken); err != nil {
		return err
	}
	if e.ReplyToken == "" {
		return nil
	}
	_, err := t.exec(insertReplyToken, e.ReplyToken, e.ChannelID, e.ChatID, e.AtMS, e.AtMS)
	return err
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newULID is the form of webhookEventId: 48 bits of time, 80 of chance, in
// Crockford's base 32. https://github.com/ulid/spec
func newULID(ms int64) string {
	var b [16]byte
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(b[6:])
	hi := uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32 | uint64(b[4])<<24 | uint64(b[5])<<16 | uint64(b[6])<<8 | uint64(b[7])
	lo := uint64(b[8])<<56 | uint64(b[9])<<48 | uint64(b[10])<<40 | uint64(b[11])<<32 | uint64(b[12])<<24 | uint64(b[13])<<16 | uint64(b[14])<<8 | uint64(b[15])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

func msTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
