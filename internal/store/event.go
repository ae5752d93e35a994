package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// record adds a row to the record of events, in the transaction that changed
// what it tells of. It carries ids and enumerations, never content.
func (c conn) record(ctx context.Context, kind, conversationID, subjectID, data string, at int64) error {
	return c.recordAll(ctx, []happened{{kind, conversationID, subjectID, data}}, at)
}

// happened is an event to record.
type happened struct{ kind, conversationID, subjectID, data string }

// recordAll records several events at once.
func (c conn) recordAll(ctx context.Context, list []happened, at int64) error {
	if len(list) == 0 {
		return nil
	}
	if len(list) == 1 {
		h := list[0]
		_, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES ($1, $2, $3, $4, $5)`,
			h.kind, h.conversationID, h.subjectID, h.data, at)
		return c.hasRecorded(err)
	}
	rows := make([][4]string, len(list))
	for i, h := range list {
		rows[i] = [4]string{h.kind, h.conversationID, h.subjectID, h.data}
	}
	_, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at)
		SELECT kind, conversation, subject, data, CAST($2 AS BIGINT) FROM `+
		c.s.d.rows(1, "kind TEXT", "conversation TEXT", "subject TEXT", "data TEXT")+` AS said`, jsonOf(rows), at)
	return c.hasRecorded(err)
}

// hasRecorded notes that the transaction has something for the sequencer,
// unless that failed.
func (c conn) hasRecorded(err error) error {
	if err == nil && c.recorded != nil {
		*c.recorded = true
	}
	return err
}

// jsonOf encodes plain values: maps, lists and structs of texts and numbers, which cannot fail.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %v: %v", v, err))
	}
	return string(b)
}

// Event is one line of the record: something that happened to a conversation,
// in the one order that every reader sees.
type Event struct {
	Seq            int64  `db:"seq"`
	Type           string `db:"type"`
	ConversationID string `db:"conversation_id"`
	SubjectID      string `db:"subject_id"`
	Data           string `db:"data"` // JSON
	CreatedAt      int64  `db:"created_at"`
}

// SequenceLimit bounds the events numbered in one go.
const SequenceLimit = 1000

// SequenceEvents numbers committed events that have no number yet, in the order
// of their insertion, and returns how many. Only one process at a time may call
// it (see RunAsLeader); a second one would wait for the first.
//
// Numbering after the commit, by one, is what makes "after N" exact: a reader
// that has seen N has seen everything up to N, whatever order transactions
// committed in.
func (s *Store) SequenceEvents(ctx context.Context) (int, error) {
	var n int64
	var waiting bool
	if _, err := s.read().get(ctx, &waiting, `SELECT EXISTS (SELECT 1 FROM events WHERE seq IS NULL)`); err != nil || !waiting {
		return 0, err // nothing to do costs no write lock
	}
	tell := ""
	if s.d == dialectPostgres { // the notification goes with the commit
		tell = ` RETURNING pg_notify('` + eventsNumbered + `', '')`
	}
	err := s.tx(ctx, func(c conn) error {
		var last int64
		if _, err := c.get(ctx, &last, `SELECT value FROM counters WHERE name = 'events'`+s.d.forUpdate()); err != nil {
			return err
		}
		var err error
		n, err = c.exec(ctx, `
			WITH unnumbered AS (
				SELECT id, row_number() OVER (ORDER BY id) AS n
				FROM (SELECT id FROM events WHERE seq IS NULL ORDER BY id`+limitTo(SequenceLimit)+`) AS batch)
			UPDATE events SET seq = $1 + unnumbered.n FROM unnumbered WHERE events.id = unnumbered.id`, last)
		if err != nil || n == 0 {
			return err
		}
		_, err = c.exec(ctx, `UPDATE counters SET value = $1 WHERE name = 'events'`+tell, last+n)
		return err
	})
	if err == nil && n > 0 && s.d == dialectSQLite {
		s.wakeLocal(eventsNumbered)
	}
	return int(n), err
}

// LastEvent is the number of the last numbered event, 0 when there is none.
func (s *Store) LastEvent(ctx context.Context) (int64, error) {
	var last int64
	_, err := s.read().get(ctx, &last, `SELECT value FROM counters WHERE name = 'events'`)
	return last, err
}

// Events returns numbered events after a position, oldest first; a
// conversation id, if given, narrows them.
func (s *Store) Events(ctx context.Context, after int64, limit int, conversationID string) ([]Event, error) {
	var events []Event
	q, args := eventsAfter(after, limit, conversationID)
	err := s.read().list(ctx, &events, q, args...)
	return events, err
}

func eventsAfter(after int64, limit int, conversationID string) (q string, args []any) {
	q, args = `SELECT seq, type, conversation_id, subject_id, data, created_at FROM events WHERE seq > $1`, []any{after}
	if conversationID != "" {
		q, args = q+` AND conversation_id = $2`, append(args, conversationID)
	}
	return q + ` ORDER BY seq` + limitTo(limit), args
}

// EventQuery asks for a page of the record.
type EventQuery struct {
	After          int64
	Limit          int
	ConversationID string // optional: of this conversation
	AgentID        string // optional: what this agent may see
}

// EventPage is a part of the record.
type EventPage struct {
	Events []Event
	// Next is where the page ends: after its last event, or after what was
	// looked through and may not be seen.
	Next int64
	// More tells that there may be events after Next already.
	More bool
}

// eventScan is how many events one page looks through for those that an agent
// may see.
const eventScan = 1000

// EventPage reads a page of the record, in one statement. For an agent it may
// have fewer events than the limit, or none, and there may be more.
func (s *Store) EventPage(ctx context.Context, q EventQuery) (EventPage, error) {
	if q.AgentID == "" {
		events, err := s.Events(ctx, q.After, q.Limit+1, q.ConversationID)
		page := EventPage{Events: events, Next: q.After, More: len(events) > q.Limit}
		if page.More {
			page.Events = events[:q.Limit]
		}
		if n := len(page.Events); n > 0 {
			page.Next = page.Events[n-1].Seq
		}
		return page, err
	}
	scan := max(eventScan, q.Limit)
	part, args := eventsAfter(q.After, scan, q.ConversationID)
	var rows []struct {
		Event
		Upto    int64 `db:"upto"`
		Scanned int   `db:"scanned"`
	}
	err := s.read().list(ctx, &rows, fmt.Sprintf(`
		WITH part AS (%s),
			visible AS (SELECT * FROM part WHERE %s ORDER BY seq%s)
		SELECT bounds.upto, bounds.scanned, COALESCE(visible.seq, 0) AS seq, COALESCE(type, '') AS type, COALESCE(conversation_id, '') AS conversation_id,
			COALESCE(subject_id, '') AS subject_id, COALESCE(data, '') AS data, COALESCE(created_at, 0) AS created_at
		FROM (SELECT COALESCE(max(seq), 0) AS upto, count(*) AS scanned FROM part) bounds LEFT JOIN visible ON TRUE ORDER BY visible.seq`,
		part, s.d.eventVisibleTo("part", fmt.Sprintf("$%d", len(args)+1)), limitTo(q.Limit)), append(args, q.AgentID)...)
	if err != nil {
		return EventPage{}, err
	}
	page := EventPage{Next: max(q.After, rows[0].Upto), More: rows[0].Scanned == scan}
	if rows[0].Seq != 0 {
		for _, r := range rows {
			page.Events = append(page.Events, r.Event)
		}
	}
	if n := len(page.Events); n == q.Limit { // what follows the last one was looked through in vain
		page.Next, page.More = page.Events[n-1].Seq, page.More || page.Events[n-1].Seq < page.Next
	}
	return page, nil
}
