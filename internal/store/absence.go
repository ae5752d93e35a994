package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// AbsentMode is what becomes of the conversations of an agent who is gone.
type AbsentMode string

// What becomes of them.
const (
	AbsentReroute AbsentMode = "reroute" // they wait for somebody else, where they waited before
	AbsentKeep    AbsentMode = "keep"    // they stay with their agent
)

// Absence is how long a conversation stays with an agent who has left, beside
// conversation.PresenceGrace. The zero Absence keeps it with them for good.
type Absence struct {
	Reroute bool
	After   time.Duration
}

// Absence is what the workstream says of agents who are gone.
func (a Assignment) Absence() Absence {
	return Absence{a.Absent == AbsentReroute, time.Duration(a.AbsentAfterSeconds) * time.Second}
}

// due is when a conversation goes to others whose agent left at a time, in
// microseconds; never when it stays.
func (a Absence) due(left int64) int64 {
	if !a.Reroute {
		return never
	}
	return left + (conversation.PresenceGrace + a.After).Microseconds()
}

// before is the time at which, or before which, an agent must have left whose
// conversation goes to others now; -1 when it stays.
func (a Absence) before(now time.Time) int64 {
	if !a.Reroute {
		return -1
	}
	return micros(now.Add(-conversation.PresenceGrace - a.After))
}

// never is a time that does not come.
const never = math.MaxInt64

const (
	// reviewAgents bounds the agents whose conversations one look reviews.
	reviewAgents = 1000
	// reviewAgain is how soon the look sees to it that a conversation has gone to
	// others, and reviewRarely how soon it looks at those that stay, for a
	// workstream may be changed.
	reviewAgain  = 10 * time.Second
	reviewRarely = 10 * time.Minute
)

// leftAt is when the agent of a conversation left, who is offline: when they set
// that, in the middle of their session; otherwise with their last sign of life,
// at the earliest when they were given the conversation. So nobody takes
// anything from somebody who works though they are offline. conversation and
// state are the aliases of rows of conversations and agent_states.
func leftAt(conversation, state string) string {
	began := fmt.Sprintf(`(SELECT coalesce(max(started_at), 0) FROM sessions WHERE sessions.conversation_id = %s.id)`, conversation)
	return fmt.Sprintf(`CASE WHEN %[2]s.chosen = 'offline' AND %[2]s.since > %[1]s THEN %[2]s.since WHEN %[2]s.last_seen_at > %[1]s THEN %[2]s.last_seen_at ELSE %[1]s END`,
		began, state)
}

// agentGone is the condition that a conversation is served by an agent who is
// offline and left at a time or before it; see leftAt. left is the placeholder
// of that time.
func agentGone(conversation, left string) string {
	return fmt.Sprintf(`EXISTS (SELECT 1 FROM agent_states s WHERE %[1]s.owner = 'agent' AND %[1]s.status = 'active' AND s.agent_id = %[1]s.agent_id
		AND s.presence = 'offline' AND %[2]s <= %[3]s)`, conversation, leftAt(conversation, "s"), left)
}

// stillGone refuses to take a conversation from its agent unless they are gone.
// Their row is locked: whoever comes back in this moment did so before, and
// keeps it, or does so afterwards.
func (c conn) stillGone(ctx context.Context, row conversationRow, req TransitionRequest) error {
	var gone bool
	_, err := c.get(ctx, &gone, `SELECT `+agentGone("c", "$2")+` FROM conversations c WHERE c.id = $1`, row.ID, req.Absence.before(c.s.now()))
	if err == nil && (!gone || row.AgentID != req.LeavingAgentID) {
		err = conversation.Errorf(conversation.CodeConflict, "Nobody has this conversation who is gone.")
	}
	return err
}

// reviewAbsent looks at what agents hold who are offline, and wants the
// workflows of those conversations whose agent is gone for long enough: the
// workflow is what moves its conversation, and asks the database once more when
// it does. Agents whose row is locked are doing something.
func (m *match) reviewAbsent(ctx context.Context) error {
	var ids []string
	if err := m.list(ctx, &ids, `SELECT agent_id FROM agent_states WHERE presence = 'offline' AND review_at <= $1
		ORDER BY review_at`+limitTo(reviewAgents)+m.s.d.skipLocked(), micros(m.now)); err != nil || len(ids) == 0 {
		return err
	}
	m.res.More = m.res.More || len(ids) == reviewAgents
	var held []struct {
		Chat
		AgentID      string `db:"agent_id"`
		WorkstreamID string `db:"workstream_id"`
		LeftAt       int64  `db:"left_at"`
	}
	if err := m.list(ctx, &held, `SELECT c.channel_id, c.chat_key, c.agent_id, c.workstream_id, `+leftAt("c", "s")+` AS left_at
		FROM conversations c JOIN agent_states s ON s.agent_id = c.agent_id
		WHERE c.agent_id `+m.s.d.among(1)+` AND c.owner = 'agent' AND c.status = 'active'`, m.s.d.ids(ids)); err != nil {
		return err
	}
	var workstreamIDs []string
	for _, h := range held {
		workstreamIDs = append(workstreamIDs, h.WorkstreamID)
	}
	found, err := m.readWorkstreams(ctx, workstreamIDs)
	if err != nil {
		return err
	}
	next := map[string]int64{}
	for _, id := range ids {
		next[id] = never
	}
	var gone [][2]string
	for _, h := range held {
		again := micros(m.now.Add(reviewRarely))
		switch due := found[h.WorkstreamID].Settings.Assignment.Absence().due(h.LeftAt); {
		case due <= micros(m.now):
			gone = append(gone, [2]string{h.ChannelID, h.ChatKey})
			again = micros(m.now.Add(reviewAgain))
		default:
			again = min(again, due)
		}
		next[h.AgentID] = min(next[h.AgentID], again)
	}
	wanted, err := m.wantChats(ctx, gone, micros(m.now))
	if err != nil {
		return err
	}
	m.res.Chats = append(m.res.Chats, wanted...)
	var reviewed [][]any
	for _, id := range ids {
		reviewed = append(reviewed, []any{id, next[id]})
	}
	_, err = m.exec(ctx, `UPDATE agent_states SET review_at = said.at FROM `+m.s.d.rows(1, "agent TEXT", "at BIGINT")+` AS said
		WHERE agent_states.agent_id = said.agent`, jsonOf(reviewed))
	return err
}

// reviewLater has the dispatcher look at what an agent holds who is given a
// conversation though they are offline. Their row is one of those locked.
func (c conn) reviewLater(ctx context.Context, locked []lockedState, agentID string) error {
	if !slices.ContainsFunc(locked, func(s lockedState) bool {
		return s.AgentID == agentID && s.Presence == conversation.PresenceOffline
	}) {
		return nil
	}
	_, err := c.exec(ctx, `UPDATE agent_states SET review_at = 0 WHERE agent_id = $1`, agentID)
	return err
}
