package activities

import (
	"context"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// RouteInput asks for a waiting conversation to be classified and routed.
type RouteInput struct {
	ID             string `json:"id"` // names the step: it is done once
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
	ChatKey        string `json:"chat_key"`
	Seen           int64  `json:"seen,omitempty"` // what the workflow has seen, for a queue that ends it
	// FindingsID names what the services among the rulesets found; "" when none
	// was asked, or the question was lost.
	FindingsID string `json:"findings_id,omitempty"`
}

// Route finds out what a conversation is about and decides its queue, by the
// workstream's rules. A queue that was named for it is kept. Rules that are not
// there, or cannot be read, decide nothing; without a rule that decides it is
// the fallback queue, and without that none: then people find it in the list of
// open conversations, and the routing log says what is missing. Where the queue
// does not keep it, the queue that it is passed on to does, or it ends.
func (a *Activities) Route(ctx context.Context, in RouteInput) (TransitionOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	facts, err := a.store.RoutingFacts(ctx, in.ConversationID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	facts.Channel = routing.ChannelFacts{ID: plan.Channel.ID, Name: plan.Channel.Name, Locale: plan.Channel.Locale}
	facts.Now = a.now()
	if facts.Findings, err = a.findings(ctx, in.FindingsID); err != nil {
		return TransitionOutput{}, final(err)
	}
	res, err := whileFull(func() (store.TransitionResult, error) { return a.routeOnce(ctx, in, plan, facts) })
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	a.dispatcher.Kick(ctx)
	return TransitionOutput{TransitionResult: res}, nil
}

// routeOnce decides the queue and carries that out, unless the queue has become
// full meanwhile.
func (a *Activities) routeOnce(ctx context.Context, in RouteInput, plan store.Plan, facts store.RoutingFacts) (store.TransitionResult, error) {
	found, came, err := a.decider().Decide(ctx, plan, facts)
	if err != nil {
		return store.TransitionResult{}, err
	}
	trigger, err := a.told(ctx, plan, found, came)
	if err != nil {
		return store.TransitionResult{}, err
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: came.Event(conversation.EventRouted), Routing: found, Overflowed: came.Overflowed(), Room: came.Room,
		Seen: in.Seen, Surveys: surveyPolicy(plan), Deadline: attemptDeadline(ctx),
	}
	if trigger != "" {
		conv, err := a.store.Conversation(ctx, in.ConversationID)
		if err != nil {
			return store.TransitionResult{}, err
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, trigger, found.QueueID); err != nil {
			return store.TransitionResult{}, err
		}
	}
	return a.store.Transition(ctx, req)
}

// decider decides by what the database says.
func (a *Activities) decider() decide.Decider {
	return decide.Decider{Reader: a.store, Logger: a.logger}
}

// told is what the customer is told who has to wait: that the queue is closed,
// or that nobody is free; nothing when they are about to be offered to somebody.
// Who does not have to wait, because it ends, is told why.
func (a *Activities) told(ctx context.Context, plan store.Plan, found *store.Routing, came decide.Entered) (automessage.Trigger, error) {
	if trigger := came.Trigger(); trigger != "" {
		return trigger, nil
	}
	if plan.Workstream.Mode == store.ModePush {
		asks := routing.Requirement{
			Units: found.Units, ProfileID: found.CapacityProfileID, Skills: found.Skills, Matching: found.Matching,
			Presences: plan.Workstream.Settings.Assignment.Presences,
		}
		if came.Custom() {
			asks.Matching = conversation.MatchingNone // the queue's rules may ignore skills
		}
		free, err := a.store.SomebodyFree(ctx, found.QueueID, asks)
		if free || err != nil {
			return "", err
		}
	}
	return automessage.NoAgentAvailable, nil
}
