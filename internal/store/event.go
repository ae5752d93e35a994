package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// record adds a row to the record of events, in the transaction that changed
// what it tells of. It carries ids and enumerations, never content.
func (c conn) record(ctx context.Context, kind, conversationID, subjectID, data string, at int64) error {
	_, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES ($1, $2, $3, $4, $5)`,
		kind, conversationID, subjectID, data, at)
	return err
}

// happened is an event to record.
type happened struct{ kind, conversationID, subjectID, data string }

// recordAll records several events at once.
func (c conn) recordAll(ctx context.Context, list []happened, at int64) error {
	if len(list) == 0 {
		return nil
	}
	args := make([]any, 0, 5*len(list))
	for _, h := range list {
		args = append(args, h.kind, h.conversationID, h.subjectID, h.data, at)
	}
	_, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at) VALUES `+values(len(list), 5, 1), args...)
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

// sequenceLimit bounds the events numbered in one go.
const sequenceLimit = 1000

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
	err := s.tx(ctx, func(c conn) error {
		var last int64
		if _, err := c.get(ctx, &last, `SELECT value FROM counters WHERE name = 'events'`+s.d.forUpdate()); err != nil {
			return err
		}
		var err error
		n, err = c.exec(ctx, `
			WITH unnumbered AS (
				SELECT id, row_number() OVER (ORDER BY id) AS n
				FROM (SELECT id FROM events WHERE seq IS NULL ORDER BY id LIMIT $1) AS batch)
			UPDATE events SET seq = $2 + unnumbered.n FROM unnumbered WHERE events.id = unnumbered.id`, sequenceLimit, last)
		if err != nil || n == 0 {
			return err
		}
		_, err = c.exec(ctx, `UPDATE counters SET value = $1 WHERE name = 'events'`, last+n)
		return err
	})
	return int(n), err
}

// Events returns numbered events after a position, oldest first; a
// conversation id, if given, narrows them.
func (s *Store) Events(ctx context.Context, after int64, limit int, conversationID string) ([]Event, error) {
	var events []Event
	if conversationID == "" {
		err := s.read().list(ctx, &events, `
			SELECT seq, type, conversation_id, subject_id, data, created_at FROM events
			WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
		return events, err
	}
	err := s.read().list(ctx, &events, `
		SELECT seq, type, conversation_id, subject_id, data, created_at FROM events
		WHERE conversation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, conversationID, after, limit)
	return events, err
}
