package routing

import (
	"maps"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// MaxTexts is how many of the customer's latest texts a condition sees.
const MaxTexts = 20

// Facts is what a condition may ask about. The JSON names are the names in
// conditions; docs/routing.md explains them.
type Facts struct {
	Message      MessageFacts
	Conversation ConversationFacts
	Customer     CustomerFacts
	Contact      ContactFacts
	Channel      ChannelFacts
	Bot          BotFacts
	Context      map[string]string // context variables
	Now          time.Time
}

// MessageFacts is what the customer wrote in this conversation, but for what
// they took back.
type MessageFacts struct {
	Type  string   `json:"type"`  // of the latest message
	Text  string   `json:"text"`  // of the latest message, "" when it has none
	Texts []string `json:"texts"` // oldest first; what is before the last MaxTexts is not seen
	// Language is what the texts are written in, "" when that cannot be told.
	Language string `json:"language"`
}

// ConversationFacts is what is known of the conversation. Classification
// changes Priority, Language, Attributes, Skills, Units and CapacityProfileID on
// its way.
type ConversationFacts struct {
	ID             string            `json:"id"`
	Priority       int64             `json:"priority"` // larger is served first
	Language       string            `json:"language"` // as classified; "" before that
	Locale         string            `json:"locale"`   // in which Kaiwa speaks to the customer
	CreatedAt      time.Time         `json:"created_at"`
	WaitingSeconds int64             `json:"waiting_seconds"`
	Messages       int64             `json:"messages"` // of the customer, so far
	Attributes     map[string]string `json:"attributes"`
	Skills         map[string]int    `json:"skills"` // required level by skill id
	Units          int64             `json:"units"`  // of an agent's capacity; 0 while nothing set it
	// CapacityProfileID is what it counts against instead of units; "" while
	// nothing set it.
	CapacityProfileID string `json:"capacity_profile_id"`
}

// CustomerFacts is what is known of the person.
type CustomerFacts struct {
	Name                 string `json:"name"`
	Language             string `json:"language"` // as LINE gives it
	Friend               bool   `json:"friend"`
	ContactID            string `json:"contact_id"` // "" while unknown
	EarlierConversations int64  `json:"earlier_conversations"`
}

// ContactFacts is the contact that the customer is linked to; all of it is ""
// while nobody knows who they are.
type ContactFacts struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Email          string `json:"email"`
	Company        string `json:"company"`
	CustomerNumber string `json:"customer_number"`
}

// ChannelFacts is the channel the customer wrote to.
type ChannelFacts struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Locale string `json:"locale"`
}

// BotFacts is what the bot left behind.
type BotFacts struct {
	ID        string `json:"id"` // "" when there is none
	Summary   string `json:"summary"`
	Escalated bool   `json:"escalated"`
	Reason    string `json:"reason"` // why it handed over, an enumerated word
}

// variables binds the names of a condition to the facts.
func (f Facts) variables() map[string]any {
	if n := len(f.Message.Texts); n > MaxTexts {
		f.Message.Texts = f.Message.Texts[n-MaxTexts:]
	}
	context := f.Context
	if context == nil {
		context = map[string]string{}
	}
	return map[string]any{
		"message": f.Message, "conversation": f.Conversation, "customer": f.Customer, "contact": f.Contact,
		"channel": f.Channel, "bot": f.Bot, "context": context, "now": f.Now,
	}
}

// own gives the facts maps of their own where classification writes.
func (f Facts) own() Facts {
	f.Conversation.Attributes = maps.Clone(f.Conversation.Attributes)
	if f.Conversation.Attributes == nil {
		f.Conversation.Attributes = map[string]string{}
	}
	f.Conversation.Skills = maps.Clone(f.Conversation.Skills)
	if f.Conversation.Skills == nil {
		f.Conversation.Skills = map[string]int{}
	}
	return f
}

func skillList(levels map[string]int) []conversation.SkillNeed {
	out := make([]conversation.SkillNeed, 0, len(levels))
	for _, id := range slices.Sorted(maps.Keys(levels)) {
		out = append(out, conversation.SkillNeed{SkillID: id, Level: levels[id]})
	}
	return out
}
