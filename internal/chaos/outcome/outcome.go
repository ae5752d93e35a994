// Package outcome judges what a run of Kaiwa under fire left behind. Collect
// reads it from where it is: LINE's simulator, the database, Temporal and the
// reconciler. Check holds it against the invariants; each says what it promises
// and names what broke it. An Outcome is plain data, so one that failed can be
// saved and looked at again.
package outcome

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/client"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
)

// Sources are what an outcome is read from, once everything has settled. The
// simulator's records must not be bounded.
type Sources struct {
	Simulator *linesim.Simulator
	Store     *store.Store
	Temporal  client.Client
	Namespace string // of Temporal; "" is "default"
	Deeds     *Deeds // nil: nothing was done on purpose
}

// Deeds are what a run did on purpose, beside what customers and agents do, and
// what it allows for.
type Deeds struct {
	// Operations are what was done in Temporal's UI.
	Operations []Operation
	// Outages are when a process was dead or stood still.
	Outages []Outage
	// Promptly is how long a conversation may wait in calm times though an agent is
	// there; 0 is a second. It is more where the machine does other things beside.
	Promptly time.Duration
	// Uncertain allows messages of which nobody can know whether LINE took them.
	Uncertain bool
}

// Outage is that a process was dead, or stood still. Times are Unix
// microseconds.
type Outage struct {
	Process  string
	From, To int64 // To is when it was started again, or went on
}

// Verb is what an operator does to a workflow.
type Verb string

// The verbs.
const (
	Cancelled  Verb = "cancelled"
	Terminated Verb = "terminated"
	Reset      Verb = "reset"
)

// Operation is one thing an operator did, and that Temporal said yes to.
type Operation struct {
	Verb           Verb
	ConversationID string // that the workflow held, "" of the dispatcher
	WorkflowID     string
	RunID          string // that it was done to
	At             int64  // Unix microseconds, before Temporal was asked
}

// Outcome is what a run left behind. Times are Unix microseconds, but where
// their names say milliseconds.
type Outcome struct {
	At         int64 // when it was read
	Deeds      Deeds
	LINE       LINE
	Database   Database
	Temporal   Temporal
	Reconciler reconcile.Report
}

// LINE is the simulator's record.
type LINE struct {
	Webhooks []Webhook
	Calls    []Call
	Phones   []Bubble // in the order of each phone
	Blocked  []Chat   // customers who block the account now
}

// Chat names a chat by LINE's ids: the account's and the customer's.
type Chat struct {
	ChannelID string // of the simulator
	ChatID    string
}

// Webhook is one event that LINE tried to deliver.
type Webhook struct {
	Chat
	EventID   string
	Kind      string // LINE's type of event
	TimeMS    int64  // LINE's timestamp
	MessageID string // of a message
	Type      string // of a message
	Text      string // of a text message; a location's and a file's words
	Postback  string // its data
	Unsent    string // the message that an unsend event took back
	Standby   bool   // another module has the chat
	Attempts  int    // POSTs it was in
	Answers   []int  // their HTTP statuses, 0 when no answer came in time
}

// Acknowledged tells whether LINE ever got a 200 for it.
func (w Webhook) Acknowledged() bool {
	for _, s := range w.Answers {
		if s == 200 {
			return true
		}
	}
	return false
}

// Call is one call of LINE's API that sends messages.
type Call struct {
	Chat
	RequestID  string
	At         int64
	Via        string // reply, push
	RetryKey   string // of a push
	ReplyToken string // of a reply
	Status     int
	Accepted   bool            // by this very call
	AcceptedBy string          // the earlier call with this retry key that was
	OtherBody  bool            // which said something else
	Messages   json.RawMessage // LINE's messages array, as it was sent
	MessageIDs []string        // LINE's ids of what was accepted
}

// Bubble is one message as a phone shows it.
type Bubble struct {
	Chat
	ID        string
	Customer  bool // wrote it; else the account did
	TimeMS    int64
	Type      string
	Text      string
	RequestID string // the call that sent it
	EventID   string // the event it made
	Unsent    bool
}

// Temporal is what its runs say.
type Temporal struct {
	Runs []Run // of Kaiwa's workflows, whatever became of them
}

// Run is one run of a workflow.
type Run struct {
	WorkflowID string
	RunID      string
	Type       string
	Status     string // Temporal's word: Running, Completed, …
	StartedAt  int64
	ClosedAt   int64 // 0 while it runs
	Events     int64 // length of its history

	// Of a run that is alive.
	Pending []Activity                // under way
	Task    bool                      // a workflow task is due
	Details string                    // what it says it waits for
	Mute    string                    // why it did not say
	Holds   *conversation.StateAnswer `json:",omitempty"` // a Conversation's own state
}

// Activity is one that is under way.
type Activity struct {
	Type    string
	Attempt int32
	Failure string // of the attempt before
}
