package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// loadColumn is what an agent holds, in units: the conversations they have, and
// what is on offer to them. %s is the agent's id.
const loadColumn = `CAST((SELECT COALESCE(SUM(held.units), 0) FROM conversations held WHERE held.agent_id = %[1]s AND held.owner = 'agent')
	+ (SELECT COALESCE(SUM(offered.units), 0) FROM offers offered WHERE offered.agent_id = %[1]s AND offered.state = 'live') AS BIGINT) AS load`

type agentLoad struct {
	ID          string                `db:"id"`
	Presence    conversation.Presence `db:"presence"`
	Capacity    int64                 `db:"capacity"`
	Load        int64                 `db:"load"`
	IdleSince   int64                 `db:"idle_since"`
	LastOffered int64                 `db:"last_offered_at"`
}

func (l agentLoad) free() int64 { return l.Capacity - l.Load }

// agentLoads reads agents who are somewhere, with what they hold. where narrows
// them down by the columns of a (agents) and s (agent_states).
func (c conn) agentLoads(ctx context.Context, where string, args ...any) ([]agentLoad, error) {
	var list []agentLoad
	err := c.list(ctx, &list, `SELECT a.id, s.presence, a.capacity, s.idle_since, s.last_offered_at, `+fmt.Sprintf(loadColumn, "a.id")+`
		FROM agent_states s JOIN agents a ON a.id = s.agent_id WHERE `+where, args...)
	return list, err
}

// readAgents reads everybody who is not offline.
func (m *match) readAgents(ctx context.Context) error {
	list, err := m.agentLoads(ctx, `s.presence <> 'offline'`)
	for _, a := range list {
		m.free += max(0, a.free())
		m.addAgent(a)
	}
	return err
}

func (m *match) addAgent(a agentLoad) {
	m.snap.Agents = append(m.snap.Agents, routing.Agent{
		ID: a.ID, Presence: a.Presence, Capacity: a.Capacity, Load: a.Load, Levels: map[string]int{},
		IdleSince: fromMicros(a.IdleSince), LastOfferedAt: fromMicros(a.LastOffered),
	})
	m.agents[a.ID] = len(m.snap.Agents) - 1
}

// bucket is a kind of waiting conversations: those of one workstream that ask
// the same of the same people. They are placed or passed over as a class, so no
// more of them need be looked at than can be placed.
type bucket struct {
	QueueID      string `db:"queue_id"`
	WorkstreamID string `db:"workstream_id"`
	Requirement  string `db:"requirement"`
}

const (
	isPlain = `owner = 'queue' AND routed_at > 0 AND NOT refused AND preferred_agent_id = ''`
	inOrder = `queue_id, workstream_id, requirement, priority DESC, first_waited_at, id`

	waitingColumns = `id, channel_id, chat_key, workstream_id, queue_id, epoch, priority, skills, units, matching, first_waited_at,
		preferred_agent_id, preferred_until, verdict`
	notOnOffer = `NOT EXISTS (SELECT 1 FROM offers WHERE offers.conversation_id = conversations.id AND offers.state = 'live')`
)

// bucketsQuery hops from the head of one bucket to that of the next, so that it
// costs the same however many wait in each.
const bucketsQuery = `
	WITH RECURSIVE head (id) AS (
		SELECT (SELECT id FROM conversations WHERE ` + isPlain + ` ORDER BY ` + inOrder + ` LIMIT 1)
		UNION ALL
		SELECT (SELECT id FROM conversations WHERE ` + isPlain + `
			AND (queue_id, workstream_id, requirement) > (was.queue_id, was.workstream_id, was.requirement) ORDER BY ` + inOrder + ` LIMIT 1)
		FROM head JOIN conversations was ON was.id = head.id)
	SELECT c.queue_id, c.workstream_id, c.requirement FROM head JOIN conversations c ON c.id = head.id LIMIT $1`

// readItems reads who waits: of each bucket as many as there are free units,
// and one by one those that somebody let pass or that wait for somebody.
func (m *match) readItems(ctx context.Context, after string) error {
	var buckets []bucket
	if err := m.list(ctx, &buckets, bucketsQuery, matchBuckets); err != nil {
		return err
	}
	var singly []*waiting
	if err := m.list(ctx, &singly, `SELECT `+waitingColumns+` FROM conversations
		WHERE owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '') AND id > $1 AND `+notOnOffer+`
		ORDER BY id LIMIT $2`, after, matchSingly+1); err != nil {
		return err
	}
	if len(singly) > matchSingly {
		singly = singly[:matchSingly]
		m.res.After = singly[matchSingly-1].ID
	}
	var queueIDs, workstreamIDs []string
	for _, b := range buckets {
		queueIDs, workstreamIDs = append(queueIDs, b.QueueID), append(workstreamIDs, b.WorkstreamID)
	}
	for _, w := range singly {
		queueIDs, workstreamIDs = append(queueIDs, w.QueueID), append(workstreamIDs, w.WorkstreamID)
	}
	if len(workstreamIDs) == 0 {
		return nil
	}
	if err := m.readConfiguration(ctx, queueIDs, workstreamIDs); err != nil {
		return err
	}
	items, err := m.readBuckets(ctx, buckets)
	if err != nil {
		return err
	}
	for _, w := range append(items, singly...) {
		m.addItem(w)
	}
	return m.readRefusals(ctx, singly)
}

// readBuckets reads the first of each bucket. Buckets of workstreams whose
// conversations are picked are left out.
func (m *match) readBuckets(ctx context.Context, buckets []bucket) ([]*waiting, error) {
	limit := min(max(1, m.free), matchBucket) // one at least, so that it is said why nobody has it
	var items []*waiting
	for len(buckets) > 0 {
		var parts []string
		args := []any{limit}
		for len(buckets) > 0 && len(parts) < bucketsAtOnce {
			b := buckets[0]
			buckets = buckets[1:]
			if !m.pushes(b.WorkstreamID) {
				continue
			}
			n := len(args)
			args = append(args, b.QueueID, b.WorkstreamID, b.Requirement)
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT %s FROM conversations
				WHERE queue_id = $%d AND workstream_id = $%d AND requirement = $%d AND %s AND %s ORDER BY %s LIMIT $1) AS bucket`,
				waitingColumns, n+1, n+2, n+3, isPlain, notOnOffer, inOrder))
		}
		if len(parts) == 0 {
			continue
		}
		var some []*waiting
		if err := m.list(ctx, &some, strings.Join(parts, " UNION ALL "), args...); err != nil {
			return nil, err
		}
		items = append(items, some...)
		m.full = m.full || int64(len(some)) >= limit
	}
	return items, nil
}

// pushes tells whether a workstream's conversations are offered.
func (m *match) pushes(workstreamID string) bool {
	w, ok := m.workstreams[workstreamID]
	return ok && w.Mode == ModePush
}

func (m *match) readConfiguration(ctx context.Context, queueIDs, workstreamIDs []string) error {
	in, args := placeholders(workstreamIDs, 1)
	var rows []workstreamRow
	if err := m.list(ctx, &rows, `SELECT `+strings.Join(columns[workstreamRow](), ", ")+` FROM workstreams WHERE id IN (`+in+`)`, args...); err != nil {
		return err
	}
	for _, row := range rows {
		w, err := workstreams.open(m.s, row)
		if err != nil {
			m.res.Skipped = append(m.res.Skipped, row.ID) // harms only itself
			continue
		}
		m.workstreams[w.ID] = w
	}
	in, args = placeholders(queueIDs, 1)
	if len(args) == 0 {
		return nil
	}
	var queues []struct {
		ID         string `db:"id"`
		Priority   int64  `db:"priority"`
		Assignment string `db:"assignment"`
	}
	if err := m.list(ctx, &queues, `SELECT id, priority, assignment FROM queues WHERE id IN (`+in+`)`, args...); err != nil {
		return err
	}
	for _, q := range queues {
		m.snap.Queues = append(m.snap.Queues, routing.Queue{ID: q.ID, Priority: q.Priority, Method: routing.Method(q.Assignment)})
	}
	return nil
}

func (m *match) addItem(w *waiting) {
	if !m.pushes(w.WorkstreamID) {
		return
	}
	settings := m.workstreams[w.WorkstreamID].Settings.Assignment
	item := routing.Item{
		ConversationID: w.ID, QueueID: w.QueueID, Priority: w.Priority, WaitingSince: fromMicros(w.FirstWaited), MaxOffers: settings.MaxOffers,
		Requirement: routing.Requirement{Units: w.Units, Matching: w.Matching, Presences: settings.Presences},
	}
	if err := json.Unmarshal([]byte(w.Skills), &item.Requirement.Skills); err != nil {
		m.res.Skipped = append(m.res.Skipped, w.ID) // harms only itself
		return
	}
	if w.Preferred != "" && settings.Affinity != AffinityOff {
		item.Affinity = routing.Affinity{AgentID: w.Preferred, Mode: routing.AffinityMode(settings.Affinity), Until: fromMicros(w.PreferUntil)}
	}
	m.items[w.ID] = w
	m.snap.Items = append(m.snap.Items, item)
}

// readRefusals counts the offers that agents let pass since the conversation
// came to the queue.
func (m *match) readRefusals(ctx context.Context, items []*waiting) error {
	ids := make([]string, len(items))
	for i, w := range items {
		ids[i] = w.ID
	}
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return nil
	}
	var counts []struct {
		ConversationID string `db:"conversation_id"`
		AgentID        string `db:"agent_id"`
		Count          int64  `db:"count"`
	}
	if err := m.list(ctx, &counts, `SELECT o.conversation_id, o.agent_id, count(*) AS count
		FROM offers o JOIN conversations c ON c.id = o.conversation_id AND c.epoch = o.epoch
		WHERE o.conversation_id IN (`+in+`) AND o.state IN ('declined', 'timed_out') GROUP BY o.conversation_id, o.agent_id`, args...); err != nil {
		return err
	}
	refusals := map[string][]routing.Refusal{}
	for _, n := range counts {
		refusals[n.ConversationID] = append(refusals[n.ConversationID], routing.Refusal{AgentID: n.AgentID, Count: n.Count})
	}
	for i := range m.snap.Items {
		m.snap.Items[i].Refusals = refusals[m.snap.Items[i].ConversationID]
	}
	return nil
}

// readAbilities reads which queues the agents work and what they can, and adds
// those who are waited for wherever they are.
func (m *match) readAbilities(ctx context.Context) error {
	var missing []string
	for _, item := range m.snap.Items {
		if id := item.Affinity.AgentID; id != "" {
			if _, known := m.agents[id]; !known {
				missing = append(missing, id)
			}
		}
	}
	if in, args := placeholders(missing, 1); len(args) > 0 {
		absent, err := m.agentLoads(ctx, `s.agent_id IN (`+in+`)`, args...)
		if err != nil {
			return err
		}
		for _, a := range absent {
			m.addAgent(a)
		}
	}
	var members []struct {
		AgentID string `db:"agent_id"`
		QueueID string `db:"queue_id"`
	}
	if err := m.list(ctx, &members, `SELECT m.agent_id, m.queue_id FROM agent_states s CROSS JOIN queue_members m
		WHERE s.presence <> 'offline' AND m.agent_id = s.agent_id`); err != nil {
		return err
	}
	for _, x := range members {
		if i, known := m.agents[x.AgentID]; known {
			m.snap.Agents[i].QueueIDs = append(m.snap.Agents[i].QueueIDs, x.QueueID)
		}
	}
	var levels []struct {
		AgentID string `db:"agent_id"`
		SkillID string `db:"skill_id"`
		Level   int    `db:"level"`
	}
	if err := m.list(ctx, &levels, `SELECT k.agent_id, k.skill_id, k.level FROM agent_states s CROSS JOIN agent_skills k
		WHERE s.presence <> 'offline' AND k.agent_id = s.agent_id`); err != nil {
		return err
	}
	for _, x := range levels {
		if i, known := m.agents[x.AgentID]; known {
			m.snap.Agents[i].Levels[x.SkillID] = x.Level
		}
	}
	return nil
}
