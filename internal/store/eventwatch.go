package store

import (
	"context"
	"slices"
)

// Watched is an event with whoever may see it, as of the time it was read: what
// eventVisibleTo says for one agent, for all of them at once.
type Watched struct {
	Event
	agents []string
	queues []map[string]bool // the members of those whose members may see it
}

// VisibleTo tells whether an agent may see the event; "" sees everything.
func (w *Watched) VisibleTo(agentID string) bool {
	return agentID == "" || slices.Contains(w.agents, agentID) ||
		slices.ContainsFunc(w.queues, func(members map[string]bool) bool { return members[agentID] })
}

// WatchEvents reads numbered events after a position, oldest first, with
// whoever may see them: one statement when there is nothing, and at most three
// however many events, agents and queues there are.
func (s *Store) WatchEvents(ctx context.Context, after int64, limit int) ([]Watched, error) {
	var rows []struct {
		Event
		Holder  string `db:"holder"`
		Queue   string `db:"queue"`   // where it waits
		Left    string `db:"left_in"` // where it waits no longer
		Offered string `db:"offered"` // to whom the offer was made that it is about
		Offer   bool   `db:"is_offer"`
	}
	part, args := eventsAfter(after, limit, "")
	if err := s.read().list(ctx, &rows, `SELECT part.seq, part.type, part.conversation_id, part.subject_id, part.data, part.created_at,
			COALESCE(c.agent_id, '') AS holder, CASE WHEN c.owner = 'queue' THEN c.queue_id ELSE '' END AS queue,
			COALESCE(`+s.d.jsonText("part.data", leftQueue)+`, '') AS left_in, COALESCE(o.agent_id, '') AS offered, part.type LIKE 'offer.%' AS is_offer
		FROM (`+part+`) AS part LEFT JOIN conversations c ON c.id = part.conversation_id
			LEFT JOIN offers o ON o.id = part.subject_id AND part.type LIKE 'offer.%' ORDER BY part.seq`, args...); err != nil || len(rows) == 0 {
		return nil, err
	}
	var conversations, queueIDs []string
	for _, r := range rows {
		if !r.Offer {
			conversations, queueIDs = append(conversations, r.ConversationID), append(queueIDs, r.Queue, r.Left)
		}
	}
	serves, err := s.whoSees(ctx, `SELECT conversation_id AS id, participant_id AS agent_id FROM sessions WHERE kind = 'agent' AND conversation_id `+s.d.among(1)+`
		UNION ALL SELECT conversation_id, agent_id FROM offers WHERE state = 'live' AND conversation_id `+s.d.among(1), unique(conversations))
	if err != nil {
		return nil, err
	}
	members, err := s.whoSees(ctx, `SELECT queue_id AS id, agent_id FROM queue_members WHERE queue_id `+s.d.among(1), unique(queueIDs))
	if err != nil {
		return nil, err
	}
	sets := map[string]map[string]bool{}
	for queue, agents := range members {
		sets[queue] = map[string]bool{}
		for _, id := range agents {
			sets[queue][id] = true
		}
	}
	watched := make([]Watched, len(rows))
	for i, r := range rows {
		w := Watched{Event: r.Event}
		switch {
		case r.ConversationID == "":
			w.agents = []string{r.SubjectID}
		case r.Offer:
			w.agents = []string{r.Offered}
		default:
			w.agents = append([]string{r.Holder}, serves[r.ConversationID]...)
			for _, queue := range []string{r.Queue, r.Left} {
				if sets[queue] != nil {
					w.queues = append(w.queues, sets[queue])
				}
			}
		}
		watched[i] = w
	}
	return watched, nil
}

// whoSees reads agents by the thing that lets them see something.
func (s *Store) whoSees(ctx context.Context, q string, ids []string) (map[string][]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []struct {
		ID      string `db:"id"`
		AgentID string `db:"agent_id"`
	}
	if err := s.read().list(ctx, &rows, q, s.d.ids(ids)); err != nil {
		return nil, err
	}
	agents := map[string][]string{}
	for _, r := range rows {
		agents[r.ID] = append(agents[r.ID], r.AgentID)
	}
	return agents, nil
}
