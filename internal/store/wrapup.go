package store

import (
	"context"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// WrapUpBlocking is how a conversation counts against its agent's capacity while
// they finish notes.
type WrapUpBlocking string

// The kinds of blocking.
const (
	WrapUpAlways     WrapUpBlocking = "always"
	WrapUpNever      WrapUpBlocking = "never"
	WrapUpForSeconds WrapUpBlocking = "for_seconds" // after it ended for the customer
)

// WrapUp is what a workstream says of wrap-up.
type WrapUp struct {
	Blocks     WrapUpBlocking `json:"blocks"`                // "" means always
	ForSeconds int64          `json:"for_seconds,omitempty"` // WrapUpForSeconds
}

// blocks tells whether a conversation that comes to a phase counts against its
// agent's capacity, and until when; 0 is as long as they hold it.
func (w WrapUp) blocks(phase conversation.Phase, now int64) (blocks bool, until int64) {
	switch {
	case phase != conversation.PhaseWrapUp:
		return true, 0
	case w.Blocks == WrapUpForSeconds:
		return true, now + w.ForSeconds*time.Second.Microseconds()
	}
	return w.Blocks != WrapUpNever, 0
}

// endBlocking ends what wrap-ups take of their agents' capacity whose time is
// over. Agents and conversations that are locked are being given something
// else: they are for the next look.
func (m *match) endBlocking(ctx context.Context) error {
	var over []struct {
		ID      string `db:"id"`
		AgentID string `db:"agent_id"`
	}
	if err := m.list(ctx, &over, `SELECT id, agent_id FROM conversations WHERE blocks_until > 0 AND blocks_until <= $1
		ORDER BY blocks_until`+limitTo(matchOffers), micros(m.now)); err != nil || len(over) == 0 {
		return err
	}
	var agents, ids []string
	for _, o := range over {
		agents = append(agents, o.AgentID)
	}
	var locked []lockedState
	if err := m.list(ctx, &locked, `SELECT agent_id, presence, (SELECT auto_busy FROM agents WHERE id = agent_id) AS auto_busy FROM agent_states
		WHERE agent_id `+m.s.d.among(1)+` ORDER BY agent_id`+m.s.d.skipLocked(), m.s.d.ids(unique(agents))); err != nil {
		return err
	}
	for _, o := range over {
		if slices.ContainsFunc(locked, func(s lockedState) bool { return s.AgentID == o.AgentID }) {
			ids = append(ids, o.ID)
		}
	}
	n, err := m.exec(ctx, `UPDATE conversations SET blocks_capacity = FALSE, blocks_until = 0 WHERE id IN (
		SELECT id FROM conversations WHERE id `+m.s.d.among(1)+` AND blocks_until > 0 AND blocks_until <= $2 ORDER BY id`+m.s.d.skipLocked()+`)`,
		m.s.d.ids(ids), micros(m.now))
	if err != nil {
		return err
	}
	m.res.More = m.res.More || n < int64(len(over)) || len(over) == matchOffers
	return m.showLoad(ctx, autoBusy(locked), micros(m.now))
}

// autoBusy are those agents who are shown busy while they hold all they can.
func autoBusy(locked []lockedState) (ids []string) {
	for _, s := range locked {
		if s.AutoBusy {
			ids = append(ids, s.AgentID)
		}
	}
	return ids
}
