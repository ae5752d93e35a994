package workflows

import (
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// request is an update that waits for the plot to heed it.
type request struct {
	conversation.ActionRequest
	id     string // the update's
	answer conversation.ActionAnswer
	done   bool
	err    error
}

// handleUpdates registers what people may ask for. Handlers only put the
// request into the state; the plot heeds it and answers, one after the other.
func (c *talk) handleUpdates(ctx workflow.Context) error {
	for _, u := range conversation.Updates() {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.Name,
			func(ctx workflow.Context, req conversation.ActionRequest) (conversation.ActionAnswer, error) {
				r := &request{ActionRequest: req, id: workflow.GetCurrentUpdateInfo(ctx).ID}
				c.requests = append(c.requests, r)
				if err := workflow.Await(ctx, func() bool { return r.done }); err != nil {
					return conversation.ActionAnswer{}, err
				}
				return r.answer, r.err
			},
			workflow.UpdateHandlerOptions{
				Description: "A step of the life table that somebody asks for.",
				Validator: func(req conversation.ActionRequest) error {
					if !slices.Contains(u.Events, req.Event) {
						return refusal(conversation.Errorf(conversation.CodeInvalid, "The update %q cannot ask for %q.", u.Name, req.Event))
					}
					return c.mayAct(req)
				},
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// mayAct refuses what is meant for another conversation, before it costs
// history. Whether the life table allows the rest is left to the database: the
// run may not know yet how far the conversation has come.
func (c *talk) mayAct(req conversation.ActionRequest) error {
	if c.begun() && req.ConversationID != c.state.ConversationID {
		return refusal(conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed; the customer's next message starts a new one."))
	}
	return nil
}

// heedRequest carries out the first of the updates that wait. One that was
// carried out before (its answer was lost with a former run) is answered from
// the database, whatever the conversation has come to.
func (c *talk) heedRequest() {
	r := c.requests[0]
	c.requests = c.requests[1:]
	step := conversation.UpdateStepID(c.state.ConversationID, r.id)
	switch {
	case r.ConversationID != c.state.ConversationID:
		r.err = c.mayAct(r.ActionRequest)
	case r.Event == conversation.EventForceClosed || r.Event == conversation.EventChannelDeleted || r.Event == conversation.EventWrapUpDone:
		r.err = c.close(r.Event, step, r.Actor, r.DispositionID)
		if r.err == nil && !c.closed() {
			r.err = refusal(conversation.Errorf(conversation.CodeConflict, "The customer has written again meanwhile."))
		}
	default:
		r.err = c.act(r.ActionRequest, step)
	}
	r.answer = conversation.ActionAnswer{
		Status: c.state.Status, Owner: c.state.Owner, QueueID: c.state.QueueID, AgentID: c.state.AgentID, Reason: c.reason,
	}
	r.done = true
}

// act carries out a step that leaves the conversation open.
func (c *talk) act(req conversation.ActionRequest, step string) error {
	in := activities.TransitionInput{
		ID: step, ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
		Event: req.Event, Actor: req.Actor, OfferID: req.OfferID, AgentID: req.AgentID, QueueID: req.QueueID, BotID: req.BotID,
		Override: req.Override, Announce: announcement(req.Event),
	}
	if req.Override != nil {
		in.Announce = "" // nobody has left: it waits as before
	}
	var res activities.TransitionOutput
	if err := c.do("carry out what was asked: "+string(req.Event), acts.Transition, in, &res); err != nil {
		if refused(err) == conversation.CodeConversationClosed {
			c.ingest() // learns how it was closed
		}
		return err
	}
	c.settle(res)
	return nil
}

// announcement is what the customer is told of a step.
func announcement(event conversation.Event) automessage.Trigger {
	switch event {
	case conversation.EventAccepted, conversation.EventPicked, conversation.EventAssigned, conversation.EventResumed:
		return automessage.AgentJoined
	case conversation.EventTransferredAgent:
		return automessage.TransferAccepted
	case conversation.EventReleased, conversation.EventTransferredQueue, conversation.EventAgentLost:
		return automessage.AgentLeft
	case conversation.EventParked:
		return automessage.SessionEnded
	case conversation.EventEnded:
		return automessage.AgentEnded
	}
	return ""
}

// settle takes over where a transition has left the conversation.
func (c *talk) settle(res activities.TransitionOutput) {
	if res.Epoch != c.state.Epoch {
		c.state.Misses, c.state.Unanswered = 0, 0
	}
	if res.BotKind != "" {
		c.state.Settings.BotKind = res.BotKind
	}
	c.reason = res.Reason
	c.unsent = c.unsent || res.Pending
	c.stands(standing{res.Status, res.Owner, res.Epoch, res.QueueID, res.AgentID, res.Routed, res.TendMS})
}

// refuseRequests answers the updates that came too late, and waits until they
// have gone.
func (c *talk) refuseRequests() {
	for len(c.requests) > 0 || !workflow.AllHandlersFinished(c.ctx) {
		for _, r := range c.requests {
			r.err = refusal(conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed."))
			r.done = true
		}
		c.requests = nil
		if err := workflow.Await(c.ctx, func() bool { return len(c.requests) > 0 || workflow.AllHandlersFinished(c.ctx) }); err != nil {
			return
		}
	}
}

// refusal carries a domain error through Temporal with its code.
func refusal(err error) error {
	var e *conversation.Error
	if !errors.As(err, &e) {
		return err
	}
	return temporal.NewNonRetryableApplicationError(e.Detail, string(e.Code), nil, e.Fields)
}
