package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// silence sets agents offline who gave no sign of life for too long. Someone
// whose row is locked is doing something.
func (m *match) silence(ctx context.Context) (int, error) {
	var ids []string
	if err := m.list(ctx, &ids, `UPDATE agent_states SET presence = 'offline', since = $1
		WHERE agent_id IN (SELECT agent_id FROM agent_states WHERE presence <> 'offline' AND last_seen_at <= $2`+m.s.d.skipLocked()+`)
		RETURNING agent_id`, micros(m.now), micros(m.now.Add(-conversation.PresenceGrace))); err != nil {
		return 0, err
	}
	var events []happened
	for _, id := range ids {
		events = append(events, presenceChanged(id, conversation.PresenceOffline, "silent"))
	}
	return len(ids), m.recordAll(ctx, events, micros(m.now))
}

// endOffers ends the offers whose time is over, and those to agents who have
// gone. An offer whose conversation is locked is being settled by somebody else.
func (m *match) endOffers(ctx context.Context) error {
	var over []struct {
		ID      string `db:"id"`
		Expired bool   `db:"expired"`
	}
	if err := m.list(ctx, &over, `SELECT offers.id, offers.expires_at <= $1 AS expired FROM offers JOIN conversations ON conversations.id = offers.conversation_id
		WHERE offers.state = 'live' AND (offers.expires_at <= $1
			OR NOT EXISTS (SELECT 1 FROM agent_states s WHERE s.agent_id = offers.agent_id AND s.presence <> 'offline'))`+
		m.s.d.skipLockedOf("conversations"), micros(m.now)); err != nil {
		return err
	}
	var timedOut, gone []string
	for _, o := range over {
		if o.Expired {
			timedOut = append(timedOut, o.ID)
		} else {
			gone = append(gone, o.ID)
		}
	}
	if err := m.endOffersAs(ctx, conversation.OfferTimedOut, "", timedOut); err != nil {
		return err
	}
	return m.endOffersAs(ctx, conversation.OfferRescinded, offerReasonOffline, gone)
}

func (m *match) endOffersAs(ctx context.Context, state conversation.OfferState, reason string, ids []string) error {
	in, args := placeholders(ids, 4)
	if len(args) == 0 {
		return nil
	}
	var ended []offerRow
	if err := m.list(ctx, &ended, `UPDATE offers SET state = $1, reason = $2, ended_at = $3 WHERE id IN (`+in+`) AND state = 'live' RETURNING `+offerColumns,
		append([]any{string(state), reason, micros(m.now)}, args...)...); err != nil {
		return err
	}
	m.res.Ended += len(ended)
	if err := m.recordOffers(ctx, ended, micros(m.now)); err != nil {
		return err
	}
	var conversations []string
	for _, o := range ended {
		conversations = append(conversations, o.ConversationID)
	}
	in, args = placeholders(conversations, 1)
	if len(args) == 0 {
		return nil
	}
	var chats []Chat
	// To be offered again, each is looked at on its own: who let it pass comes last.
	if err := m.list(ctx, &chats, `UPDATE conversations SET refused = `+map[bool]string{true: "TRUE", false: "refused"}[state == conversation.OfferTimedOut]+`
		WHERE id IN (`+in+`) RETURNING channel_id, chat_key`, args...); err != nil {
		return err
	}
	m.res.Chats = append(m.res.Chats, chats...)
	return nil
}

// carryOut makes the offers that were decided, as far as they still hold, and
// writes down why.
func (m *match) carryOut(ctx context.Context, decided routing.Result) error {
	offers, err := m.stillFit(ctx, decided.Offers)
	if err != nil {
		return err
	}
	lines := m.changed(decided.Verdicts)
	locked, err := m.lockWaiting(ctx, offers, lines)
	if err != nil {
		return err
	}
	made := map[string]offerRow{}
	var rows []offerRow
	for _, o := range offers {
		now, ok := locked[o.ConversationID]
		if !ok || now.OnOffer {
			m.res.More = true
			continue
		}
		made[o.ConversationID] = offerRow{
			ID:             conversation.DerivedID(conversation.PrefixOffer, o.ConversationID, now.Epoch, now.Offers),
			ConversationID: o.ConversationID, AgentID: o.AgentID, QueueID: o.QueueID, Epoch: now.Epoch, Units: o.Units,
			State: conversation.OfferLive, CreatedAt: micros(m.now), ExpiresAt: micros(m.now.Add(m.patience(o.ConversationID))),
		}
		rows = append(rows, made[o.ConversationID])
	}
	if err := m.makeOffers(ctx, rows); err != nil {
		return err
	}
	for id := range lines {
		if _, ok := locked[id]; !ok {
			delete(lines, id) // at the next look
		}
	}
	return m.writeVerdicts(ctx, lines, made)
}

// patience is how long an agent has to answer an offer of a conversation.
func (m *match) patience(conversationID string) time.Duration {
	w := m.workstreams[m.items[conversationID].WorkstreamID]
	return time.Duration(w.Settings.Assignment.OfferTimeoutSeconds) * time.Second
}

// stillFit locks the agents of the offers that were decided and leaves those
// out whose agent has less room than it looked. An agent whose row is locked is
// being given something else.
func (m *match) stillFit(ctx context.Context, offers []routing.Offer) ([]routing.Offer, error) {
	var ids []string
	for _, o := range offers {
		ids = append(ids, o.AgentID)
	}
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT agent_id FROM agent_states WHERE agent_id IN (`+in+`) ORDER BY agent_id`+m.s.d.skipLocked(), args...); err != nil {
		return nil, err
	}
	in, args = placeholders(locked, 1)
	if len(args) == 0 {
		m.res.More = true
		return nil, nil
	}
	// In a statement of its own: it sees what was committed before the locks.
	agents, err := m.agentLoads(ctx, `a.id IN (`+in+`)`, args...)
	if err != nil {
		return nil, err
	}
	now := map[string]*agentLoad{}
	for i := range agents {
		now[agents[i].ID] = &agents[i]
	}
	return slices.DeleteFunc(slices.Clone(offers), func(o routing.Offer) bool {
		a := now[o.AgentID]
		presences := m.workstreams[m.items[o.ConversationID].WorkstreamID].Settings.Assignment.Presences
		if a == nil || !slices.Contains(presences, a.Presence) || o.Why != routing.WhyPreferred && a.free() < o.Units {
			m.res.More = true
			return true
		}
		a.Load += o.Units
		return false
	}), nil
}

// changed returns the verdicts that differ from the last one, by conversation.
func (m *match) changed(verdicts []routing.Verdict) map[string]routing.Verdict {
	out := map[string]routing.Verdict{}
	for _, v := range verdicts {
		if v.Placement == routing.Offered || v.Compact() != m.items[v.ConversationID].Verdict {
			out[v.ConversationID] = v
		}
	}
	return out
}

// standing is how a conversation that waits stands under its lock.
type standing struct {
	ID      string `db:"id"`
	Epoch   int64  `db:"epoch"`
	QueueID string `db:"queue_id"`
	OnOffer bool   `db:"on_offer"`
	Offers  int64  `db:"offers"` // there were, ever
}

// lockWaiting locks the conversations that something is to be written of, and
// returns those that wait as they did. One that is locked is just being moved.
func (m *match) lockWaiting(ctx context.Context, offers []routing.Offer, lines map[string]routing.Verdict) (map[string]standing, error) {
	var ids []string
	for _, o := range offers {
		ids = append(ids, o.ConversationID)
	}
	for id, v := range lines {
		if v.Placement != routing.Offered {
			ids = append(ids, id)
		}
	}
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT id FROM conversations WHERE id IN (`+in+`) ORDER BY id`+m.s.d.skipLocked(), args...); err != nil {
		return nil, err
	}
	in, args = placeholders(locked, 1)
	if len(args) == 0 {
		return nil, nil
	}
	var now []standing
	if err := m.list(ctx, &now, `SELECT id, epoch, queue_id,
			EXISTS (SELECT 1 FROM offers WHERE offers.conversation_id = conversations.id AND offers.state = 'live') AS on_offer,
			(SELECT count(*) FROM offers WHERE offers.conversation_id = conversations.id) AS offers
		FROM conversations WHERE id IN (`+in+`) AND owner = 'queue' AND routed_at > 0`, args...); err != nil {
		return nil, err
	}
	out := map[string]standing{}
	for _, st := range now {
		if w := m.items[st.ID]; w.Epoch == st.Epoch && w.QueueID == st.QueueID {
			out[st.ID] = st
		}
	}
	return out, nil
}

func (m *match) makeOffers(ctx context.Context, rows []offerRow) error {
	if len(rows) == 0 {
		return nil
	}
	var args []any
	var agents []string
	for _, o := range rows {
		args = append(args, o.ID, o.ConversationID, o.AgentID, o.QueueID, o.Epoch, o.Units, string(o.State), o.CreatedAt, o.ExpiresAt)
		agents = append(agents, o.AgentID)
		w := m.items[o.ConversationID]
		m.res.Chats = append(m.res.Chats, Chat{w.ChannelID, w.ChatKey})
	}
	if _, err := m.exec(ctx, `INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at) VALUES `+
		values(len(rows), 9, 1), args...); err != nil {
		return err
	}
	in, args := placeholders(agents, 2)
	if _, err := m.exec(ctx, `UPDATE agent_states SET last_offered_at = $1 WHERE agent_id IN (`+in+`)`, append([]any{micros(m.now)}, args...)...); err != nil {
		return err
	}
	m.res.Made += len(rows)
	return m.recordOffers(ctx, rows, micros(m.now))
}

// assignmentLine is a verdict as the routing log has it.
type assignmentLine struct {
	routing.Verdict
	OfferID   string `json:"offer_id,omitempty"`
	ExpiresAt string `json:"expires_at,omitempty"` // RFC 3339
}

// writeVerdicts adds a line to the routing log of each conversation that was
// offered or whose verdict changed, and remembers the verdict.
func (m *match) writeVerdicts(ctx context.Context, lines map[string]routing.Verdict, made map[string]offerRow) error {
	var logged, remembered []any
	n := 0
	var pairs []string
	for id, v := range lines {
		line := assignmentLine{Verdict: v}
		cause := fmt.Sprint(micros(m.now))
		if v.Placement == routing.Offered {
			o, ok := made[id]
			if !ok {
				continue
			}
			line.OfferID, line.ExpiresAt, cause = o.ID, fromMicros(o.ExpiresAt).Format(time.RFC3339), o.ID
		}
		logged = append(logged, conversation.DerivedID(conversation.PrefixRoutingEntry, id, "assignment", cause), id, m.items[id].Epoch,
			StageAssignment, string(v.Placement), jsonOf(line), micros(m.now)+1) // after the end of an offer before it
		pairs = append(pairs, fmt.Sprintf("(CAST($%d AS TEXT), CAST($%d AS TEXT))", 2*n+1, 2*n+2))
		remembered = append(remembered, id, v.Compact())
		n++
	}
	if n == 0 {
		return nil
	}
	if _, err := m.exec(ctx, `INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at) VALUES `+values(n, 7, 1), logged...); err != nil {
		return err
	}
	_, err := m.exec(ctx, `WITH said (id, verdict) AS (VALUES `+strings.Join(pairs, ",")+`)
		UPDATE conversations SET verdict = said.verdict FROM said WHERE conversations.id = said.id`, remembered...)
	return err
}

// outlook adds to a result what there is to wait for now.
func (s *Store) outlook(ctx context.Context, res *MatchResult) error {
	var out struct {
		Waiting  int   `db:"waiting"`
		Offered  int   `db:"offered"`
		Expiry   int64 `db:"expiry"`
		Present  int   `db:"present"`
		LastSeen int64 `db:"last_seen"`
	}
	if _, err := s.read().get(ctx, &out, outlookQuery); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	res.Waiting, res.Offered, res.Present = max(0, out.Waiting-out.Offered), out.Offered, out.Present
	if out.Offered > 0 {
		res.NextAt = sooner(res.NextAt, fromMicros(out.Expiry))
	}
	if out.Present > 0 {
		res.NextAt = sooner(res.NextAt, fromMicros(out.LastSeen).Add(conversation.PresenceGrace))
	}
	return nil
}

const outlookQuery = `SELECT
	(SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
		WHERE c.owner = 'queue' AND c.routed_at > 0 AND NOT c.refused AND c.preferred_agent_id = '')
	+ (SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
		WHERE c.owner = 'queue' AND c.routed_at > 0 AND (c.refused OR c.preferred_agent_id <> '')) AS waiting,
	(SELECT count(*) FROM offers WHERE state = 'live') AS offered,
	(SELECT COALESCE(min(expires_at), 0) FROM offers WHERE state = 'live') AS expiry,
	(SELECT count(*) FROM agent_states WHERE presence <> 'offline') AS present,
	(SELECT COALESCE(min(last_seen_at), 0) FROM agent_states WHERE presence <> 'offline') AS last_seen`

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
