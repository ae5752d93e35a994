package activities

import (
	"context"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// TransitionInput asks for one step of the life table.
type TransitionInput struct {
	ID             string              `json:"id"` // names the step: it is done once
	ConversationID string              `json:"conversation_id"`
	ChannelID      string              `json:"channel_id"`
	ChatKey        string              `json:"chat_key"`
	Event          conversation.Event  `json:"event"`
	Actor          conversation.Actor  `json:"actor,omitzero"`
	OfferID        string              `json:"offer_id,omitempty"`
	AgentID        string              `json:"agent_id,omitempty"` // to whom
	QueueID        string              `json:"queue_id,omitempty"` // where to
	BotID          string              `json:"bot_id,omitempty"`   // to which; "" is the workstream's
	DispositionID  string              `json:"disposition_id,omitempty"`
	Note           string              `json:"note,omitempty"`
	Announce       automessage.Trigger `json:"announce,omitempty"`
	Seen           int64               `json:"seen,omitempty"`
	// Override, of EventTransferredQueue, is what else it asks for from now on.
	Override *conversation.Override `json:"override,omitempty"`
}

// TransitionOutput is what came of it.
type TransitionOutput struct {
	store.TransitionResult
	BotKind string `json:"bot_kind,omitempty"` // of the bot that has it now
}

// Transition carries out one step of the life table; see store.Transition.
func (a *Activities) Transition(ctx context.Context, in TransitionInput) (TransitionOutput, error) {
	conv, err := a.store.Conversation(ctx, in.ConversationID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey, Event: in.Event,
		Actor: in.Actor, ActorID: in.Actor.AgentID, QueueID: in.QueueID, OfferID: in.OfferID, DispositionID: in.DispositionID,
		Note: in.Note, Override: in.Override, Seen: in.Seen, Deadline: attemptDeadline(ctx), Keep: affinity(plan, a.now()), Surveys: surveyPolicy(plan),
		WrapUp: plan.Workstream.Settings.WrapUp,
	}
	if conv.Owner == conversation.OwnerAgent {
		req.LeavingAgentID = conv.AgentID
	}
	var out TransitionOutput
	if out.BotKind, err = a.participant(ctx, plan, conv, in, &req); err != nil {
		return TransitionOutput{}, final(err)
	}
	if err := disposition(plan, in); err != nil {
		return TransitionOutput{}, final(err)
	}
	if err := a.whereTo(ctx, plan, conv, in, &req); err != nil {
		return TransitionOutput{}, final(err)
	}
	if in.Announce != "" {
		if req.ParticipantID != "" && out.BotKind == "" {
			conv.AgentID = req.ParticipantID // the message is about who comes, not who leaves
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, in.Announce, req.QueueID); err != nil {
			return TransitionOutput{}, final(err)
		}
	}
	out.TransitionResult, err = a.store.Transition(ctx, req)
	if err == nil && (out.Routed || conv.Owner == conversation.OwnerQueue || conv.Owner == conversation.OwnerAgent) {
		a.dispatcher.Kick(ctx) // somebody waits, or somebody has more room, or less
	}
	return out, final(err)
}

// participant says who has the conversation after the step, where the event
// names somebody. It returns a bot's kind.
func (a *Activities) participant(ctx context.Context, plan store.Plan, conv store.Conversation, in TransitionInput, req *store.TransitionRequest) (string, error) {
	switch in.Event {
	case conversation.EventAccepted, conversation.EventPicked, conversation.EventResumed:
		req.ParticipantID = in.Actor.AgentID
	case conversation.EventAssigned, conversation.EventTransferredAgent:
		if conv.Owner == conversation.OwnerAgent && in.AgentID == conv.AgentID {
			return "", conversation.Errorf(conversation.CodeConflict, "This agent has the conversation already.")
		}
		if _, err := a.store.Agent(ctx, in.AgentID); err != nil {
			return "", named(err, "/agent_id")
		}
		req.ParticipantID = in.AgentID
	case conversation.EventTransferredBot:
		bot, err := a.botOf(ctx, plan, in.BotID)
		if err != nil {
			return "", named(err, "/bot_id")
		}
		if bot == nil {
			return "", conversation.Errorf(conversation.CodeConflict, "The workstream has no bot. Name one.")
		}
		req.ParticipantID = bot.ID
		return bot.Kind, nil
	}
	return "", nil
}

// disposition checks what an agent chose at wrap-up: one of the workstream's,
// and one at all where that is required.
func disposition(plan store.Plan, in TransitionInput) error {
	if in.Event != conversation.EventWrapUpDone {
		return nil
	}
	w, detail := plan.Workstream.Settings, ""
	switch {
	case in.DispositionID == "" && w.DispositionRequired:
		detail = "This workstream requires a disposition."
	case in.DispositionID != "" && !slices.Contains(w.DispositionIDs, in.DispositionID):
		detail = "It is none of the dispositions of this workstream."
	default:
		return nil
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: detail,
		Fields: []conversation.FieldError{{Pointer: "/disposition_id", Detail: detail}}}
}

// whereTo says in which queue the conversation waits after the step, where the
// event or the life table has it wait in one that is known.
func (a *Activities) whereTo(ctx context.Context, plan store.Plan, conv store.Conversation, in TransitionInput, req *store.TransitionRequest) error {
	switch {
	case in.Event == conversation.EventAgentLost:
		req.Absence = plan.Workstream.Settings.Assignment.Absence()
		if conv.QueueID == "" {
			req.QueueID = plan.Workstream.FallbackQueueID
			return nil
		}
		return a.comesBack(ctx, plan, conv, req)
	case in.QueueID != "":
		return a.destination(ctx, plan, req)
	case in.Event == conversation.EventReleased, in.Event == conversation.EventCustomerWrote && conv.Status == conversation.StatusWaiting:
		return a.comesBack(ctx, plan, conv, req)
	}
	return nil
}

// comesBack has a conversation wait where it waited before, or in the fallback
// queue when that is no more or has no members. One that waited in no queue is
// routed.
func (a *Activities) comesBack(ctx context.Context, plan store.Plan, conv store.Conversation, req *store.TransitionRequest) error {
	if conv.QueueID == "" {
		return nil
	}
	req.QueueID = conv.QueueID
	err := a.destination(ctx, plan, req)
	if err == nil && req.QueueID == "" {
		req.QueueID = plan.Workstream.FallbackQueueID
	}
	return err
}

// destination checks the queue that was named. A queue that is not there is
// refused when a person named it; otherwise none is named any more. One that
// nobody is a member of would never be served: the fallback queue is taken,
// unless there is none, or it is that one. One that is full takes whom people
// transfer to it. The routing log has all of that with the queue that was named.
func (a *Activities) destination(ctx context.Context, plan store.Plan, req *store.TransitionRequest) error {
	fallback := plan.Workstream.FallbackQueueID
	queues, err := a.store.QueueStates(ctx, req.QueueID, fallback)
	if err != nil {
		return err
	}
	found := decide.Destination(queues, req.QueueID, fallback)
	transferred := req.Event == conversation.EventTransferredQueue
	if transferred && found.Reason == routing.QueueMissing {
		return named(conversation.Errorf(conversation.CodeNotFound, "There is no queue %q.", req.QueueID), "/queue_id")
	}
	if req.Log, err = found.Log(); err != nil {
		return err
	}
	q := queues[found.QueueID]
	if transferred && found.Reason == "" && !q.Settings.OutOfHours.On() { // whose entry is looked after next
		came := decide.Entered{Entry: routing.Enter(routing.Arrival{QueueID: q.ID, ByPeople: true}, map[string]routing.QueueState{q.ID: {
			Members: q.Members, Waiting: q.Waiting, MaxWaiting: q.Settings.Overflow.MaxWaiting, Overflow: q.Settings.Overflow.Deflection,
		}})}
		lines, err := came.Log()
		if err != nil {
			return err
		}
		req.Log = append(req.Log, lines...)
	}
	if found.Reason != "" && req.Note == "" {
		req.Note = string(found.Reason)
	}
	req.QueueID, req.CustomQueue = found.QueueID, q.Custom != nil
	return nil
}

// named makes "not found" an error of the field that named what is not there.
func named(err error, pointer string) error {
	if conversation.CodeOf(err) != conversation.CodeNotFound {
		return err
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: "It names something that is not there.",
		Fields: []conversation.FieldError{{Pointer: pointer, Detail: "There is no such thing."}}}
}

// affinity is what the workstream says of keeping the same agent.
func affinity(plan store.Plan, now time.Time) store.Affinity {
	switch plan.Workstream.Settings.Assignment.Affinity {
	case store.AffinityPrefer:
		return store.Affinity{On: true, Until: now.Add(routing.AffinityPatience)}
	case store.AffinityRequire:
		return store.Affinity{On: true}
	}
	return store.Affinity{}
}
