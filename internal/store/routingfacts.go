package store

import (
	"context"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// RoutingFacts is what a conversation is classified and routed by.
type RoutingFacts struct {
	Conversation Conversation
	Latest       []Message // of the customer, at most routing.MaxTexts, oldest first
	Messages     int64     // of the customer, in this conversation
	Earlier      int64     // conversations of the same customer before this one
	Reason       string    // why a bot handed over, "" when none did
	Queues       map[string]QueueFacts
	Rulesets     map[string]Ruleset // those the workstream names
	Unreadable   []string           // rulesets whose stored rules cannot be read
}

// QueueFacts is what routing asks of a queue.
type QueueFacts struct {
	Members    int
	CalendarID string
}

// LoadRoutingFacts reads what the rules of a workstream may ask about a
// conversation; CodeNotFound when it is not there.
func (s *Store) LoadRoutingFacts(ctx context.Context, conversationID string, w WorkstreamSettings) (RoutingFacts, error) {
	f := RoutingFacts{Queues: map[string]QueueFacts{}, Rulesets: map[string]Ruleset{}}
	c := s.write() // what the workflow has just stored must be seen
	var err error
	if f.Conversation, err = s.conversation(ctx, c, conversationID); err != nil {
		return f, err
	}
	if err := c.list(ctx, &f.Latest, `SELECT `+messageColumns+` FROM messages
		WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held AND state <> $2
		ORDER BY occurred_at DESC, ordinal DESC, id DESC LIMIT $3`, conversationID, string(conversation.MessageRecalled), routing.MaxTexts); err != nil {
		return f, fmt.Errorf("messages to route by: %w", err)
	}
	slices.Reverse(f.Latest)
	var counts struct {
		Messages int64  `db:"messages"`
		Earlier  int64  `db:"earlier"`
		Reason   string `db:"reason"`
	}
	if _, err := c.get(ctx, &counts, `SELECT
			(SELECT count(*) FROM messages WHERE conversation_id = $1 AND direction = 'inbound' AND NOT held) AS messages,
			(SELECT count(*) FROM conversations WHERE channel_id = $2 AND chat_key = $3 AND created_at < $4) AS earlier,
			coalesce((SELECT closure_reason FROM sessions WHERE conversation_id = $1 AND kind = 'bot' AND ended_at > 0 ORDER BY ended_at DESC LIMIT 1), '') AS reason`,
		conversationID, f.Conversation.ChannelID, f.Conversation.ChatKey, f.Conversation.CreatedAt); err != nil {
		return f, fmt.Errorf("counts to route by: %w", err)
	}
	f.Messages, f.Earlier, f.Reason = counts.Messages, counts.Earlier, counts.Reason
	var queues []struct {
		ID         string `db:"id"`
		CalendarID string `db:"calendar_id"`
		Members    int    `db:"members"`
	}
	if err := c.list(ctx, &queues, `SELECT id, calendar_id, (SELECT count(*) FROM queue_members m WHERE m.queue_id = queues.id) AS members FROM queues`); err != nil {
		return f, fmt.Errorf("queues to route to: %w", err)
	}
	for _, q := range queues {
		f.Queues[q.ID] = QueueFacts{q.Members, q.CalendarID}
	}
	ids := w.ClassificationRulesetIDs
	if w.RouteRulesetID != "" {
		ids = append(slices.Clone(ids), w.RouteRulesetID)
	}
	list, args := placeholders(ids, 1)
	if len(args) == 0 {
		return f, nil
	}
	var rows []rulesetRow
	if err := c.list(ctx, &rows, `SELECT id, name, kind, rules, version, created_at, updated_at FROM rulesets WHERE id IN (`+list+`)`, args...); err != nil {
		return f, fmt.Errorf("rules to route by: %w", err)
	}
	for _, row := range rows {
		set, err := rulesets.open(s, row)
		if err != nil {
			f.Unreadable = append(f.Unreadable, row.ID)
			continue
		}
		f.Rulesets[row.ID] = set
	}
	return f, nil
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
