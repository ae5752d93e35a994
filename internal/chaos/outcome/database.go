package outcome

import "kaiwa/internal/conversation"

// Database is what the tables hold that tell what happened. Times are Unix
// microseconds.
type Database struct {
	Channels      []Channel
	Workstreams   []Workstream
	Surveys       []Survey
	Agents        []Agent
	AgentSkills   []AgentSkill
	Queues        []Queue
	Members       []Member
	Profiles      []Profile
	LINEEvents    []LINEEvent
	Conversations []Conversation
	Sessions      []Session
	Transitions   []Transition
	Turns         []Turn
	Messages      []Message
	Batches       []Batch
	Offers        []Offer
	RoutingLog    []RoutingEntry
	Invitations   []Invitation
	Attachments   []Attachment
	Consents      []Consent
	Events        []Event
}

// Channel is a row of channels.
type Channel struct {
	ID            string `db:"id"`
	LINEChannelID string `db:"line_channel_id"`
	WorkstreamID  string `db:"workstream_id"`
	Status        string `db:"status"`
}

// Workstream is a row of workstreams.
type Workstream struct {
	ID       string `db:"id"`
	Mode     string `db:"mode"`
	BotID    string `db:"bot_id"`
	Settings string `db:"settings"` // JSON
}

// Survey is a row of surveys.
type Survey struct {
	ID string `db:"id"`
}

// Agent is a row of agents.
type Agent struct {
	ID       string `db:"id"`
	Capacity int64  `db:"capacity"`
}

// AgentSkill is a row of agent_skills.
type AgentSkill struct {
	AgentID string `db:"agent_id"`
	SkillID string `db:"skill_id"`
	Level   int64  `db:"level"`
}

// Queue is a row of queues.
type Queue struct {
	ID     string `db:"id"`
	Custom string `db:"custom"` // JSON; "" when it assigns by none of its own rules
}

// Member is a row of queue_members.
type Member struct {
	QueueID string `db:"queue_id"`
	AgentID string `db:"agent_id"`
}

// Profile is a row of social_profiles, of which a chat has one.
type Profile struct {
	ID         string `db:"id"`
	ChannelID  string `db:"channel_id"`
	ChatKey    string `db:"chat_key"`
	LINEUserID string `db:"line_user_id"`
}

// LINEEvent is a row of line_events. Position is the largest int64 while nobody
// has handled it.
type LINEEvent struct {
	ID             int64  `db:"id"`
	ChannelID      string `db:"channel_id"`
	WebhookEventID string `db:"webhook_event_id"`
	ChatKey        string `db:"chat_key"`
	Kind           string `db:"kind"`
	LineTime       int64  `db:"line_time"`
	ReceivedAt     int64  `db:"received_at"`
	Position       int64  `db:"position"`
	HandledAt      *int64 `db:"handled_at"`
	HandledBy      string `db:"handled_by"`
	Disposition    string `db:"disposition"`
}

// Conversation is a row of conversations.
type Conversation struct {
	ID            string                     `db:"id"`
	ChannelID     string                     `db:"channel_id"`
	ChatKey       string                     `db:"chat_key"`
	WorkstreamID  string                     `db:"workstream_id"`
	Status        conversation.Status        `db:"status"`
	Owner         conversation.Owner         `db:"owner"`
	Epoch         int64                      `db:"epoch"`
	QueueID       string                     `db:"queue_id"`
	AgentID       string                     `db:"agent_id"`
	BotID         string                     `db:"bot_id"`
	BotPosition   int64                      `db:"bot_position"`
	Units         int64                      `db:"units"`
	Skills        string                     `db:"skills"` // JSON
	Matching      conversation.Matching      `db:"matching"`
	ProfileID     string                     `db:"capacity_profile_id"`
	RoutedAt      int64                      `db:"routed_at"`
	PhaseSince    int64                      `db:"phase_since"`
	RunID         string                     `db:"run_id"`
	CreatedAt     int64                      `db:"created_at"`
	UpdatedAt     int64                      `db:"updated_at"`
	ClosedAt      int64                      `db:"closed_at"`
	ClosureReason conversation.ClosureReason `db:"closure_reason"`
}

// Session is a row of sessions.
type Session struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	Epoch          int64  `db:"epoch"`
	Kind           string `db:"kind"`
	ParticipantID  string `db:"participant_id"`
	StartedAt      int64  `db:"started_at"`
	EndedAt        int64  `db:"ended_at"`
	ClosureReason  string `db:"closure_reason"`
}

// Transition is a row of transitions: a line of a timeline.
type Transition struct {
	ID             string              `db:"id"`
	ConversationID string              `db:"conversation_id"`
	Event          conversation.Event  `db:"event"`
	FromStatus     conversation.Status `db:"from_status"`
	FromOwner      conversation.Owner  `db:"from_owner"`
	ToStatus       conversation.Status `db:"to_status"`
	ToOwner        conversation.Owner  `db:"to_owner"`
	Epoch          int64               `db:"epoch"`
	ActorID        string              `db:"actor_id"`
	Reason         string              `db:"reason"`
	CreatedAt      int64               `db:"created_at"`
}

// Turn is a row of bot_turns.
type Turn struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	Epoch          int64  `db:"epoch"`
	Outcome        string `db:"outcome"`
	Action         string `db:"action"`
	Messages       int64  `db:"messages"`
	CreatedAt      int64  `db:"created_at"`
}

// Message is a row of messages.
type Message struct {
	ID             string                    `db:"id"`
	ConversationID string                    `db:"conversation_id"`
	ChannelID      string                    `db:"channel_id"`
	Ordinal        int64                     `db:"ordinal"`
	OccurredAt     int64                     `db:"occurred_at"`
	Position       int64                     `db:"position"`
	Direction      conversation.Direction    `db:"direction"`
	SenderKind     conversation.SenderKind   `db:"sender_kind"`
	SenderID       string                    `db:"sender_id"`
	Type           string                    `db:"type"`
	Text           string                    `db:"text"`
	Automated      string                    `db:"automated"`
	State          conversation.MessageState `db:"state"`
	Via            string                    `db:"via"`
	BatchID        string                    `db:"batch_id"`
	WebhookEventID string                    `db:"webhook_event_id"`
	LINEMessageID  string                    `db:"line_message_id"`
	LINERequestID  string                    `db:"line_request_id"`
	Failure        string                    `db:"failure"`
	Held           bool                      `db:"held"`
	AttachmentID   string                    `db:"attachment_id"`
	CreatedAt      int64                     `db:"created_at"`
	SentAt         int64                     `db:"sent_at"`
}

// Batch is a row of batches: what went to LINE in one call.
type Batch struct {
	ID                string `db:"id"`
	ConversationID    string `db:"conversation_id"`
	Ordinal           int64  `db:"ordinal"`
	Kind              string `db:"kind"`
	ReplyToken        string `db:"reply_token"`
	Body              string `db:"body"`
	MessageIDs        string `db:"message_ids"` // JSON
	State             string `db:"state"`
	Attempts          int64  `db:"attempts"`
	Doubt             bool   `db:"doubt"`
	LINERequestID     string `db:"line_request_id"`
	AcceptedRequestID string `db:"accepted_request_id"`
	CreatedAt         int64  `db:"created_at"`
	FinishedAt        int64  `db:"finished_at"`
}

// Offer is a row of offers.
type Offer struct {
	ID             string                  `db:"id"`
	ConversationID string                  `db:"conversation_id"`
	AgentID        string                  `db:"agent_id"`
	Epoch          int64                   `db:"epoch"`
	Units          int64                   `db:"units"`
	State          conversation.OfferState `db:"state"`
	Reason         string                  `db:"reason"`
	CreatedAt      int64                   `db:"created_at"`
	ExpiresAt      int64                   `db:"expires_at"`
	EndedAt        int64                   `db:"ended_at"`
}

// RoutingEntry is a row of routing_log.
type RoutingEntry struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	Stage          string `db:"stage"`
	Outcome        string `db:"outcome"`
	Entry          string `db:"entry"` // JSON
	CreatedAt      int64  `db:"created_at"`
}

// Invitation is a row of survey_invitations.
type Invitation struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	SurveyID       string `db:"survey_id"`
	State          string `db:"state"`
	Asked          int64  `db:"asked"`
	WantedAt       int64  `db:"wanted_at"`
	CreatedAt      int64  `db:"created_at"`
	ExpiresAt      int64  `db:"expires_at"`
	EndedAt        int64  `db:"ended_at"`
}

// Attachment is a row of attachments.
type Attachment struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	MessageID      string `db:"message_id"`
	Direction      string `db:"direction"`
	State          string `db:"state"`
	Reason         string `db:"reason"`
}

// Consent is a row of consents.
type Consent struct {
	ID             string `db:"id"`
	ConversationID string `db:"conversation_id"`
	Answer         string `db:"answer"`
}

// Event is a row of events, the record of what happened. Seq is nil while it
// has no number.
type Event struct {
	ID             int64  `db:"id"`
	Seq            *int64 `db:"seq"`
	Type           string `db:"type"`
	ConversationID string `db:"conversation_id"`
	SubjectID      string `db:"subject_id"`
	Data           string `db:"data"` // JSON
	CreatedAt      int64  `db:"created_at"`
}
