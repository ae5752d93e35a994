package store

import (
	"context"
	"database/sql"
)

// Backlog is what waits.
type Backlog struct {
	Unhandled        int            `db:"unhandled"`
	OldestUnhandled  int64          `db:"oldest_unhandled"` // when it was received; 0 when there is none
	Pending          int            `db:"pending"`          // messages in no batch
	Frozen           int            `db:"frozen"`           // batches that are not finished
	Unnumbered       int            `db:"unnumbered"`
	OldestUnnumbered int64          `db:"oldest_unnumbered"` // when it was recorded; 0 when there is none
	Held             int            `db:"held"`              // channels whose access token LINE refuses
	Waiting          map[string]int `db:"-"`                 // conversations, by queue
}

// Backlog counts what waits, by indexes that hold nothing else.
func (s *Store) Backlog(ctx context.Context) (Backlog, error) {
	b := Backlog{Waiting: map[string]int{}}
	if _, err := s.read().get(ctx, &b, `SELECT
		(SELECT count(*) FROM line_events WHERE handled_at IS NULL) AS unhandled,
		(SELECT coalesce(min(received_at), 0) FROM line_events WHERE handled_at IS NULL) AS oldest_unhandled,
		(SELECT count(*) FROM messages`+s.d.indexedBy("messages_unsent")+` WHERE state = 'pending' AND batch_id = '') AS pending,
		(SELECT count(*) FROM batches WHERE state = 'frozen') AS frozen,
		(SELECT count(*) FROM events WHERE seq IS NULL) AS unnumbered,
		(SELECT coalesce(min(created_at), 0) FROM events WHERE seq IS NULL) AS oldest_unnumbered,
		(SELECT count(*) FROM channels WHERE held_at > 0) AS held`); err != nil {
		return Backlog{}, err
	}
	var waiting []struct {
		QueueID string `db:"queue_id"`
		N       int    `db:"n"`
	}
	if err := s.read().list(ctx, &waiting, `
		SELECT queue_id, count(*) AS n FROM conversations WHERE owner = 'queue' AND routed_at > 0 AND NOT refused AND preferred_agent_id = '' GROUP BY queue_id
		UNION ALL
		SELECT queue_id, count(*) AS n FROM conversations WHERE owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '') GROUP BY queue_id`); err != nil {
		return Backlog{}, err
	}
	for _, w := range waiting {
		b.Waiting[w.QueueID] += w.N
	}
	return b, nil
}

// PoolStats tells how the connections of one pool do.
type PoolStats struct {
	Name string // write or read; PostgreSQL has one pool for both
	sql.DBStats
}

// Pools tells how the connections do.
func (s *Store) Pools() []PoolStats {
	out := []PoolStats{{"write", s.w.Stats()}}
	if s.r != s.w {
		out = append(out, PoolStats{"read", s.r.Stats()})
	}
	return out
}
