// Package survey is what customers are asked after a conversation: the
// questions and the answers they allow, in the customer's language, as
// messages of LINE and as data behind buttons, and the personal links to the
// page that asks all of them at once.
//
// It decides and writes only. Keeping answers and sending messages is the
// caller's part.
package survey

// Mode is how a survey reaches the customer.
type Mode string

// The modes.
const (
	ModeLINE Mode = "line" // one question after the other in the chat
	ModeLink Mode = "link" // a link to a page with all of them
)

// Kind is what a question asks for. It is stored with the questions, so it is
// never renamed.
type Kind string

// The kinds of question.
const (
	KindCSAT   Kind = "csat"   // satisfaction, 1 to 5
	KindNPS    Kind = "nps"    // would they recommend it, 0 to 10
	KindEffort Kind = "effort" // how easy it was, 1 to 7
	KindChoice Kind = "choice" // one of up to 13
	KindText   Kind = "text"   // whatever they write
)

// Limits of Settings.
const (
	MaxQuestions    = 20
	MaxChoices      = 13 // LINE's quick replies; skipping takes one of them
	MaxText         = 1000
	MaxChoiceLabel  = 20 // graphemes, LINE's limit for a button
	MinExpires      = 60
	MaxExpires      = 14 * 24 * 3600
	DefaultExpires  = 24 * 3600
	maxLanguages    = 40
	maxQuestionName = 40
)

// Settings are a survey as an administrator writes it.
type Settings struct {
	Mode           Mode       `json:"mode"`
	ExpiresSeconds int64      `json:"expires_seconds"` // 60 s to 14 days; 0 means the default, 24 h
	Questions      []Question `json:"questions"`       // 1 to 20, in the order in which they are asked
}

// Question is one question. Every question of a survey is written in the same
// languages, so that nobody is asked in two.
type Question struct {
	ID       string            `json:"id"` // a name of a to z, 0 to 9 and _, once in a survey; answers are kept under it
	Kind     Kind              `json:"kind"`
	Text     map[string]string `json:"text"`              // by locale; at most 1,000 characters
	Choices  []Choice          `json:"choices,omitempty"` // of KindChoice: 2 to 13, or 12 when it is optional
	Optional bool              `json:"optional,omitempty"`
}

// Choice is one of the answers a question of KindChoice allows.
type Choice struct {
	Value string            `json:"value"` // what is kept: a name of a to z, 0 to 9 and _, once in a question
	Label map[string]string `json:"label"` // what the customer reads, by locale; at most 20 characters
}

// Defaults returns the settings with everything that was left out filled in.
func (s Settings) Defaults() Settings {
	if s.Mode == "" {
		s.Mode = ModeLINE
	}
	if s.ExpiresSeconds == 0 {
		s.ExpiresSeconds = DefaultExpires
	}
	return s
}

// State is where an invitation to a survey stands. Every state but open is
// final.
type State string

// The states of an invitation.
const (
	Open      State = "open"
	Answered  State = "answered"  // every question that has to be
	Expired   State = "expired"   // answers are still kept, as late, and nothing follows from them
	Cancelled State = "cancelled" // the customer blocked the account, or an operator cancelled it
)

// Via is how an answer was given.
type Via string

// The ways to answer.
const (
	ViaButton Via = "button"
	ViaTyped  Via = "typed"
	ViaLink   Via = "link"
)
