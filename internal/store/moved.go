package store

import (
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// holder is who has a conversation, or where it waits, as the routing log names
// it.
type holder struct {
	Owner   conversation.Owner `json:"owner"`
	QueueID string             `json:"queue_id,omitempty"` // OwnerQueue
	AgentID string             `json:"agent_id,omitempty"` // OwnerAgent
	BotID   string             `json:"bot_id,omitempty"`   // OwnerBot
}

func (r conversationRow) holder() holder {
	h := holder{Owner: r.Owner}
	switch r.Owner {
	case conversation.OwnerQueue:
		h.QueueID = r.QueueID
	case conversation.OwnerAgent:
		h.AgentID = r.AgentID
	case conversation.OwnerBot:
		h.BotID = r.BotID
	}
	return h
}

// movedLine is a step by which people, the customer or a time-out rule decided
// who has a conversation, as the routing log has it.
type movedLine struct {
	ActorID string `json:"actor_id,omitempty"` // the agent or supervisor who did it
	Why     string `json:"why,omitempty"`      // an enumerated word: what had it done, or what became of the queue that was named
	From    holder `json:"from"`
	To      holder `json:"to"`
	// PreferredAgentID is who is waited for first, until PreferredUntil.
	PreferredAgentID string `json:"preferred_agent_id,omitempty"`
	PreferredUntil   string `json:"preferred_until,omitempty"` // RFC 3339; "" is as long as it takes
}

// moves are the steps that leave such a line. What an offer, a rule or a queue
// decides has a line of its own.
var moves = []conversation.Event{
	conversation.EventHandedOff, conversation.EventPicked, conversation.EventAssigned, conversation.EventReleased,
	conversation.EventTransferredQueue, conversation.EventTransferredAgent, conversation.EventTransferredBot,
	conversation.EventAgentLost, conversation.EventParked, conversation.EventResumed, conversation.EventCustomerWrote,
}

// movedBy is the line that a step leaves in the routing log; none when it
// decides nothing, or when another line says so: an override's, or that of a
// queue that passes it on.
func movedBy(req TransitionRequest, t conversation.Transition, before, after conversationRow) []RoutingEntry {
	passedOn := req.Event == conversation.EventTransferredQueue && req.Actor == (conversation.Actor{})
	if before.holder() == after.holder() || !slices.Contains(moves, req.Event) || req.Override != nil || passedOn {
		return nil
	}
	line := movedLine{ActorID: req.ActorID, Why: req.Note, From: before.holder(), To: after.holder()}
	if t.To == conversation.PhaseQueued && after.Preferred != "" {
		line.PreferredAgentID = after.Preferred
		if after.PreferUntil > 0 {
			line.PreferredUntil = fromMicros(after.PreferUntil).Format(time.RFC3339)
		}
	}
	return []RoutingEntry{{Stage: StageAssignment, Outcome: string(req.Event), Entry: []byte(jsonOf(line))}}
}
