package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// Queue is where work waits for people.
type Queue struct {
	ID       string
	Name     string
	Priority int64 // across queues, smaller is served first
	// Assignment says whom its conversations are offered to first; "" is
	// routing.HighestCapacity.
	Assignment routing.Method
	CalendarID string // "" is always open
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

type queueRow struct {
	ID         string `db:"id"`
	Name       string `db:"name"`
	Priority   int64  `db:"priority"`
	Assignment string `db:"assignment"`
	CalendarID string `db:"calendar_id"`
	Version    int64  `db:"version"`
	CreatedAt  int64  `db:"created_at"`
	UpdatedAt  int64  `db:"updated_at"`
}

var queues = &family[Queue, queueRow]{
	kind: "queue", table: "queues", prefix: conversation.PrefixQueue,
	meta: func(q *Queue) meta { return meta{&q.ID, &q.Name, &q.Version, &q.CreatedAt, &q.UpdatedAt} },
	seal: func(_ *Store, q Queue) (queueRow, error) {
		if q.Assignment == "" {
			q.Assignment = routing.HighestCapacity
		}
		return queueRow{q.ID, q.Name, q.Priority, string(q.Assignment), q.CalendarID, q.Version, micros(q.CreatedAt), micros(q.UpdatedAt)}, nil
	},
	open: func(_ *Store, r queueRow) (Queue, error) {
		return Queue{r.ID, r.Name, r.Priority, routing.Method(r.Assignment), r.CalendarID, r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}, nil
	},
	facts: func(q Queue) map[string]any {
		return map[string]any{"name": q.Name, "priority": q.Priority, "assignment": q.Assignment, "calendar_id": q.CalendarID}
	},
	uses: func(ctx context.Context, c conn, q Queue) error {
		if q.CalendarID == "" {
			return nil
		}
		return c.exists(ctx, "calendars", q.CalendarID, "/calendar_id", "calendar")
	},
	unused: func(ctx context.Context, c conn, q Queue) error {
		if err := c.inUse(ctx, "The workstream %q falls back to this queue. Give it another fallback queue first.",
			"SELECT name FROM workstreams WHERE fallback_queue_id = $1", q.ID); err != nil {
			return err
		}
		if err := c.inUse(ctx, "A rule of the ruleset %q names this queue. Change the rule first.",
			`SELECT name FROM rulesets WHERE rules LIKE $1 ESCAPE '\'`, named(q.ID)); err != nil {
			return err
		}
		return c.inUse(ctx, "The conversation %q waits in this queue. Move it first.",
			"SELECT id FROM conversations WHERE queue_id = $1 AND status = 'open'", q.ID)
	},
}

// Queue reads one queue; CodeNotFound when there is none.
func (s *Store) Queue(ctx context.Context, id string) (Queue, error) {
	return queues.get(ctx, s, s.read(), id, "")
}

// Queues lists queues, oldest first.
func (s *Store) Queues(ctx context.Context, after Cursor, limit int) ([]Queue, error) {
	return queues.list(ctx, s, after, limit)
}

// CreateQueue stores a queue; CodeInvalid when its calendar is not there.
func (s *Store) CreateQueue(ctx context.Context, by Origin, q Queue) (Queue, error) {
	return queues.create(ctx, s, by, q)
}

// UpdateQueue changes a queue: CodeNotFound, CodeVersionStale, CodeInvalid.
func (s *Store) UpdateQueue(ctx context.Context, by Origin, id string, version int64, change func(*Queue) error) (Queue, error) {
	return queues.update(ctx, s, by, id, version, change)
}

// DeleteQueue deletes a queue: CodeNotFound, CodeVersionStale, CodeInUse while
// a workstream falls back to it, a rule names it or a conversation waits in it.
func (s *Store) DeleteQueue(ctx context.Context, by Origin, id string, version int64) error {
	return queues.delete(ctx, s, by, id, version)
}

// CountMembers counts a queue's members; CodeNotFound when there is no such
// queue.
func (s *Store) CountMembers(ctx context.Context, queueID string) (int, error) {
	var n int
	found, err := s.read().get(ctx, &n, `SELECT (SELECT count(*) FROM queue_members m WHERE m.queue_id = q.id) FROM queues q WHERE q.id = $1`, queueID)
	if err == nil && !found {
		err = queues.notFound(queueID)
	}
	return n, err
}
