package store

import (
	"context"
	"time"
)

// Member is an agent who works a queue.
type Member struct {
	AgentID string
	Name    string
	Since   time.Time
}

// Members lists those who work a queue, the first member first. CodeNotFound
// when there is no such queue.
func (s *Store) Members(ctx context.Context, queueID string, after Cursor, limit int) ([]Member, error) {
	if _, err := s.Queue(ctx, queueID); err != nil {
		return nil, err
	}
	var rows []struct {
		AgentID   string `db:"agent_id"`
		Name      string `db:"name"`
		CreatedAt int64  `db:"created_at"`
	}
	if err := s.read().list(ctx, &rows, `
		SELECT m.agent_id, a.name, m.created_at FROM queue_members m JOIN agents a ON a.id = m.agent_id
		WHERE m.queue_id = $1 AND (m.created_at, m.agent_id) > ($2, $3) ORDER BY m.created_at, m.agent_id LIMIT $4`,
		queueID, micros(after.At), after.ID, limit); err != nil {
		return nil, err
	}
	members := make([]Member, len(rows))
	for i, r := range rows {
		members[i] = Member{r.AgentID, r.Name, fromMicros(r.CreatedAt)}
	}
	return members, nil
}

// AddMember has an agent work a queue; once they do, it changes nothing.
// CodeNotFound when there is no such queue or agent.
func (s *Store) AddMember(ctx context.Context, by Origin, queueID, agentID string) error {
	return s.changeMember(ctx, by, queueID, agentID, func(c conn) (int64, error) {
		return c.exec(ctx, `INSERT INTO queue_members (queue_id, agent_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			queueID, agentID, micros(s.now()))
	}, nil, map[string]any{"members/" + agentID: true})
}

// RemoveMember has an agent work a queue no longer; once they do not, it
// changes nothing. What they were offered or hold stays theirs. CodeNotFound
// when there is no such queue or agent.
func (s *Store) RemoveMember(ctx context.Context, by Origin, queueID, agentID string) error {
	return s.changeMember(ctx, by, queueID, agentID, func(c conn) (int64, error) {
		return c.exec(ctx, `DELETE FROM queue_members WHERE queue_id = $1 AND agent_id = $2`, queueID, agentID)
	}, map[string]any{"members/" + agentID: true}, nil)
}

func (s *Store) changeMember(ctx context.Context, by Origin, queueID, agentID string, change func(conn) (int64, error), before, after map[string]any) error {
	return s.tx(ctx, func(c conn) error {
		q, err := queues.lock(ctx, s, c, queueID, AnyVersion)
		if err != nil {
			return err
		}
		if _, err := agents.get(ctx, s, c, agentID, s.d.forUpdate()); err != nil {
			return err
		}
		changed, err := change(c)
		if err != nil || changed == 0 {
			return err
		}
		return s.audit(ctx, c, by, AuditChanged, queues.kind, q.ID, q.Name, before, after)
	})
}
