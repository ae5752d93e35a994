package activities

import (
	"context"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// TendInput asks for what the rules of a conversation's queue want done by a
// time.
type TendInput struct {
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
	ChatKey        string `json:"chat_key"`
	ByMS           int64  `json:"by_ms"` // Unix milliseconds
	Seen           int64  `json:"seen,omitempty"`
}

// Tend does one thing that the rules of a conversation's queue want done, if
// there is any: it passes the conversation on, ends it, or tells the customer how
// long it takes. The output says when there is more. Where it waits by now says
// what is due, so doing it again does nothing twice.
func (a *Activities) Tend(ctx context.Context, in TendInput) (TransitionOutput, error) {
	res, err := whileFull(func() (store.TransitionResult, error) { return a.tend(ctx, in) })
	return TransitionOutput{TransitionResult: res}, final(err)
}

func (a *Activities) tend(ctx context.Context, in TendInput) (store.TransitionResult, error) {
	by := time.UnixMilli(in.ByMS)
	q, found, err := a.store.Queued(ctx, in.ConversationID)
	if err != nil {
		return store.TransitionResult{}, err
	}
	done := store.TendRequest{ConversationID: in.ConversationID, Wait: q.Wait, Deadline: attemptDeadline(ctx)}
	if !found {
		return a.store.Tend(ctx, done)
	}
	duty, at := q.Due(by)
	if duty == routing.DutyNone {
		return a.store.Tend(ctx, done)
	}
	done.ID = conversation.DerivedID(conversation.PrefixStep, q.ID, "tend", q.Epoch, q.QueueID, len(q.Overflowed), q.Wait.Since.UnixMicro(), duty, at.UnixMicro())
	done.Duty, done.Until = duty, by
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return store.TransitionResult{}, err
	}
	if duty == routing.DutyInform {
		if done.Say, err = a.waitInfo(ctx, plan, q, by); err != nil {
			return store.TransitionResult{}, err
		}
		return a.store.Tend(ctx, done)
	}
	// Whether it may stay is decided as of when it came; where it goes, as of now.
	as, arrival := by, routing.Arrival{QueueID: q.QueueID, Been: q.Overflowed, TooLong: true}
	if duty == routing.DutyEntry {
		as, arrival = q.Wait.Since, routing.Arrival{QueueID: q.QueueID, Been: q.Overflowed, ByPeople: true}
	}
	queues, err := a.decider().QueuesAt(ctx, as, q.QueueID)
	if err != nil {
		return store.TransitionResult{}, err
	}
	came, err := a.decider().Arrive(ctx, queues, arrival, as)
	if err != nil {
		return store.TransitionResult{}, err
	}
	if done.Log, err = came.Log(); err != nil {
		return store.TransitionResult{}, err
	}
	if came.QueueID == q.QueueID && came.Ends == "" {
		return a.store.Tend(ctx, done)
	}
	return a.passOn(ctx, in, plan, done, came)
}

// passOn brings a conversation to the queue that takes it, or to its end.
func (a *Activities) passOn(ctx context.Context, in TendInput, plan store.Plan, tended store.TendRequest, came decide.Entered) (store.TransitionResult, error) {
	req := store.TransitionRequest{
		ID: tended.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: came.Event(conversation.EventTransferredQueue), QueueID: came.QueueID, CustomQueue: came.Custom(), Note: string(came.Steps[0].Reason),
		Overflowed: came.Overflowed(), Room: came.Room, Log: tended.Log,
		Seen: in.Seen, Surveys: surveyPolicy(plan), Deadline: tended.Deadline,
	}
	if came.Ends != "" {
		conv, err := a.store.Conversation(ctx, in.ConversationID)
		if err != nil {
			return store.TransitionResult{}, err
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, came.Trigger(), came.QueueID); err != nil {
			return store.TransitionResult{}, err
		}
	}
	res, err := a.store.Transition(ctx, req)
	if err == nil {
		a.dispatcher.Kick(ctx)
	}
	return res, err
}

// waitInfo is what a customer hears who waits: nothing when somebody is free, or
// is just deciding whether to take it.
func (a *Activities) waitInfo(ctx context.Context, plan store.Plan, q store.QueuedConversation, now time.Time) ([]store.Draft, error) {
	if q.OnOffer {
		return nil, nil
	}
	asks := q.Requirement
	asks.Presences = plan.Workstream.Settings.Assignment.Presences
	free, err := a.store.SomebodyFree(ctx, q.QueueID, asks)
	if err != nil || free && plan.Workstream.Mode == store.ModePush {
		return nil, err
	}
	e, err := a.store.Estimate(ctx, q.ID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return nil, nil // it waits no more
	}
	if err != nil {
		return nil, err
	}
	conv, err := a.store.Conversation(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	var triggers []automessage.Trigger
	info := q.Settings.WaitInfo
	switch {
	case info.NextInLine && e.Position == 1:
		triggers = append(triggers, automessage.NextInLine)
	case info.Position:
		triggers = append(triggers, automessage.QueuePosition)
	}
	if info.Estimate && e.Mean > 0 {
		triggers = append(triggers, automessage.EstimatedWait)
	}
	values := automessage.Values{Position: int(e.Position), WaitMinutes: waitMinutes(e.Mean - now.Sub(q.Wait.Since))}
	var drafts []store.Draft
	for _, t := range triggers {
		more, err := a.draftsWith(ctx, plan, conv, t, q.QueueID, values)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, more...)
	}
	return drafts, nil
}

// waitMinutes is what is said of the time that is left: whole minutes, one at
// least.
func waitMinutes(left time.Duration) int {
	return max(1, int((left+time.Minute-1)/time.Minute))
}
