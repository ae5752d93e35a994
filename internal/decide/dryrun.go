package decide

import (
	"context"
	"encoding/json"

	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Question asks what would be decided about a conversation.
type Question struct {
	Facts      store.RoutingFacts
	Workstream store.Workstream
	Rulesets   map[string]store.Ruleset // instead of those of the same ids
	Queues     []store.KeptQueue        // likewise
}

// Line is what the routing log would have.
type Line struct {
	Stage, Outcome string
	Entry          json.RawMessage
}

// Matcher tells whom a conversation would be offered to. *store.Store is one.
type Matcher interface {
	Verdict(ctx context.Context, conversationID string, w store.Workstream, found *store.Routing) (entry []byte, outcome routing.Placement, known bool, err error)
}

// DryRun answers a question with the lines that the routing log would have, and
// changes nothing.
func (d Decider) DryRun(ctx context.Context, matcher Matcher, q Question) ([]Line, error) {
	d.Reader = instead{d.Reader, q}
	found, _, err := d.Decide(ctx, store.Plan{Workstream: q.Workstream}, q.Facts)
	if err != nil {
		return nil, err
	}
	var lines []Line
	for _, l := range found.Log {
		lines = append(lines, Line{l.Stage, l.Outcome, l.Entry})
	}
	entry, outcome, known, err := matcher.Verdict(ctx, q.Facts.Conversation.ID, q.Workstream, found)
	if err != nil || !known {
		return lines, err
	}
	return append(lines, Line{store.StageAssignment, string(outcome), entry}), nil
}

// instead is a Reader with some things of a question instead of its own.
type instead struct {
	Reader
	q Question
}

// RulesetsByID reads rulesets, those of the question first.
func (r instead) RulesetsByID(ctx context.Context, ids ...string) (map[string]store.Ruleset, error) {
	sets, err := r.Reader.RulesetsByID(ctx, ids...)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if set, proposed := r.q.Rulesets[id]; proposed {
			sets[id] = set
		}
	}
	return sets, nil
}

// QueueStates reads queues, those of the question first.
func (r instead) QueueStates(ctx context.Context, ids ...string) (map[string]store.QueueState, error) {
	states, err := r.Reader.QueueStates(ctx, ids...)
	if err != nil {
		return nil, err
	}
	for _, q := range r.q.Queues { // nobody looks at those that were not asked for
		if q.Missing {
			delete(states, q.ID)
		} else {
			states[q.ID] = q.QueueState
		}
	}
	return states, nil
}
