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
}

// Route finds out what a conversation is about and decides its queue, by the
// workstream's rules. A queue that was named for it is kept. Rules that are not
// there, or cannot be read, decide nothing; without a rule that decides it is
// the fallback queue, and without that none: then people find it in the list of
// open conversations, and the routing log says what is missing.
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
	found, hours, err := decide.Decider{Reader: a.store, Logger: a.logger}.Decide(ctx, plan, facts)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	trigger, err := a.told(ctx, plan, found, hours)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: conversation.EventRouted, Routing: found, Deadline: attemptDeadline(ctx),
	}
	if trigger != "" {
		conv, err := a.store.Conversation(ctx, in.ConversationID)
		if err != nil {
			return TransitionOutput{}, final(err)
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, trigger, found.QueueID); err != nil {
			return TransitionOutput{}, final(err)
		}
	}
	res, err := a.store.Transition(ctx, req)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	a.dispatcher.Kick(ctx)
	return TransitionOutput{TransitionResult: res}, nil
}

// told is what the customer is told who has to wait: that the queue is closed,
// or that nobody is free; nothing when they are about to be offered to somebody.
func (a *Activities) told(ctx context.Context, plan store.Plan, found *store.Routing, hours string) (automessage.Trigger, error) {
	switch hours {
	case decide.HoursClosed:
		return automessage.OutOfHours, nil
	case decide.HoursHoliday:
		return automessage.Holiday, nil
	}
	if plan.Workstream.Mode == store.ModePush {
		free, err := a.store.SomebodyFree(ctx, found.QueueID, plan.Workstream.Settings.Assignment.Presences, found.Units)
		if free || err != nil {
			return "", err
		}
	}
	return automessage.NoAgentAvailable, nil
}
