package store

import (
	"context"
	"fmt"
	"strings"

	"kaiwa/internal/conversation"
)

// lockAgents locks the agent_states rows of agents, in one order, and makes
// those that are missing. They are the first locks of a transaction: before a
// chat's, a conversation's and an offer's. Whoever gives an agent work holds
// theirs, so that what is given at once is counted one after the other. "" and
// agents there are none of are passed over.
func (c conn) lockAgents(ctx context.Context, ids ...string) error {
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil
	}
	// An agent is locked before their state by whoever deletes them, so here too.
	if _, err := c.exec(ctx, `INSERT INTO agent_states (agent_id)
		SELECT id FROM agents WHERE id IN (`+in+`) AND NOT EXISTS (SELECT 1 FROM agent_states s WHERE s.agent_id = agents.id) ORDER BY id`+c.s.d.forKeyShare()+`
		ON CONFLICT (agent_id) DO NOTHING`, args...); err != nil {
		return err
	}
	var locked []string
	return c.list(ctx, &locked, `SELECT agent_id FROM agent_states WHERE agent_id IN (`+in+`) ORDER BY agent_id`+c.s.d.forUpdate(), args...)
}

// placeholders makes the list of an IN for the ids that are not "", each once,
// counting from first.
func placeholders(ids []string, first int) (list string, args []any) {
	seen := map[string]bool{"": true}
	var b strings.Builder
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		if len(args) > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", first+len(args))
		args = append(args, id)
	}
	return b.String(), args
}

// AgentState is how an agent's day goes.
type AgentState struct {
	AgentID  string                `db:"id"`
	Presence conversation.Presence `db:"presence"` // the effective one
	Chosen   conversation.Presence `db:"chosen"`   // what they set
	Since    int64                 `db:"since"`    // microseconds; 0 is never
	LastSeen int64                 `db:"last_seen_at"`
	Capacity int64                 `db:"capacity"`
	Load     int64                 `db:"load"` // units held and on offer
}

var agentStateQuery = `SELECT a.id, COALESCE(s.presence, 'offline') AS presence, COALESCE(s.chosen, 'offline') AS chosen, COALESCE(s.since, 0) AS since,
	COALESCE(s.last_seen_at, 0) AS last_seen_at, a.capacity, ` + fmt.Sprintf(loadColumn, "a.id") + `
	FROM agents a LEFT JOIN agent_states s ON s.agent_id = a.id WHERE a.id `

// AgentState reads how an agent's day goes; CodeNotFound when there is no such
// agent.
func (s *Store) AgentState(ctx context.Context, agentID string) (AgentState, error) {
	return s.read().agentState(ctx, agentID)
}

func (c conn) agentState(ctx context.Context, agentID string) (AgentState, error) {
	var st AgentState
	found, err := c.get(ctx, &st, agentStateQuery+`= $1`, agentID)
	if err == nil && !found {
		err = agents.notFound(agentID)
	}
	return st, err
}

// AgentStates reads how the days of several agents go, by id.
func (s *Store) AgentStates(ctx context.Context, agentIDs []string) (map[string]AgentState, error) {
	states := map[string]AgentState{}
	in, args := placeholders(agentIDs, 1)
	if len(args) == 0 {
		return states, nil
	}
	var list []AgentState
	err := s.read().list(ctx, &list, agentStateQuery+`IN (`+in+`)`, args...)
	for _, st := range list {
		states[st.AgentID] = st
	}
	return states, err
}

// SetPresence sets an agent's presence: CodeNotFound when there is no such
// agent. Their own call is a sign of life; somebody else's is not, so it takes
// effect once the agent gives one.
func (s *Store) SetPresence(ctx context.Context, agentID string, presence conversation.Presence, own bool) (AgentState, error) {
	var st AgentState
	err := s.tx(ctx, func(c conn) error {
		if err := c.lockAgents(ctx, agentID); err != nil {
			return err
		}
		before, err := c.agentState(ctx, agentID)
		if err != nil {
			return err
		}
		now := s.now()
		st = before
		st.Chosen, st.Presence = presence, presence
		if own {
			st.LastSeen = micros(now)
		} else if st.LastSeen <= micros(now.Add(-conversation.PresenceGrace)) {
			st.Presence = conversation.PresenceOffline
		}
		if st.Presence != before.Presence {
			st.Since = micros(now)
		}
		if _, err := c.exec(ctx, `UPDATE agent_states SET chosen = $2, presence = $3, since = $4, last_seen_at = $5 WHERE agent_id = $1`,
			agentID, string(st.Chosen), string(st.Presence), st.Since, st.LastSeen); err != nil {
			return err
		}
		if st.Presence == before.Presence && st.Chosen == before.Chosen {
			return nil
		}
		cause := "set"
		if !own {
			cause = "supervisor"
		}
		return c.recordAll(ctx, []happened{presenceChanged(agentID, st.Presence, cause)}, micros(now))
	})
	return st, err
}

// SignOfLife notes that an agent is there, which whatever they do with their
// token tells. It returns whether that brought them back from offline: the
// presence they had set holds again.
func (s *Store) SignOfLife(ctx context.Context, agentID string) (back bool, err error) {
	now := micros(s.now())
	n, err := s.write().exec(ctx, `UPDATE agent_states SET last_seen_at = $2 WHERE agent_id = $1 AND presence = chosen`, agentID, now)
	if err != nil || n > 0 {
		return false, err
	}
	err = s.tx(ctx, func(c conn) error {
		var presence conversation.Presence
		back, err = c.get(ctx, &presence, `UPDATE agent_states SET last_seen_at = $2, presence = chosen, since = $2
			WHERE agent_id = $1 AND presence <> chosen RETURNING presence`, agentID, now)
		if err != nil || !back {
			return err
		}
		return c.recordAll(ctx, []happened{presenceChanged(agentID, presence, "back")}, now)
	})
	return back, err
}

// presenceChanged is the event of another presence. cause is an enumerated
// word: set, supervisor, silent, back.
func presenceChanged(agentID string, presence conversation.Presence, cause string) happened {
	return happened{"agent.presence_changed", "", agentID, jsonOf(map[string]any{"agent_id": agentID, "presence": presence, "cause": cause})}
}
