package store

import (
	"context"
	"math"
	"slices"
	"time"
)

// notHandled is the position of an event no ingest has taken yet.
const notHandled = math.MaxInt64

// The dispositions of a stored event: what became of it.
const (
	DispositionNone            = ""                 // to be handled
	DispositionTaken           = "taken"            // handled in a conversation
	DispositionConsent         = "consent"          // handled: the customer's answer to the privacy notice, and no message
	DispositionFact            = "fact"             // handled; it belongs to no conversation
	DispositionSurvey          = "survey"           // handled; it answers a survey
	DispositionMalformed       = "malformed"        // stored only: it cannot be read
	DispositionNoSource        = "no_source"        // stored only: it belongs to no chat
	DispositionChannelDisabled = "channel_disabled" // stored only: its channel was disabled then
)

// InboxEvent is one event of a webhook, as it arrived.
type InboxEvent struct {
	WebhookEventID, ChatKey, Kind, SourceType, SourceID, ReplyToken string

	LineTime    time.Time // LINE's timestamp, the original one on a redelivery
	Redelivery  bool      // LINE has sent it before, or tried to
	Standby     bool      // another module has the chat: nothing may be sent
	Raw         []byte    // the exact bytes of the event
	Disposition string    // DispositionNone, or why it is only stored

	// Duplicate is set by AppendLINEEvents: it was delivered before.
	Duplicate bool
}

// Chat names a LINE chat of a channel.
type Chat struct {
	ChannelID string `db:"channel_id"`
	ChatKey   string `db:"chat_key"`
}

// UnhandledChats lists chats that wait since before the given time for their
// workflow: with events that are unhandled, or with something else that was
// stored for it. Those waiting longest come first.
func (s *Store) UnhandledChats(ctx context.Context, before time.Time, limit int) ([]Chat, error) {
	var rows []struct {
		Chat
		Since int64 `db:"since"`
	}
	if err := s.read().list(ctx, &rows, `
		SELECT channel_id, chat_key, min(received_at) AS since FROM line_events
		WHERE handled_at IS NULL AND received_at < $1 GROUP BY channel_id, chat_key
		UNION ALL
		SELECT channel_id, chat_key, wanted_at AS since FROM chats WHERE wanted_at > 0 AND wanted_at < $1
		ORDER BY since LIMIT $2`, micros(before), limit); err != nil {
		return nil, err
	}
	var chats []Chat
	for _, r := range rows {
		if !slices.Contains(chats, r.Chat) {
			chats = append(chats, r.Chat)
		}
	}
	return chats, nil
}

// want notes that the workflow of a conversation's chat is to look into the
// database, and locks the chat until the transaction ends. The ingest that does
// so clears it; the relay wakes the workflow for it when nobody else has.
func (c conn) want(ctx context.Context, conversationID string) error {
	_, err := c.exec(ctx, `UPDATE chats SET wanted_at = $1
		WHERE channel_id = (SELECT channel_id FROM conversations WHERE id = $2) AND chat_key = (SELECT chat_key FROM conversations WHERE id = $2)`,
		micros(c.s.now()), conversationID)
	return err
}

// wantChats notes that the workflows of chats, each a channel and a key, have
// something to look at since now, in microseconds, and returns those that nobody
// else has locked.
func (c conn) wantChats(ctx context.Context, wanted [][2]string, now int64) (chats []Chat, err error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	err = c.list(ctx, &chats, `UPDATE chats SET wanted_at = $1 WHERE (channel_id, chat_key) IN (
			SELECT channel_id, chat_key FROM chats WHERE (channel_id, chat_key) IN (SELECT * FROM `+c.s.d.rows(2, "channel TEXT", "chat TEXT")+` AS said)`+c.s.d.skipLocked()+`)
		RETURNING channel_id, chat_key`, now, jsonOf(wanted))
	return chats, err
}

// ScrubEvents empties the raw bytes, tokens and sources of events that were
// received before one time and handled, and deletes those received before an
// earlier one, of which no duplicate can come any more. Running it often is
// cheap: it remembers how far it came.
func (s *Store) ScrubEvents(ctx context.Context, scrubBefore, deleteBefore time.Time) error {
	return s.txAlone(ctx, func(c conn) error {
		var from int64
		if _, err := c.get(ctx, &from, `SELECT value FROM counters WHERE name = 'scrubbed_to'`+s.d.forUpdate()); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `
			UPDATE line_events SET raw = $1, reply_token = '', source_id = ''
			WHERE received_at >= $2 AND received_at < $3 AND handled_at IS NOT NULL`, []byte{}, from, micros(scrubBefore)); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE counters SET value = $1 WHERE name = 'scrubbed_to'`, micros(scrubBefore)); err != nil {
			return err
		}
		_, err := c.exec(ctx, `DELETE FROM line_events WHERE received_at < $1 AND handled_at IS NOT NULL`, micros(deleteBefore))
		return err
	})
}
