package conversation

// The names by which the parts of Kaiwa talk to a conversation's workflow. They
// are in histories, so they are never renamed.
const (
	// WorkflowConversation is the workflow type behind WorkflowID.
	WorkflowConversation = "Conversation"
	// SignalWake says "there is something in the inbox for you". It has no
	// payload and may be coalesced, repeated or lost without harm.
	SignalWake = "wake"
	// UpdateClose closes a conversation; its payload is a CloseRequest.
	UpdateClose = "close"
)

// The task queues. They are separate so that one slow dependency delays only
// itself.
const (
	QueueConversations = "kaiwa"
	QueueLINE          = "kaiwa-line" // calls to LINE
	QueueBots          = "kaiwa-bots" // calls to bots
)

// WorkflowInput starts a Conversation workflow. State is set by a run that
// continues as new, and nil otherwise.
type WorkflowInput struct {
	ChannelID string         `json:"channel_id"`
	ChatKey   string         `json:"chat_key"`
	State     *WorkflowState `json:"state,omitempty"`
}

// WorkflowState is what one run of a conversation hands to the next. It is
// small and bounded, and holds ids, numbers and enumerations only.
type WorkflowState struct {
	ConversationID string   `json:"conversation_id"`
	Status         Status   `json:"status"`
	Owner          Owner    `json:"owner"`
	QueueID        string   `json:"queue_id,omitempty"`
	Epoch          int64    `json:"epoch"`
	Seen           int64    `json:"seen"`        // the tick of the chat up to which it has seen
	Unanswered     int      `json:"unanswered"`  // messages of the customer the bot owes an answer
	Misses         int      `json:"misses"`      // bot turns in a row without understanding
	Pending        bool     `json:"pending"`     // messages wait to be sent
	SinceMS        int64    `json:"since_ms"`    // when it came to its phase, Unix milliseconds
	CustomerMS     int64    `json:"customer_ms"` // when the customer last wrote, Unix milliseconds
	Settings       Settings `json:"settings"`
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
	FallbackQueueID string `json:"fallback_queue_id,omitempty"`
}

// CloseRequest asks a conversation's workflow to close it.
type CloseRequest struct {
	ConversationID string `json:"conversation_id"`
	Event          Event  `json:"event"` // EventForceClosed or EventChannelDeleted
	Actor          Actor  `json:"actor"`
}

// CloseAnswer is what the update answers.
type CloseAnswer struct {
	Status Status        `json:"status"`
	Reason ClosureReason `json:"reason"`
}
