package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"time"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// ingestLimit bounds the events one ingest takes, so that it stays well within
// its time; the result says when there are more.
const ingestLimit = 500

// LINEEvent is a stored event that an ingest has to interpret.
type LINEEvent struct {
	ID             int64  `db:"id"`
	WebhookEventID string `db:"webhook_event_id"`
	Kind           string `db:"kind"`
	SourceType     string `db:"source_type"`
	SourceID       string `db:"source_id"`
	LineTime       int64  `db:"line_time"`
	Standby        bool   `db:"standby"`
	Raw            []byte `db:"raw"`
	Position       int64  `db:"position"`
	Disposition    string `db:"disposition"`
	ReceivedAt     int64  `db:"received_at"`
	Trace          string `db:"trace"`
}

// ItemKind says what an event means for a conversation.
type ItemKind int

// The kinds of item.
const (
	ItemFact           ItemKind = iota // noted; nothing follows from it
	ItemMessage                        // a message of the transcript; opens a conversation
	ItemEdit                           // the customer changed the words of a message
	ItemUnsend                         // the customer took a message back
	ItemFollow                         // the customer added or unblocked the account; a group has it
	ItemUnfollow                       // the customer blocked the account; a group has removed it
	ItemUnwanted                       // it is of a group or room that the account is to leave
	ItemConsent                        // the customer tapped a button of the privacy notice
	ItemSurveyTap                      // a button of a survey; belongs to that, whatever conversation is held
	ItemAccountLinked                  // LINE says that the customer's account is linked; Nonce says for which attempt
	ItemAccountLinkTap                 // a button that asks for linking accounts, or for undoing it
)

// Item is an interpreted event.
type Item struct {
	Kind    ItemKind
	Message InboundMessage // ItemMessage
	Edit    Edit           // ItemEdit
	Unsent  string         // ItemUnsend: the LINE message id taken back
	Tap     consent.Tap    // ItemConsent
	Survey  SurveyTap      // ItemSurveyTap
	Nonce   string         // ItemAccountLinked
	Link    accountlink.Tap
	// Line is what the transcript of an open conversation shows of an event that
	// is no message; nothing without a Type.
	Line EventLine
	// Speaker is the LINE user id of who did it in a group or room; "" otherwise.
	Speaker string
	Left    bool // its members have left the group
	Welcome bool // ItemFollow: a customer whom nobody talks with is to be welcomed
	Forget  bool // its words are nobody's here: they are not kept
}

// InboundMessage is a customer's message as the transcript keeps it.
type InboundMessage struct {
	Type, Text, LINEMessageID string
	Payload                   string // JSON; "" when Type and Text say everything
	QuoteToken                string // LINE's, by which it can be quoted; "" for none
	ReadToken                 string // the same, by which it and all before it are marked as read
	File                      *InboundFile
	Unsupported               bool // of a kind that Kaiwa cannot show
}

// Interpreter reads a raw event. It must be pure, and must never fail: what it
// cannot read is a fact or an unsupported message.
type Interpreter func(LINEEvent) Item

// IngestRequest says whose events to take.
type IngestRequest struct {
	ChannelID, ChatKey string
	ConversationID     string    // "" in a fresh run
	Seen               int64     // the tick up to which the workflow has seen the chat
	Epoch              int64     // the epoch the workflow knows
	Asking             bool      // as far as the workflow knows, the customer's consent is awaited
	Sending            bool      // the workflow's lane is at it: what is frozen is in its hands
	RunID              string    // Temporal's run id, recorded on the conversation
	Left               string    // the conversation that the run before a fresh one has said goodbye in
	Deadline           time.Time // after it, the attempt changes nothing
	Plan               *Plan     // what a new conversation starts with, and how long one stays with an agent who is gone
	// Took, when set, is told of the events that were taken into a conversation,
	// once that is committed.
	Took func([]Taken)
}

// Taken is an event that was taken into a conversation.
type Taken struct {
	ReceivedAt time.Time
	Trace      string // the span in which it was received, as a traceparent; "" for none
}

// IngestResult is what an ingest tells the workflow. It holds ids, numbers and
// enumerations only.
type IngestResult struct {
	ConversationID string                     `json:"conversation_id,omitempty"` // "": nothing to hold a conversation about
	Created        bool                       `json:"created,omitempty"`         // new, or an open one taken over by a fresh run
	Status         conversation.Status        `json:"status,omitempty"`
	Owner          conversation.Owner         `json:"owner,omitempty"`
	Epoch          int64                      `json:"epoch,omitempty"`
	QueueID        string                     `json:"queue_id,omitempty"`
	AgentID        string                     `json:"agent_id,omitempty"`
	BotID          string                     `json:"bot_id,omitempty"`
	Routed         bool                       `json:"routed,omitempty"`        // its queue is decided
	OfferedTo      string                     `json:"offered_to,omitempty"`    // the agent it is offered to
	OfferedUntil   int64                      `json:"offered_until,omitempty"` // Unix microseconds
	TendMS         int64                      `json:"tend_ms,omitempty"`       // when the rules of its queue have something to do, Unix milliseconds
	AutoOffer      string                     `json:"auto_offer,omitempty"`    // an offer that is to be accepted for its agent
	Lost           bool                       `json:"lost,omitempty"`          // the agent who serves it is gone, and others are to have it
	Seen           int64                      `json:"seen,omitempty"`
	Messages       int                        `json:"messages,omitempty"`    // of the customer, after the position seen
	Ask            bool                       `json:"ask,omitempty"`         // consent is awaited, and what the customer did is no answer
	Unsupported    bool                       `json:"unsupported,omitempty"` // among the messages is one Kaiwa cannot show
	Blocked        bool                       `json:"blocked,omitempty"`     // the customer has blocked the account, as they now say
	Errands        bool                       `json:"errands,omitempty"`     // something is to be done in the chat beside the conversation
	OfMany         bool                       `json:"-"`                     // the chat is a group or room
	Members        []string                   `json:"members,omitempty"`     // of the group, whose names are missing
	More           bool                       `json:"more,omitempty"`        // unhandled events remain
	Greeted        bool                       `json:"greeted,omitempty"`
	ProfileDue     bool                       `json:"profile_due,omitempty"`   // the profile is missing
	ProfileStale   bool                       `json:"profile_stale,omitempty"` // it is older than the workstream wants, and the customer wrote
	StaleMembers   []string                   `json:"stale_members,omitempty"` // of the group, whose names are
	Pending        bool                       `json:"pending,omitempty"`       // messages wait to be sent that the workflow may not know of
	Media          []string                   `json:"media,omitempty"`         // attachments to be fetched, or deleted
	ClosureReason  conversation.ClosureReason `json:"closure_reason,omitempty"`
	SurveyDue      bool                       `json:"survey_due,omitempty"` // closed, and its survey has not begun
	Surveys        []conversation.SurveyInput `json:"surveys,omitempty"`    // to be woken: they were answered
}

// Ingest takes all unhandled events of a chat, in one transaction under the
// chat's lock: it turns them into messages and facts and marks them handled.
// Running it again with the same request gives the same answer, because what
// an earlier attempt took is answered as well ("new or mine").
//
// In a fresh run (no conversation id) it takes over the chat's open
// conversation, or creates one if an event calls for it, or answers an empty
// result when there is nothing to hold a conversation about.
//
// It returns CodeLate when the attempt outlived its deadline.
func (s *Store) Ingest(ctx context.Context, req IngestRequest, interpret Interpreter) (IngestResult, error) {
	var res IngestResult
	var took []Taken
	err := s.tx(ctx, func(c conn) error {
		res, took = IngestResult{}, nil
		chat, err := c.lockChat(ctx, req.ChannelID, req.ChatKey)
		if err != nil {
			return err
		}
		failpoint.Hit("ingest.locked")
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		g := &ingest{s: s, c: c, req: req, chat: chat, interpret: interpret, now: micros(s.now()), res: &res}
		if req.ConversationID == "" {
			err = g.fresh(ctx)
		} else {
			err = g.known(ctx)
		}
		took, res.Errands = g.took, g.chat.Errands > 0
		res.OfMany = g.chat.SourceID != "" && conversation.ChatKey("user", g.chat.SourceID) != req.ChatKey
		failpoint.Hit("ingest.before_commit")
		return err
	})
	if err != nil {
		return IngestResult{}, fmt.Errorf("ingest chat %s of channel %s: %w", req.ChatKey, req.ChannelID, err)
	}
	failpoint.Hit("ingest.after_commit")
	if req.Took != nil && len(took) > 0 {
		req.Took(took)
	}
	return res, nil
}

// lockedChat is a chat's row, locked until the transaction ends.
type lockedChat struct {
	Tick      int64  `db:"tick"`
	SourceID  string `db:"source_id"`
	Unsent    string `db:"unsent"`
	Edits     string `db:"edits"`
	Standby   bool   `db:"standby"`
	StandbyAt int64  `db:"standby_at"`
	Errands   int64  `db:"errands"`
}

// lockChat locks the chat's row, creating it if need be, and advances its
// tick. It is the first statement of every transaction that takes events in or
// closes a conversation, and stands alone, so that what follows sees all that
// was committed before the lock was granted. Whatever else the workflow was
// wanted for is seen by what follows, too.
func (c conn) lockChat(ctx context.Context, channelID, chatKey string) (lockedChat, error) {
	var chat lockedChat
	_, err := c.get(ctx, &chat, `
		INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (channel_id, chat_key) DO UPDATE SET tick = chats.tick + 1, wanted_at = 0
		RETURNING tick, source_id, unsent, edits, standby, standby_at, errands`, channelID, chatKey, micros(c.s.now()))
	return chat, err
}

// ingest is one ingest under way.
type ingest struct {
	s         *Store
	c         conn
	req       IngestRequest
	chat      lockedChat
	interpret Interpreter
	now       int64
	res       *IngestResult

	asking *conversationRow // the conversation, locked, while it awaits consent
	left   bool             // some of what was taken was left for the next ingest
	took   []Taken          // by this attempt
}

// taken is an event together with what it means.
type taken struct {
	LINEEvent
	item Item
	new  bool // taken by this attempt
}

// known takes the events of a conversation the workflow already holds. In the
// steady state it costs, with the lock before it, five statements.
func (g *ingest) known(ctx context.Context) error {
	if g.req.Asking {
		if err := g.awaitsConsent(ctx, g.req.ConversationID); err != nil {
			return err
		}
	}
	events, err := g.claim(ctx, g.req.ConversationID, g.req.Seen)
	if err != nil {
		return err
	}
	if events, err = g.hear(ctx, events); err != nil {
		return err
	}
	g.res.ConversationID, g.res.Seen = g.req.ConversationID, g.req.Seen
	if err := g.store(ctx, g.req.ConversationID, events); err != nil {
		return err
	}
	return g.state(ctx, events)
}

// claim marks events handled by a conversation and returns them together with
// those an earlier attempt took after the position seen. A closed conversation
// gets nothing.
func (g *ingest) claim(ctx context.Context, conversationID string, seen int64) ([]taken, error) {
	var rows []LINEEvent
	err := g.c.list(ctx, &rows, `
		UPDATE line_events SET
			position    = CASE WHEN handled_at IS NULL THEN $1 ELSE position END,
			disposition = CASE WHEN handled_at IS NULL THEN $2 ELSE disposition END,
			handled_at  = coalesce(handled_at, $3),
			handled_by  = $4
		WHERE channel_id = $5 AND chat_key = $6 AND position > $7
		  AND (handled_by = $4 OR id IN (
			SELECT id FROM line_events WHERE channel_id = $5 AND chat_key = $6 AND position = $8 ORDER BY id`+limitTo(ingestLimit)+`))
		  AND EXISTS (SELECT 1 FROM conversations WHERE id = $4 AND status <> 'closed')
		RETURNING id, webhook_event_id, kind, source_type, source_id, line_time, standby, raw, position, disposition, received_at, coalesce(traceparent, '') AS trace`,
		g.chat.Tick, DispositionTaken, g.now, conversationID, g.req.ChannelID, g.req.ChatKey, seen, int64(notHandled))
	if err != nil {
		return nil, err
	}
	if g.req.Took != nil {
		for _, r := range rows {
			if r.Position == g.chat.Tick {
				g.took = append(g.took, Taken{fromMicros(r.ReceivedAt), r.Trace})
			}
		}
	}
	return g.interpretAll(rows, g.chat.Tick), nil
}

// interpretAll orders events by LINE's clock, and those of one time as they came,
// as the transcript does, and reads them. Those at position tick are new.
func (g *ingest) interpretAll(rows []LINEEvent, tick int64) []taken {
	sort.Slice(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		if a.LineTime != b.LineTime {
			return a.LineTime < b.LineTime
		}
		return a.ID < b.ID
	})
	out := make([]taken, len(rows))
	for i, r := range rows {
		out[i] = taken{LINEEvent: r, new: r.Position == tick}
		if r.Disposition != DispositionConsent { // which was an answer once, and is a fact since
			out[i].item = g.interpret(r)
		}
	}
	return out
}

// store writes what new events mean into the conversation ("" for none).
func (g *ingest) store(ctx context.Context, conversationID string, events []taken) error {
	unsent, err := g.unsentMessages(events)
	if err != nil {
		return err
	}
	if err := g.taps(ctx, events); err != nil {
		return err
	}
	if err := g.accountLinks(ctx, events); err != nil {
		return err
	}
	if err := g.members(ctx, events); err != nil {
		return err
	}
	var arrived []arrival
	var records []happened
	var files []arrivedFile
	var edited []taken
	var lines []eventLine
	var forgotten []int64
	friendship := false
	for _, e := range events {
		file := ""
		if e.item.Kind == ItemMessage && !unsent.has(e.item.Message) {
			g.res.Messages++
			if e.item.Message.File != nil {
				file = attachmentID(g.req.ChannelID, e.WebhookEventID)
				g.res.Media = append(g.res.Media, file)
			}
			g.res.Unsupported = g.res.Unsupported || e.item.Message.Unsupported && g.asking == nil
		}
		g.res.Seen = max(g.res.Seen, e.Position)
		friendship = friendship || e.item.Kind == ItemFollow || e.item.Kind == ItemUnfollow
		if !e.new {
			continue
		}
		if e.item.Forget {
			forgotten = append(forgotten, e.ID)
		}
		if conversationID != "" {
			lines = append(lines, g.linesOf(e)...)
		}
		switch e.item.Kind {
		case ItemMessage:
			m := e.item.Message
			state := conversation.MessageAccepted
			if unsent.has(m) {
				state, m.Text, m.Payload, m.QuoteToken, m.ReadToken = conversation.MessageRecalled, "", "", "", ""
				unsent.arrived = append(unsent.arrived, e.ID)
			}
			id := conversation.DerivedID(conversation.PrefixMessage, g.req.ChannelID, e.WebhookEventID)
			arrived = append(arrived, arrival{
				ID: id, Ordinal: e.ID, OccurredAt: e.LineTime, Position: e.Position, Type: m.Type, Text: m.Text, Payload: m.Payload, State: string(state),
				WebhookEventID: e.WebhookEventID, LINEMessageID: m.LINEMessageID, AttachmentID: file, SenderID: g.senderID(e), Trace: e.Trace,
				QuoteToken: m.QuoteToken, ReadToken: m.ReadToken,
			})
			if file != "" {
				files = append(files, arrivedFile{file, id, *m.File})
			}
			if g.asking == nil {
				records = append(records, happened{"message.received", conversationID, id, "{}"})
			}
		case ItemFollow, ItemUnfollow:
			if err := g.friendship(ctx, e); err != nil {
				return err
			}
			if e.item.Welcome && conversationID == "" {
				if err := g.errand(ctx, ErrandWelcome, e); err != nil {
					return err
				}
			}
		case ItemUnwanted:
			if err := g.errand(ctx, ErrandLeave, e); err != nil {
				return err
			}
		case ItemEdit:
			edited, forgotten = append(edited, e), append(forgotten, e.ID) // its words are the message's
		}
	}
	if friendship {
		if err := g.blocked(ctx); err != nil {
			return err
		}
	}
	if len(arrived) > 0 {
		stored, err := g.insertArrived(ctx, conversationID, arrived)
		if err != nil {
			return err
		}
		if len(stored) < len(arrived) {
			// LINE has told of a message by two events: it is the one that came first.
			records = slices.DeleteFunc(records, func(h happened) bool { return !slices.Contains(stored, h.subjectID) })
			files = slices.DeleteFunc(files, func(f arrivedFile) bool {
				again := !slices.Contains(stored, f.messageID)
				if again {
					g.res.Media = slices.DeleteFunc(g.res.Media, func(id string) bool { return id == f.id })
				}
				return again
			})
		}
		if err := g.c.insertFiles(ctx, conversationID, files, g.now); err != nil {
			return err
		}
	}
	if err := g.c.recordAll(ctx, records, g.now); err != nil {
		return err
	}
	if err := g.c.insertLines(ctx, g.req.ChannelID, conversationID, lines, g.now); err != nil {
		return err
	}
	if err := g.edit(ctx, edited, unsent, len(arrived) > 0); err != nil {
		return err
	}
	if err := g.forget(ctx, forgotten); err != nil {
		return err
	}
	if err := g.standby(ctx, events); err != nil {
		return err
	}
	return g.recall(ctx, unsent)
}

// forget empties the raw bytes of events whose words are kept elsewhere, or are
// nobody's here.
func (g *ingest) forget(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	args := []any{[]byte{}}
	for _, id := range ids {
		args = append(args, id)
	}
	_, err := g.c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE id IN (`+list1(len(ids), 2)+`)`, args...)
	return err
}

// arrival is a customer's message as it is stored.
type arrival struct {
	ID                            string
	Ordinal, OccurredAt, Position int64
	Type, Text, Payload, State    string
	WebhookEventID, LINEMessageID string
	AttachmentID                  string
	SenderID                      string
	Trace                         string // "" for none
	QuoteToken, ReadToken         string // "" for none
}

// insertArrived stores messages of the customer: one as it mostly is, or many in
// a text that does not depend on how many. It returns the ids of those that were
// not there before.
func (g *ingest) insertArrived(ctx context.Context, conversationID string, arrived []arrival) (stored []string, err error) {
	into := `INSERT INTO messages (conversation_id, channel_id, direction, sender_kind, held, created_at,
		id, ordinal, occurred_at, position, type, text, payload, state, webhook_event_id, line_message_id, attachment_id, sender_id, quote_token, read_token, traceparent) `
	args := []any{conversationID, g.req.ChannelID, string(conversation.Inbound), string(conversation.SenderCustomer), g.asking != nil, g.now}
	rows := make([][]any, len(arrived))
	for i, m := range arrived {
		rows[i] = []any{m.ID, m.Ordinal, m.OccurredAt, m.Position, m.Type, m.Text, m.Payload, m.State, m.WebhookEventID, m.LINEMessageID, m.AttachmentID, m.SenderID, m.QuoteToken, m.ReadToken, m.Trace}
	}
	const end = ` ON CONFLICT DO NOTHING RETURNING id`
	if len(rows) == 1 {
		err = g.c.list(ctx, &stored, into+`VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20, NULLIF($21, ''))`+end, append(args, rows[0]...)...)
	} else {
		err = g.c.list(ctx, &stored, into+`SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BOOLEAN), CAST($6 AS BIGINT),
				id, ordinal, occurred_at, position, type, text, payload, state, webhook_event_id, line_message_id, attachment_id, sender_id, quote_token, read_token, NULLIF(traceparent, '') FROM `+
			g.c.s.d.rows(7, "id TEXT", "ordinal BIGINT", "occurred_at BIGINT", "position BIGINT", "type TEXT", "text TEXT", "payload TEXT", "state TEXT",
				"webhook_event_id TEXT", "line_message_id TEXT", "attachment_id TEXT", "sender_id TEXT", "quote_token TEXT", "read_token TEXT", "traceparent TEXT")+` AS arrived WHERE TRUE`+end,
			append(args, jsonOf(rows))...)
	}
	return stored, err
}

// unsends are messages taken back, as one ingest meets them.
type unsends struct {
	ids     []string // taken back now or before: none of them may show
	waiting []string // of these, taken back before they arrived, in earlier ingests
	now     []string // of these, taken back by an event of this ingest
	arrived []int64  // event rows of messages that arrive already taken back
}

// has tells whether a message was taken back before it was taken in: nobody
// owes it an answer.
func (u *unsends) has(m InboundMessage) bool {
	return m.LINEMessageID != "" && slices.Contains(u.ids, m.LINEMessageID)
}

func (g *ingest) unsentMessages(events []taken) (*unsends, error) {
	u := &unsends{}
	if err := json.Unmarshal([]byte(g.chat.Unsent), &u.waiting); err != nil {
		return nil, fmt.Errorf("chats.unsent: %w", err)
	}
	for _, e := range events {
		if e.new && e.item.Kind == ItemUnsend && e.item.Unsent != "" {
			u.now = append(u.now, e.item.Unsent)
		}
	}
	u.ids = append(append([]string{}, u.waiting...), u.now...)
	return u, nil
}

// unsentKept bounds the unsent message ids a chat remembers for messages that
// have not arrived.
const unsentKept = 200

// recall removes the content of messages taken back, and remembers those that
// have not arrived yet.
func (g *ingest) recall(ctx context.Context, u *unsends) error {
	for _, row := range u.arrived {
		if _, err := g.c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE id = $2`, []byte{}, row); err != nil {
			return err
		}
	}
	if len(u.now) == 0 {
		return nil
	}
	waiting := u.waiting
	for _, id := range u.now {
		var m struct {
			ID             string `db:"id"`
			ConversationID string `db:"conversation_id"`
			EventID        string `db:"webhook_event_id"`
			AttachmentID   string `db:"attachment_id"`
			Held           bool   `db:"held"`
		}
		found, err := g.c.get(ctx, &m, `
			UPDATE messages SET state = $1, text = '', payload = '', edits = '', quote_token = '', read_token = ''
			WHERE channel_id = $2 AND line_message_id = $3 AND direction = 'inbound'
			RETURNING id, conversation_id, webhook_event_id, attachment_id, held`, string(conversation.MessageRecalled), g.req.ChannelID, id)
		if err != nil {
			return err
		}
		if !found {
			answer, err := g.recallAnswer(ctx, id)
			if err != nil {
				return err
			}
			if !answer {
				waiting = append(waiting, id)
			}
			continue
		}
		if _, err := g.c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE channel_id = $2 AND webhook_event_id = $3`,
			[]byte{}, g.req.ChannelID, m.EventID); err != nil {
			return err
		}
		if !m.Held { // of what is held nobody has heard
			if err := g.c.record(ctx, "message.recalled", m.ConversationID, m.ID, "{}", g.now); err != nil {
				return err
			}
		}
		if m.AttachmentID != "" {
			if err := g.c.revokeFile(ctx, m.AttachmentID, ReasonUnsent); err != nil {
				return err
			}
			g.res.Media = append(g.res.Media, m.AttachmentID)
		}
	}
	if len(waiting) > unsentKept {
		waiting = waiting[len(waiting)-unsentKept:]
	}
	if len(waiting) == len(u.waiting) {
		return nil
	}
	list, err := json.Marshal(waiting)
	if err != nil {
		return err
	}
	_, err = g.c.exec(ctx, `UPDATE chats SET unsent = $1 WHERE channel_id = $2 AND chat_key = $3`, string(list), g.req.ChannelID, g.req.ChatKey)
	return err
}

// phaseRow is the part of a conversation's row that the workflow needs.
type phaseRow struct {
	Status        conversation.Status        `db:"status"`
	Owner         conversation.Owner         `db:"owner"`
	Epoch         int64                      `db:"epoch"`
	QueueID       string                     `db:"queue_id"`
	AgentID       string                     `db:"agent_id"`
	BotID         string                     `db:"bot_id"`
	RoutedAt      int64                      `db:"routed_at"`
	Greeted       bool                       `db:"greeted"`
	ClosureReason conversation.ClosureReason `db:"closure_reason"`
	Pending       bool                       `db:"pending"` // messages wait that are in no batch yet
	Frozen        bool                       `db:"frozen"`  // a batch is not finished
	OfferedTo     string                     `db:"offered_to"`
	OfferedUntil  int64                      `db:"offered_until"`
	AutoOffer     string                     `db:"auto_offer"`
	Lost          bool                       `db:"lost"`
	TendedAt      int64                      `db:"tended_at"`
	ToldAt        int64                      `db:"told_at"`
	QueueSettings string                     `db:"queue_settings"`
	FetchedAt     int64                      `db:"fetched_at"` // when LINE told of the customer
}

// phaseColumns are phaseRow's. What is pending and offered is found by partial
// indexes that hold hardly anything, and costs no statement of its own. left is
// the placeholder of Absence.before.
func phaseColumns(left string) string {
	return `status, owner, epoch, queue_id, agent_id, bot_id, routed_at, greeted, closure_reason, tended_at, told_at, ` + queueSettingsColumn + `,
	EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = conversations.id AND m.state = 'pending' AND m.batch_id = '') AS pending,
	EXISTS (SELECT 1 FROM batches b WHERE b.conversation_id = conversations.id AND b.state = 'frozen') AS frozen,
	coalesce((SELECT agent_id FROM offers o WHERE o.conversation_id = conversations.id AND o.state = 'live'), '') AS offered_to,
	coalesce((SELECT expires_at FROM offers o WHERE o.conversation_id = conversations.id AND o.state = 'live'), 0) AS offered_until,
	coalesce((SELECT id FROM offers o WHERE o.conversation_id = conversations.id AND o.state = 'live' AND o.auto), '') AS auto_offer,
	coalesce((SELECT p.fetched_at FROM social_profiles p WHERE p.id = conversations.profile_id), 0) AS fetched_at,
	` + agentGone("conversations", left) + ` AS lost`
}

// state renews the conversation's summary when the customer wrote, and tells
// where it stands.
func (g *ingest) state(ctx context.Context, events []taken) error {
	var last int64
	taken := 0
	for _, e := range events {
		if e.new {
			taken++
			if e.item.Kind == ItemMessage {
				last = max(last, e.LineTime)
			}
		}
	}
	g.res.More = taken == ingestLimit || g.left
	left := Absence{}.before(g.s.now())
	if g.req.Plan != nil {
		left = g.req.Plan.Workstream.Settings.Assignment.Absence().before(g.s.now())
	}
	var p phaseRow
	var found bool
	var err error
	if last > 0 {
		found, err = g.c.get(ctx, &p, `
			UPDATE conversations SET updated_at = $1,
				last_customer_at = CASE WHEN last_customer_at < $2 THEN $2 ELSE last_customer_at END,
				last_message_at  = CASE WHEN last_message_at  < $2 THEN $2 ELSE last_message_at  END
			WHERE id = $3 RETURNING `+phaseColumns("$4"), g.now, last, g.res.ConversationID, left)
	} else {
		found, err = g.c.get(ctx, &p, `SELECT `+phaseColumns("$2")+` FROM conversations WHERE id = $1`, g.res.ConversationID, left)
	}
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("conversation %s has no row", g.res.ConversationID)
	}
	g.res.Status, g.res.Owner, g.res.Epoch, g.res.QueueID = p.Status, p.Owner, p.Epoch, p.QueueID
	g.res.AgentID, g.res.BotID, g.res.Routed = p.AgentID, p.BotID, p.RoutedAt > 0
	g.res.OfferedTo, g.res.OfferedUntil, g.res.AutoOffer, g.res.Lost = p.OfferedTo, p.OfferedUntil, p.AutoOffer, p.Lost
	if g.res.TendMS, err = tendMS(p.QueueID, p.QueueSettings, p.RoutedAt, p.TendedAt, p.ToldAt); err != nil {
		return err
	}
	g.res.ProfileStale = g.res.Messages > 0 && p.FetchedAt < g.freshSince()
	// A batch that the lane is not at was begun within a workflow task that did
	// not complete: its worker died, and nobody else knows of it.
	g.res.Greeted, g.res.ClosureReason, g.res.Pending = p.Greeted, p.ClosureReason, p.Pending || p.Frozen && !g.req.Sending
	if p.Epoch == g.req.Epoch {
		return nil
	}
	// Ownership moved without the workflow's knowing: a step was committed and
	// its answer lost. What that step wanted sent must not be forgotten, nor what
	// an earlier run had begun to send.
	if _, err = g.c.get(ctx, &g.res.Pending, anyPending, g.res.ConversationID); err != nil || p.Status != conversation.StatusClosed {
		return err
	}
	// Nor the files that came before the close: a closed conversation's events
	// are not told again.
	g.res.Media, err = g.c.pendingFiles(ctx, g.res.ConversationID)
	return err
}

// fresh finds out what a run that has no conversation yet is about.
func (g *ingest) fresh(ctx context.Context) error {
	surveys, err := g.openSurveys(ctx)
	if err != nil {
		return err
	}
	var open struct {
		ID          string              `db:"id"`
		Status      conversation.Status `db:"status"`
		Owner       conversation.Owner  `db:"owner"`
		BotPosition int64               `db:"bot_position"`
	}
	found, err := g.c.get(ctx, &open, `SELECT id, status, owner, bot_position FROM conversations
		WHERE channel_id = $1 AND chat_key = $2 AND status <> 'closed'`, g.req.ChannelID, g.req.ChatKey)
	if err != nil {
		return err
	}
	if found {
		seen := g.chat.Tick - 1 // only what is new counts
		switch (conversation.Phase{Status: open.Status, Owner: open.Owner}) {
		case conversation.PhaseBot:
			seen = open.BotPosition // whatever the bot has not answered counts
		case conversation.PhaseConsent:
			seen = 0 // nobody has answered anything
			if err := g.awaitsConsent(ctx, open.ID); err != nil {
				return err
			}
		}
		return g.takeOver(ctx, open.ID, seen)
	}
	left, err := g.unsaid(ctx, surveys)
	if err != nil {
		return err
	}
	if left != "" {
		return g.sayGoodbye(ctx, left)
	}
	var rows []LINEEvent
	if err := g.c.list(ctx, &rows, `
		SELECT id, webhook_event_id, kind, source_type, source_id, line_time, standby, raw, position, disposition, received_at FROM line_events
		WHERE channel_id = $1 AND chat_key = $2 AND position = $3 ORDER BY id`+limitTo(ingestLimit),
		g.req.ChannelID, g.req.ChatKey, int64(notHandled)); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	events, err := g.typedAnswers(ctx, surveys, g.interpretAll(rows, notHandled))
	if err != nil {
		return err
	}
	first := slices.IndexFunc(events, func(e taken) bool { return e.item.Kind == ItemMessage })
	if first < 0 {
		return g.facts(ctx, events, len(rows) == ingestLimit)
	}
	if g.req.Plan == nil {
		return fmt.Errorf("a conversation cannot start without a plan")
	}
	asks, err := g.asks(ctx)
	if err != nil {
		return err
	}
	if !asks { // what is reopened goes on where it was, and that is after the yes
		if reopened, err := g.reopen(ctx); reopened || err != nil {
			return err
		}
	}
	return g.create(ctx, events[first], asks)
}

// unsaid is a closed conversation of the chat that has something to do yet: a
// survey that has not begun, or messages and files of the last one. The run that
// had it is gone, or was this one, and the workflow task in which it began and
// closed it did not complete. What a survey that has begun says, that sends.
func (g *ingest) unsaid(ctx context.Context, surveys []invitationRow) (string, error) {
	for _, r := range surveys {
		if r.notBegun() && r.ConversationID != g.req.Left {
			return r.ConversationID, nil
		}
	}
	var last string
	found, err := g.c.get(ctx, &last, `SELECT id FROM conversations
		WHERE channel_id = $1 AND chat_key = $2 ORDER BY created_at DESC LIMIT 1`, g.req.ChannelID, g.req.ChatKey)
	if err != nil || !found || last == g.req.Left {
		return "", err
	}
	var unsaid bool
	if _, err := g.c.get(ctx, &unsaid, `SELECT `+unsaidBy("$1")+`
		OR EXISTS (SELECT 1 FROM attachments WHERE conversation_id = $1 AND state = 'pending' AND direction = 'inbound')`, last); err != nil || !unsaid {
		return "", err
	}
	return last, nil
}

// sayGoodbye gives a closed conversation to a fresh run, which sends what is left
// and begins the survey. The next run takes in what waits.
func (g *ingest) sayGoodbye(ctx context.Context, id string) error {
	g.res.ConversationID, g.res.Created, g.res.Seen = id, true, g.chat.Tick
	if err := g.state(ctx, nil); err != nil {
		return err
	}
	_, err := g.c.get(ctx, &g.res.SurveyDue, `SELECT EXISTS (SELECT 1 FROM survey_invitations WHERE conversation_id = $1 AND `+notBegun+`)`, id)
	return err
}

// reopen goes on with the chat's last conversation, if the workstream sets a
// reopen window and it was closed within it. One whose customer blocked the
// account or refused consent, or whose channel was deleted, stays closed.
func (g *ingest) reopen(ctx context.Context) (bool, error) {
	window := g.req.Plan.Workstream.Settings.ReopenSeconds
	if window <= 0 {
		return false, nil
	}
	var last struct {
		ID string `db:"id"`
	}
	found, err := g.c.get(ctx, &last, `SELECT id FROM conversations
		WHERE channel_id = $1 AND chat_key = $2 AND closed_at >= $3 AND closure_reason NOT IN ($4, $5, $6)
		ORDER BY created_at DESC LIMIT 1`, g.req.ChannelID, g.req.ChatKey, g.now-window*1_000_000,
		string(conversation.ReasonCustomerBlocked), string(conversation.ReasonChannelDeleted), string(conversation.ReasonConsentRefused))
	if err != nil || !found {
		return false, err
	}
	row, err := g.c.lockConversation(ctx, last.ID)
	if err != nil {
		return false, err
	}
	event, botID := conversation.EventReopenedInQueue, ""
	if g.req.Plan.Bot != nil && !row.BotBarred {
		event, botID = conversation.EventReopenedWithBot, g.req.Plan.Bot.ID
	}
	t, err := conversation.Next(row.phase(), event, conversation.Facts{BotBarred: row.BotBarred})
	if err != nil {
		return false, err
	}
	if _, err := g.c.carryOut(ctx, row, t, TransitionRequest{
		ID: conversation.DerivedID(conversation.PrefixStep, row.ID, "reopen", row.Epoch), Event: event,
		ParticipantID: botID,
	}); err != nil {
		return false, err
	}
	return true, g.takeOver(ctx, row.ID, g.chat.Tick-1)
}

// facts handles events that belong to no conversation, and opens none.
func (g *ingest) facts(ctx context.Context, events []taken, more bool) error {
	if _, err := g.c.exec(ctx, `
		UPDATE line_events SET position = $1, handled_at = $2, disposition = $3
		WHERE channel_id = $4 AND chat_key = $5 AND position = $6 AND id <= $7`,
		g.chat.Tick, g.now, DispositionFact, g.req.ChannelID, g.req.ChatKey, int64(notHandled), lastID(events)); err != nil {
		return err
	}
	if err := g.store(ctx, "", events); err != nil {
		return err
	}
	*g.res = IngestResult{More: more, Media: g.res.Media, Surveys: g.res.Surveys, Members: g.res.Members, StaleMembers: g.res.StaleMembers}
	return nil
}

func lastID(events []taken) int64 {
	var id int64
	for _, e := range events {
		id = max(id, e.ID)
	}
	return id
}

// takeOver continues the open conversation of the chat: the run that had it is
// gone (terminated, reset, or an earlier attempt of this very step created it).
func (g *ingest) takeOver(ctx context.Context, id string, seen int64) error {
	events, err := g.claim(ctx, id, seen)
	if err != nil {
		return err
	}
	if events, err = g.hear(ctx, events); err != nil {
		return err
	}
	g.res.ConversationID, g.res.Created, g.res.Seen = id, true, g.chat.Tick
	if err := g.store(ctx, id, events); err != nil {
		return err
	}
	g.res.Seen = g.chat.Tick
	if err := g.state(ctx, events); err != nil {
		return err
	}
	if err := g.returned(ctx); err != nil {
		return err
	}
	if g.res.Media, err = g.c.pendingFiles(ctx, id); err != nil {
		return err
	}
	if _, err := g.c.exec(ctx, `UPDATE conversations SET run_id = $1 WHERE id = $2`, g.req.RunID, id); err != nil {
		return err
	}
	return g.profileDue(ctx)
}

// returned counts what the customer wrote since the conversation was parked or
// ended for them: the run before took it in, and may have done nothing about it.
func (g *ingest) returned(ctx context.Context) error {
	if g.res.Messages > 0 || g.res.Status != conversation.StatusWaiting && g.res.Status != conversation.StatusWrapUp {
		return nil
	}
	_, err := g.c.get(ctx, &g.res.Messages, `SELECT count(*) FROM messages
		WHERE conversation_id = $1 AND direction = 'inbound' AND created_at > (SELECT phase_since FROM conversations WHERE id = $1)`, g.res.ConversationID)
	return err
}

// create opens a conversation for the event that calls for one, and takes all
// unhandled events into it.
func (g *ingest) create(ctx context.Context, first taken, asks bool) error {
	plan := g.req.Plan
	id := conversation.DerivedID(conversation.PrefixConversation, g.req.ChannelID, g.req.ChatKey, first.WebhookEventID)
	event, botID, version := conversation.EventStartedInQueue, "", ""
	switch {
	case asks:
		event, version = conversation.EventStartedAsking, plan.Workstream.Settings.Privacy.Version
	case plan.Bot != nil:
		event, botID = conversation.EventStartedWithBot, plan.Bot.ID
	}
	t, err := conversation.Next(conversation.PhaseNone, event, conversation.Facts{})
	if err != nil {
		return err
	}
	variables, err := json.Marshal(plan.Workstream.Settings.Context)
	if err != nil {
		return err
	}
	if plan.Workstream.Settings.Context == nil {
		variables = []byte("{}")
	}
	waitingSince := int64(0)
	if t.Has(conversation.EffectEnterQueue) {
		waitingSince = g.now
	}
	if _, err := g.c.exec(ctx, `
		INSERT INTO conversations (id, channel_id, chat_key, workstream_id, profile_id, status, owner, epoch, bot_id,
			context, locale, waiting_since, first_waited_at, run_id, phase_since, created_at, updated_at, contact_id, consent_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $11, $12, $13, $13, $13, coalesce((SELECT contact_id FROM social_profiles WHERE id = $5), ''), $14)`,
		id, g.req.ChannelID, g.req.ChatKey, plan.Workstream.ID, profileID(g.req.ChannelID, g.req.ChatKey),
		string(t.To.Status), string(t.To.Owner), botID, string(variables), plan.Channel.Locale, waitingSince, g.req.RunID, g.now, version); err != nil {
		return err
	}
	if t.Has(conversation.EffectStartSession) {
		if err := g.c.startSession(ctx, id, 1, "bot", botID, g.now); err != nil {
			return err
		}
	}
	if err := g.c.recordTransition(ctx, transitionRow{
		ID: conversation.DerivedID(conversation.PrefixStep, id, "start"), ConversationID: id, Event: event, From: t.From, To: t.To, Epoch: 1, At: g.now,
	}); err != nil {
		return err
	}
	g.chat.SourceID = first.SourceID
	if _, err := g.c.exec(ctx, `UPDATE chats SET source_type = $1, source_id = $2 WHERE channel_id = $3 AND chat_key = $4`,
		first.SourceType, first.SourceID, g.req.ChannelID, g.req.ChatKey); err != nil {
		return err
	}
	if _, err := g.c.exec(ctx, `
		INSERT INTO social_profiles (id, channel_id, chat_key, line_user_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (channel_id, chat_key) DO UPDATE SET friendship = 'unknown', updated_at = excluded.updated_at
		WHERE social_profiles.friendship = 'blocked' AND social_profiles.friendship_at < $6`, // who writes after a block has lifted it
		profileID(g.req.ChannelID, g.req.ChatKey), g.req.ChannelID, g.req.ChatKey, first.SourceID, g.now, first.LineTime); err != nil {
		return err
	}
	g.res.ConversationID, g.res.Created = id, true
	if asks {
		if err := g.awaitsConsent(ctx, id); err != nil {
			return err
		}
	}
	events, err := g.claim(ctx, id, 0)
	if err != nil {
		return err
	}
	if events, err = g.hear(ctx, events); err != nil {
		return err
	}
	if err := g.store(ctx, id, events); err != nil {
		return err
	}
	if err := g.state(ctx, events); err != nil {
		return err
	}
	return g.profileDue(ctx)
}

func (g *ingest) profileDue(ctx context.Context) error {
	var p struct {
		FetchedAt int64 `db:"fetched_at"`
		Blocked   bool  `db:"blocked"`
	}
	if _, err := g.c.get(ctx, &p, `SELECT fetched_at, friendship = 'blocked' AS blocked FROM social_profiles WHERE channel_id = $1 AND chat_key = $2`, g.req.ChannelID, g.req.ChatKey); err != nil {
		return err
	}
	g.res.ProfileDue = p.FetchedAt == 0
	g.res.ProfileStale = !g.res.ProfileDue && p.FetchedAt < g.freshSince()
	g.res.Blocked = p.Blocked // what began it came late
	return nil
}
