package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// mustClose closes the conversation for a cause of the engine's own, which the
// life table always allows while it is open.
func (c *talk) mustClose(event conversation.Event) {
	if err := c.close(event, conversation.Actor{}); err != nil {
		workflow.GetLogger(c.ctx).Warn("not closed", "event", event, "error", err)
	}
}

// close closes the conversation for a cause, unless something came in that
// lifts the cause. It returns the refusal when the life table has none of it.
func (c *talk) close(event conversation.Event, actor conversation.Actor) error {
	in := activities.TransitionInput{
		ID: c.step(string(event)), ConversationID: c.state.ConversationID, ChannelID: c.in.ChannelID, ChatKey: c.in.ChatKey,
		Event: event, Actor: actor,
	}
	if !silent(event) {
		in.Announce = automessage.Closed
	}
	for {
		in.Seen = c.state.Seen
		var res store.TransitionResult
		if err := c.do("close", acts.Transition, in, &res); err != nil {
			if refused(err) == conversation.CodeConversationClosed {
				c.ingest() // learns how it was closed
			}
			return err
		}
		if !res.Behind {
			c.reason, c.remains = res.Reason, res.Unhandled
			c.unsent = c.unsent || res.Announced > 0
			c.stands(res.Status, res.Owner, res.Epoch, res.QueueID)
			return nil
		}
		before := c.state.Unanswered
		c.ingest()
		if c.closed() || lapses(event) && (c.state.Unanswered > before || c.answered != nil) {
			return nil // the customer wrote: that is answered instead
		}
	}
}

// silent tells whether a closing message makes no sense: the customer has
// blocked the account, so nobody would read it.
func silent(event conversation.Event) bool { return event == conversation.EventCustomerBlocked }

// lapses tells whether a message of the customer lifts the cause of closing.
func lapses(event conversation.Event) bool {
	switch event {
	case conversation.EventBotIdle, conversation.EventBotEnded, conversation.EventAutoClosed, conversation.EventTimeoutRule, conversation.EventWrapUpExpired:
		return true
	}
	return false
}

// closeRequest is an update that waits for the plot to heed it.
type closeRequest struct {
	conversation.ActionRequest
	done bool
	err  error
}

// handleUpdates registers what people may ask for. Handlers only put the
// request into the state; the plot heeds it and answers.
func (c *talk) handleUpdates(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, conversation.UpdateClose,
		func(ctx workflow.Context, req conversation.ActionRequest) (conversation.ActionAnswer, error) {
			r := &closeRequest{ActionRequest: req}
			c.requests = append(c.requests, r)
			if err := workflow.Await(ctx, func() bool { return r.done }); err != nil {
				return conversation.ActionAnswer{}, err
			}
			return conversation.ActionAnswer{Status: c.state.Status, Reason: c.reason}, r.err
		},
		workflow.UpdateHandlerOptions{
			Description: "Closes the conversation at once.",
			Validator:   func(req conversation.ActionRequest) error { return c.mayClose(req) },
		})
}

// mayClose refuses what the life table refuses, before it costs history. Guards
// that need to know the agent are left to the database, which does.
func (c *talk) mayClose(req conversation.ActionRequest) error {
	if !c.begun() {
		return nil // the run has not looked yet; the plot decides
	}
	if req.ConversationID != c.state.ConversationID {
		return refusal(conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed; the customer's next message starts a new one."))
	}
	if _, err := conversation.Next(c.phase(), req.Event, conversation.Facts{}); err != nil {
		return refusal(err)
	}
	return nil
}

// heedRequest carries out the first of the updates that wait.
func (c *talk) heedRequest() {
	r := c.requests[0]
	c.requests = c.requests[1:]
	r.err = c.mayClose(r.ActionRequest)
	if r.err == nil {
		r.err = c.close(r.Event, r.Actor)
	}
	r.done = true
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
	return temporal.NewNonRetryableApplicationError(e.Detail, string(e.Code), nil)
}
