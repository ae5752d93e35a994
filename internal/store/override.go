package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
)

// The outcomes in the routing log of what supervisors do to a conversation that
// waits.
const (
	outcomeOverridden = "overridden" // it asks for something else, or waits in another queue
	outcomeTakenBack  = "taken_back" // its offer
)

// OverrideRequest changes what a waiting conversation asks for.
type OverrideRequest struct {
	ID             string // names the step: it is done once
	ConversationID string
	ActorID        string // for the record: an agent's id
	conversation.Override
}

// Override changes a waiting conversation's priority and required skills on
// behalf of a supervisor, ends the offer that is live for it, and says so in its
// routing log. Where nothing is other than before, nothing happens. It returns
// CodeNotAllowedNow for one that does not wait, CodeConversationClosed, and
// CodeConflict for one whose queue has yet to be decided.
//
// No workflow is asked: it remembers nothing of either. The row's lock decides
// between this and whoever accepts the offer at the same time, and the
// dispatcher compares, under that lock, what it decided from.
func (s *Store) Override(ctx context.Context, req OverrideRequest) error {
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		done, err := c.logged(ctx, overrideLine(req.ID))
		if err != nil || done {
			return err
		}
		if err := row.overridable(); err != nil {
			return err
		}
		return c.override(ctx, row, row.QueueID, req, micros(s.now()))
	})
	if err != nil {
		return fmt.Errorf("override of conversation %s: %w", req.ConversationID, err)
	}
	return nil
}

// overridable refuses what does not wait where it was routed to.
func (r conversationRow) overridable() error {
	switch {
	case r.Status == conversation.StatusClosed:
		return conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed; the customer's next message starts a new one.")
	case r.phase() != conversation.PhaseQueued:
		return conversation.Errorf(conversation.CodeNotAllowedNow, "This is possible while a conversation waits for an agent; this one is %q.", r.phase().Name())
	case r.RoutedAt == 0:
		return conversation.Errorf(conversation.CodeConflict, "The conversation is just being routed. Try again in a moment.")
	}
	return nil
}

// asking is what a conversation asks for.
type asking struct {
	Priority int64                    `json:"priority"`
	Skills   []conversation.SkillNeed `json:"skills"`
	QueueID  string                   `json:"queue_id"`
}

// override writes what a conversation asks for, whose row is locked and stands
// as in row, and which waits in a queue from now on.
func (c conn) override(ctx context.Context, row conversationRow, queueID string, req OverrideRequest, now int64) error {
	var was struct {
		Priority int64  `db:"priority"`
		Skills   string `db:"skills"`
	}
	if _, err := c.get(ctx, &was, `SELECT priority, skills FROM conversations WHERE id = $1`, row.ID); err != nil {
		return err
	}
	before := asking{Priority: was.Priority, QueueID: row.QueueID}
	if err := json.Unmarshal([]byte(was.Skills), &before.Skills); err != nil {
		return fmt.Errorf("skills: %w", err)
	}
	if before.Skills == nil {
		before.Skills = []conversation.SkillNeed{}
	}
	after := before
	after.QueueID = queueID
	if req.Priority != nil {
		after.Priority = *req.Priority
	}
	if req.Skills != nil {
		after.Skills = append([]conversation.SkillNeed{}, *req.Skills...)
		slices.SortFunc(after.Skills, func(a, b conversation.SkillNeed) int { return cmp.Compare(a.SkillID, b.SkillID) })
	}
	if after.Priority == before.Priority && after.QueueID == before.QueueID && slices.Equal(after.Skills, before.Skills) {
		return nil
	}
	if err := c.endLiveOffer(ctx, row.ID, conversation.OfferRescinded, offerReasonSupervisor, now); err != nil {
		return err
	}
	if _, err := c.exec(ctx, `UPDATE conversations SET priority = $1, skills = $2, verdict = '', updated_at = $3 WHERE id = $4`,
		after.Priority, jsonOf(after.Skills), now, row.ID); err != nil {
		return err
	}
	if err := c.stamp(ctx, `c.id = $1`, row.ID); err != nil {
		return err
	}
	entry := jsonOf(map[string]any{"actor_id": req.ActorID, "before": before, "after": after})
	if err := c.writeLog(ctx, [][]any{{overrideLine(req.ID), row.ID, row.Epoch, StageAssignment, outcomeOverridden, entry, now + 1}}); err != nil { // after the end of its offer
		return err
	}
	return c.record(ctx, "conversation.routing_changed", row.ID, row.ID, jsonOf(after), now)
}

// overrideLine is the id of the line that a step leaves in the routing log.
func overrideLine(step string) string {
	return conversation.DerivedID(conversation.PrefixRoutingEntry, step, "override")
}

// logged tells whether the routing log has a line.
func (c conn) logged(ctx context.Context, id string) (bool, error) {
	var done bool
	_, err := c.get(ctx, &done, `SELECT EXISTS (SELECT 1 FROM routing_log WHERE id = $1)`, id)
	return done, err
}

// TakeBack ends the offer that is live for a conversation, on behalf of a
// supervisor. step names it: asked again, it ends no later offer. CodeConflict
// when nothing is on offer.
func (s *Store) TakeBack(ctx context.Context, step, conversationID, actorID string) error {
	line := conversation.DerivedID(conversation.PrefixRoutingEntry, step, outcomeTakenBack)
	err := s.tx(ctx, func(c conn) error {
		row, err := c.lockConversation(ctx, conversationID)
		if err != nil {
			return err
		}
		done, err := c.logged(ctx, line)
		if err != nil || done {
			return err
		}
		var o offerRow
		found, err := c.get(ctx, &o, `SELECT `+offerColumns+` FROM offers WHERE conversation_id = $1 AND state = 'live'`, row.ID)
		if err != nil {
			return err
		}
		if !found {
			return conversation.Errorf(conversation.CodeConflict, "The conversation is not on offer to anybody.")
		}
		now := micros(s.now())
		if err := c.endLiveOffer(ctx, row.ID, conversation.OfferRescinded, offerReasonSupervisor, now); err != nil {
			return err
		}
		return c.logTakenBack(ctx, row, line, o.ID, o.AgentID, actorID, now)
	})
	if err != nil {
		return fmt.Errorf("offer of conversation %s: %w", conversationID, err)
	}
	return nil
}

// logTakenBack says who took an offer back to an agent; id is that of the line.
func (c conn) logTakenBack(ctx context.Context, row conversationRow, id, offerID, agentID, actorID string, now int64) error {
	return c.writeLog(ctx, [][]any{{id, row.ID, row.Epoch, StageAssignment, outcomeTakenBack,
		jsonOf(map[string]any{"actor_id": actorID, "offer_id": offerID, "agent_id": agentID}), now + 1}}) // after the end of the offer
}

// SkillsExist refuses, with CodeInvalid, skills that are not there, in a list
// that stands at a JSON pointer.
func (s *Store) SkillsExist(ctx context.Context, pointer string, needs []conversation.SkillNeed) error {
	refs := references{}
	for i, k := range needs {
		refs.add(k.SkillID, fmt.Sprintf("%s/%d/skill_id", pointer, i))
	}
	return s.tx(ctx, func(c conn) error { return c.exist(ctx, "skills", "skill", refs) })
}
