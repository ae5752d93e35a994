package store

import (
	"context"
	"strings"

	"kaiwa/internal/routing"
)

// Verdict tells whom a conversation would be offered to that waits in a queue
// as routing has found it, by the settings of w, whatever the database's are. It
// goes by how agents stand now and as if nobody else waited, and changes
// nothing. known is false where nothing is offered: its workstream's
// conversations are picked, or there is no queue.
func (s *Store) Verdict(ctx context.Context, conversationID string, w Workstream, found *Routing) (entry []byte, outcome routing.Placement, known bool, _ error) {
	if w.Mode != ModePush || found.QueueID == "" {
		return nil, "", false, nil
	}
	m := &match{
		conn: s.read(), now: s.now().UTC(), res: &MatchResult{},
		agents: map[string]int{}, items: map[string]*waiting{}, workstreams: map[string]Workstream{},
	}
	one := &waiting{
		ID: conversationID, WorkstreamID: w.ID, QueueID: found.QueueID, Requirement: found.Requirement, FirstWaited: micros(m.now),
		asked: asked{
			Priority: found.Priority, Skills: jsonOf(found.Skills), Units: found.Units, Matching: found.Matching, Language: found.Language,
			Attributes: jsonOf(found.Attributes), ProfileID: found.CapacityProfileID, ContactAgents: strings.Join(found.ContactAgents, " "),
		},
	}
	if err := m.readConfiguration(ctx, []*waiting{one}); err != nil {
		return nil, "", false, err
	}
	m.workstreams[w.ID] = w
	if err := m.readAgents(ctx, []*waiting{one}); err != nil {
		return nil, "", false, err
	}
	m.addItem(one)
	m.snap.Now = m.now
	verdict := routing.Match(m.snap).Verdicts[0]
	return []byte(jsonOf(assignmentLine{Verdict: verdict})), verdict.Placement, true, nil
}
