package store

import (
	"context"

	"kaiwa/internal/conversation"
)

// Conversation is a conversation as lists and details show it.
type Conversation struct {
	ID             string                     `db:"id"`
	ChannelID      string                     `db:"channel_id"`
	ChatKey        string                     `db:"chat_key"`
	WorkstreamID   string                     `db:"workstream_id"`
	ProfileID      string                     `db:"profile_id"`
	ContactID      string                     `db:"contact_id"`
	Status         conversation.Status        `db:"status"`
	Owner          conversation.Owner         `db:"owner"`
	Epoch          int64                      `db:"epoch"`
	QueueID        string                     `db:"queue_id"`
	AgentID        string                     `db:"agent_id"`
	BotID          string                     `db:"bot_id"`
	BotPosition    int64                      `db:"bot_position"`
	Priority       int64                      `db:"priority"`
	Skills         string                     `db:"skills"`  // JSON
	Context        string                     `db:"context"` // JSON
	Summary        string                     `db:"summary"`
	Locale         string                     `db:"locale"`
	Greeted        bool                       `db:"greeted"`
	ConsentVersion string                     `db:"consent_version"` // of the notice it asked consent to
	WaitingSince   int64                      `db:"waiting_since"`
	LastCustomerAt int64                      `db:"last_customer_at"`
	LastMessageAt  int64                      `db:"last_message_at"`
	RunID          string                     `db:"run_id"`
	CreatedAt      int64                      `db:"created_at"`
	UpdatedAt      int64                      `db:"updated_at"`
	ClosedAt       int64                      `db:"closed_at"`
	ClosureReason  conversation.ClosureReason `db:"closure_reason"`
	LINEUserID     string                     `db:"line_user_id"`
	DisplayName    string                     `db:"display_name"`
	PictureURL     string                     `db:"picture_url"`
	Language       string                     `db:"language"`
	Friendship     string                     `db:"friendship"`
	CustomerID     string                     `db:"customer_id"` // the company's, of a customer who has linked their account; otherwise ""
}

// WorkflowID is the id of the workflow that runs the conversation.
func (c Conversation) WorkflowID() string {
	return conversation.WorkflowID(c.ChannelID, c.ChatKey)
}

const conversationColumns = `c.id, c.channel_id, c.chat_key, c.workstream_id, c.profile_id, c.contact_id, c.status, c.owner, c.epoch,
	c.queue_id, c.agent_id, c.bot_id, c.bot_position, c.priority, c.skills, c.context, c.summary, c.locale, c.greeted, c.consent_version, c.waiting_since,
	c.last_customer_at, c.last_message_at, c.run_id, c.created_at, c.updated_at, c.closed_at, c.closure_reason,
	coalesce(p.line_user_id, '') AS line_user_id, coalesce(p.display_name, '') AS display_name, coalesce(p.picture_url, '') AS picture_url,
	coalesce(p.language, '') AS language, coalesce(p.friendship, 'unknown') AS friendship,
	coalesce(p.customer_id, '') AS customer_id`

const conversationFrom = ` FROM conversations c LEFT JOIN social_profiles p ON p.id = c.profile_id `

// Conversation returns one conversation, or CodeNotFound.
func (s *Store) Conversation(ctx context.Context, id string) (Conversation, error) {
	return s.conversation(ctx, s.read(), id)
}

func (s *Store) conversation(ctx context.Context, c conn, id string) (Conversation, error) {
	var conv Conversation
	found, err := c.get(ctx, &conv, `SELECT `+conversationColumns+conversationFrom+`WHERE c.id = $1`, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", id)
	}
	return conv, err
}

// Message is one line of a transcript.
type Message struct {
	ID             string                    `db:"id"`
	ConversationID string                    `db:"conversation_id"`
	Ordinal        int64                     `db:"ordinal"`
	OccurredAt     int64                     `db:"occurred_at"`
	Position       int64                     `db:"position"`
	Direction      conversation.Direction    `db:"direction"`
	SenderKind     conversation.SenderKind   `db:"sender_kind"`
	SenderID       string                    `db:"sender_id"`
	SenderName     string                    `db:"sender_name"` // of a customer in a group or room: as LINE told it last
	Type           string                    `db:"type"`
	Text           string                    `db:"text"`
	Payload        string                    `db:"payload"`              // JSON, or ""; see Shown
	QuoteToken     string                    `db:"quote_token" json:"-"` // LINE's; see Quotable
	Automated      string                    `db:"automated"`
	State          conversation.MessageState `db:"state"`
	Via            string                    `db:"via"`
	BatchID        string                    `db:"batch_id"`
	AttachmentID   string                    `db:"attachment_id"`
	WebhookEventID string                    `db:"webhook_event_id"`
	LINEMessageID  string                    `db:"line_message_id"`
	LINERequestID  string                    `db:"line_request_id"`
	Failure        string                    `db:"failure"`
	FailureDetail  string                    `db:"failure_detail"`
	RetryID        string                    `db:"retry_id"`  // the message that was sent in its place
	Charged        int64                     `db:"charged"`   // paid messages LINE counts for it; see Batch
	Edits          string                    `db:"edits"`     // JSON: what it said before, oldest first; see EarlierWords
	EditedAt       int64                     `db:"edited_at"` // 0: never
	CreatedAt      int64                     `db:"created_at"`
	SentAt         int64                     `db:"sent_at"`
}

const messageColumns = `id, conversation_id, ordinal, occurred_at, position, direction, sender_kind, sender_id,
	CASE WHEN sender_kind = 'customer' AND sender_name = '' THEN coalesce((SELECT display_name FROM chat_members WHERE chat_members.id = messages.sender_id), '')
		ELSE sender_name END AS sender_name,
	type, text, payload, quote_token, automated, state, via, batch_id, attachment_id, webhook_event_id, line_message_id, line_request_id, failure, failure_detail,
	retry_id, charged, edits, edited_at, created_at, sent_at`

// EarlierWords is what a message said before it was edited, oldest first.
func (m Message) EarlierWords() ([]Words, error) { return earlierWords(m.Edits) }

// MessagePosition is a place in a transcript.
type MessagePosition struct {
	At      int64
	Ordinal int64
	ID      string
}

// Messages lists a transcript, oldest first, after a position. What is held
// until the customer consents is not in it.
func (s *Store) Messages(ctx context.Context, conversationID string, after MessagePosition, limit int) ([]Message, error) {
	var list []Message
	err := s.read().list(ctx, &list, `SELECT `+messageColumns+` FROM messages
		WHERE conversation_id = $1 AND (occurred_at, ordinal, id) > ($2, $3, $4) AND NOT held
		ORDER BY occurred_at, ordinal, id`+limitTo(limit), conversationID, after.At, after.Ordinal, after.ID)
	return list, err
}

// Message returns one message, or CodeNotFound.
func (s *Store) Message(ctx context.Context, id string) (Message, error) {
	var m Message
	found, err := s.read().get(ctx, &m, `SELECT `+messageColumns+` FROM messages WHERE id = $1 AND NOT held`, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no message %s.", id)
	}
	return m, err
}

// Quoted finds what messages of a conversation's chat quote, by LINE's ids and by
// Kaiwa's: of the customer or of the account, in this or another conversation of
// the chat. What is not known, or held until the customer consents, is left out.
// They are found by the ids they were asked for by.
func (s *Store) Quoted(ctx context.Context, conversationID string, lineMessageIDs, ids []string) (map[string]Message, error) {
	found := map[string]Message{}
	for _, way := range []struct {
		column, which string
		ids           []string
		id            func(Message) string
	}{
		{"line_message_id", `direction = 'inbound'`, lineMessageIDs, func(m Message) string { return m.LINEMessageID }},
		{"line_message_id", `direction = 'outbound' AND line_message_id <> ''`, lineMessageIDs, func(m Message) string { return m.LINEMessageID }},
		{"id", `direction <> 'internal'`, ids, func(m Message) string { return m.ID }},
	} {
		if len(way.ids) == 0 {
			continue
		}
		var list []Message
		if err := s.read().list(ctx, &list, `SELECT `+messageColumns+` FROM messages
			WHERE channel_id = (SELECT channel_id FROM conversations WHERE id = $1) AND `+way.column+` IN (`+list1(len(way.ids), 2)+`) AND `+way.which+` AND NOT held
			AND (SELECT chat_key FROM conversations c WHERE c.id = messages.conversation_id) = (SELECT chat_key FROM conversations WHERE id = $1)`,
			append([]any{conversationID}, anys(way.ids)...)...); err != nil {
			return nil, err
		}
		for _, m := range list {
			found[way.id(m)] = m
		}
	}
	return found, nil
}

// TimelineEntry is one step of a conversation's life.
type TimelineEntry struct {
	ID         string                     `db:"id"`
	Event      conversation.Event         `db:"event"`
	FromStatus conversation.Status        `db:"from_status"`
	FromOwner  conversation.Owner         `db:"from_owner"`
	ToStatus   conversation.Status        `db:"to_status"`
	ToOwner    conversation.Owner         `db:"to_owner"`
	Epoch      int64                      `db:"epoch"`
	ActorID    string                     `db:"actor_id"`
	Reason     conversation.ClosureReason `db:"reason"`
	Note       string                     `db:"note"`
	CreatedAt  int64                      `db:"created_at"`
}

// Timeline lists the steps of a conversation's life, oldest first.
func (s *Store) Timeline(ctx context.Context, conversationID string) ([]TimelineEntry, error) {
	var list []TimelineEntry
	err := s.read().list(ctx, &list, `SELECT id, event, from_status, from_owner, to_status, to_owner, epoch, actor_id, reason, note, created_at
		FROM transitions WHERE conversation_id = $1 ORDER BY created_at, epoch`, conversationID)
	return list, err
}
