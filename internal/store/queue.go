package store

import (
	"context"
	"fmt"
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
	Custom     *routing.CustomAssignment // of routing.Custom, and of it alone
	CalendarID string                    // "" is always open
	Settings   QueueSettings
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

type queueRow struct {
	ID         string `db:"id"`
	Name       string `db:"name"`
	Priority   int64  `db:"priority"`
	Assignment string `db:"assignment"`
	Custom     string `db:"custom"` // JSON; "" when there is none
	CalendarID string `db:"calendar_id"`
	Settings   string `db:"settings"`
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
		custom := ""
		if q.Assignment == routing.Custom { // what knows nothing of it goes by capacity
			q.Assignment, custom = routing.HighestCapacity, jsonOf(q.Custom)
		}
		return queueRow{q.ID, q.Name, q.Priority, string(q.Assignment), custom, q.CalendarID, q.Settings.column(), q.Version, micros(q.CreatedAt), micros(q.UpdatedAt)}, nil
	},
	open: func(_ *Store, r queueRow) (Queue, error) {
		method, custom, err := assignmentOf(r.Assignment, r.Custom)
		if err != nil {
			return Queue{}, fmt.Errorf("queue %s: %w", r.ID, err)
		}
		settings, err := queueSettings(r.ID, r.Settings)
		return Queue{r.ID, r.Name, r.Priority, method, custom, r.CalendarID, settings, r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}, err
	},
	facts: func(q Queue) map[string]any {
		return map[string]any{
			"name": q.Name, "priority": q.Priority, "assignment": q.Assignment, "custom": q.Custom, "calendar_id": q.CalendarID,
			"out_of_hours": q.Settings.OutOfHours, "overflow": q.Settings.Overflow, "wait_info": q.Settings.WaitInfo,
		}
	},
	first: lockQueues,
	uses: func(ctx context.Context, c conn, q Queue) error {
		if err := c.exist(ctx, "skills", "skill", q.criteriaSkills()); err != nil {
			return err
		}
		targets := q.Settings.targets()
		for _, pointer := range targets[q.ID] {
			return conversation.Invalid(pointer, "A queue cannot transfer to itself.")
		}
		if len(targets) > 0 {
			if err := lockQueues(ctx, c); err != nil {
				return err
			}
		}
		if err := c.exist(ctx, "queues", "queue", targets); err != nil || q.CalendarID == "" {
			return err
		}
		return c.exists(ctx, "calendars", q.CalendarID, "/calendar_id", "calendar")
	},
	save: func(ctx context.Context, c conn, q Queue) error { return c.stampQueue(ctx, q) },
	changed: func(ctx context.Context, c conn, before, after Queue) error {
		if !after.Settings.rules().Sooner(before.Settings.rules()) {
			return nil
		}
		return c.noteRuleChange(ctx, rulesOfQueue, after.ID, conversation.PhaseQueued)
	},
	unused: func(ctx context.Context, c conn, q Queue) error {
		if err := c.inUse(ctx, "The workstream %q falls back to this queue. Give it another fallback queue first.",
			"SELECT name FROM workstreams WHERE fallback_queue_id = $1", q.ID); err != nil {
			return err
		}
		if err := c.inUse(ctx, "The queue %q transfers to this queue. Change that first.",
			`SELECT name FROM queues WHERE id <> $1 AND settings LIKE $2 ESCAPE '\'`, q.ID, named(q.ID)); err != nil {
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

// criteriaSkills are the skills by whose levels agents are compared.
func (q Queue) criteriaSkills() references {
	refs := references{}
	if q.Custom == nil {
		return refs
	}
	for i, r := range q.Custom.Rules {
		for j, k := range r.OrderBy {
			if k.SkillID != "" {
				refs.add(k.SkillID, fmt.Sprintf("/custom/rules/%d/order_by/%d/skill_id", i, j))
			}
		}
	}
	return refs
}

// lockQueues has queues that may name each other changed one after the other.
func lockQueues(ctx context.Context, c conn) error {
	var n int64
	_, err := c.get(ctx, &n, `SELECT value FROM counters WHERE name = 'queues'`+c.s.d.forUpdate())
	return err
}

// Queue reads one queue; CodeNotFound when there is none.
func (s *Store) Queue(ctx context.Context, id string) (Queue, error) {
	return queues.get(ctx, s, s.read(), id, "")
}

// Queues lists queues, oldest first.
func (s *Store) Queues(ctx context.Context, after Cursor, limit int) ([]Queue, error) {
	return queues.list(ctx, s, after, limit)
}

// CreateQueue stores a queue; CodeInvalid when its calendar, a skill it compares
// agents by, or a queue that it transfers to is not there.
func (s *Store) CreateQueue(ctx context.Context, by Origin, q Queue) (Queue, error) {
	return queues.create(ctx, s, by, q)
}

// UpdateQueue changes a queue: CodeNotFound, CodeVersionStale, CodeInvalid. Those
// who wait in it are matched by the change at once; what they wait for by time,
// their workflows learn of when they are woken for it.
func (s *Store) UpdateQueue(ctx context.Context, by Origin, id string, version int64, change func(*Queue) error) (Queue, error) {
	return queues.update(ctx, s, by, id, version, change)
}

// DeleteQueue deletes a queue: CodeNotFound, CodeVersionStale, CodeInUse while
// a workstream falls back to it, another queue transfers to it, a rule names it
// or a conversation waits in it.
func (s *Store) DeleteQueue(ctx context.Context, by Origin, id string, version int64) error {
	return queues.delete(ctx, s, by, id, version)
}
