package store

import (
	"context"
	"encoding/json"

	"kaiwa/internal/conversation"
)

// Routing is what a step that classifies and routes a conversation found. The
// transition that carries it out writes it whole: from then on the conversation
// can be matched.
//
// Until then its routed_at is 0. A queue that stands there all the same was
// named by somebody (a bot, whoever transferred it) and is kept; entering a
// queue that nobody named leaves queue_id empty.
type Routing struct {
	QueueID     string // "" when no rule named one and there is no fallback queue
	Priority    int64  // larger is served first
	Skills      []conversation.SkillNeed
	Matching    conversation.Matching
	Units       int64  // of an agent's capacity
	Requirement string // digest of what it asks of an agent: those that ask the same have the same
	Language    string // as classified; "" leaves the profile's
	Attributes  map[string]string
	Log         []RoutingEntry
}

// The stages of the routing log.
const (
	StageClassification = "classification"
	StageRoute          = "route"
	StageAssignment     = "assignment"
)

// RoutingEntry is a line for the routing log.
type RoutingEntry struct {
	Stage   string
	Outcome string          // an enumerated word
	Entry   json.RawMessage // ids, numbers and enumerated words, never content
}

// applyRouting writes what was found into a conversation whose row is locked,
// and into its routing log. step names the transition, now is in microseconds.
func (c conn) applyRouting(ctx context.Context, row conversationRow, step string, r *Routing, now int64) error {
	skills := r.Skills
	if skills == nil {
		skills = []conversation.SkillNeed{}
	}
	attributes := r.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	if _, err := c.exec(ctx, `
		UPDATE conversations SET queue_id = $1, priority = $2, skills = $3, matching = $4, units = $5, requirement = $6, language = $7,
			attributes = $8, verdict = '', routed_at = $9, updated_at = $9
		WHERE id = $10`,
		r.QueueID, r.Priority, jsonOf(skills), string(r.Matching), r.Units, r.Requirement, r.Language, jsonOf(attributes), now, row.ID); err != nil {
		return err
	}
	return c.logRouting(ctx, row.ID, row.Epoch, step, r.Log, now)
}

// logRouting adds lines to a conversation's routing log. step is what they
// follow from: the same step adds them once.
func (c conn) logRouting(ctx context.Context, conversationID string, epoch int64, step string, lines []RoutingEntry, now int64) error {
	if len(lines) == 0 {
		return nil
	}
	args := make([]any, 0, 7*len(lines))
	for i, l := range lines {
		args = append(args, conversation.DerivedID(conversation.PrefixRoutingEntry, step, i), conversationID, epoch, l.Stage, l.Outcome, string(l.Entry), now+int64(i)) // a microsecond apart, to be read in order
	}
	_, err := c.exec(ctx, `INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at) VALUES `+
		values(len(lines), 7, 1)+` ON CONFLICT DO NOTHING`, args...)
	return err
}
