package store

import (
	"context"

	"kaiwa/internal/conversation"
)

// OfferForTest is an offer to put into the database.
type OfferForTest struct {
	ID, ConversationID, AgentID, QueueID string
}

// AcceptForTest accepts an offer the way a transition does.
func (s *Store) AcceptForTest(ctx context.Context, o OfferForTest) error {
	return s.tx(ctx, func(c conn) error {
		if err := c.lockAgents(ctx, o.AgentID, "", o.AgentID); err != nil {
			return err
		}
		if _, err := c.lockConversation(ctx, o.ConversationID); err != nil {
			return err
		}
		return c.acceptOffer(ctx, o.ID, o.ConversationID, o.AgentID, micros(s.now()))
	})
}

// EndOfferForTest ends what is on offer of a conversation the way a transition
// does.
func (s *Store) EndOfferForTest(ctx context.Context, conversationID string, state conversation.OfferState, reason string) error {
	return s.tx(ctx, func(c conn) error {
		if _, err := c.lockConversation(ctx, conversationID); err != nil {
			return err
		}
		return c.endLiveOffer(ctx, conversationID, state, reason, micros(s.now()))
	})
}

// LockAgentsForTest locks agents in a transaction and holds them until f ends.
func (s *Store) LockAgentsForTest(ctx context.Context, f func(), ids ...string) error {
	return s.tx(ctx, func(c conn) error {
		if err := c.lockAgents(ctx, ids...); err != nil {
			return err
		}
		f()
		return nil
	})
}
