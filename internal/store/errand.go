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
	// ReplyToken is of the event it answers, and its own: no message takes it. ""
	// when it is too old, or was taken.
	ReplyToken string    `db:"-"`
	ReceivedAt time.Time `db:"-"` // when the token came
}

// errand notes that something is to be done in the chat. One of a kind is due at
// a time.
func (g *ingest) errand(ctx context.Context, kind string, e taken) error {
	n, err := g.c.exec(ctx, `
		INSERT INTO errands (id, channel_id, chat_key, kind, source_id, webhook_event_id, created_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM errands WHERE channel_id = $2 AND chat_key = $3 AND state = 'due' AND kind = $4)
		ON CONFLICT DO NOTHING`,
		conversation.DerivedID(conversation.PrefixErrand, g.req.ChannelID, e.WebhookEventID, kind),
		g.req.ChannelID, g.req.ChatKey, kind, e.SourceID, e.WebhookEventID, g.now)
	if err != nil || n == 0 {
		return err
	}
	g.chat.Errands++
	_, err = g.c.exec(ctx, `UPDATE chats SET errands = errands + 1 WHERE channel_id = $1 AND chat_key = $2`, g.req.ChannelID, g.req.ChatKey)
	return err
}

// NextErrand returns the errand of a chat that is due longest, nil when none is,
// and takes the reply token of its event for it. Asked again, it returns the same.
// While LINE takes no access token of the channel, none is due.
func (s *Store) NextErrand(ctx context.Context, channelID, chatKey string) (*Errand, error) {
	var out *Errand
	err := s.tx(ctx, func(c conn) error {
		out = nil
		var e Errand
		found, err := c.get(ctx, &e, `SELECT id, kind, source_id, webhook_event_id FROM errands
			WHERE channel_id = $1 AND chat_key = $2 AND state = 'due' AND NOT EXISTS (SELECT 1 FROM channels WHERE id = $1 AND held_at > 0)
			ORDER BY created_at LIMIT 1`, channelID, chatKey)
		if err != nil || !found {
			return err
		}
		var token replyToken
		took, err := c.get(ctx, &token, `UPDATE line_events SET token_batch = $1
			WHERE channel_id = $2 AND webhook_event_id = $3 AND reply_token <> '' AND token_batch IN ('', $1) AND received_at >= $4 AND NOT standby
			RETURNING id, reply_token, received_at`, e.ID, channelID, e.EventID, micros(s.now().Add(-errandTokenLife)))
		if took {
			e.ReplyToken, e.ReceivedAt = token.ReplyToken, fromMicros(token.ReceivedAt)
		}
		out = &e
		return err
	})
	return out, err
}

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
		kind := "customer.welcomed"
		if e.Kind == ErrandLeave {
			kind = "group.left"
		}
		return c.record(ctx, kind, "", profileID(channelID, chatKey), "{}", now)
	})
}
