package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// KeptFacts is what a conversation was classified and routed from, as it is kept
// with the line of its classification. What the customer wrote is not among it,
// only which messages it was: what they take back afterwards is gone from here
// too.
type KeptFacts struct {
	Facts      routing.Facts `json:"facts"`
	MessageIDs []string      `json:"message_ids"` // oldest first
	QueueID    string        `json:"queue_id,omitempty"`
	Queues     []KeptQueue   `json:"queues"` // those that could be taken
	// Overflowed are the queues it had overflowed from, ContactAgents those whom
	// its contact prefers.
	Overflowed    []string `json:"overflowed,omitempty"`
	ContactAgents []string `json:"contact_agents,omitempty"`
	// Findings are what services found, by their rulesets.
	Findings map[string]routing.Finding `json:"findings,omitempty"`
}

// KeptQueue is how a queue stood.
type KeptQueue struct {
	QueueState
	Missing bool `json:"missing,omitempty"` // there was none of this id
}

// Kept is what is kept of the facts.
func (f RoutingFacts) Kept() KeptFacts {
	kept := KeptFacts{
		Facts: f.Facts, MessageIDs: f.MessageIDs, QueueID: f.QueueID, Overflowed: f.Overflowed, ContactAgents: f.ContactAgents, Findings: f.Findings,
	}
	kept.Facts.Message = routing.MessageFacts{}
	return kept
}

// KeepQueues is how the queues that were asked for stood.
func KeepQueues(asked []string, states map[string]QueueState) []KeptQueue {
	kept := make([]KeptQueue, len(asked))
	for i, id := range asked {
		state, there := states[id]
		if !there {
			state.ID = id
		}
		state.Settings.WaitInfo = WaitInfo{} // nothing is decided by it
		if !state.Settings.OutOfHours.On() {
			state.Settings.OutOfHours = routing.Deflection{}
		}
		kept[i] = KeptQueue{state, !there}
	}
	return kept
}

// RecordedFacts reads what a conversation was classified and routed from: at a
// line of its routing log, or ("") the last time. found is false when it never
// was, or nothing was kept; CodeNotFound when it has no such line.
func (s *Store) RecordedFacts(ctx context.Context, conversationID, line string) (f RoutingFacts, queues []KeptQueue, found bool, _ error) {
	var row struct {
		ID    string `db:"id"`
		Facts string `db:"facts"`
	}
	query, args := recordedFactsQuery+` ORDER BY created_at DESC, id DESC LIMIT 1`, []any{conversationID}
	if line != "" {
		query, args = recordedFactsQuery+` AND id = $2`, []any{conversationID, line}
	}
	there, err := s.read().get(ctx, &row, query, args...)
	switch {
	case err != nil:
		return f, nil, false, err
	case !there && line != "":
		return f, nil, false, conversation.Errorf(conversation.CodeNotFound, "The routing log of this conversation has no classification %q.", line)
	case row.Facts == "":
		return f, nil, false, nil
	}
	var kept KeptFacts
	if err := json.Unmarshal([]byte(row.Facts), &kept); err != nil {
		return f, nil, false, fmt.Errorf("facts of routing log %s: %w", row.ID, err)
	}
	f = RoutingFacts{Facts: kept.Facts, QueueID: kept.QueueID, Overflowed: kept.Overflowed, ContactAgents: kept.ContactAgents, Findings: kept.Findings}
	var seen []seenMessage
	if len(kept.MessageIDs) > 0 {
		if err := s.read().list(ctx, &seen, `SELECT id, type, text FROM messages WHERE id IN (`+list1(len(kept.MessageIDs), 1)+`) AND state <> 'recalled'`,
			anys(kept.MessageIDs)...); err != nil {
			return f, nil, false, err
		}
	}
	slices.SortFunc(seen, func(a, b seenMessage) int { // the latest first
		return slices.Index(kept.MessageIDs, b.ID) - slices.Index(kept.MessageIDs, a.ID)
	})
	f.see(seen)
	return f, kept.Queues, true, nil
}

const recordedFactsQuery = `SELECT id, facts FROM routing_log WHERE conversation_id = $1 AND stage = 'classification'`
