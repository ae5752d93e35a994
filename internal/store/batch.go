package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// The states of a batch.
const (
	BatchFrozen    = "frozen"    // decided, not finished
	BatchAccepted  = "accepted"  // LINE has taken it
	BatchFailed    = "failed"    // LINE has not taken it, and will not
	BatchUncertain = "uncertain" // nobody can know
	BatchDissolved = "dissolved" // its reply token was no good; its messages go into another batch
)

// Limits of sending.
const (
	// BatchSize is how many messages one call to LINE may carry.
	BatchSize = 5
	// ReplyWindow is how old a reply token may be, from the receipt of its
	// webhook, for a batch to be begun with it: a token lives one minute, and
	// one call and one retry have to fit.
	ReplyWindow = 25 * time.Second
	// replyLimit is how long after its event the token of one that is delivered
	// again is taken to work. LINE says 20 minutes; a minute of it is left for the
	// call. LINE's clock is not asked about other events: with one of ours that goes
	// wrong, every answer would be a paid push.
	//
	// Source: https://developers.line.biz/en/reference/messaging-api/#send-reply-message
	replyLimit = 19 * time.Minute
	// AutomatedBudget and AgentBudget bound how long a LINE that does not take
	// a batch is asked again.
	AutomatedBudget = 60 * time.Second
	AgentBudget     = 5 * time.Minute
)

// Batch is what goes to LINE in one call: frozen before the first attempt, so
// that every attempt says the same.
type Batch struct {
	ID              string `db:"id"`
	ConversationID  string `db:"conversation_id"`
	ChannelID       string `db:"channel_id"`
	Kind            string `db:"kind"` // reply or push
	Recipient       string `db:"recipient"`
	ReplyToken      string `db:"reply_token"`
	TokenReceivedAt int64  `db:"token_received_at"`
	Body            string `db:"body"` // LINE's messages array
	MessageIDs      string `db:"message_ids"`
	Attempts        int64  `db:"attempts"` // the present one included; it tells attempts apart
	Outcome         string `db:"outcome"`  // of the last attempt that ended; "" while one is under way
	Doubt           bool   `db:"doubt"`    // LINE may have taken an earlier attempt
	Detail          string `db:"failure_detail"`
	Deadline        int64  `db:"deadline"`
	CreatedAt       int64  `db:"created_at"`

	// Interrupted says that the attempt before this one left no outcome: its
	// process died, or still hangs.
	Interrupted bool `db:"-"`
	// Last says, once FinishBatch has written the end, that nothing waited
	// behind the batch then.
	Last bool `db:"-"`
	// Trace is the span in which the first of its messages was made, as a
	// traceparent; "" for none.
	Trace string `db:"trace"`
	// HeldUntil says that this is no batch: what waits is automated and is held
	// back, for a free reply, until then (Unix microseconds).
	HeldUntil int64 `db:"-"`
	// Recipients is how many people a push reaches, as far as is known.
	Recipients int64 `db:"-"`
	// CountDue says that this is no batch: it would be pushed to a group or room
	// whose members are to be counted first; see SaveMembers.
	CountDue bool `db:"-"`
	// Spent says that this is no batch: automated messages wait until HeldUntil, or
	// have failed where that is 0, since too few of the month's paid messages are
	// left for them. There may be more to send.
	Spent bool `db:"-"`

	membersDue int64 // of the chat
}

const batchColumns = `id, conversation_id, kind, recipient, reply_token, token_received_at, body,
	message_ids, attempts, outcome, doubt, failure_detail, deadline, created_at,
	CASE WHEN state = 'frozen' THEN coalesce((SELECT min(traceparent) FROM messages WHERE messages.batch_id = batches.id), '') ELSE '' END AS trace`

// Render turns contents into LINE's message objects. A refusal of one content
// is reported by its index.
type Render func([]conversation.Content) ([]json.RawMessage, error)

// pendingMessage is a message to be sent.
type pendingMessage struct {
	ID         string `db:"id"`
	Type       string `db:"type"`
	Text       string `db:"text"`
	Payload    string `db:"payload"`
	SenderKind string `db:"sender_kind"`
	Trace      string `db:"trace"`
	CreatedAt  int64  `db:"created_at"`
}

// NextBatch returns the conversation's batch that is not finished, or freezes
// what is ready into a new one: up to five messages in their order, as a reply
// if a token with enough life is at hand, else as a push. Its first attempt is
// counted with the freezing. A message that cannot be said to LINE fails alone.
// The result is nil when nothing waits, and while the channel is held (see
// HoldChannel). It is no batch when it says HeldUntil, CountDue or
// Spent.
func (s *Store) NextBatch(ctx context.Context, conversationID string, render Render) (*Batch, error) {
	var out *Batch
	froze := false
	err := s.tx(ctx, func(c conn) error {
		out, froze = nil, false
		to, err := c.lockLane(ctx, conversationID)
		if err != nil {
			return err
		}
		if to.HeldAt > 0 {
			return nil
		}
		// Only the last one may be unfinished.
		var last lastBatch
		if _, err := c.get(ctx, &last, `SELECT `+batchColumns+`, state, ordinal FROM batches
			WHERE conversation_id = $1 ORDER BY ordinal DESC LIMIT 1`+s.d.forUpdate(), conversationID); err != nil {
			return err
		}
		if last.State == BatchFrozen {
			last.ChannelID, last.Recipients = to.ChannelID, to.recipients()
			return c.countAttempt(ctx, &last.Batch, &out)
		}
		out, err = c.freeze(ctx, to, last, render)
		froze = out != nil && out.ID != ""
		failpoint.Hit("batch.before_commit")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("next batch of conversation %s: %w", conversationID, err)
	}
	if froze {
		failpoint.Hit("batch.after_commit")
	}
	return out, nil
}

// lane is where a conversation's messages go.
type lane struct {
	ConversationID string `db:"id"`
	ChannelID      string `db:"channel_id"`
	ChatKey        string `db:"chat_key"`
	SourceType     string `db:"source_type"`
	SourceID       string `db:"source_id"`
	Members        int64  `db:"members"`
	MembersDue     int64  `db:"members_due"`
	HeldAt         int64  `db:"held_at"` // see HoldChannel
	Status         string `db:"status"`
	Settings       string `db:"settings"` // of its workstream, as JSON; "" when they say nothing of sending
	QuotaMonth     string `db:"quota_month"`
	QuotaLimit     int64  `db:"quota_limit"`
	QuotaUsed      int64  `db:"quota_used"`
	QuotaReadAt    int64  `db:"quota_read_at"`
	Standby        bool   `db:"standby"`  // another system serves the chat: nothing is sent
	Blocked        bool   `db:"blocked"`  // the customer has blocked the account: nothing paid is sent
	Language       string `db:"language"` // the customer's, "" when it is not known
	Locale         string `db:"locale"`   // the conversation's
}

// lockLane keeps others from freezing what the conversation wants to send.
func (c conn) lockLane(ctx context.Context, conversationID string) (lane, error) {
	var to lane
	found, err := c.get(ctx, &to, `SELECT c.id, c.channel_id, c.chat_key, coalesce(t.source_type, '') AS source_type, coalesce(t.source_id, '') AS source_id,
			coalesce(t.members, 0) AS members, coalesce(t.members_due, 0) AS members_due, coalesce(t.standby, FALSE) AS standby,
			coalesce(p.friendship = 'blocked', FALSE) AS blocked, coalesce(h.held_at, 0) AS held_at, c.status, c.locale, coalesce(p.language, '') AS language,
			coalesce((SELECT settings FROM workstreams w WHERE w.id = c.workstream_id AND w.settings LIKE '%"sending":%'), '') AS settings,
			coalesce(q.month, '') AS quota_month, coalesce(q.quota_limit, -1) AS quota_limit, coalesce(q.used, 0) AS quota_used, coalesce(q.read_at, 0) AS quota_read_at
		FROM conversations c LEFT JOIN chats t ON t.channel_id = c.channel_id AND t.chat_key = c.chat_key LEFT JOIN channels h ON h.id = c.channel_id
			LEFT JOIN social_profiles p ON p.id = c.profile_id LEFT JOIN channel_quotas q ON q.channel_id = c.channel_id
		WHERE c.id = $1`+c.s.d.forUpdateOf("c"), conversationID)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", conversationID)
	}
	return to, err
}

// lastBatch is the conversation's latest batch; the zero value stands for none.
type lastBatch struct {
	Batch
	State   string `db:"state"`
	Ordinal int64  `db:"ordinal"`
}

// countAttempt notes that a batch is tried again. An attempt that left no
// outcome, or an unclear one, may have been taken by LINE.
func (c conn) countAttempt(ctx context.Context, b *Batch, out **Batch) error {
	b.Interrupted = b.Outcome == ""
	b.Doubt = b.Doubt || b.Interrupted || b.Outcome == OutcomeUnclear
	if b.Outcome == OutcomeHeld { // it was not LINE that took so long: it has all of its time again
		b.Deadline = max(b.Deadline, micros(c.s.now())+b.Deadline-b.CreatedAt)
	}
	b.Attempts++
	b.Outcome = ""
	_, err := c.exec(ctx, `UPDATE batches SET attempts = $1, outcome = '', doubt = $2, attempted_at = $3, deadline = $4 WHERE id = $5`,
		b.Attempts, b.Doubt, micros(c.s.now()), b.Deadline, b.ID)
	*out = b
	return err
}

// The outcomes an unfinished batch's attempt may leave.
const (
	OutcomeUnclear  = "unclear"   // no answer, or a server error: LINE may have taken it
	OutcomeNotTaken = "not_taken" // LINE said clearly that it did not take it, and may later
	OutcomeHeld     = "held"      // LINE did not take the access token: it takes nothing of the channel
)

// freeze makes a batch of what is pending.
func (c conn) freeze(ctx context.Context, to lane, last lastBatch, render Render) (*Batch, error) {
	conversationID := to.ConversationID
	var pending []pendingMessage
	if err := c.list(ctx, &pending, pendingQuery, conversationID); err != nil {
		return nil, err
	}
	if to.Standby {
		return nil, c.hush(ctx, conversationID, pending)
	}
	now := c.s.now()
	var ids []string
	var bodies []json.RawMessage
	trace := ""
	budget := AutomatedBudget
	automated, oldest := true, now
	contents, err := c.contents(ctx, to, pending)
	if err != nil {
		return nil, err
	}
	for i, m := range pending {
		body, err := renderOne(contents[i], render)
		if err != nil {
			if err := c.failMessages(ctx, []string{m.ID}, conversationID, FailureUnsendable, err.Error(), ""); err != nil {
				return nil, err
			}
			continue
		}
		ids, bodies = append(ids, m.ID), append(bodies, body)
		trace = cmp.Or(trace, m.Trace)
		automated = automated && m.SenderKind == string(conversation.SenderSystem)
		if made := fromMicros(m.CreatedAt); made.Before(oldest) {
			oldest = made
		}
		if m.SenderKind == string(conversation.SenderAgent) {
			budget = AgentBudget
		}
	}
	if len(ids) == 0 {
		if len(pending) > 0 {
			return c.freeze(ctx, to, last, render) // all of these failed; there may be more
		}
		return nil, nil
	}
	b := &Batch{
		ID:             conversation.DerivedID(conversation.PrefixBatch, conversationID, last.Ordinal+1),
		ConversationID: conversationID, ChannelID: to.ChannelID, Kind: string(conversation.ViaPush), Recipient: to.SourceID,
		Attempts: 1, Deadline: micros(now.Add(budget)), CreatedAt: micros(now), Trace: trace, Recipients: to.recipients(),
	}
	if last.State == BatchDissolved && last.Kind == string(conversation.ViaReply) && budget == AutomatedBudget {
		b.Deadline = min(b.Deadline, last.Deadline) // the same messages, another way: no new budget
	}
	// A survey has a lane beside that of the chat's next conversation: who
	// comes second to a token pushes.
	var token replyToken
	found, err := c.get(ctx, &token, `UPDATE line_events SET token_batch = $1 WHERE token_batch = '' AND id = (
		`+oldestToken(2)+`) RETURNING id, reply_token, received_at`, append([]any{b.ID}, tokenArgs(to.ChannelID, to.ChatKey, now)...)...)
	if err != nil {
		return nil, err
	}
	switch {
	case found:
		b.Kind, b.ReplyToken, b.TokenReceivedAt = string(conversation.ViaReply), token.ReplyToken, token.ReceivedAt
	case to.Blocked:
		if err := c.failMessages(ctx, ids, conversationID, FailureBlocked, "The customer has blocked the account.", ""); err != nil {
			return nil, err
		}
		return c.freeze(ctx, to, last, render)
	case to.ofMany() && to.MembersDue <= micros(now):
		return &Batch{ConversationID: conversationID, ChannelID: to.ChannelID, Recipient: to.SourceID, CountDue: true, membersDue: to.MembersDue}, nil
	case automated:
		held, err := c.hold(ctx, to, len(pending), oldest, now)
		switch {
		case err != nil:
			return nil, err
		case !held.until.IsZero():
			return &Batch{ConversationID: conversationID, ChannelID: to.ChannelID, HeldUntil: micros(held.until), Spent: held.spent}, nil
		case held.drop:
			if err := c.failMessages(ctx, ids, conversationID, failureReserved, "What is left of this month's paid messages is for agents.", ""); err != nil {
				return nil, err
			}
			return &Batch{ConversationID: conversationID, ChannelID: to.ChannelID, Spent: true}, nil
		}
	}
	body, err := json.Marshal(bodies)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	b.Body, b.MessageIDs = string(body), string(list)
	if _, err := c.exec(ctx, `
		INSERT INTO batches (id, conversation_id, ordinal, kind, recipient, reply_token, token_received_at, body, message_ids, state, attempts, deadline, created_at, attempted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'frozen', 1, $10, $11, $11)`,
		b.ID, conversationID, last.Ordinal+1, b.Kind, b.Recipient, b.ReplyToken, b.TokenReceivedAt, b.Body, b.MessageIDs, b.Deadline, b.CreatedAt); err != nil {
		return nil, err
	}
	_, err = c.exec(ctx, `UPDATE messages SET batch_id = $1 WHERE id IN (`+list1(len(ids), 2)+`)`, append([]any{b.ID}, anys(ids)...)...)
	return b, err
}

// The failures of messages that are not given to LINE at all.
const (
	FailureStandby    = "standby"          // another system serves the chat
	FailureBlocked    = "customer_blocked" // the customer has blocked the account, and it would have been a paid push
	FailureUnsendable = "unsendable"       // it is no message that LINE would take
)

// hush fails what waits in a chat that another system serves.
func (c conn) hush(ctx context.Context, conversationID string, pending []pendingMessage) error {
	for len(pending) > 0 {
		ids := make([]string, len(pending))
		for i, m := range pending {
			ids[i] = m.ID
		}
		if err := c.failMessages(ctx, ids, conversationID, FailureStandby, "Another system serves this chat at the moment.", ""); err != nil {
			return err
		}
		pending = nil
		if err := c.list(ctx, &pending, pendingQuery, conversationID); err != nil {
			return err
		}
	}
	return nil
}

// pendingQuery reads what waits to be sent, in its order, for one batch.
var pendingQuery = `SELECT id, type, text, payload, sender_kind, created_at, coalesce(traceparent, '') AS trace FROM messages
	WHERE conversation_id = $1 AND state = 'pending' AND batch_id = '' ORDER BY occurred_at, ordinal` + limitTo(BatchSize)

// hold decides whether automated messages, the first of what waits, are pushed.
// They are when an agent or a bot says something behind them: it must not wait,
// and they cost nothing beside it.
func (c conn) hold(ctx context.Context, to lane, waiting int, oldest, now time.Time) (withheld, error) {
	sending, err := to.sending()
	if err != nil || sending == (Sending{}) {
		return withheld{}, err
	}
	held := to.withhold(sending, oldest, now)
	if held == (withheld{}) || waiting < BatchSize {
		return held, nil
	}
	var others bool
	if _, err := c.get(ctx, &others, `SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = $1 AND state = 'pending' AND batch_id = '' AND sender_kind <> 'system')`,
		to.ConversationID); err != nil || others {
		return withheld{}, err
	}
	return held, nil
}

// replyToken is what a reply to an event of LINE needs.
type replyToken struct {
	ID         int64  `db:"id"`
	ReplyToken string `db:"reply_token"`
	ReceivedAt int64  `db:"received_at"`
}

// oldestToken selects the oldest token of a chat that still has life enough:
// younger ones may serve later. Its parameters, counting from first, are
// tokenArgs.
func oldestToken(first int) string {
	return fmt.Sprintf(`SELECT id FROM line_events
		WHERE channel_id = $%d AND chat_key = $%d AND reply_token <> '' AND token_batch = '' AND received_at >= $%d
		  AND (line_time >= $%d OR NOT redelivered) AND NOT standby
		ORDER BY received_at, id LIMIT 1`, first, first+1, first+2, first+3)
}

func tokenArgs(channelID, chatKey string, now time.Time) []any {
	return []any{channelID, chatKey, micros(now.Add(-ReplyWindow)), micros(now.Add(-replyLimit))}
}

// hasToken tells whether a chat has a token with life enough.
func (c conn) hasToken(ctx context.Context, channelID, chatKey string, now time.Time) (bool, error) {
	var has bool
	_, err := c.get(ctx, &has, `SELECT EXISTS (`+oldestToken(1)+`)`, tokenArgs(channelID, chatKey, now)...)
	return has, err
}

// said is what a pending message says, or why that cannot be read.
type said struct {
	content conversation.Content
	err     error
}

// contents is what pending messages say, with LINE's tokens of what they quote.
// That costs a statement where one quotes, and nothing otherwise. What was taken
// back since is quoted no more.
func (c conn) contents(ctx context.Context, to lane, pending []pendingMessage) ([]said, error) {
	list := make([]said, len(pending))
	var quoted []string
	for i, m := range pending {
		if err := json.Unmarshal([]byte(m.Payload), &list[i].content); err != nil {
			list[i].err = fmt.Errorf("payload of message %s: %w", m.ID, err)
			continue
		}
		list[i].content.Type, list[i].content.Text = m.Type, m.Text
		switch m.Type {
		case conversation.ContentAccountLink:
			to.address(&list[i].content)
		case conversation.ContentVideo:
			if to.ofOne() {
				list[i].content.TrackingID = conversation.TrackingID(m.ID)
			}
		}
		if id := list[i].content.QuoteMessageID; id != "" {
			quoted = append(quoted, id)
		}
	}
	tokens, err := c.quoteTokens(ctx, quoted)
	for i := range list {
		list[i].content.QuoteToken = tokens[list[i].content.QuoteMessageID]
	}
	return list, err
}

// ofOne tells whether the chat is with one customer.
func (to lane) ofOne() bool { return conversation.ChatKey("user", to.SourceID) == to.ChatKey }

// address says for whom a card of account linking is.
func (to lane) address(c *conversation.Content) {
	c.Locale = accountlink.Language(to.Language, to.Locale)
	if to.ofOne() {
		c.ProfileID = profileID(to.ChannelID, to.ChatKey)
	}
}

func renderOne(m said, render Render) (json.RawMessage, error) {
	if m.err != nil {
		return nil, m.err
	}
	out, err := render([]conversation.Content{m.content})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// NoteAttempt records that an attempt ended without finishing the batch. It
// tells whether the attempt was still the present one; one that another has
// superseded changes nothing, and must not go on.
func (s *Store) NoteAttempt(ctx context.Context, b *Batch, outcome, detail string) (present bool, err error) {
	n, err := s.write().exec(ctx, `UPDATE batches SET outcome = $1, failure_detail = $2 WHERE id = $3 AND state = 'frozen' AND attempts = $4`,
		outcome, detail, b.ID, b.Attempts)
	if err != nil {
		return false, fmt.Errorf("note attempt %d of batch %s: %w", b.Attempts, b.ID, err)
	}
	return n > 0, nil
}

// BatchEnd is how a batch ended.
type BatchEnd struct {
	State             string // BatchAccepted, BatchFailed, BatchUncertain or BatchDissolved
	LINERequestID     string
	AcceptedRequestID string        // of the attempt LINE took, if it was an earlier one
	Sent              []SentMessage // in the order of the messages; may be empty
	Failure, Detail   string        // an enumerated word, and words for people
	// Refused are the places of the messages that LINE refused a whole batch
	// for. Only these fail then; the others are pending again. None: all fail.
	Refused []int
	// Keep says that automated messages of a batch that failed wait, unless the
	// conversation is closed: for a reply token, or for another month's quota.
	Keep bool
	// Notice is what agents are told when a message of theirs is among those
	// that failed, as an internal message; "" tells them nothing.
	Notice string
}

// SentMessage is what LINE said of a message that it took.
type SentMessage struct {
	ID         string
	QuoteToken string // "" when it cannot be quoted
}

// FinishBatch writes how a batch ended, with its messages' states, once. The
// messages of a dissolved batch are pending again.
//
// That LINE took a batch is true whichever attempt learned it. Every other end
// is a conclusion from what an attempt knew: one that another attempt has
// superseded meanwhile may be wrong, so it changes nothing. The result tells
// whether this end was written.
func (s *Store) FinishBatch(ctx context.Context, b *Batch, end BatchEnd) (written bool, err error) {
	var ids []string
	if err := json.Unmarshal([]byte(b.MessageIDs), &ids); err != nil {
		return false, fmt.Errorf("batch %s: %w", b.ID, err)
	}
	var waits bool
	err = s.tx(ctx, func(c conn) error {
		if written, err = c.get(ctx, &waits, `
			UPDATE batches SET state = $1, outcome = $2, line_request_id = $3, accepted_request_id = $4, failure_detail = $5, finished_at = $6,
				channel_id = $10, charged = $11
			WHERE id = $7 AND state = 'frozen' AND (attempts = $8 OR $9)
			RETURNING EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = batches.conversation_id AND m.state = 'pending' AND m.batch_id = '')`,
			end.State, end.State, end.LINERequestID, end.AcceptedRequestID, end.Detail, micros(s.now()), b.ID, b.Attempts, end.State == BatchAccepted,
			b.ChannelID, b.charged(end),
		); err != nil || !written {
			return err
		}
		return c.finishMessages(ctx, b, end, ids)
	})
	if err != nil {
		return false, fmt.Errorf("finish batch %s: %w", b.ID, err)
	}
	failpoint.Hit("send.after_commit")
	// Other ends may leave messages of the batch to be sent another way.
	b.Last = written && !waits && (end.State == BatchAccepted || end.State == BatchUncertain)
	return written, nil
}

// charged is how many of the month's paid messages LINE counts for a batch: a
// push counts for each recipient, however many messages it carries, a reply for
// nothing.
//
// Source: https://developers.line.biz/en/docs/messaging-api/pricing/
func (b *Batch) charged(end BatchEnd) int64 {
	if end.State == BatchAccepted && b.Kind == string(conversation.ViaPush) {
		return b.Recipients
	}
	return 0
}

// finishMessages gives the messages of a batch the state its end means.
func (c conn) finishMessages(ctx context.Context, b *Batch, end BatchEnd, ids []string) error {
	request := end.LINERequestID
	if end.AcceptedRequestID != "" {
		request = end.AcceptedRequestID
	}
	switch end.State {
	case BatchDissolved:
		_, err := c.exec(ctx, `UPDATE messages SET batch_id = '' WHERE batch_id = $1`, b.ID)
		return err
	case BatchFailed:
		// LINE sent nothing, so the token is as good as before.
		if b.Kind == string(conversation.ViaReply) {
			if _, err := c.exec(ctx, `UPDATE line_events SET token_batch = '' WHERE channel_id = $1 AND token_batch = $2
				AND chat_key = (SELECT chat_key FROM conversations WHERE id = $3)`, b.ChannelID, b.ID, b.ConversationID); err != nil {
				return err
			}
		}
		refused := ids
		if end.Keep {
			var err error
			if refused, err = c.keepAutomated(ctx, b, ids); err != nil || len(refused) == 0 {
				return err
			}
		}
		if len(end.Refused) > 0 {
			refused = nil
			for _, i := range end.Refused {
				refused = append(refused, ids[i])
			}
		}
		if err := c.failMessages(ctx, refused, b.ConversationID, end.Failure, end.Detail, request); err != nil {
			return err
		}
		if err := c.tellAgents(ctx, b, refused, end.Notice); err != nil || len(end.Refused) == 0 {
			return err
		}
		_, err := c.exec(ctx, `UPDATE messages SET batch_id = '' WHERE batch_id = $1 AND state = 'pending'`, b.ID)
		return err
	}
	state := conversation.MessageAccepted
	if end.State == BatchUncertain {
		state = conversation.MessageUncertain
	}
	now := micros(c.s.now())
	// What LINE said of each message, in the order of the batch.
	args := []any{string(state), b.Kind, request, now, end.Failure, end.Detail, ids[0], b.charged(end)}
	places, lineIDs, quoteTokens := make([]string, len(ids)), "", ""
	for i, id := range ids {
		var sent SentMessage
		if i < len(end.Sent) {
			sent = end.Sent[i]
		}
		n := len(args)
		places[i] = fmt.Sprintf("$%d", n+1)
		lineIDs += fmt.Sprintf(" WHEN $%d THEN $%d", n+1, n+2)
		quoteTokens += fmt.Sprintf(" WHEN $%d THEN $%d", n+1, n+3)
		args = append(args, id, sent.ID, sent.QuoteToken)
	}
	args = append(args, b.ID)
	if _, err := c.exec(ctx, `UPDATE messages SET state = $1, via = $2, line_request_id = $3, sent_at = $4, failure = $5, failure_detail = $6,
			charged = CASE id WHEN $7 THEN CAST($8 AS BIGINT) ELSE 0 END,
			line_message_id = CASE id`+lineIDs+` ELSE '' END, quote_token = CASE id`+quoteTokens+` ELSE '' END
		WHERE id IN (`+strings.Join(places, ",")+`) AND batch_id = $`+fmt.Sprint(len(args))+` AND state = 'pending'`, args...); err != nil {
		return err
	}
	return c.recordMessages(ctx, "message."+string(state), b.ConversationID, ids, now)
}

// keepAutomated has the automated messages of a batch wait again, in an open
// conversation, and returns the others.
func (c conn) keepAutomated(ctx context.Context, b *Batch, ids []string) ([]string, error) {
	var kept []string
	if err := c.list(ctx, &kept, `UPDATE messages SET batch_id = '' WHERE batch_id = $1 AND state = 'pending' AND sender_kind = 'system'
		AND EXISTS (SELECT 1 FROM conversations WHERE id = $2 AND status <> 'closed') RETURNING id`, b.ID, b.ConversationID); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(kept, id) }), nil
}

// failMessages marks messages as failed, with an enumerated word and a detail
// for people.
func (c conn) failMessages(ctx context.Context, ids []string, conversationID, failure, detail, requestID string) error {
	args := append([]any{string(conversation.MessageFailed), failure, detail, requestID}, anys(ids)...)
	if _, err := c.exec(ctx, `UPDATE messages SET state = $1, failure = $2, failure_detail = $3, line_request_id = $4
		WHERE state = 'pending' AND id IN (`+list1(len(ids), 5)+`)`, args...); err != nil {
		return err
	}
	return c.recordMessages(ctx, "message.failed", conversationID, ids, micros(c.s.now()))
}

// tellAgents leaves an internal message when one that an agent wrote is among
// those of a batch that failed.
func (c conn) tellAgents(ctx context.Context, b *Batch, failed []string, notice string) error {
	if notice == "" {
		return nil
	}
	var agents int
	if _, err := c.get(ctx, &agents, `SELECT count(*) FROM messages WHERE sender_kind = 'agent' AND id IN (`+list1(len(failed), 1)+`)`, anys(failed)...); err != nil || agents == 0 {
		return err
	}
	id, now := conversation.DerivedID(conversation.PrefixMessage, b.ID, "not sent"), micros(c.s.now())
	if _, err := c.exec(ctx, `
		INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, automated, state, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $4) ON CONFLICT DO NOTHING`,
		id, b.ConversationID, b.ChannelID, now, string(conversation.Internal), string(conversation.SenderSystem), conversation.ContentText, notice,
		string(automessage.MessageNotSent), string(conversation.MessageAccepted)); err != nil {
		return err
	}
	return c.recordMessages(ctx, "message.created", b.ConversationID, []string{id}, now)
}

func (c conn) recordMessages(ctx context.Context, kind, conversationID string, ids []string, at int64) error {
	list := make([]happened, len(ids))
	for i, id := range ids {
		list[i] = happened{kind, conversationID, id, "{}"}
	}
	return c.recordAll(ctx, list, at)
}

// list1 builds "$2,$3,$4" for n parameters from first.
func list1(n, first int) string {
	v := values(1, n, first)
	return v[1 : len(v)-1]
}

func anys(ids []string) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
