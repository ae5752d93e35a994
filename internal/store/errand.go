package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
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

// An errand is due, until it comes to one of its ends.
const (
	errandDue     = "due"
	ErrandDone    = "done"
	ErrandDropped = "dropped" // LINE will not have it, or there is nothing to say
)

// Errand is an errand that is due.
type Errand struct {
	ID        string    `db:"id"`
	Kind      string    `db:"kind"`
	SourceID  string    `db:"source_id"` // the LINE user, group or room
	EventID   string    `db:"webhook_event_id"`
	Created   int64     `db:"created_at"`
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

// NextErrand returns the errand of a chat that is due longest, nil when none is.
// While LINE takes no access token of the channel, none is due.
func (s *Store) NextErrand(ctx context.Context, channelID, chatKey string) (*Errand, error) {
	var e Errand
	found, err := s.read().get(ctx, &e, `SELECT id, kind, source_id, webhook_event_id, created_at FROM errands
		WHERE channel_id = $1 AND chat_key = $2 AND state = 'due' AND NOT EXISTS (SELECT 1 FROM channels WHERE id = $1 AND held_at > 0)
		ORDER BY created_at LIMIT 1`, channelID, chatKey)
	if err != nil || !found {
		return nil, err
	}
	e.CreatedAt = fromMicros(e.Created)
	return &e, nil
}

// errandEvents are the events that tell of errands that are done.
var errandEvents = map[string]string{ErrandWelcome: "customer.welcomed", ErrandLeave: "group.left"}

// FinishErrand notes how an errand ended, once.
func (s *Store) FinishErrand(ctx context.Context, channelID, chatKey string, e Errand, state, detail string) error {
	err := s.tx(ctx, func(c conn) error {
		// The chat's row first, as whoever takes events in.
		if _, err := c.exec(ctx, `UPDATE chats SET errands = errands - 1 WHERE channel_id = $1 AND chat_key = $2
			AND EXISTS (SELECT 1 FROM errands WHERE id = $3 AND state = 'due')`, channelID, chatKey, e.ID); err != nil {
			return err
		}
		now := micros(s.now())
		n, err := c.exec(ctx, `UPDATE errands SET state = $1, detail = $2, done_at = $3 WHERE id = $4 AND state = 'due'`, state, detail, now, e.ID)
		if err != nil || n == 0 {
			return err
		}
		// What another kind tells the customer has an event of its own.
		if kind := errandEvents[e.Kind]; kind != "" && state == ErrandDone {
			err = c.record(ctx, kind, "", profileID(channelID, chatKey), "{}", now)
		}
		failpoint.Hit("errand.before_commit")
		return err
	})
	failpoint.Hit("errand.after_commit")
	return err
}
