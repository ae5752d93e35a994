package store

import (
	"context"
	"slices"

	"kaiwa/internal/conversation"
)

// overOffer is a live offer that is over.
type overOffer struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	AgentID        string `db:"agent_id"`
	Expired        bool   `db:"expired"` // or its agent has gone
	Away           int64  `db:"away"`    // how many missed in a row set its agent away; 0 is never
}

// missedOffersAway is how many missed offers in a row set the agent of a row of
// offers away, as its conversation's workstream says; 0 is never. An offer that
// is accepted for its agent is not theirs to miss.
func (d dialect) missedOffersAway() string {
	return `CASE WHEN auto THEN 0 ELSE coalesce((SELECT ` + d.jsonNumber("w.settings", "assignment", "missed_offers_away") + `
		FROM conversations c JOIN workstreams w ON w.id = c.workstream_id WHERE c.id = offers.conversation_id), 0) END`
}

// lockMissing locks the agents whom an offer that has run out may set away, and
// leaves their offers out when somebody else has locked them. It returns how
// many missed in a row set each of them away.
func (m *match) lockMissing(ctx context.Context, over []overOffer) ([]overOffer, map[string]int64, error) {
	missing := map[string]int64{}
	var ids []string
	for _, o := range over {
		if n := missing[o.AgentID]; o.Expired && o.Away > 0 && (n == 0 || o.Away < n) {
			missing[o.AgentID] = o.Away
			ids = append(ids, o.AgentID)
		}
	}
	if len(ids) == 0 {
		return over, nil, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT agent_id FROM agent_states WHERE agent_id `+m.s.d.among(1)+` ORDER BY agent_id`+m.s.d.skipLocked(), m.s.d.ids(unique(ids))); err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(over, func(o overOffer) bool {
		busy := o.Expired && o.Away > 0 && !slices.Contains(locked, o.AgentID)
		if busy {
			delete(missing, o.AgentID)
			m.res.More = true
		}
		return busy
	}), missing, nil
}

// setAway sets agents away whose latest offers all ran out, as many as is said
// for each; an offer they answered, and a presence they chose, begins the count
// anew. Their rows are locked.
func (m *match) setAway(ctx context.Context, missing map[string]int64) error {
	byCount := map[int64][]string{}
	for id, n := range missing {
		byCount[n] = append(byCount[n], id)
	}
	var events []happened
	for n, ids := range byCount {
		var away []string
		if err := m.list(ctx, &away, `UPDATE agent_states SET presence = 'away', chosen = 'away', presence_id = '', cause = $1, since = $2, missed_from = $2
			WHERE agent_id `+m.s.d.among(3)+` AND presence NOT IN ('away', 'offline') AND $4 <= (
				SELECT count(*) FROM (
					SELECT o.state FROM offers o WHERE o.agent_id = agent_states.agent_id AND o.created_at >= agent_states.missed_from
						AND o.state IN ('accepted', 'declined', 'timed_out') AND NOT o.auto
					ORDER BY o.created_at DESC, o.id DESC`+limitTo(int(n))+`) AS latest WHERE latest.state = 'timed_out')
			RETURNING agent_id`, string(CauseMissedOffers), micros(m.now), m.s.d.ids(ids), n); err != nil {
			return err
		}
		for _, id := range away {
			events = append(events, presenceChanged(id, presenceRow{Presence: conversation.PresenceAway}, CauseMissedOffers))
		}
	}
	return m.recordAll(ctx, events, micros(m.now))
}
