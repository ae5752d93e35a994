package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
)

// The kinds of errand: what is done once in a chat, beside any conversation.
const (
	ErrandWelcome = "welcome" // a customer who added the account is greeted
	ErrandLeave   = "leave"   // a group or room is left, with a word

	ErrandLinkCard   = "account_link"        // the customer asked for the way to link their accounts
	ErrandLinked     = "account_linked"      // they are told that it is done
	ErrandLinkFailed = "account_link_failed" // or that it is not
	ErrandUnlinked   = "account_unlinked"    // and that it is over
)

// The ends of an errand.
const (
	ErrandDone    = "done"
	ErrandDropped = "dropped" // LINE will not have it
)

// errandTokenLife is how old a reply token may be for an errand to be begun
// with it. What cannot be said for free is not said.
const errandTokenLife = 50 * time.Second

// Errand is an errand that is due.
type Errand struct {
	ID       string `db:"id"`
	Kind     string `db:"kind"`
	SourceID string `db:"source_id"` // the LINE user, group or room
	EventID  string `db:"webhook_event_id"`
	Created  int64  `db:"created_at"`
	// ReplyToken is of the event it answers, and its own: no message takes it. ""
	// when it is too old, or was taken.
	ReplyToken string    `db:"-"`
	ReceivedAt time.Time `db:"-"` // when the token came
	// Tried says that it had a reply token before, which is too old by now: nobody
	// knows whether it was used.
	Tried     bool      `db:"-"`
	CreatedAt time.Time `db:"-"`
}

// errand notes that something is to be done in the chat, because of an event.
func (g *ingest) errand(ctx context.Context, kind string, e taken) error {
	added, err := g.c.addErrand(ctx, Chat{g.req.ChannelID, g.req.ChatKey}, newErrand{
		ID: conversation.DerivedID(conversation.PrefixErrand, g.req.ChannelID, e.WebhookEventID, kind), Kind: kind, SourceID: e.SourceID, EventID: e.WebhookEventID,
	})
	if added {
		g.chat.Errands++
	}
	return err
}

// newErrand is an errand that is to be noted.
type newErrand struct {
	ID, Kind, SourceID string
	EventID            string // the event it answers; "" for none
}

// addErrand notes that something is to be done in a chat, whose row is locked. One
// of a kind is due at a time.
func (c conn) addErrand(ctx context.Context, chat Chat, e newErrand) (added bool, err error) {
	n, err := c.exec(ctx, `
		INSERT INTO errands (id, channel_id, chat_key, kind, source_id, webhook_event_id, created_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM errands WHERE channel_id = $2 AND chat_key = $3 AND state = 'due' AND kind = $4)
		ON CONFLICT DO NOTHING`, e.ID, chat.ChannelID, chat.ChatKey, e.Kind, e.SourceID, e.EventID, micros(c.s.now()))
	if err != nil || n == 0 {
		return false, err
	}
	_, err = c.exec(ctx, `UPDATE chats SET errands = errands + 1 WHERE channel_id = $1 AND chat_key = $2`, chat.ChannelID, chat.ChatKey)
	return true, err
}

// NextErrand returns the errand of a chat that is due longest, nil when none is,
// and takes the reply token of its event for it. Asked again, it returns the same.
// While LINE takes no access token of the channel, none is due.
func (s *Store) NextErrand(ctx context.Context, channelID, chatKey string) (*Errand, error) {
	var out *Errand
	err := s.tx(ctx, func(c conn) error {
		out = nil
		var e Errand
		found, err := c.get(ctx, &e, `SELECT id, kind, source_id, webhook_event_id, created_at FROM errands
			WHERE channel_id = $1 AND chat_key = $2 AND state = 'due' AND NOT EXISTS (SELECT 1 FROM channels WHERE id = $1 AND held_at > 0)
			ORDER BY created_at LIMIT 1`, channelID, chatKey)
		if err != nil || !found {
			return err
		}
		e.CreatedAt = fromMicros(e.Created)
		var token replyToken
		took, err := c.get(ctx, &token, `UPDATE line_events SET token_batch = $1
			WHERE channel_id = $2 AND webhook_event_id = $3 AND reply_token <> '' AND token_batch IN ('', $1) AND received_at >= $4 AND NOT standby
			RETURNING id, reply_token, received_at`, e.ID, channelID, e.EventID, micros(s.now().Add(-errandTokenLife)))
		switch {
		case err != nil:
			return err
		case took:
			e.ReplyToken, e.ReceivedAt = token.ReplyToken, fromMicros(token.ReceivedAt)
		case e.EventID != "":
			if _, err := c.get(ctx, &e.Tried, `SELECT EXISTS (SELECT 1 FROM line_events WHERE channel_id = $1 AND webhook_event_id = $2 AND token_batch = $3)`,
				channelID, e.EventID, e.ID); err != nil {
				return err
			}
		}
		out = &e
		return nil
	})
	return out, err
}

// errandEvents are the events that tell of errands that are done.
var errandEvents = map[string]string{ErrandWelcome: "customer.welcomed", ErrandLeave: "group.left"}

// FinishErrand notes how an errand ended, once.
func (s *Store) FinishErrand(ctx context.Context, channelID, chatKey string, e Errand, state, detail string) error {
	return s.tx(ctx, func(c conn) error {
		// The chat's row first, as whoever takes events in.
		if _, err := c.exec(ctx, `UPDATE chats SET errands = errands - 1 WHERE channel_id = $1 AND chat_key = $2
			AND EXISTS (SELECT 1 FROM errands WHERE id = $3 AND state = 'due')`, channelID, chatKey, e.ID); err != nil {
			return err
		}
		now := micros(s.now())
		n, err := c.exec(ctx, `UPDATE errands SET state = $1, detail = $2, done_at = $3 WHERE id = $4 AND state = 'due'`, state, detail, now, e.ID)
		if err != nil || n == 0 || state != ErrandDone {
			return err
		}
		kind := errandEvents[e.Kind]
		if kind == "" {
			return nil // what it tells the customer has an event of its own
		}
		return c.record(ctx, kind, "", profileID(channelID, chatKey), "{}", now)
	})
}
