// Package bot asks bots what to answer. A Bot is a pure partner: it is given
// everything the customer said since its last turn and gives back what to say,
// what to remember and whether people should take over. It sends nothing,
// stores nothing and knows nothing of other conversations; whether its answer
// still counts when it arrives is decided by the caller, by the epoch.
package bot

import (
	"context"
	"encoding/json"

	"kaiwa/internal/conversation"
)

// Bot answers a customer. Answer returns within the deadline of ctx; its errors
// are all of type *Error. It is safe for concurrent use.
type Bot interface {
	Answer(ctx context.Context, t Turn) (Reply, error)
}

// Turn is what a bot is asked: everything the customer said since its last
// turn. Its JSON is the request a webhook bot receives.
type Turn struct {
	ConversationID string            `json:"conversation_id"`
	TurnID         string            `json:"turn_id"`
	Epoch          int64             `json:"epoch"`  // of the conversation's ownership; an answer given later carries it too
	Locale         string            `json:"locale"` // BCP 47: en, ja, th, zh-TW, da, …
	Customer       Customer          `json:"customer"`
	Context        map[string]string `json:"context"`  // context variables
	Messages       []Message         `json:"messages"` // oldest first
	First          bool              `json:"first"`    // the bot has said nothing in this conversation yet
}

// Customer is who the bot talks to.
type Customer struct {
	ID       string `json:"id"`       // Kaiwa's id of the social profile
	Name     string `json:"name"`     // as LINE shows it; "" when unknown
	Language string `json:"language"` // as LINE gives it; "" when unknown
}

// Message is one message of a turn. Type is the transcript's: text, sticker,
// image, video, audio, file, location, postback, … and kinds LINE invents.
type Message struct {
	ID        string                 `json:"id,omitempty"`
	Direction conversation.Direction `json:"direction"` // bots answer inbound ones; others are there to be read
	Type      string                 `json:"type"`
	Text      string                 `json:"text,omitempty"`
	Payload   json.RawMessage        `json:"payload,omitempty"` // what the type has beside text; a postback has its "data"
}

// Reply is what a bot answers.
type Reply struct {
	Messages []conversation.Content
	// Wrong says of messages that cannot be sent why, by their place and by
	// pointers into the answer; such a message is there as far as it could be read.
	Wrong map[int][]conversation.FieldError
	// Context has the changed variables only; "" removes one. Names have 1 to
	// MaxVariableName characters, values at most MaxVariableValue.
	Context map[string]string
	Action  Action
	Handoff *Handoff // set when, and only when, Action is ActionHandoff
	// Understood is false when the bot could make nothing of the turn. Turns in
	// a row without understanding end in a handoff.
	Understood bool
}

// Action is what becomes of the conversation after a reply.
type Action string

// The actions.
const (
	ActionContinue Action = "continue" // the bot waits for the customer
	ActionHandoff  Action = "handoff"  // people take over
	ActionEnd      Action = "end"      // the conversation is over
)

// Handoff is what the people who take over are told. The customer never sees
// it.
type Handoff struct {
	Summary string  // at most MaxSummary characters
	QueueID string  // "" leaves the queue to the routing rules
	Skills  []Skill // at most MaxSkills; added to what the routing rules require
}

// Skill is an ability an agent needs, at least at Level (1 to 10).
type Skill struct {
	Name  string
	Level int
}

// The limits of a reply, in characters where not said otherwise.
const (
	MaxVariableName  = 100
	MaxVariableValue = 4000
	MaxVariables     = 100 // changed in one reply
	MaxSummary       = 4000
	MaxSkills        = 20
	MaxSkillName     = 100
)
