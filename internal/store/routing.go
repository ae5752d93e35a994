package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/language"
	"kaiwa/internal/routing"
)

// Routing is what a step that classifies and routes a conversation found. The
// transition that carries it out writes it whole: from then on the conversation
// can be matched.
//
// Until then its routed_at is 0. A queue that stands there all the same was
// named by somebody (a bot, whoever transferred it) and is kept; entering a
// queue that nobody named leaves queue_id empty.
type Routing struct {
	QueueID  string // "" when no rule named one and there is no fallback queue
	Priority int64  // larger is served first
	Skills   []conversation.SkillNeed
	Matching conversation.Matching
	Units    int64 // of an agent's capacity
	// CapacityProfileID is what it counts against instead of units, which are 0
	// then; "" is none.
	CapacityProfileID string
	ContactAgents     []string // whom its contact prefers, in order
	Requirement       string   // digest of what it asks of an agent: those that ask the same have the same
	Language          string   // as classified; "" leaves the profile's
	Attributes        map[string]string
	Log               []RoutingEntry
}

// The stages of the routing log.
const (
	StageClassification = "classification"
	StageRoute          = "route"
	StageAssignment     = "assignment"
)

// RoutingEntry is a line for the routing log.
type RoutingEntry struct {
	Stage   string
	Outcome string          // an enumerated word
	Entry   json.RawMessage // ids, numbers and enumerated words, never content
	Facts   *KeptFacts      // of a classification
}

// applyRouting writes what was found into a conversation whose row is locked,
// and into its routing log. step names the transition, now is in microseconds.
func (c conn) applyRouting(ctx context.Context, row conversationRow, step string, r *Routing, now int64) error {
	skills := r.Skills
	if skills == nil {
		skills = []conversation.SkillNeed{}
	}
	attributes := r.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	if _, err := c.exec(ctx, `
		UPDATE conversations SET queue_id = $1, priority = $2, skills = $3, matching = $4, units = $5, requirement = $6, language = $7,
			attributes = $8, verdict = '', routed_at = $9, tended_at = $9, updated_at = $9, capacity_profile_id = $10, contact_agents = $11
		WHERE id = $12`,
		r.QueueID, r.Priority, jsonOf(skills), string(r.Matching), r.Units, r.Requirement, r.Language, jsonOf(attributes), now,
		r.CapacityProfileID, strings.Join(r.ContactAgents, " "), row.ID); err != nil {
		return err
	}
	return c.logRouting(ctx, row.ID, row.Epoch, step, r.Log, now)
}

// logRouting adds lines to a conversation's routing log. step is what they
// follow from: the same step adds them once.
func (c conn) logRouting(ctx context.Context, conversationID string, epoch int64, step string, lines []RoutingEntry, now int64) error {
	if len(lines) == 0 {
		return nil
	}
	rows := make([][]any, len(lines))
	for i, l := range lines {
		facts := ""
		if l.Facts != nil {
			facts = jsonOf(l.Facts)
		}
		rows[i] = []any{conversation.DerivedID(conversation.PrefixRoutingEntry, step, i), conversationID, epoch, l.Stage, l.Outcome, string(l.Entry), now + int64(i), facts} // a microsecond apart, to be read in order
	}
	return c.writeLog(ctx, rows)
}

// RoutingFacts is what is known when a conversation is classified and routed.
type RoutingFacts struct {
	routing.Facts          // without the channel and the time
	QueueID       string   // a queue that was named for it
	Overflowed    []string // the queues it overflowed from
	ContactAgents []string // whom its contact prefers, in order
	// Findings are what services found, by their rulesets; not read here.
	Findings   map[string]routing.Finding
	MessageIDs []string // of the messages seen, oldest first
}

// RoutingFacts reads what rules may ask about a conversation, in two
// statements; CodeNotFound when there is none.
func (s *Store) RoutingFacts(ctx context.Context, id string) (RoutingFacts, error) {
	var row struct {
		ID            string `db:"id"`
		QueueID       string `db:"queue_id"`
		BotID         string `db:"bot_id"`
		BotBarred     bool   `db:"bot_barred"`
		BotReason     string `db:"bot_reason"`
		ContactID     string `db:"contact_id"`
		Overflowed    string `db:"overflowed"`
		Context       string `db:"context"`
		Summary       string `db:"summary"`
		Locale        string `db:"locale"`
		CreatedAt     int64  `db:"created_at"`
		FirstWaitedAt int64  `db:"first_waited_at"`
		Name          string `db:"name"`
		Language      string `db:"language"`
		Friendship    string `db:"friendship"`
		Earlier       int64  `db:"earlier"`
		Messages      int64  `db:"messages"`
		ContactAgents string `db:"contact_agents"`
		ContactName   string `db:"contact_name"`
		Email         string `db:"email"`
		Company       string `db:"company"`
		Number        string `db:"customer_number"`
		KnownContact  bool   `db:"known_contact"`
	}
	found, err := s.read().get(ctx, &row, routingFactsQuery, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", id)
	}
	if err != nil {
		return RoutingFacts{}, err
	}
	f := RoutingFacts{QueueID: row.QueueID, ContactAgents: strings.Fields(row.ContactAgents)}
	f.Conversation = routing.ConversationFacts{ID: row.ID, Locale: row.Locale, CreatedAt: fromMicros(row.CreatedAt), Messages: row.Messages}
	if row.FirstWaitedAt > 0 {
		f.Conversation.WaitingSeconds = (micros(s.now()) - row.FirstWaitedAt) / 1_000_000
	}
	f.Customer = routing.CustomerFacts{
		Name: row.Name, Language: row.Language, Friend: row.Friendship == "friend", ContactID: row.ContactID, EarlierConversations: row.Earlier,
	}
	if row.KnownContact {
		f.Contact = routing.ContactFacts{ID: row.ContactID, Name: row.ContactName, Email: row.Email, Company: row.Company, CustomerNumber: row.Number}
	}
	f.Bot = routing.BotFacts{ID: row.BotID, Summary: row.Summary, Escalated: row.BotBarred, Reason: row.BotReason}
	if err := json.Unmarshal([]byte(row.Context), &f.Context); err != nil {
		return RoutingFacts{}, fmt.Errorf("context of conversation %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(row.Overflowed), &f.Overflowed); err != nil {
		return RoutingFacts{}, fmt.Errorf("queues of conversation %s: %w", id, err)
	}
	var latest []seenMessage
	if err := s.read().list(ctx, &latest, routingTextsQuery+limitTo(routing.MaxTexts), id); err != nil {
		return RoutingFacts{}, err
	}
	f.see(latest)
	return f, nil
}

// seenMessage is a message that a condition may ask about.
type seenMessage struct {
	ID   string `db:"id"`
	Type string `db:"type"`
	Text string `db:"text"`
}

// see takes over messages, the latest first.
func (f *RoutingFacts) see(latest []seenMessage) {
	if len(latest) > 0 {
		f.Message.Type, f.Message.Text = latest[0].Type, latest[0].Text
	}
	f.Message.Texts = []string{}
	for _, m := range slices.Backward(latest) {
		f.MessageIDs = append(f.MessageIDs, m.ID)
		if m.Text != "" {
			f.Message.Texts = append(f.Message.Texts, m.Text)
		}
	}
	f.Message.Language = language.Of(f.Message.Texts)
}

const routingFactsQuery = `
	SELECT c.id, c.queue_id, c.bot_id, c.bot_barred, c.contact_id, c.context, c.summary, c.locale, c.created_at, c.first_waited_at, c.overflowed,
		coalesce(p.display_name, '') AS name, coalesce(p.language, '') AS language, coalesce(p.friendship, '') AS friendship,
		k.id IS NOT NULL AS known_contact, coalesce(k.name, '') AS contact_name, coalesce(k.email, '') AS email, coalesce(k.company, '') AS company,
		coalesce(k.customer_number, '') AS customer_number,
		(SELECT count(*) FROM conversations e WHERE e.channel_id = c.channel_id AND e.chat_key = c.chat_key AND e.created_at < c.created_at) AS earlier,
		(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'inbound' AND NOT m.held) AS messages,
		coalesce((SELECT s.closure_reason FROM sessions s WHERE s.conversation_id = c.id AND s.kind = 'bot' ORDER BY s.epoch DESC LIMIT 1), '') AS bot_reason,
		coalesce((SELECT string_agg(a.agent_id, ' ' ORDER BY a.place) FROM contact_agents a WHERE a.contact_id = c.contact_id), '') AS contact_agents
	FROM conversations c LEFT JOIN social_profiles p ON p.id = c.profile_id LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = $1`

const routingTextsQuery = `
	SELECT id, type, text FROM messages WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held AND state <> 'recalled'
	ORDER BY occurred_at DESC, ordinal DESC, id DESC`

// RulesetsByID reads rulesets. One that is not there, or cannot be read, is not
// in the result.
func (s *Store) RulesetsByID(ctx context.Context, ids ...string) (map[string]Ruleset, error) {
	found := map[string]Ruleset{}
	if len(ids) == 0 {
		return found, nil
	}
	var rows []rulesetRow
	if err := s.read().list(ctx, &rows, "SELECT "+strings.Join(columns[rulesetRow](), ", ")+" FROM rulesets WHERE id IN "+values(1, len(ids), 1), anys(ids)...); err != nil {
		return nil, err
	}
	for _, row := range rows {
		if r, err := rulesets.open(s, row); err == nil {
			found[r.ID] = r
		}
	}
	return found, nil
}

// QueueState is what routing goes by of a queue.
type QueueState struct {
	ID         string        `json:"id"`
	CalendarID string        `json:"calendar_id,omitempty"`
	Members    int           `json:"members"`
	Settings   QueueSettings `json:"settings,omitzero"`
	Waiting    int64         `json:"waiting,omitempty"` // conversations in it; counted where the queue is full some time
	// Custom is its custom assignment; nil when it has none, or none that can be
	// read.
	Custom *routing.CustomAssignment `json:"-"`
}

// QueueStates reads queues. One that is not there is not in the result.
func (s *Store) QueueStates(ctx context.Context, ids ...string) (map[string]QueueState, error) {
	found := map[string]QueueState{}
	if len(ids) == 0 {
		return found, nil
	}
	var rows []struct {
		ID         string `db:"id"`
		CalendarID string `db:"calendar_id"`
		Members    int    `db:"members"`
		Settings   string `db:"settings"`
		Custom     string `db:"custom"`
	}
	if err := s.read().list(ctx, &rows, `SELECT q.id, q.calendar_id, q.custom, (SELECT count(*) FROM queue_members m WHERE m.queue_id = q.id) AS members, q.settings
		FROM queues q WHERE q.id IN `+values(1, len(ids), 1), anys(ids)...); err != nil {
		return nil, err
	}
	var limited []string
	for _, row := range rows {
		settings, err := queueSettings(row.ID, row.Settings)
		if err != nil {
			return nil, err
		}
		q := QueueState{ID: row.ID, CalendarID: row.CalendarID, Members: row.Members, Settings: settings}
		if _, custom, err := assignmentOf("", row.Custom); err == nil {
			q.Custom = custom
		}
		found[row.ID] = q
		if settings.Overflow.MaxWaiting > 0 {
			limited = append(limited, row.ID)
		}
	}
	waiting, err := s.read().waitingIn(ctx, limited...)
	for id, n := range waiting {
		q := found[id]
		q.Waiting = n
		found[id] = q
	}
	return found, err
}

// waitingIn counts those who wait in queues, by queue. They are in one of two
// indexes, which hold nothing else.
func (c conn) waitingIn(ctx context.Context, queueIDs ...string) (map[string]int64, error) {
	if len(queueIDs) == 0 {
		return nil, nil
	}
	var rows []struct {
		QueueID string `db:"queue_id"`
		N       int64  `db:"n"`
	}
	if err := c.list(ctx, &rows, `
		SELECT queue_id, count(*) AS n FROM conversations WHERE queue_id `+c.s.d.among(1)+` AND `+isPlain+` GROUP BY queue_id
		UNION ALL
		SELECT queue_id, count(*) AS n FROM conversations WHERE queue_id `+c.s.d.among(1)+` AND `+isSingle+` GROUP BY queue_id`, c.s.d.ids(queueIDs)); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, r := range rows {
		counts[r.QueueID] += r.N
	}
	return counts, nil
}

// ErrQueueFull says that a queue took somebody else meanwhile and has no room
// left: where the conversation goes is to be decided anew.
var ErrQueueFull = errors.New("the queue is full")

// room refuses with ErrQueueFull when at least limit wait in a queue. The queue's
// row stays locked until the transaction ends, so that the count holds.
func (c conn) room(ctx context.Context, queueID string, limit int64) error {
	if limit <= 0 {
		return nil
	}
	var locked string
	if _, err := c.get(ctx, &locked, `SELECT id FROM queues WHERE id = $1`+c.s.d.forUpdate(), queueID); err != nil {
		return err
	}
	waiting, err := c.waitingIn(ctx, queueID)
	if err == nil && waiting[queueID] >= limit {
		err = ErrQueueFull
	}
	return err
}
