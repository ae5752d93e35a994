package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
	"kaiwa/internal/searchattr"
)

// explain says in words, for the operator who opens the workflow in Temporal's
// UI, what the conversation waits for and since when. It costs no event, but for
// the search attributes of a conversation that has moved.
func (c *talk) explain() {
	c.showMoved()
	text := fmt.Sprintf("**%s**\n\n", c.waitsFor())
	text += fmt.Sprintf("- conversation `%s`, %s since %s\n", c.state.ConversationID, c.phase().Name(), clock(c.state.SinceMS))
	if c.state.CustomerMS != 0 {
		text += fmt.Sprintf("- the customer last wrote %s\n", clock(c.state.CustomerMS))
	}
	if c.state.QueueID != "" {
		text += fmt.Sprintf("- queue `%s`\n", c.state.QueueID)
	}
	switch {
	case c.phase() == conversation.PhaseQueued && c.state.Routed:
		text += "- its routing log says whom it is and was offered to\n"
	case c.state.Owner == conversation.OwnerAgent:
		text += fmt.Sprintf("- agent `%s`\n", c.state.AgentID)
	case c.state.AgentID != "":
		text += fmt.Sprintf("- agent `%s` had it last\n", c.state.AgentID)
	}
	if c.sending || c.unsent {
		text += "- messages are on their way to LINE\n"
	}
	if c.heldMS > 0 && !c.sending {
		text += fmt.Sprintf("- automated messages wait for a free reply, until %s\n", clock(c.heldMS))
	}
	if n := len(c.media); n > 0 {
		text += fmt.Sprintf("- %d files are being fetched\n", n)
	}
	if d := c.deadline(); !d.at.IsZero() && !c.closed() {
		text += fmt.Sprintf("- at %s: %s\n", clock(d.at.UnixMilli()), d.summary)
	}
	if c.closed() {
		text += fmt.Sprintf("- closed: %s\n", c.reason)
	}
	workflow.SetCurrentDetails(c.ctx, text)
}

// answerState says the same to a program.
func (c *talk) answerState() (conversation.StateAnswer, error) {
	a := conversation.StateAnswer{
		WorkflowState: c.state, WaitsFor: c.waitsFor(), Asking: c.asking, Sending: c.sending || c.unsent, Fetching: len(c.media),
	}
	if d := c.deadline(); !d.at.IsZero() && !c.closed() {
		a.DeadlineMS, a.Deadline = d.at.UnixMilli(), d.event
	}
	return a, nil
}

// waitsFor is the first line of the explanation.
func (c *talk) waitsFor() string {
	switch c.phase() {
	case conversation.PhaseConsent:
		return "Waits for the customer's consent"
	case conversation.PhaseBot:
		if c.asking {
			return "Waits for the bot's answer"
		}
		if c.state.Unanswered > 0 {
			return "The bot is about to answer"
		}
		return "Waits for the customer, who talks to the bot"
	case conversation.PhaseQueued:
		if !c.state.Routed {
			return "Is about to be classified and routed"
		}
		return "Waits in a queue for an agent to accept it"
	case conversation.PhaseServed:
		return "An agent has it"
	case conversation.PhaseWaiting:
		return "Parked: waits for the customer"
	case conversation.PhaseWrapUp:
		return "The agent finishes notes"
	case conversation.PhaseClosed:
		switch {
		case c.sending || c.unsent:
			return "Closed; the last messages are on their way to LINE"
		case len(c.media) > 0:
			return "Closed; the last files are being fetched"
		}
		return "Closed"
	}
	return "Looks into the inbox"
}

// clock writes a time so that it needs no zone to be known.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC") }

// showMoved puts where the conversation stands into the search attributes. That
// is an event each time, so it happens only when the conversation has moved, and
// once for all that one happening has moved.
func (c *talk) showMoved() {
	if !c.moved {
		return
	}
	c.moved = false
	waiting, queue, agent := searchattr.KaiwaWaitingSince.ValueUnset(), searchattr.KaiwaQueue.ValueUnset(), searchattr.KaiwaAgent.ValueUnset()
	if c.state.Owner == conversation.OwnerAgent {
		agent = searchattr.KaiwaAgent.ValueSet(c.state.AgentID)
	}
	if c.state.QueueID != "" {
		queue = searchattr.KaiwaQueue.ValueSet(c.state.QueueID)
	}
	if c.phase() == conversation.PhaseQueued {
		waiting = searchattr.KaiwaWaitingSince.ValueSet(time.UnixMilli(c.state.SinceMS).UTC())
	}
	err := workflow.UpsertTypedSearchAttributes(c.ctx,
		searchattr.KaiwaConversation.ValueSet(c.state.ConversationID),
		searchattr.KaiwaChannel.ValueSet(c.in.ChannelID),
		searchattr.KaiwaWorkstream.ValueSet(c.state.Settings.WorkstreamID),
		searchattr.KaiwaStatus.ValueSet(string(c.state.Status)),
		searchattr.KaiwaOwner.ValueSet(string(c.state.Owner)),
		queue, agent, waiting,
	)
	if err != nil {
		workflow.GetLogger(c.ctx).Warn("search attributes are not set", "error", err)
	}
}
