package conversation

import "slices"

// The names by which the parts of Kaiwa talk to its workflows. They are in
// histories, so they are never renamed.
const (
	// WorkflowConversation is the workflow type behind WorkflowID.
	WorkflowConversation = "Conversation"
	// WorkflowDispatcher is the workflow type behind WorkflowDispatcherID.
	WorkflowDispatcher = "Dispatcher"
	// WorkflowSurvey is the workflow type behind SurveyWorkflowID.
	WorkflowSurvey = "Survey"
	// SignalWake says "there is something in the database for you" to a
	// conversation or a survey. It has no payload and may be coalesced,
	// repeated or lost without harm.
	SignalWake = "wake"
	// SignalKick says the same to the dispatcher.
	SignalKick = "kick"
	// QueryState asks a Conversation for a StateAnswer. It needs a worker.
	QueryState = "state"
)

// The updates of a Conversation: what people ask of it. Their payload is an
// ActionRequest, their answer an ActionAnswer.
const (
	UpdateAccept   = "accept"   // EventAccepted
	UpdatePick     = "pick"     // EventPicked
	UpdateAssign   = "assign"   // EventAssigned
	UpdateTransfer = "transfer" // EventTransferredQueue, EventTransferredAgent, EventTransferredBot
	UpdateRelease  = "release"  // EventReleased
	UpdatePark     = "park"     // EventParked
	UpdateResume   = "resume"   // EventResumed
	UpdateEnd      = "end"      // EventEnded
	UpdateWrapUp   = "wrap_up"  // EventWrapUpDone
	UpdateHandOff  = "hand_off" // EventHandedOff
	UpdateClose    = "close"    // EventForceClosed, EventChannelDeleted
)

// Update is one of the updates, with the events it may ask for.
type Update struct {
	Name   string
	Events []Event
}

// Updates lists the updates of a Conversation.
func Updates() []Update {
	return []Update{
		{UpdateAccept, []Event{EventAccepted}},
		{UpdatePick, []Event{EventPicked}},
		{UpdateAssign, []Event{EventAssigned}},
		{UpdateTransfer, []Event{EventTransferredQueue, EventTransferredAgent, EventTransferredBot}},
		{UpdateRelease, []Event{EventReleased}},
		{UpdatePark, []Event{EventParked}},
		{UpdateResume, []Event{EventResumed}},
		{UpdateEnd, []Event{EventEnded}},
		{UpdateWrapUp, []Event{EventWrapUpDone}},
		{UpdateHandOff, []Event{EventHandedOff}},
		{UpdateClose, []Event{EventForceClosed, EventChannelDeleted}},
	}
}

// UpdateOf returns the update that asks for event, "" when people cannot.
func UpdateOf(event Event) string {
	for _, u := range Updates() {
		if slices.Contains(u.Events, event) {
			return u.Name
		}
	}
	return ""
}

// The task queues. They are separate so that one slow dependency delays only
// itself. Messages go to LINE by the queue of the workflows, and nothing else
// does beside the workflows: what is asked for and done by the same worker costs
// Temporal no second task.
const (
	QueueConversations = "kaiwa"         // workflows, and messages to LINE
	QueueStore         = "kaiwa-store"   // steps in a database that was away
	QueueLINE          = "kaiwa-line"    // questions to LINE
	QueueBots          = "kaiwa-bots"    // calls to bots
	QueueMedia         = "kaiwa-media"   // files
	QueueRouting       = "kaiwa-routing" // matching
)

// WorkflowInput starts a Conversation workflow. State is set by a run that
// continues as new, and nil otherwise.
type WorkflowInput struct {
	ChannelID string         `json:"channel_id"`
	ChatKey   string         `json:"chat_key"`
	State     *WorkflowState `json:"state,omitempty"`
	Media     []string       `json:"media,omitempty"` // attachments whose fetching the run before has begun
	Left      string         `json:"left,omitempty"`  // the conversation in which the run before has said goodbye
	// RichMenu says that the run before had LINE asked for the customer's rich menu.
	RichMenu bool `json:"rich_menu,omitempty"`
}

// SurveyInput starts a Survey workflow. It names the conversation it follows.
type SurveyInput struct {
	ConversationID string `json:"conversation_id" db:"conversation_id"`
	ChannelID      string `json:"channel_id" db:"channel_id"`
}

// WorkflowState is what one run of a conversation hands to the next. It is
// small and bounded, and holds ids, numbers and enumerations only.
type WorkflowState struct {
	ConversationID string   `json:"conversation_id"`
	Status         Status   `json:"status"`
	Owner          Owner    `json:"owner"`
	QueueID        string   `json:"queue_id,omitempty"`
	AgentID        string   `json:"agent_id,omitempty"` // who has it, or had it last
	Routed         bool     `json:"routed,omitempty"`   // its queue is decided
	Epoch          int64    `json:"epoch"`
	Seen           int64    `json:"seen"`                 // the tick of the chat up to which it has seen
	Unanswered     int      `json:"unanswered"`           // messages of the customer the bot owes an answer
	Misses         int      `json:"misses"`               // bot turns in a row without understanding
	Pending        bool     `json:"pending"`              // messages wait to be sent
	SinceMS        int64    `json:"since_ms"`             // when it came to its phase, Unix milliseconds
	TendMS         int64    `json:"tend_ms,omitempty"`    // when the rules of its queue have something to do, Unix milliseconds; 0 is never
	SilenceMS      int64    `json:"silence_ms,omitempty"` // when a time-out rule may be due, Unix milliseconds; 0 is never
	SilentMS       int64    `json:"silent_ms,omitempty"`  // up to when time-out rules were looked after
	ToldMS         int64    `json:"told_ms,omitempty"`    // until when the offer holds that the customer was told of
	CustomerMS     int64    `json:"customer_ms"`          // when the customer last wrote, Unix milliseconds
	Settings       Settings `json:"settings"`
}

// StateAnswer is where a conversation stands as its workflow has it, to be
// compared with the database. It is for checks; readers ask the database.
type StateAnswer struct {
	WorkflowState
	WaitsFor   string `json:"waits_for"`             // in words
	Asking     bool   `json:"asking,omitempty"`      // a bot is being asked
	Sending    bool   `json:"sending,omitempty"`     // messages are on their way to LINE
	Fetching   int    `json:"fetching,omitempty"`    // files are on their way from LINE
	DeadlineMS int64  `json:"deadline_ms,omitempty"` // when something happens by itself, Unix milliseconds; 0: never
	Deadline   Event  `json:"deadline,omitempty"`    // what
}

// Settings are the workstream's settings a conversation's workflow acts on. They
// are read anew with every ingest, so a change applies to the next step.
type Settings struct {
	ChannelID       string `json:"-"`
	WorkstreamID    string `json:"workstream_id,omitempty"`
	BotKind         string `json:"bot_kind,omitempty"` // "" without a bot
	BotDeadlineS    int64  `json:"bot_deadline_s,omitempty"`
	BotIdleS        int64  `json:"bot_idle_s,omitempty"`
	BotMaxMisses    int    `json:"bot_max_misses,omitempty"`
	CloseOpenS      int64  `json:"close_open_s,omitempty"`
	CloseActiveS    int64  `json:"close_active_s,omitempty"`
	CloseWaitingS   int64  `json:"close_waiting_s,omitempty"`
	CloseWrapUpS    int64  `json:"close_wrap_up_s,omitempty"`
	SilenceS        int64  `json:"silence_s,omitempty"`      // the shortest silence that a time-out rule is about; 0 without rules
	SilenceRules    string `json:"silence_rules,omitempty"`  // a digest of the time-out rules, which tells that they were changed; "" without rules
	TellsAssigned   bool   `json:"tells_assigned,omitempty"` // the customer hears when it is offered to an agent
	FallbackQueueID string `json:"fallback_queue_id,omitempty"`
	Survey          bool   `json:"survey,omitempty"`      // one may follow
	RichMenus       bool   `json:"rich_menus,omitempty"`  // the customer sees another rich menu with each owner
	ServicesMS      int64  `json:"services_ms,omitempty"` // that the services which classify may take; 0 without any
}

// ActionRequest asks a conversation's workflow for a step of the life table.
// It holds ids only; what people write for it is stored before.
type ActionRequest struct {
	ConversationID string `json:"conversation_id"`
	Event          Event  `json:"event"`
	Actor          Actor  `json:"actor"`
	OfferID        string `json:"offer_id,omitempty"`       // EventAccepted
	AgentID        string `json:"agent_id,omitempty"`       // EventAssigned, EventTransferredAgent: to whom
	QueueID        string `json:"queue_id,omitempty"`       // EventTransferredQueue: where to
	BotID          string `json:"bot_id,omitempty"`         // EventTransferredBot: to which; "" is the workstream's
	DispositionID  string `json:"disposition_id,omitempty"` // EventWrapUpDone
	// Override, of EventTransferredQueue, makes it a supervisor's change of where
	// a conversation waits: it is refused for one that waits no longer.
	Override *Override `json:"override,omitempty"`
}

// Override is what a supervisor changes of what a waiting conversation asks for;
// nil leaves it as it is.
type Override struct {
	Priority *int64       `json:"priority,omitempty"` // larger is served first
	Skills   *[]SkillNeed `json:"skills,omitempty"`   // required, all of them
}

// ActionAnswer is what the updates answer: where the conversation then stands.
type ActionAnswer struct {
	Status  Status        `json:"status"`
	Owner   Owner         `json:"owner"`
	QueueID string        `json:"queue_id,omitempty"`
	AgentID string        `json:"agent_id,omitempty"`
	Reason  ClosureReason `json:"reason,omitempty"`
}
