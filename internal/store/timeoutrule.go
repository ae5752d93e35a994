package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
)

// MaxTimeoutRules is how many time-out rules a workstream may have.
const MaxTimeoutRules = 10

// TimeoutRule does something when the customer or the agent has been silent for
// a while, in a conversation that an agent has. Each acts once a silence: the
// next word of either begins a new one.
type TimeoutRule struct {
	Name         string            `json:"name"` // tells the rules of a workstream apart
	When         Silent            `json:"when"`
	AfterSeconds int64             `json:"after_seconds"` // 60 to 2,592,000
	Action       TimeoutAction     `json:"action"`
	Texts        map[string]string `json:"texts,omitempty"` // by locale; of the actions that say something
}

// Silent says who has been silent.
type Silent string

// The silences.
const (
	CustomerSilent Silent = "customer_silent" // the last word was the agent's
	AgentSilent    Silent = "agent_silent"    // the last word was the customer's
)

// TimeoutAction is what a time-out rule does.
type TimeoutAction string

// The actions.
const (
	TimeoutTellCustomer TimeoutAction = "message_customer" // a message to the customer
	TimeoutTellAgent    TimeoutAction = "message_agent"    // an internal message
	TimeoutPark         TimeoutAction = "park"
	TimeoutClose        TimeoutAction = "close"
)

// AutomatedTimeoutRule marks what time-out rules say in a transcript.
const AutomatedTimeoutRule = "timeout_rule"

// Says tells whether the action says something.
func (a TimeoutAction) Says() bool { return a == TimeoutTellCustomer || a == TimeoutTellAgent }

// Text is what the rule says to a reader of a locale: in the nearest language it
// has, else in English, else in the first by name.
func (r TimeoutRule) Text(loc string) string {
	var have []string
	for l := range r.Texts {
		have = append(have, l)
	}
	slices.Sort(have)
	found := cmp.Or(locale.Match(loc, have), locale.Match(automessage.DefaultLocale, have))
	if found == "" && len(have) > 0 {
		found = have[0]
	}
	return r.Texts[found]
}

// After is how long the silence is.
func (r TimeoutRule) After() time.Duration { return time.Duration(r.AfterSeconds) * time.Second }

// CheckTimeoutRules says what is wrong with rules that stand at a JSON pointer.
func CheckTimeoutRules(at string, rules []TimeoutRule) (wrong []conversation.FieldError) {
	names := map[string]bool{}
	for i, r := range rules {
		at := fmt.Sprintf("%s/%d", at, i)
		say := func(field, format string, args ...any) {
			wrong = append(wrong, conversation.FieldError{Pointer: at + field, Detail: fmt.Sprintf(format, args...)})
		}
		if strings.TrimSpace(r.Name) == "" {
			say("/name", "Must not be blank.")
		} else if names[r.Name] {
			say("/name", "Another rule has this name.")
		}
		names[r.Name] = true
		switch {
		case r.Action.Says() && len(r.Texts) == 0:
			say("/texts", "Say what the message is, in one language at least.")
		case !r.Action.Says() && len(r.Texts) > 0:
			say("/texts", "The action %s says nothing.", r.Action)
		}
		for _, l := range slices.Sorted(maps.Keys(r.Texts)) {
			if !locale.Valid(l) {
				say("/texts"+conversation.Pointer(l), "This is not a known language tag such as en, ja or zh-TW.")
			}
			for _, fault := range automessage.CheckText(r.Texts[l]) {
				say("/texts"+conversation.Pointer(l), "%s", fault)
			}
		}
	}
	return wrong
}

// Silence is how long nobody has said anything in a conversation that an agent
// has.
type Silence struct {
	ConversationID string
	Epoch          int64
	Who            Silent    // whose word it is to say
	Since          time.Time // the last word, or when the agent got it
}

// Silence tells who has been silent in a conversation that an agent has; found
// is false when none has it, or nobody has said anything yet.
func (s *Store) Silence(ctx context.Context, id string) (out Silence, found bool, err error) {
	var row struct {
		Epoch      int64                   `db:"epoch"`
		PhaseSince int64                   `db:"phase_since"`
		SenderKind conversation.SenderKind `db:"sender_kind"`
		At         int64                   `db:"created_at"`
	}
	found, err = s.read().get(ctx, &row, silenceQuery, id)
	out = Silence{id, row.Epoch, AgentSilent, fromMicros(max(row.At, row.PhaseSince))}
	if row.SenderKind == conversation.SenderAgent {
		out.Who = CustomerSilent
	}
	return out, found, err
}

const silenceQuery = `SELECT c.epoch, c.phase_since, m.sender_kind, m.created_at
	FROM conversations c JOIN messages m ON m.id = (SELECT w.id FROM messages w WHERE w.conversation_id = c.id
		AND w.sender_kind IN ('customer', 'agent') AND w.direction <> 'internal' ORDER BY w.occurred_at DESC, w.ordinal DESC, w.id DESC LIMIT 1)
	WHERE c.id = $1 AND c.status = 'active' AND c.owner = 'agent'`
