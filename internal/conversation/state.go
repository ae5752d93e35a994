package conversation

import "time"

// Status is where a conversation is in its life.
type Status string

// The five statuses. Closed is final.
const (
	StatusOpen    Status = "open"    // waits in a queue for an agent, or for the customer's consent
	StatusActive  Status = "active"  // a bot or an agent has it
	StatusWaiting Status = "waiting" // parked: waits for the customer
	StatusWrapUp  Status = "wrap_up" // ended for the customer, the agent finishes notes
	StatusClosed  Status = "closed"
)

// Owner says who holds a conversation. It stands beside the status: an active
// conversation is a bot's or an agent's.
type Owner string

// The owners.
const (
	OwnerNone  Owner = "none"
	OwnerBot   Owner = "bot"
	OwnerQueue Owner = "queue"
	OwnerAgent Owner = "agent"
)

// Presence says whether an agent takes work. Custom texts are mapped on these.
type Presence string

// The presences.
const (
	PresenceAvailable    Presence = "available"
	PresenceBusy         Presence = "busy"
	PresenceDoNotDisturb Presence = "do_not_disturb"
	PresenceAway         Presence = "away"
	PresenceOffline      Presence = "offline" // set, or no sign of life for PresenceGrace
)

// Presences lists every presence.
func Presences() []Presence {
	return []Presence{PresenceAvailable, PresenceBusy, PresenceDoNotDisturb, PresenceAway, PresenceOffline}
}

// PresenceGrace is how long an agent counts as present without a sign of life:
// an authenticated call or an open event stream.
const PresenceGrace = 150 * time.Second

const (
	// DispatcherFloor is how long somebody waits at most until the dispatcher
	// looks, should whoever changed something be unable to.
	DispatcherFloor = 10 * time.Second
	// DispatcherLinger is how long the dispatcher goes on when there is nothing
	// to do.
	DispatcherLinger = 30 * time.Second
)

// OfferState is how an offer stands. Every state but live is final.
type OfferState string

// The states of an offer.
const (
	OfferLive      OfferState = "live"
	OfferAccepted  OfferState = "accepted"
	OfferDeclined  OfferState = "declined"
	OfferTimedOut  OfferState = "timed_out"
	OfferRescinded OfferState = "rescinded" // the customer left, or somebody else took it
)

// Matching says how an agent's skills are held against those required.
type Matching string

// The ways of matching.
const (
	MatchingExact   Matching = "exact"   // every skill, at or above its level
	MatchingClosest Matching = "closest" // the best fit there is
	MatchingNone    Matching = "none"    // skills do not count
)

// SkillNeed is a skill a conversation requires, at a level from 1 to 10.
type SkillNeed struct {
	SkillID string `json:"skill_id"`
	Level   int    `json:"level"`
}

// ClosureReason says why a session or a conversation ended. It is enumerated,
// never free text, so that reports can count it.
type ClosureReason string

// The closure reasons.
const (
	ReasonBotEnded         ClosureReason = "bot_ended"          // the bot finished it
	ReasonBotEscalated     ClosureReason = "bot_escalated"      // session: the bot handed off
	ReasonBotFailed        ClosureReason = "bot_failed"         // session: the bot gave no usable answer in time
	ReasonCustomerAsked    ClosureReason = "customer_asked"     // session: the customer asked for a person
	ReasonBotIdle          ClosureReason = "bot_idle"           // the customer stayed silent before the bot
	ReasonAgentReleased    ClosureReason = "agent_released"     // session: the agent gave it back
	ReasonAgentTransferred ClosureReason = "agent_transferred"  // session: the agent passed it on
	ReasonAgentLost        ClosureReason = "agent_disconnected" // session: the agent was gone beyond the grace time
	ReasonAgentParked      ClosureReason = "agent_parked"       // session: the agent set it aside
	ReasonAgentEnded       ClosureReason = "agent_ended"        // the agent ended it
	ReasonConsentRefused   ClosureReason = "consent_refused"    // the customer said no to the privacy notice
	ReasonForceClosed      ClosureReason = "force_closed"       // an agent or supervisor closed it at once
	ReasonAutoClosed       ClosureReason = "auto_closed"        // nothing happened for the time the workstream sets
	ReasonTimeoutRule      ClosureReason = "timeout_rule"       // a time-out rule closed it
	ReasonOverflow         ClosureReason = "overflow"           // the queue could not take more
	ReasonOutOfHours       ClosureReason = "out_of_hours"       // the queue was closed
	ReasonChannelDeleted   ClosureReason = "channel_deleted"    // its channel was removed
	ReasonCustomerBlocked  ClosureReason = "customer_blocked"   // the customer blocked the account
	ReasonCancelled        ClosureReason = "cancelled"          // an operator cancelled the workflow
)

// Direction tells who a message is for.
type Direction string

// The directions of a message.
const (
	Inbound  Direction = "inbound"  // from the customer
	Outbound Direction = "outbound" // to the customer
	Internal Direction = "internal" // among agents; the customer never sees it
)

// SenderKind tells what kind of participant wrote a message.
type SenderKind string

// The kinds of sender.
const (
	SenderCustomer SenderKind = "customer"
	SenderBot      SenderKind = "bot"
	SenderAgent    SenderKind = "agent"
	SenderSystem   SenderKind = "system" // automated messages
)

// MessageState is what is known of a message. LINE gives no receipts, so there
// is no "delivered": accepted means LINE took it.
type MessageState string

// The states of a message. Inbound messages are accepted from the start.
const (
	MessagePending   MessageState = "pending"   // stored, not yet accepted by LINE
	MessageAccepted  MessageState = "accepted"  // LINE answered 200, or 409 for a retry
	MessageFailed    MessageState = "failed"    // LINE refused it, or its time budget ran out
	MessageUncertain MessageState = "uncertain" // sent, and nobody can know whether LINE took it
	MessageRecalled  MessageState = "recalled"  // unsent by its sender; the content is gone
)

// Via tells how a message travelled: replies are free, pushes are paid.
type Via string

// The two ways to a customer.
const (
	ViaReply Via = "reply"
	ViaPush  Via = "push"
)

// AttachmentState is how the file of a message stands. Only a stored one has
// bytes.
type AttachmentState string

// The states of an attachment.
const (
	AttachmentPending AttachmentState = "pending" // on its way into the blob store
	AttachmentStored  AttachmentState = "stored"
	AttachmentRefused AttachmentState = "refused" // the workstream does not take it
	AttachmentGone    AttachmentState = "gone"    // LINE, or whoever provides it, has it no longer
	AttachmentFailed  AttachmentState = "failed"  // it could not be had in time
	AttachmentRevoked AttachmentState = "revoked" // unsent by the customer, or taken back by people
	// AttachmentQuarantined is a file that is kept and that nobody can load: it
	// holds malware, or nobody could look whether it does.
	AttachmentQuarantined AttachmentState = "quarantined"
)
