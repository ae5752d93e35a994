package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
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
	QueueID     string // "" when no rule named one and there is no fallback queue
	Priority    int64  // larger is served first
	Skills      []conversation.SkillNeed
	Matching    conversation.Matching
	Units       int64  // of an agent's capacity
	Requirement string // digest of what it asks of an agent: those that ask the same have the same
	Language    string // as classified; "" leaves the profile's
	Attributes  map[string]string
	Log         []RoutingEntry
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
			attributes = $8, verdict = '', routed_at = $9, updated_at = $9
		WHERE id = $10`,
		r.QueueID, r.Priority, jsonOf(skills), string(r.Matching), r.Units, r.Requirement, r.Language, jsonOf(attributes), now, row.ID); err != nil {
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
	MessageIDs    []string // of the messages seen, oldest first
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
	}
	found, err := s.read().get(ctx, &row, routingFactsQuery, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no conversation %s.", id)
	}
	if err != nil {
		return RoutingFacts{}, err
	}
	f := RoutingFacts{QueueID: row.QueueID}
	f.Conversation = routing.ConversationFacts{ID: row.ID, Locale: row.Locale, CreatedAt: fromMicros(row.CreatedAt), Messages: row.Messages}
	if row.FirstWaitedAt > 0 {
		f.Conversation.WaitingSeconds = (micros(s.now()) - row.FirstWaitedAt) / 1_000_000
	}
	f.Customer = routing.CustomerFacts{
		Name: row.Name, Language: row.Language, Friend: row.Friendship == "friend", ContactID: row.ContactID, EarlierConversations: row.Earlier,
	}
	f.Bot = routing.BotFacts{ID: row.BotID, Summary: row.Summary, Escalated: row.BotBarred, Reason: row.BotReason}
	if err := json.Unmarshal([]byte(row.Context), &f.Context); err != nil {
		return RoutingFacts{}, fmt.Errorf("context of conversation %s: %w", id, err)
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
}

const routingFactsQuery = `
	SELECT c.id, c.queue_id, c.bot_id, c.bot_barred, c.contact_id, c.context, c.summary, c.locale, c.created_at, c.first_waited_at,
		coalesce(p.display_name, '') AS name, coalesce(p.language, '') AS language, coalesce(p.friendship, '') AS friendship,
		(SELECT count(*) FROM conversations e WHERE e.channel_id = c.channel_id AND e.chat_key = c.chat_key AND e.created_at < c.created_at) AS earlier,
		(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'inbound' AND NOT m.held) AS messages,
		coalesce((SELECT s.closure_reason FROM sessions s WHERE s.conversation_id = c.id AND s.kind = 'bot' ORDER BY s.epoch DESC LIMIT 1), '') AS bot_reason
	FROM conversations c LEFT JOIN social_profiles p ON p.id = c.profile_id WHERE c.id = $1`

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
	ID         string `db:"id" json:"id"`
	CalendarID string `db:"calendar_id" json:"calendar_id,omitempty"`
	Members    int    `db:"members" json:"members"`
}

// QueueStates reads queues. One that is not there is not in the result.
func (s *Store) QueueStates(ctx context.Context, ids ...string) (map[string]QueueState, error) {
	found := map[string]QueueState{}
	if len(ids) == 0 {
		return found, nil
	}
	var rows []QueueState
	if err := s.read().list(ctx, &rows, `SELECT q.id, q.calendar_id, (SELECT count(*) FROM queue_members m WHERE m.queue_id = q.id) AS members
		FROM queues q WHERE q.id IN `+values(1, len(ids), 1), anys(ids)...); err != nil {
		return nil, err
	}
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, nil
}

// SomebodyFree tells whether a member of a queue is in one of the presences
// and has room for so many units.
func (s *Store) SomebodyFree(ctx context.Context, queueID string, presences []conversation.Presence, units int64) (bool, error) {
	var names []string
	for _, p := range presences {
		names = append(names, string(p))
	}
	list, args := placeholders(names, 3)
	if len(args) == 0 {
		return false, nil
	}
	var free bool
	_, err := s.read().get(ctx, &free, `SELECT EXISTS (
		SELECT 1 FROM queue_members m JOIN agents a ON a.id = m.agent_id JOIN agent_states s ON s.agent_id = a.id
		WHERE m.queue_id = $1 AND s.presence IN (`+list+`) AND a.capacity >= $2
			+ coalesce((SELECT sum(units) FROM conversations c WHERE c.agent_id = a.id AND c.owner = 'agent'), 0)
			+ coalesce((SELECT sum(units) FROM offers o WHERE o.agent_id = a.id AND o.state = 'live'), 0))`,
		append([]any{queueID, units}, args...)...)
	return free, err
}
