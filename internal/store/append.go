package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"kaiwa/internal/traceparent"
)

// Webhooks that arrive while others are being stored are stored together, in one
// INSERT: a row costs a fraction of a statement and a commit. One that comes alone
// waits for nobody.

const (
	// appendRows bounds the events of one INSERT, appendTime what it may take.
	appendRows = 500
	appendTime = 5 * time.Second
	// appendsAtOnce is how many INSERTs PostgreSQL gets at once from one process:
	// commits overlap there. SQLite has one writer.
	appendsAtOnce = 2
)

// appends are the webhooks that wait to be stored. The zero value is ready.
type appends struct {
	mu      sync.Mutex
	waiting []*webhook
	working int
}

// webhook is a webhook's events on their way into the inbox.
type webhook struct {
	ctx    context.Context
	rows   []inboxRow
	stored chan struct{} // closed once it is over
	chats  []string
	again  map[string]bool // the ids of those that were there already
	err    error
}

// inboxRow is an event as it is stored.
type inboxRow struct {
	InboxEvent
	channelID  string
	receivedAt int64
	trace      string // "" for none
}

func (r inboxRow) key() [2]string { return [2]string{r.channelID, r.WebhookEventID} }

// values are the columns, in the order of inboxColumns; the raw bytes are apart.
func (r inboxRow) values() []any {
	var handledAt any
	position := int64(notHandled)
	if r.Disposition != DispositionNone {
		handledAt, position = r.receivedAt, 0
	}
	return []any{
		r.channelID, r.WebhookEventID, r.ChatKey, r.Kind, r.SourceType, r.SourceID, micros(r.LineTime), r.receivedAt, r.ReplyToken,
		r.Standby, position, handledAt, r.Disposition, r.Redelivery, r.trace,
	}
}

const inboxColumns = `channel_id, webhook_event_id, chat_key, kind, source_type, source_id, line_time, received_at, reply_token,
	standby, position, handled_at, disposition, redelivered, traceparent, raw`

// AppendLINEEvents makes the events of one webhook durable. An event that is
// there already keeps its place; only its time of receipt is renewed, because a
// redelivered event's reply token is good again. It returns the keys of the chats
// that have something unhandled among these events, and marks events that were
// there before. When ctx ends first, the events may be stored nevertheless.
func (s *Store) AppendLINEEvents(ctx context.Context, channelID string, receivedAt time.Time, events []InboxEvent) ([]string, error) {
	w := &webhook{ctx: ctx, stored: make(chan struct{})}
	for i, e := range events {
		row := inboxRow{e, channelID, micros(receivedAt), traceparent.Of(ctx)}
		// One INSERT must not meet the same row twice.
		if events[i].Duplicate = slices.ContainsFunc(w.rows, func(r inboxRow) bool { return r.WebhookEventID == e.WebhookEventID }); !events[i].Duplicate {
			w.rows = append(w.rows, row)
		}
	}
	if len(w.rows) == 0 {
		return nil, nil
	}
	atOnce := appendsAtOnce
	if s.d == dialectSQLite {
		atOnce = 1
	}
	a := &s.appends
	a.mu.Lock()
	a.waiting = append(a.waiting, w)
	if a.working < atOnce {
		a.working++
		go s.appendWaiting()
	}
	a.mu.Unlock()
	select {
	case <-w.stored:
	case <-ctx.Done():
		return nil, fmt.Errorf("store events of channel %s: %w", channelID, ctx.Err())
	}
	if w.err != nil {
		return nil, fmt.Errorf("store events of channel %s: %w", channelID, w.err)
	}
	for i := range events {
		events[i].Duplicate = events[i].Duplicate || w.again[events[i].WebhookEventID]
	}
	return w.chats, nil
}

// appendWaiting stores webhooks until none waits.
func (s *Store) appendWaiting() {
	for s.appends.more() {
		together, err := s.appendNext()
		for _, w := range together {
			if err != nil && len(together) > 1 {
				// It may be the others' fault.
				w.err = s.appending(func(ctx context.Context, c conn) error { return c.appendTogether(ctx, []*webhook{w}) })
			} else {
				w.err = err
			}
			close(w.stored)
		}
	}
}

// appendNext stores those who wait once the writer is there: on SQLite many come
// while another process has it.
func (s *Store) appendNext() (together []*webhook, err error) {
	begun := false
	err = s.appending(func(ctx context.Context, c conn) error {
		begun = true
		together = s.appends.take()
		return c.appendTogether(ctx, together)
	})
	if !begun {
		together = s.appends.take()
	}
	return together, err
}

// appending runs f with what it may write to.
func (s *Store) appending(f func(context.Context, conn) error) error {
	ctx, cancel := context.WithTimeout(s.closed, appendTime)
	defer cancel()
	if s.d == dialectSQLite {
		return s.tx(ctx, func(c conn) error { return f(ctx, c) })
	}
	return f(ctx, s.write())
}

// more tells whether somebody waits, and counts one worker less when nobody does.
func (a *appends) more() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > 0 {
		return true
	}
	a.working--
	return false
}

// take takes webhooks that can be stored together.
func (a *appends) take() (together []*webhook) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rows := 0
	in := map[[2]string]bool{}
	var later []*webhook
	for _, w := range a.waiting {
		switch {
		case w.ctx.Err() != nil: // nobody waits for it any more
			w.err = w.ctx.Err()
			close(w.stored)
		case rows > 0 && rows+len(w.rows) > appendRows, slices.ContainsFunc(w.rows, func(r inboxRow) bool { return in[r.key()] }):
			later = append(later, w)
		default:
			together = append(together, w)
			rows += len(w.rows)
			for _, r := range w.rows {
				in[r.key()] = true
			}
		}
	}
	a.waiting = later
	return together
}

// appendTogether stores webhooks in one INSERT.
func (c conn) appendTogether(ctx context.Context, together []*webhook) error {
	if len(together) == 0 {
		return nil
	}
	if len(together) == 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(together[0].ctx, cancel)()
	}
	var rows []inboxRow
	for _, w := range together {
		rows = append(rows, w.rows...)
	}
	const end = ` ON CONFLICT (channel_id, webhook_event_id) DO UPDATE SET received_at = excluded.received_at, deliveries = line_events.deliveries + 1, redelivered = TRUE
		RETURNING channel_id, webhook_event_id, chat_key, handled_at IS NULL AS unhandled, deliveries`
	var stored []struct {
		ChannelID      string `db:"channel_id"`
		WebhookEventID string `db:"webhook_event_id"`
		ChatKey        string `db:"chat_key"`
		Unhandled      bool   `db:"unhandled"`
		Deliveries     int64  `db:"deliveries"`
	}
	var err error
	if len(rows) == 1 {
		err = c.list(ctx, &stored, `INSERT INTO line_events (`+inboxColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, NULLIF($15, ''), $16)`+end, append(rows[0].values(), rows[0].Raw)...)
	} else {
		values := make([][]any, len(rows))
		for i, r := range rows {
			values[i] = append(r.values(), hex.EncodeToString(r.Raw))
		}
		err = c.list(ctx, &stored, `INSERT INTO line_events (`+inboxColumns+`)
			SELECT channel, event, chat, kind, source_type, source, line_time, received_at, token, standby, position, handled_at, disposition, redelivered, NULLIF(trace, ''), `+
			c.s.d.unhex("raw")+` FROM `+c.s.d.rows(1, "channel TEXT", "event TEXT", "chat TEXT", "kind TEXT", "source_type TEXT", "source TEXT", "line_time BIGINT",
			"received_at BIGINT", "token TEXT", "standby BOOLEAN", "position BIGINT", "handled_at BIGINT", "disposition TEXT", "redelivered BOOLEAN", "trace TEXT", "raw TEXT")+
			` AS arrived WHERE TRUE`+end, jsonOf(values))
	}
	if err != nil {
		return err
	}
	unhandled, again := map[[2]string]bool{}, map[[2]string]bool{}
	for _, e := range stored {
		unhandled[[2]string{e.ChannelID, e.WebhookEventID}] = e.Unhandled
		again[[2]string{e.ChannelID, e.WebhookEventID}] = e.Deliveries > 1
	}
	for _, w := range together {
		w.chats, w.again = nil, map[string]bool{}
		for _, r := range w.rows {
			if again[r.key()] {
				w.again[r.WebhookEventID] = true
			}
			if unhandled[r.key()] && !slices.Contains(w.chats, r.ChatKey) {
				w.chats = append(w.chats, r.ChatKey)
			}
		}
	}
	return nil
}
