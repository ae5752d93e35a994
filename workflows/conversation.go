// Package workflows is the deterministic part of Kaiwa: what happens in which
// order, and what is waited for. It decides nothing that the life table decides
// and touches nothing but by activities.
package workflows

import (
	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
)

// Conversation runs the conversations of one LINE chat, one after the other:
// its workflow id is conversation.WorkflowID, so that Temporal keeps one run of
// it alive. A run holds one conversation from the customer's first message
// until it is closed; what arrived meanwhile for the next one starts that as a
// new run.
//
// It returns no error: whatever fails has a plot of its own.
func Conversation(ctx workflow.Context, in conversation.WorkflowInput) error {
	c, err := setup(ctx, in)
	if err != nil {
		return err
	}
	return c.live()
}

// live is the life of a conversation, top to bottom.
func (c *talk) live() error {
	for c.ingest(); !c.begun(); c.ingest() {
		c.refuseRequests()
		if err := c.awaitMedia(); err != nil {
			return err
		}
		if !c.arrived() {
			return nil // only facts that belong to no conversation
		}
	}
	if c.new && !c.closed() { // a run that is gone may have left a goodbye unsaid
		c.meet()
	}
	for !c.closed() {
		c.meetMembers()
		c.askConsent()
		c.greet()
		c.heedCustomer()
		c.heedLoss()
		c.tellUnshown()
		if c.route(); c.closed() {
			break
		}
		if c.acceptForAgent(); c.closed() {
			break
		}
		c.tellAssigned()
		c.explain()
		c.answerByBot()
		switch c.next() {
		case happenedInbox:
			c.ingest()
		case happenedTurn:
			c.heedBot()
		case happenedBlock:
			c.blocked = false
			c.mustClose(conversation.EventCustomerBlocked)
		case happenedRequest:
			c.heedRequest()
		case happenedDeadline:
			c.heedDeadline()
		case happenedCancel:
			c.cancelled = false
			c.mustClose(conversation.EventCancelled)
		case happenedLength:
			return c.continueAsNew()
		}
	}
	return c.finish()
}
