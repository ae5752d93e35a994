package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// CustomPresence is a presence of an installation's own, such as "at lunch". For
// everything but its name it is the one of the five that it stands for.
type CustomPresence struct {
	ID        string
	Name      string
	Names     map[string]string // by locale; Name is for every other one
	Base      conversation.Presence
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type presencesRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Names     string `db:"names"`
	Base      string `db:"base"`
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var customPresences = &family[CustomPresence, presencesRow]{
	kind: "presence", table: "presences", prefix: conversation.PrefixPresence,
	meta: func(p *CustomPresence) meta { return meta{&p.ID, &p.Name, &p.Version, &p.CreatedAt, &p.UpdatedAt} },
	seal: func(_ *Store, p CustomPresence) (presencesRow, error) {
		if p.Names == nil {
			p.Names = map[string]string{}
		}
		names, err := json.Marshal(p.Names)
		return presencesRow{p.ID, p.Name, string(names), string(p.Base), p.Version, micros(p.CreatedAt), micros(p.UpdatedAt)}, err
	},
	open: func(_ *Store, r presencesRow) (CustomPresence, error) {
		p := CustomPresence{r.ID, r.Name, nil, conversation.Presence(r.Base), r.Version, fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)}
		if err := json.Unmarshal([]byte(r.Names), &p.Names); err != nil {
			return p, fmt.Errorf("names of presence %s: %w", r.ID, err)
		}
		return p, nil
	},
	facts: func(p CustomPresence) map[string]any {
		return map[string]any{"name": p.Name, "names": p.Names, "base": p.Base}
	},
	uses: none[CustomPresence],
	// Whoever has set it is in the presence it stood for.
	unused: func(ctx context.Context, c conn, p CustomPresence) error {
		_, err := c.exec(ctx, "UPDATE agent_states SET presence_id = '' WHERE presence_id = $1", p.ID)
		return err
	},
}

// CustomPresence reads one custom presence; CodeNotFound when there is none.
func (s *Store) CustomPresence(ctx context.Context, id string) (CustomPresence, error) {
	return customPresences.get(ctx, s, s.read(), id, "")
}

// CustomPresences lists custom presences, oldest first.
func (s *Store) CustomPresences(ctx context.Context, after Cursor, limit int) ([]CustomPresence, error) {
	return customPresences.list(ctx, s, after, limit)
}

// CreateCustomPresence stores a custom presence.
func (s *Store) CreateCustomPresence(ctx context.Context, by Origin, p CustomPresence) (CustomPresence, error) {
	return customPresences.create(ctx, s, by, p)
}

// UpdateCustomPresence changes the names of a custom presence: CodeNotFound,
// CodeVersionStale. What it stands for stays.
func (s *Store) UpdateCustomPresence(ctx context.Context, by Origin, id string, version int64, change func(*CustomPresence) error) (CustomPresence, error) {
	return customPresences.update(ctx, s, by, id, version, func(p *CustomPresence) error {
		base := p.Base
		err := change(p)
		p.Base = base
		return err
	})
}

// DeleteCustomPresence deletes a custom presence: CodeNotFound,
// CodeVersionStale. Agents who have set it are in the one it stood for.
func (s *Store) DeleteCustomPresence(ctx context.Context, by Origin, id string, version int64) error {
	return customPresences.delete(ctx, s, by, id, version)
}

// customPresence is what an agent sets: one of the five as it is, or a custom
// one, which is kept from being deleted until the transaction ends.
func (c conn) customPresence(ctx context.Context, set conversation.Presence) (CustomPresence, error) {
	if slices.Contains(conversation.Presences(), set) {
		return CustomPresence{Base: set}, nil
	}
	p, err := customPresences.get(ctx, c.s, c, string(set), c.s.d.forKeyShare())
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		err = conversation.Invalid("/presence", "It is none of available, busy, do_not_disturb, away and offline, and there is no presence %q.", string(set))
	}
	return p, err
}
