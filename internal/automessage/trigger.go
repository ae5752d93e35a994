package automessage

// Trigger is an occasion on which Kaiwa speaks by itself. Its value is stored
// in overrides and shown in the API, so it is never renamed.
type Trigger string

// The triggers.
const (
	Greeting             Trigger = "greeting"               // a conversation begins; skipped by the caller when a bot answers first, for the bot greets
	PrivacyNotice        Trigger = "privacy_notice"         // first contact, when the workstream shows a notice
	ConsentQuestion      Trigger = "consent_question"       // whether the customer agrees to the notice, when the workstream requires it
	ConsentRefused       Trigger = "consent_refused"        // the customer said no, and the conversation ends
	AgentAssigned        Trigger = "agent_assigned"         // an agent was found and has yet to come
	AgentJoined          Trigger = "agent_joined"           // the agent is there
	AgentLeft            Trigger = "agent_left"             // the agent released the conversation or was lost
	AgentEnded           Trigger = "agent_ended"            // the agent ended the conversation
	NoAgentAvailable     Trigger = "no_agent_available"     // nobody could be assigned at once
	OutOfHours           Trigger = "out_of_hours"           // the queue is closed at this time of the week
	Holiday              Trigger = "holiday"                // the queue is closed for the day
	QueuePosition        Trigger = "queue_position"         // where in the queue the customer is
	NextInLine           Trigger = "next_in_line"           // the customer is the next
	EstimatedWait        Trigger = "estimated_wait"         // how long it will take
	TransferAccepted     Trigger = "transfer_accepted"      // another agent took the conversation over
	ConsultAccepted      Trigger = "consult_accepted"       // a consulted agent is there
	ConsultEnded         Trigger = "consult_ended"          // a consulted agent has gone
	OverflowEnd          Trigger = "overflow_end"           // the queue is full and ends the conversation
	SessionEnded         Trigger = "session_ended"          // an engagement ended without a successor, as when parked
	Closed               Trigger = "closed"                 // the conversation is closed
	UnsupportedMessage   Trigger = "unsupported_message"    // the customer sent a kind of message Kaiwa cannot show
	AttachmentKind       Trigger = "attachment_kind"        // an attachment was refused for its type
	AttachmentSize       Trigger = "attachment_size"        // an attachment was refused for its size
	AttachmentNotAllowed Trigger = "attachment_not_allowed" // the workstream takes no attachments
	AttachmentMalware    Trigger = "attachment_malware"     // an attachment was found to hold malware
	MessageNotSent       Trigger = "message_not_sent"       // the agent's message did not reach LINE
	QuotaSpent           Trigger = "quota_spent"            // automated messages wait or are left out: the month's paid ones are used up
	SurveyInvitation     Trigger = "survey_invitation"      // the survey begins
	SurveyThanks         Trigger = "survey_thanks"          // the survey was answered
	Followed             Trigger = "followed"               // a new friend of the account has written nothing yet
	GroupLeft            Trigger = "group_left"             // the account leaves a group chat it was invited to
	AccountLinked        Trigger = "account_linked"         // the customer linked their LINE account; a button that undoes it is under it
	AccountLinkFailed    Trigger = "account_link_failed"    // LINE could not link it
	AccountUnlinked      Trigger = "account_unlinked"       // it is linked no longer
)

// Audience is who reads an automated message.
type Audience string

// The audiences. Only messages to customers go through LINE and may cost
// money; those to agents are lines in the console.
const (
	ToCustomer Audience = "customer"
	ToAgent    Audience = "agent"
)

// trait is what holds for a trigger whatever its words.
type trait struct {
	trigger  Trigger
	audience Audience
	on       bool // by default
}

// traits is in the order of a conversation's life. On by default is what
// answers something the customer just did, which a free reply token usually
// carries, and what would otherwise leave somebody without an answer. Off is
// what mostly comes unasked, as a paid push, to say what the customer is about
// to notice anyway.
var traits = []trait{
	{Greeting, ToCustomer, true},
	{PrivacyNotice, ToCustomer, true},
	{ConsentQuestion, ToCustomer, true},
	{ConsentRefused, ToCustomer, true},
	{AgentAssigned, ToCustomer, false},
	{AgentJoined, ToCustomer, false},
	{AgentLeft, ToCustomer, false},
	{AgentEnded, ToCustomer, false},
	{NoAgentAvailable, ToCustomer, true},
	{OutOfHours, ToCustomer, true},
	{Holiday, ToCustomer, true},
	{QueuePosition, ToCustomer, false},
	{NextInLine, ToCustomer, false},
	{EstimatedWait, ToCustomer, false},
	{TransferAccepted, ToCustomer, false},
	{ConsultAccepted, ToAgent, true},
	{ConsultEnded, ToAgent, true},
	{OverflowEnd, ToCustomer, true},
	{SessionEnded, ToCustomer, false},
	{Closed, ToCustomer, false},
	{UnsupportedMessage, ToCustomer, true},
	{AttachmentKind, ToCustomer, true},
	{AttachmentSize, ToCustomer, true},
	{AttachmentMalware, ToCustomer, true},
	{AttachmentNotAllowed, ToCustomer, true},
	{MessageNotSent, ToAgent, true},
	{QuotaSpent, ToAgent, true},
	{SurveyInvitation, ToCustomer, true},
	{SurveyThanks, ToCustomer, true},
	{Followed, ToCustomer, false}, // LINE's own greeting message is on unless it is switched off there
	{GroupLeft, ToCustomer, true},
	{AccountLinked, ToCustomer, true},
	{AccountLinkFailed, ToCustomer, true},
	{AccountUnlinked, ToCustomer, true},
}

// Triggers lists every trigger in the order of a conversation's life.
func Triggers() []Trigger {
	out := make([]Trigger, len(traits))
	for i, t := range traits {
		out[i] = t.trigger
	}
	return out
}

// Valid tells whether t is one of the triggers.
func (t Trigger) Valid() bool {
	_, ok := t.trait()
	return ok
}

// Audience is who reads messages of trigger t.
func (t Trigger) Audience() Audience {
	x, _ := t.trait()
	return x.audience
}

// OnByDefault tells whether t speaks where no override says otherwise.
func (t Trigger) OnByDefault() bool {
	x, _ := t.trait()
	return x.on
}

func (t Trigger) trait() (trait, bool) {
	for _, x := range traits {
		if x.trigger == t {
			return x, true
		}
	}
	return trait{}, false
}
