package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

const (
	// isSilent and isOver select agents who gave no sign of life since $2, and
	// offers whose time is over at $1 or whose agent has gone.
	isSilent = `presence <> 'offline' AND last_seen_at <= $2`
	isOver   = `state = 'live' AND (expires_at <= $1 OR NOT EXISTS (SELECT 1 FROM agent_states s WHERE s.agent_id = offers.agent_id AND s.presence <> 'offline'))`
)

// silence sets agents offline who gave no sign of life for too long. Someone
// whose row is locked is doing something.
func (m *match) silence(ctx context.Context) (int, error) {
	var ids []string
	if err := m.list(ctx, &ids, `UPDATE agent_states SET presence = 'offline', since = $1, review_at = 0
		WHERE agent_id IN (SELECT agent_id FROM agent_states WHERE `+isSilent+limitTo(matchSilent)+m.s.d.skipLocked()+`)
		RETURNING agent_id`, micros(m.now), micros(m.now.Add(-conversation.PresenceGrace))); err != nil {
		return 0, err
	}
	var events []happened
	for _, id := range ids {
		events = append(events, presenceChanged(id, presenceRow{Presence: conversation.PresenceOffline}, CauseSilent))
	}
	m.res.More = m.res.More || len(ids) == matchSilent
	return len(ids), m.recordAll(ctx, events, micros(m.now))
}

// endOffers ends the offers whose time is over, and those to agents who have
// gone. An offer whose conversation is locked is being settled by somebody else.
func (m *match) endOffers(ctx context.Context) error {
	var over []overOffer
	if err := m.list(ctx, &over, `SELECT id, conversation_id, agent_id, expires_at <= $1 AS expired, `+m.s.d.missedOffersAway()+` AS away FROM offers WHERE `+isOver+limitTo(matchOffers), micros(m.now)); err != nil || len(over) == 0 {
		return err
	}
	m.res.More = m.res.More || len(over) == matchOffers
	over, missing, err := m.lockMissing(ctx, over)
	if err != nil {
		return err
	}
	var ids, locked []string
	for _, o := range over {
		ids = append(ids, o.ConversationID)
	}
	if err := m.list(ctx, &locked, `SELECT id FROM conversations WHERE id `+m.s.d.among(1)+` ORDER BY id`+m.s.d.skipLocked(), m.s.d.ids(ids)); err != nil {
		return err
	}
	slices.Sort(locked) // as Go compares, whatever the database's language
	var timedOut, gone []string
	for _, o := range over {
		if _, ours := slices.BinarySearch(locked, o.ConversationID); !ours {
			continue
		}
		if o.Expired {
			timedOut = append(timedOut, o.ID)
		} else {
			gone = append(gone, o.ID)
		}
	}
	if err := m.endOffersAs(ctx, conversation.OfferTimedOut, "", timedOut); err != nil {
		return err
	}
	if err := m.setAway(ctx, missing); err != nil {
		return err
	}
	return m.endOffersAs(ctx, conversation.OfferRescinded, offerReasonOffline, gone)
}

func (m *match) endOffersAs(ctx context.Context, state conversation.OfferState, reason string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var ended []offerRow
	if err := m.list(ctx, &ended, `UPDATE offers SET state = $1, reason = $2, ended_at = $3 WHERE id `+m.s.d.among(4)+` AND state = 'live' RETURNING `+offerColumns,
		string(state), reason, micros(m.now), m.s.d.ids(ids)); err != nil {
		return err
	}
	m.res.Ended += len(ended)
	if err := m.recordOffers(ctx, ended, micros(m.now)); err != nil {
		return err
	}
	if len(ended) == 0 {
		return nil
	}
	var conversations []string
	for _, o := range ended {
		conversations = append(conversations, o.ConversationID)
	}
	if state != conversation.OfferTimedOut {
		return nil
	}
	// To be offered again, each is looked at on its own: who let it pass comes last.
	_, err := m.exec(ctx, `UPDATE conversations SET refused = TRUE WHERE id `+m.s.d.among(1), m.s.d.ids(conversations))
	return err
}

// carryOut makes the offers that were decided, as far as they still hold, and
// writes down why.
func (m *match) carryOut(ctx context.Context, decided routing.Result) error {
	offers, err := m.stillFit(ctx, decided.Offers)
	if err != nil {
		return err
	}
	if offers, err = m.want(ctx, offers); err != nil {
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
			Auto: m.workstreams[m.items[o.ConversationID].WorkstreamID].Settings.Assignment.AutoAccept,
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
	if len(ids) == 0 {
		return nil, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT agent_id FROM agent_states WHERE agent_id `+m.s.d.among(1)+` ORDER BY agent_id`+m.s.d.skipLocked(), m.s.d.ids(ids)); err != nil {
		return nil, err
	}
	if len(locked) == 0 {
		m.res.More = true
		return nil, nil
	}
	// In a statement of its own: it sees what was committed before the locks.
	agents, err := m.agentLoads(ctx, m.profiles, m.now, locked)
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
		if a == nil || !slices.Contains(presences, a.Presence) || o.Why != routing.WhyPreferred && a.lacks(o) {
			m.res.More = true
			return true
		}
		if a.Counted[counts{o.ProfileID, o.ConversationID}] {
			m.res.More = true // they have room for one more than was decided by
		} else {
			a.take(o)
		}
		return false
	}), nil
}

// want notes that the workflows of those conversations have something to do
// whose customers hear who was found, or which are accepted for their agent, so
// that it is not lost, and leaves those out whose chat somebody else has just
// locked.
func (m *match) want(ctx context.Context, offers []routing.Offer) ([]routing.Offer, error) {
	var channelIDs []string
	for _, o := range offers {
		channelIDs = append(channelIDs, m.items[o.ConversationID].ChannelID)
	}
	in, args := placeholders(channelIDs, 1)
	if len(args) == 0 {
		return offers, nil
	}
	var list []struct {
		ID        string `db:"id"`
		Locale    string `db:"locale"`
		Automated string `db:"automated_messages"`
	}
	if err := m.list(ctx, &list, `SELECT id, locale, automated_messages FROM channels WHERE id IN (`+in+`)`, args...); err != nil {
		return nil, err
	}
	tells := map[[2]string]bool{} // by channel and workstream
	for _, c := range list {
		var own []AutomatedMessage
		if err := json.Unmarshal([]byte(c.Automated), &own); err != nil {
			m.res.Skipped = append(m.res.Skipped, c.ID) // harms only itself
			continue
		}
		for _, w := range m.workstreams {
			_, on := automessage.Text(automessage.AgentAssigned, c.Locale, Overrides(w.Settings.AutomatedMessages, own)...)
			tells[[2]string{c.ID, w.ID}] = on || w.Settings.Assignment.AutoAccept
		}
	}
	var wanted [][2]string
	for _, o := range offers {
		if w := m.items[o.ConversationID]; tells[[2]string{w.ChannelID, w.WorkstreamID}] {
			m.tells[o.ConversationID] = true
			wanted = append(wanted, [2]string{w.ChannelID, w.ChatKey})
		}
	}
	chats, err := m.wantChats(ctx, wanted, micros(m.now))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(offers, func(o routing.Offer) bool {
		w := m.items[o.ConversationID]
		if !m.tells[o.ConversationID] || slices.Contains(chats, Chat{w.ChannelID, w.ChatKey}) {
			return false
		}
		m.res.More = true
		return true
	}), nil
}

// changed returns the verdicts that differ from the last one, by conversation.
// Of those that share one the first speaks for the others.
func (m *match) changed(verdicts []routing.Verdict) map[string]routing.Verdict {
	out := map[string]routing.Verdict{}
	for _, v := range verdicts {
		if v.Placement == routing.Offered || !v.Shared && v.Compact() != m.items[v.ConversationID].Verdict {
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
	// Priority and Requirement are what a supervisor may have changed.
	Priority    int64  `db:"priority"`
	Requirement string `db:"requirement"`
	OnOffer     bool   `db:"on_offer"`
	Offers      int64  `db:"offers"` // there were, ever
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
	if len(ids) == 0 {
		return nil, nil
	}
	var locked []string
	if err := m.list(ctx, &locked, `SELECT id FROM conversations WHERE id `+m.s.d.among(1)+` ORDER BY id`+m.s.d.skipLocked(), m.s.d.ids(ids)); err != nil {
		return nil, err
	}
	if len(locked) == 0 {
		return nil, nil
	}
	var now []standing
	if err := m.list(ctx, &now, `SELECT id, epoch, queue_id, priority, requirement,
			EXISTS (SELECT 1 FROM offers WHERE offers.conversation_id = conversations.id AND offers.state = 'live') AS on_offer,
			(SELECT count(*) FROM offers WHERE offers.conversation_id = conversations.id) AS offers
		FROM conversations WHERE id `+m.s.d.among(1)+` AND owner = 'queue' AND routed_at > 0`, m.s.d.ids(locked)); err != nil {
		return nil, err
	}
	out := map[string]standing{}
	for _, st := range now {
		w := m.items[st.ID]
		if w.Epoch == st.Epoch && w.QueueID == st.QueueID && w.Priority == st.Priority && w.Requirement == st.Requirement {
			out[st.ID] = st
		}
	}
	return out, nil
}

func (m *match) makeOffers(ctx context.Context, rows []offerRow) error {
	if len(rows) == 0 {
		return nil
	}
	inserted := make([][]any, len(rows))
	last := map[string]int64{}
	for i, o := range rows {
		inserted[i] = []any{o.ID, o.ConversationID, o.AgentID, o.QueueID, o.Epoch, o.Units, o.State, o.CreatedAt, o.ExpiresAt, o.Auto}
		last[o.AgentID] = micros(m.now) + int64(i) // for the next look they are in the order of this one
		if m.tells[o.ConversationID] {
			w := m.items[o.ConversationID]
			m.res.Chats = append(m.res.Chats, Chat{w.ChannelID, w.ChatKey})
		}
	}
	if _, err := m.exec(ctx, `INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at, auto) SELECT * FROM `+
		m.s.d.rows(1, "id TEXT", "conversation TEXT", "agent TEXT", "queue TEXT", "epoch BIGINT", "units BIGINT", "state TEXT", "created BIGINT", "expires BIGINT", "auto BOOLEAN")+` AS said`,
		jsonOf(inserted)); err != nil {
		return err
	}
	var offered [][]any
	for _, id := range slices.Sorted(maps.Keys(last)) {
		offered = append(offered, []any{id, last[id]})
	}
	if _, err := m.exec(ctx, `UPDATE agent_states SET last_offered_at = said.at FROM `+m.s.d.rows(1, "agent TEXT", "at BIGINT")+` AS said
		WHERE agent_states.agent_id = said.agent`, jsonOf(offered)); err != nil {
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
	var logged [][]any
	var remembered [][2]string
	for _, id := range slices.Sorted(maps.Keys(lines)) {
		v := lines[id]
		line := assignmentLine{Verdict: v}
		cause := fmt.Sprint(micros(m.now))
		if v.Placement == routing.Offered {
			o, ok := made[id]
			if !ok {
				continue
			}
			line.OfferID, line.ExpiresAt, cause = o.ID, fromMicros(o.ExpiresAt).Format(time.RFC3339), o.ID
		}
		logged = append(logged, []any{conversation.DerivedID(conversation.PrefixRoutingEntry, id, "assignment", cause), id, m.items[id].Epoch,
			StageAssignment, v.Placement, jsonOf(line), micros(m.now) + 1}) // after the end of an offer before it
		remembered = append(remembered, [2]string{id, v.Compact()})
	}
	if len(logged) == 0 {
		return nil
	}
	if err := m.writeLog(ctx, logged); err != nil {
		return err
	}
	_, err := m.exec(ctx, `UPDATE conversations SET verdict = said.verdict FROM `+m.s.d.rows(1, "id TEXT", "verdict TEXT")+` AS said
		WHERE conversations.id = said.id`, jsonOf(remembered))
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
		Absent   int   `db:"absent"`
		Review   int64 `db:"review"`
		Blocking int64 `db:"blocking"`
	}
	if _, err := s.read().get(ctx, &out, outlookQuery); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	res.Waiting, res.Offered, res.Present, res.Absent = max(0, out.Waiting-out.Offered), out.Offered, out.Present, out.Absent
	if out.Offered > 0 {
		res.NextAt = sooner(res.NextAt, fromMicros(out.Expiry))
	}
	if out.Present > 0 {
		res.NextAt = sooner(res.NextAt, fromMicros(out.LastSeen).Add(conversation.PresenceGrace))
	}
	if out.Blocking > 0 {
		res.NextAt = sooner(res.NextAt, fromMicros(out.Blocking))
	}
	if out.Absent > 0 {
		res.NextAt = sooner(res.NextAt, time.UnixMicro(out.Review).UTC())
	}
	return nil
}

var outlookQuery = `SELECT
	(SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
		WHERE c.owner = 'queue' AND c.routed_at > 0 AND NOT c.refused AND c.preferred_agent_id = '')
	+ (SELECT count(*) FROM conversations c JOIN workstreams w ON w.id = c.workstream_id AND w.mode = 'push'
		WHERE c.owner = 'queue' AND c.routed_at > 0 AND (c.refused OR c.preferred_agent_id <> '')) AS waiting,
	(SELECT count(*) FROM offers WHERE state = 'live') AS offered,
	(SELECT COALESCE(min(expires_at), 0) FROM offers WHERE state = 'live') AS expiry,
	(SELECT count(*) FROM agent_states WHERE presence <> 'offline') AS present,
	(SELECT COALESCE(min(last_seen_at), 0) FROM agent_states WHERE presence <> 'offline') AS last_seen,
	(SELECT count(*) FROM agent_states WHERE presence = 'offline' AND review_at < ` + fmt.Sprint(never) + `) AS absent,
	(SELECT COALESCE(min(review_at), 0) FROM agent_states WHERE presence = 'offline' AND review_at < ` + fmt.Sprint(never) + `) AS review,
	(SELECT COALESCE(min(blocks_until), 0) FROM conversations WHERE blocks_until > 0) AS blocking`

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
