package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
)

// lockAgents locks the agent_states rows of agents, in one order, and makes
// those that are missing. They are the first locks of a transaction: before a
// chat's, a conversation's and an offer's. Whoever gives an agent work holds
// theirs, so that what is given at once is counted one after the other. "" and
// agents there are none of are passed over.
func (c conn) lockAgents(ctx context.Context, ids ...string) error {
	_, err := c.lockStates(ctx, ids...)
	return err
}

// lockedState is what is known of an agent whose row is locked.
type lockedState struct {
	AgentID  string                `db:"agent_id"`
	Presence conversation.Presence `db:"presence"`
	AutoBusy bool                  `db:"auto_busy"` // shown busy while they hold all they can
}

// lockStates is lockAgents for who wants to know how the agents are.
func (c conn) lockStates(ctx context.Context, ids ...string) (locked []lockedState, err error) {
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil, nil
	}
	// An agent is locked before their state by whoever deletes them, so here too.
	if _, err := c.exec(ctx, `INSERT INTO agent_states (agent_id)
		SELECT id FROM agents WHERE id IN (`+in+`) AND NOT EXISTS (SELECT 1 FROM agent_states s WHERE s.agent_id = agents.id) ORDER BY id`+c.s.d.forKeyShare()+`
		ON CONFLICT (agent_id) DO NOTHING`, args...); err != nil {
		return nil, err
	}
	err = c.list(ctx, &locked, `SELECT agent_id, presence, (SELECT auto_busy FROM agents WHERE id = agent_id) AS auto_busy FROM agent_states WHERE agent_id IN (`+in+`) ORDER BY agent_id`+c.s.d.forUpdate(), args...)
	return locked, err
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

// PresenceCause is why an agent's presence changed.
type PresenceCause string

// The causes. Those of what is set are kept; the others are in events only.
const (
	CauseSet          PresenceCause = "set"           // by the agent
	CauseSupervisor   PresenceCause = "supervisor"    // by somebody else
	CauseMissedOffers PresenceCause = "missed_offers" // the agent let too many offers in a row run out
	CauseSilent       PresenceCause = "silent"        // no sign of life for conversation.PresenceGrace
	CauseBack         PresenceCause = "back"          // the first one after that
	CauseCapacity     PresenceCause = "capacity"      // the agent holds all they can, or no longer does
)

// AgentState is how an agent's day goes.
type AgentState struct {
	AgentID  string                `db:"id"`
	Presence conversation.Presence `db:"presence"`    // the effective one
	Chosen   conversation.Presence `db:"chosen"`      // what they set
	Cause    PresenceCause         `db:"cause"`       // why Chosen is what it is; "" before anybody set one
	CustomID string                `db:"presence_id"` // the custom presence they set; "" for one of the five
	Custom   string                `db:"custom"`      // its name
	// AtCapacity: they hold all they can, and are shown busy while they do.
	AtCapacity bool  `db:"at_capacity"`
	Since      int64 `db:"since"` // microseconds; 0 is never
	LastSeen   int64 `db:"last_seen_at"`
	Capacity   int64 `db:"capacity"`
	Load       int64 `db:"load"` // units held and on offer
}

// ProfileLoad is what an agent holds of one of their capacity profiles.
type ProfileLoad struct {
	ProfileID string
	Limit     int64 // conversations
	Load      int64 // that count against it; see routing.Profile
}

// Shown is the presence that people see: who holds all they can is busy, where
// they are shown so. Offers go by Presence: for them there is no room anyway.
func (s AgentState) Shown() conversation.Presence { return shown(s.Presence, s.AtCapacity) }

func shown(presence conversation.Presence, atCapacity bool) conversation.Presence {
	if atCapacity && presence == conversation.PresenceAvailable {
		return conversation.PresenceBusy
	}
	return presence
}

var agentStateQuery = `SELECT a.id, COALESCE(s.presence, 'offline') AS presence, COALESCE(s.chosen, 'offline') AS chosen, COALESCE(s.since, 0) AS since, COALESCE(s.cause, '') AS cause,
	COALESCE(s.presence_id, '') AS presence_id, COALESCE(p.name, '') AS custom, COALESCE(s.at_capacity, FALSE) AS at_capacity,
	COALESCE(s.last_seen_at, 0) AS last_seen_at, a.capacity, ` + fmt.Sprintf(loadColumn, "a.id") + `
	FROM agents a LEFT JOIN agent_states s ON s.agent_id = a.id LEFT JOIN presences p ON p.id = s.presence_id WHERE a.id `

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

// ProfileLoads reads what agents hold of their capacity profiles, in order of the
// profiles' ids, by agent. It has those who have ever set a presence.
func (s *Store) ProfileLoads(ctx context.Context, agentIDs []string) (map[string][]ProfileLoad, error) {
	held := map[string][]ProfileLoad{}
	if len(agentIDs) == 0 {
		return held, nil
	}
	loads, err := s.read().agentLoads(ctx, true, s.now(), agentIDs)
	for _, l := range loads {
		for _, id := range slices.Sorted(maps.Keys(l.Profiles)) {
			held[l.ID] = append(held[l.ID], ProfileLoad{id, l.Profiles[id].Limit, l.Profiles[id].Load})
		}
	}
	return held, err
}

// SetPresence sets an agent's presence, one of the five or a custom one by its
// id: CodeNotFound when there is no such agent, CodeInvalid when there is no such
// presence. Their own call is a sign of life; somebody else's is not, so it takes
// effect once the agent gives one. Offers that were missed before count no more.
func (s *Store) SetPresence(ctx context.Context, agentID string, presence conversation.Presence, own bool) (AgentState, error) {
	var st AgentState
	err := s.tx(ctx, func(c conn) error {
		custom, err := c.customPresence(ctx, presence)
		if err != nil {
			return err
		}
		if err := c.lockAgents(ctx, agentID); err != nil {
			return err
		}
		before, err := c.agentState(ctx, agentID)
		if err != nil {
			return err
		}
		now := s.now()
		st = before
		st.Chosen, st.Presence, st.Cause = custom.Base, custom.Base, CauseSupervisor
		st.CustomID, st.Custom = custom.ID, custom.Name
		if own {
			st.LastSeen, st.Cause = micros(now), CauseSet
		} else if st.LastSeen <= micros(now.Add(-conversation.PresenceGrace)) {
			st.Presence = conversation.PresenceOffline
		}
		if st.Presence != before.Presence {
			st.Since = micros(now)
		}
		if _, err := c.exec(ctx, `UPDATE agent_states SET chosen = $2, presence = $3, since = $4, last_seen_at = $5, cause = $6, missed_from = $7, presence_id = $8, review_at = 0 WHERE agent_id = $1`,
			agentID, string(st.Chosen), string(st.Presence), st.Since, st.LastSeen, string(st.Cause), micros(now), st.CustomID); err != nil {
			return err
		}
		if st.Presence == before.Presence && st.Chosen == before.Chosen && st.CustomID == before.CustomID {
			return nil
		}
		return c.recordAll(ctx, []happened{presenceChanged(agentID, st.presenceRow(), st.Cause)}, micros(now))
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
		var is presenceRow
		back, err = c.get(ctx, &is, `UPDATE agent_states SET last_seen_at = $2, presence = chosen, since = $2, review_at = 0
			WHERE agent_id = $1 AND presence <> chosen RETURNING presence, presence_id, at_capacity`, agentID, now)
		if err != nil || !back {
			return err
		}
		return c.recordAll(ctx, []happened{presenceChanged(agentID, is, CauseBack)}, now)
	})
	return back, err
}

// presenceRow is what an agent's presence shows as.
type presenceRow struct {
	Presence   conversation.Presence `db:"presence"`
	CustomID   string                `db:"presence_id"`
	AtCapacity bool                  `db:"at_capacity"`
}

func (s AgentState) presenceRow() presenceRow {
	is := presenceRow{s.Presence, s.CustomID, s.AtCapacity}
	if s.Presence != s.Chosen {
		is.CustomID = ""
	}
	return is
}

// presenceChanged is the event of another presence.
func presenceChanged(agentID string, is presenceRow, cause PresenceCause) happened {
	data := map[string]any{"agent_id": agentID, "presence": shown(is.Presence, is.AtCapacity), "cause": cause}
	if is.CustomID != "" {
		data["presence_id"] = is.CustomID
	}
	return happened{"agent.presence_changed", "", agentID, jsonOf(data)}
}

// showLoad has agents shown busy who hold all they can, where they are shown so,
// and as what they set when they no longer do. Their rows are locked.
func (c conn) showLoad(ctx context.Context, ids []string, now int64) error {
	if len(ids) == 0 {
		return nil
	}
	var changed []struct {
		AgentID string `db:"agent_id"`
		presenceRow
	}
	if err := c.list(ctx, &changed, `UPDATE agent_states SET at_capacity = NOT at_capacity WHERE agent_id `+c.s.d.among(1)+` AND at_capacity <> COALESCE((
			SELECT a.auto_busy AND a.capacity <= (SELECT COALESCE(SUM(held.units), 0) FROM conversations held WHERE held.agent_id = a.id AND held.owner = 'agent' AND held.blocks_capacity)
			FROM agents a WHERE a.id = agent_states.agent_id), FALSE)
		RETURNING agent_id, presence, presence_id, at_capacity`, c.s.d.ids(ids)); err != nil {
		return err
	}
	var events []happened
	for _, a := range changed {
		if a.Presence == conversation.PresenceAvailable {
			events = append(events, presenceChanged(a.AgentID, a.presenceRow, CauseCapacity))
		}
	}
	return c.recordAll(ctx, events, now)
}
