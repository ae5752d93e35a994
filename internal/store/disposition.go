package store

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
)

// Disposition is what came of a conversation, in a word the business has for it.
// Agents choose one at wrap-up.
type Disposition struct {
	ID        string
	Name      string
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type dispositionRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var dispositions = &family[Disposition, dispositionRow]{
	kind: "disposition", table: "dispositions", prefix: conversation.PrefixDisposition,
	meta: func(d *Disposition) meta { return meta{&d.ID, &d.Name, &d.Version, &d.CreatedAt, &d.UpdatedAt} },
	seal: func(_ *Store, d Disposition) (dispositionRow, error) {
		return dispositionRow{d.ID, d.Name, d.Version, micros(d.CreatedAt), micros(d.UpdatedAt)}, nil
	},
	open: func(_ *Store, r dispositionRow) (Disposition, error) {
		return Disposition{r.ID, r.Name, r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}, nil
	},
	facts: func(d Disposition) map[string]any { return map[string]any{"name": d.Name} },
	uses:  none[Disposition],
	unused: func(ctx context.Context, c conn, d Disposition) error {
		return c.inUse(ctx, "The workstream %q offers this disposition. Take it out there first.",
			`SELECT name FROM workstreams WHERE settings LIKE $1 ESCAPE '\'`, named(d.ID))
	},
}

// Disposition reads one disposition; CodeNotFound when there is none.
func (s *Store) Disposition(ctx context.Context, id string) (Disposition, error) {
	return dispositions.get(ctx, s, s.read(), id, "")
}

// Dispositions lists dispositions, oldest first.
func (s *Store) Dispositions(ctx context.Context, after Cursor, limit int) ([]Disposition, error) {
	return dispositions.list(ctx, s, after, limit)
}

// CreateDisposition stores a disposition.
func (s *Store) CreateDisposition(ctx context.Context, by Origin, d Disposition) (Disposition, error) {
	return dispositions.create(ctx, s, by, d)
}

// UpdateDisposition changes a disposition: CodeNotFound, CodeVersionStale.
func (s *Store) UpdateDisposition(ctx context.Context, by Origin, id string, version int64, change func(*Disposition) error) (Disposition, error) {
	return dispositions.update(ctx, s, by, id, version, change)
}

// DeleteDisposition deletes a disposition: CodeNotFound, CodeVersionStale, CodeInUse
// while a workstream offers it. Conversations that ended with it keep its id.
func (s *Store) DeleteDisposition(ctx context.Context, by Origin, id string, version int64) error {
	return dispositions.delete(ctx, s, by, id, version)
}
