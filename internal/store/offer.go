package store

import (
	"context"

	"kaiwa/internal/conversation"
)

// offerRow is an offer as its row decides it.
type offerRow struct {
	ID             string                  `db:"id"`
	ConversationID string                  `db:"conversation_id"`
	AgentID        string                  `db:"agent_id"`
	QueueID        string                  `db:"queue_id"`
	State          conversation.OfferState `db:"state"`
}

const offerColumns = "id, conversation_id, agent_id, queue_id, state"

// recordOffer records what became of an offer.
func (c conn) recordOffer(ctx context.Context, o offerRow, now int64) error {
	kind := "offer." + string(o.State)
	if o.State == conversation.OfferLive {
		kind = "offer.created"
	}
	return c.record(ctx, kind, o.ConversationID, o.ID, jsonOf(map[string]any{
		"offer_id": o.ID, "agent_id": o.AgentID, "queue_id": o.QueueID,
	}), now)
}

// acceptOffer takes a live offer for its agent. It belongs into the transaction
// that gives the agent the conversation, whose row is locked. CodeNotFound when
// there is no such offer of this conversation to this agent; otherwise the code
// of what became of it: an offer is accepted once, so one that brought the
// agent the conversation before (which then went back to a queue) is
// CodeOfferAccepted.
func (c conn) acceptOffer(ctx context.Context, offerID, conversationID, agentID string, now int64) error {
	o := offerRow{ID: offerID, ConversationID: conversationID, AgentID: agentID}
	found, err := c.get(ctx, &o, `UPDATE offers SET state = 'accepted', ended_at = $4
		WHERE id = $1 AND conversation_id = $2 AND agent_id = $3 AND state = 'live' RETURNING `+offerColumns, offerID, conversationID, agentID, now)
	if err != nil {
		return err
	}
	if found {
		return c.recordOffer(ctx, o, now)
	}
	found, err = c.get(ctx, &o, `SELECT `+offerColumns+` FROM offers WHERE id = $1`, offerID)
	if err != nil {
		return err
	}
	if !found || o.AgentID != agentID || o.ConversationID != conversationID {
		return noOffer(offerID)
	}
	return offerOver(o.State)
}

func noOffer(id string) error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no offer %q to you.", id)
}

// offerOver says why an offer in a final state can no longer be answered.
func offerOver(state conversation.OfferState) error {
	switch state {
	case conversation.OfferAccepted:
		return conversation.Errorf(conversation.CodeOfferAccepted, "You have accepted this offer before.")
	case conversation.OfferDeclined:
		return conversation.Errorf(conversation.CodeOfferDeclined, "You have declined this offer before.")
	case conversation.OfferTimedOut:
		return conversation.Errorf(conversation.CodeOfferExpired, "The time to answer this offer is over.")
	}
	return conversation.Errorf(conversation.CodeOfferRescinded, "The conversation is no longer on offer: somebody else took it, or it ended.")
}

// endLiveOffer ends the offer that is live for a conversation, if there is one.
// The conversation's row is locked. reason is an enumerated word.
func (c conn) endLiveOffer(ctx context.Context, conversationID string, state conversation.OfferState, reason string, now int64) error {
	var o offerRow
	found, err := c.get(ctx, &o, `UPDATE offers SET state = $2, reason = $3, ended_at = $4
		WHERE conversation_id = $1 AND state = 'live' RETURNING `+offerColumns, conversationID, string(state), reason, now)
	if err != nil || !found {
		return err
	}
	return c.recordOffer(ctx, o, now)
}
