package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// readAgents reads who works the queues that the items wait in and is not
// offline, with what they can of what is asked, and those who are waited for,
// wherever they are. Of everybody else it is known how many they are.
func (m *match) readAgents(ctx context.Context, items []*waiting) error {
	var queueIDs, skills []string
	for _, w := range items {
		queueIDs = append(queueIDs, w.QueueID)
	}
	all := slices.ContainsFunc(m.snap.Queues, func(q routing.Queue) bool { return q.Custom != nil && q.Custom.AsksForSkills() })
	var members []struct {
		AgentID string `db:"agent_id"`
		QueueID string `db:"queue_id"`
	}
	if err := m.list(ctx, &members, `SELECT m.agent_id, m.queue_id FROM queue_members m JOIN agent_states s ON s.agent_id = m.agent_id AND s.presence <> 'offline'
		WHERE m.queue_id `+m.s.d.among(1), m.s.d.ids(unique(queueIDs))); err != nil {
		return err
	}
	works := map[string][]string{}
	for _, x := range members {
		works[x.AgentID] = append(works[x.AgentID], x.QueueID)
	}
	ids := slices.Sorted(maps.Keys(works))
	for _, w := range items {
		for _, id := range append(strings.Fields(w.ContactAgents), w.Preferred) {
			if _, known := works[id]; id != "" && !known {
				works[id] = nil
				ids = append(ids, id)
			}
		}
		var needs []conversation.SkillNeed
		if json.Unmarshal([]byte(w.Skills), &needs) == nil { // addItem tells of what cannot be read
			for _, k := range needs {
				skills = append(skills, k.SkillID)
			}
		}
	}
	if err := m.readLoads(ctx, ids, unique(skills), all); err != nil {
		return err
	}
	there := 0
	for i := range m.snap.Agents {
		a := &m.snap.Agents[i]
		a.QueueIDs = works[a.ID]
		if a.Presence != conversation.PresenceOffline {
			there++
		}
	}
	m.snap.Others = max(0, m.present-there)
	return nil
}

// readLoads reads what agents hold, and what they can of some skills, or of all.
func (m *match) readLoads(ctx context.Context, ids, skills []string, all bool) error {
	list, err := m.agentLoads(ctx, m.profiles, m.now, ids)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Presence != conversation.PresenceOffline {
			m.free += a.room()
			if !a.RoomAt.IsZero() {
				m.roomAt = sooner(m.roomAt, a.RoomAt)
			}
		}
		m.addAgent(a)
	}
	if len(skills) == 0 && !all {
		return nil
	}
	which, args := ` AND skill_id `+m.s.d.among(2), []any{m.s.d.ids(ids), m.s.d.ids(skills)}
	if all {
		which, args = "", args[:1]
	}
	var levels []struct {
		AgentID string `db:"agent_id"`
		SkillID string `db:"skill_id"`
		Level   int    `db:"level"`
	}
	if err := m.list(ctx, &levels, `SELECT agent_id, skill_id, level FROM agent_skills WHERE agent_id `+m.s.d.among(1)+which, args...); err != nil {
		return err
	}
	for _, x := range levels {
		if i, known := m.agents[x.AgentID]; known {
			m.snap.Agents[i].Levels[x.SkillID] = x.Level
		}
	}
	return nil
}

// unique sorts ids and leaves out those that are "" or there already.
func unique(ids []string) []string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

func (m *match) addAgent(a agentLoad) {
	m.snap.Agents = append(m.snap.Agents, routing.Agent{
		ID: a.ID, Presence: a.Presence, Capacity: a.Capacity, Load: a.Load, Profiles: a.Profiles, Levels: map[string]int{},
		IdleSince: fromMicros(a.IdleSince), LastOfferedAt: fromMicros(a.LastOffered),
	})
	m.agents[a.ID] = len(m.snap.Agents) - 1
}

const (
	isPlain = `owner = 'queue' AND routed_at > 0 AND NOT refused AND preferred_agent_id = ''`
	// isSingle are those that are looked at one by one.
	isSingle = `owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '')`
	inOrder  = `queue_id, workstream_id, requirement, priority DESC, first_waited_at, id`

	waitingColumns = `id, channel_id, chat_key, workstream_id, queue_id, epoch, priority, skills, units, matching, requirement, first_waited_at,
		preferred_agent_id, preferred_until, verdict, language, attributes, capacity_profile_id, contact_agents`
	// Counted, because PostgreSQL would rather read all offers when it is asked for
	// any or none of a table that it does not know yet.
	notOnOffer = `(SELECT count(*) FROM offers WHERE offers.conversation_id = conversations.id AND offers.state = 'live') = 0`
)

// headsOf hops from the first of one kind to that of the next, so that it costs
// the same however many wait of each.
func (d dialect) headsOf() string {
	first := `SELECT id FROM conversations` + d.indexedBy("conversations_queued") + ` WHERE ` + isPlain + ` AND ` + notOnOffer +
		` AND (queue_id, workstream_id, requirement) > (%s) ORDER BY ` + inOrder + ` LIMIT 1`
	return `WITH RECURSIVE head (id) AS (
			SELECT (` + fmt.Sprintf(first, "$1, $2, $3") + `)
			UNION ALL
			SELECT (` + fmt.Sprintf(first, "was.queue_id, was.workstream_id, was.requirement") + `) FROM head JOIN conversations was ON was.id = head.id)
		SELECT ` + waitingColumns + ` FROM conversations WHERE id IN (SELECT id FROM head LIMIT $4)`
}

// readHeads reads the first of each kind, and those that are looked at one by
// one because somebody let them pass or they wait for somebody, with how they
// are to be matched. Those of workstreams whose conversations are picked are
// left out.
func (m *match) readHeads(ctx context.Context, from place) (heads, singly []*waiting, to place, err error) {
	k := from.Kind
	if err = m.list(ctx, &heads, m.s.d.headsOf(), k.QueueID, k.WorkstreamID, k.Requirement, matchKinds); err != nil {
		return nil, nil, to, err
	}
	if len(heads) == matchKinds {
		to.Kind = slices.MaxFunc(heads, func(a, b *waiting) int {
			x, y := a.kind(), b.kind()
			return cmp.Or(cmp.Compare(x.QueueID, y.QueueID), cmp.Compare(x.WorkstreamID, y.WorkstreamID), cmp.Compare(x.Requirement, y.Requirement))
		}).kind()
	}
	if err = m.list(ctx, &singly, `SELECT `+waitingColumns+` FROM conversations
		WHERE owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '') AND id > $1 AND `+notOnOffer+`
		ORDER BY id`+limitTo(matchSingly+1), from.Singly); err != nil {
		return nil, nil, to, err
	}
	if len(singly) > matchSingly {
		singly = singly[:matchSingly]
		to.Singly = singly[matchSingly-1].ID
	}
	if err = m.readConfiguration(ctx, append(slices.Clone(heads), singly...)); err != nil {
		return nil, nil, to, err
	}
	if heads, err = m.stampAnew(ctx, heads); err != nil {
		return nil, nil, to, err
	}
	picked := func(w *waiting) bool { return !m.pushes(w.WorkstreamID) }
	return slices.DeleteFunc(heads, picked), slices.DeleteFunc(singly, picked), to, nil
}

// readKinds reads the first of each kind into read. behind says that those after
// them matter.
func (m *match) readKinds(ctx context.Context, read map[kind][]*waiting, kinds []kind, depth int64, behind bool) error {
	if len(kinds) == 0 {
		return nil
	}
	said := make([][3]string, len(kinds))
	for i, k := range kinds {
		said[i] = [3]string{k.QueueID, k.WorkstreamID, k.Requirement}
		delete(read, k)
	}
	var rows []*waiting
	if err := m.list(ctx, &rows, m.s.d.firstOfEach(), jsonOf(said), depth); err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b *waiting) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.FirstWaited, b.FirstWaited), cmp.Compare(a.ID, b.ID))
	})
	for _, w := range rows {
		list := append(read[w.kind()], w)
		w.behind = behind && int64(len(list)) == depth
		read[w.kind()] = list
	}
	return nil
}

// firstOfEach selects the first $2 of each kind that parameter $1 lists.
func (d dialect) firstOfEach() string {
	kinds := ` FROM ` + d.rows(1, "queue TEXT", "workstream TEXT", "requires TEXT") + ` AS said CROSS JOIN `
	first := ` FROM conversations` + d.indexedBy("conversations_queued") + ` WHERE queue_id = said.queue AND workstream_id = said.workstream AND requirement = said.requires
		AND ` + isPlain + ` AND ` + notOnOffer + ` ORDER BY ` + inOrder + ` LIMIT $2)`
	if d == dialectPostgres {
		return `SELECT ` + waitingColumns + kinds + `LATERAL (SELECT ` + waitingColumns + first + ` AS first`
	}
	return `SELECT ` + waitingColumns + kinds + `conversations WHERE id IN (SELECT id` + first
}

// pushes tells whether a workstream's conversations are offered.
func (m *match) pushes(workstreamID string) bool {
	w, ok := m.workstreams[workstreamID]
	return ok && w.Mode == ModePush
}

// readWorkstreams reads workstreams by their ids. One that cannot be read harms
// only itself.
func (m *match) readWorkstreams(ctx context.Context, ids []string) (map[string]Workstream, error) {
	found := map[string]Workstream{}
	in, args := placeholders(ids, 1)
	if len(args) == 0 {
		return found, nil
	}
	var rows []workstreamRow
	if err := m.list(ctx, &rows, `SELECT `+strings.Join(columns[workstreamRow](), ", ")+` FROM workstreams WHERE id IN (`+in+`)`, args...); err != nil {
		return nil, err
	}
	for _, row := range rows {
		w, err := workstreams.open(m.s, row)
		if err != nil {
			m.res.Skipped = append(m.res.Skipped, row.ID)
			continue
		}
		found[w.ID] = w
	}
	return found, nil
}

func (m *match) readConfiguration(ctx context.Context, items []*waiting) error {
	var queueIDs, workstreamIDs []string
	for _, w := range items {
		queueIDs, workstreamIDs = append(queueIDs, w.QueueID), append(workstreamIDs, w.WorkstreamID)
	}
	found, err := m.readWorkstreams(ctx, workstreamIDs)
	if err != nil || len(workstreamIDs) == 0 {
		return err
	}
	m.workstreams = found
	in, args := placeholders(queueIDs, 1)
	if len(args) == 0 {
		return nil
	}
	var queues []struct {
		ID         string `db:"id"`
		Priority   int64  `db:"priority"`
		Assignment string `db:"assignment"`
		Custom     string `db:"custom"`
		Profiles   bool   `db:"profiles"` // somebody has a capacity profile
	}
	if err := m.list(ctx, &queues, `SELECT id, priority, assignment, custom, EXISTS (SELECT 1 FROM agent_capacity_profiles) AS profiles FROM queues WHERE id IN (`+in+`)`, args...); err != nil {
		return err
	}
	for _, q := range queues {
		m.profiles = m.profiles || q.Profiles
		method, custom, err := assignmentOf(q.Assignment, q.Custom)
		if err != nil {
			m.res.Skipped = append(m.res.Skipped, q.ID) // harms only itself
			continue
		}
		m.snap.Queues = append(m.snap.Queues, routing.Queue{ID: q.ID, Priority: q.Priority, Method: method, Custom: custom})
	}
	return nil
}

func (m *match) addItem(w *waiting) {
	settings := m.workstreams[w.WorkstreamID].Settings.Assignment
	item := routing.Item{
		ConversationID: w.ID, QueueID: w.QueueID, Priority: w.Priority, WaitingSince: fromMicros(w.FirstWaited), MaxOffers: settings.MaxOffers, Behind: w.behind,
		Language: w.Language,
	}
	var err error
	if item.Requirement, item.Attributes, err = w.asks(settings.Presences); err != nil {
		if !slices.Contains(m.res.Skipped, w.ID) {
			m.res.Skipped = append(m.res.Skipped, w.ID) // harms only itself
		}
		return
	}
	// A wait without end was begun when the workstream required who served last.
	endless := settings.Affinity == AffinityPrefer && w.PreferUntil == 0
	if w.Preferred != "" && settings.Affinity != AffinityOff && !endless {
		item.Affinity = routing.Affinity{AgentID: w.Preferred, Mode: routing.AffinityMode(settings.Affinity), Until: fromMicros(w.PreferUntil)}
	}
	m.items[w.ID] = w
	m.snap.Items = append(m.snap.Items, item)
}

// readRefusals adds those that are looked at one by one, with the offers that
// agents let pass since the conversation came to the queue.
func (m *match) readRefusals(ctx context.Context, items []*waiting) error {
	ids := make([]string, len(items))
	for i, w := range items {
		ids[i] = w.ID
		m.addItem(w)
	}
	if len(ids) == 0 {
		return nil
	}
	var counts []struct {
		ConversationID string `db:"conversation_id"`
		AgentID        string `db:"agent_id"`
		Count          int64  `db:"count"`
	}
	if err := m.list(ctx, &counts, `SELECT o.conversation_id, o.agent_id, count(*) AS count
		FROM offers o JOIN conversations c ON c.id = o.conversation_id AND c.epoch = o.epoch
		WHERE o.conversation_id `+m.s.d.among(1)+` AND o.state IN ('declined', 'timed_out') GROUP BY o.conversation_id, o.agent_id`, m.s.d.ids(ids)); err != nil {
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
