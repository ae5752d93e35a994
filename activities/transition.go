package activities

import (
	"context"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
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
	QueueID        string              `json:"queue_id,omitempty"` // "" is the workstream's fallback queue
	Note           string              `json:"note,omitempty"`
	Announce       automessage.Trigger `json:"announce,omitempty"`
	Seen           int64               `json:"seen,omitempty"`
}

// Transition carries out one step of the life table; see store.Transition.
func (a *Activities) Transition(ctx context.Context, in TransitionInput) (store.TransitionResult, error) {
	conv, err := a.store.Conversation(ctx, in.ConversationID)
	if err != nil {
		return store.TransitionResult{}, final(err)
	}
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return store.TransitionResult{}, final(err)
	}
	queueID := in.QueueID
	if queueID == "" {
		queueID = plan.Workstream.FallbackQueueID
	} else if _, err := a.store.Queue(ctx, queueID); conversation.CodeOf(err) == conversation.CodeNotFound {
		queueID = plan.Workstream.FallbackQueueID // the bot named a queue that is not there
	} else if err != nil {
		return store.TransitionResult{}, final(err)
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey, Event: in.Event,
		Actor: in.Actor, ActorID: in.Actor.AgentID, QueueID: queueID, Note: in.Note, Seen: in.Seen, Deadline: attemptDeadline(ctx),
	}
	if in.Announce != "" {
		if req.Announce, err = a.drafts(ctx, plan, conv, in.Announce, queueID); err != nil {
			return store.TransitionResult{}, final(err)
		}
	}
	res, err := a.store.Transition(ctx, req)
	return res, final(err)
}
