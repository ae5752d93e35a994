package store

import (
	"context"
	"fmt"
	"math"
	"strings"

	"kaiwa/internal/conversation"
)

// ConversationFilter narrows a list; empty fields do not.
type ConversationFilter struct {
	Status    conversation.Status
	QueueID   string
	AgentID   string
	ContactID string
	ChannelID string
	Search    string // in the customer's name and the messages' text, whatever the case
}

// Position is a place in a list sorted by time and id, for keyset paging.
type Position struct {
	At int64
	ID string
}

var everyStatus = []conversation.Status{
	conversation.StatusOpen, conversation.StatusActive, conversation.StatusWaiting, conversation.StatusWrapUp, conversation.StatusClosed,
}

// Conversations lists conversations, newest first, after a position (the zero
// Position starts at the newest).
func (s *Store) Conversations(ctx context.Context, f ConversationFilter, after Position, limit int) ([]Conversation, error) {
	q, args := s.d.conversationList(f, after, limit)
	var list []Conversation
	err := s.read().list(ctx, &list, q, args...)
	return list, err
}

// conversationList finds a page's ids in one index, and then the rest of their
// rows. The indexes of channels, queues and agents have the status before the
// time, because of the many that belong to one most are closed: a list of all
// statuses is the newest of each, merged.
func (d dialect) conversationList(f ConversationFilter, after Position, limit int) (q string, args []any) {
	var where []string
	add := func(clause string, vs ...any) {
		for _, v := range vs {
			args = append(args, v)
			clause = strings.Replace(clause, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, clause)
	}
	// The last of these that is given is the index to read: each has fewer
	// conversations than the one before.
	index, byTime := "conversations_by_time", true
	if f.Status != "" {
		index, byTime = "conversations_by_status", false
	}
	for _, by := range []struct{ column, value, index string }{
		{"channel_id", f.ChannelID, "conversations_of_channel"}, {"queue_id", f.QueueID, "conversations_of_queue"},
		{"agent_id", f.AgentID, "conversations_of_agent"}, {"contact_id", f.ContactID, "conversations_by_contact"},
	} {
		if by.value == "" {
			continue
		}
		add("c."+by.column+" = ?", by.value)
		if by.index != "conversations_of_channel" {
			add("c." + by.column + " <> ''") // which the index is for
		}
		index, byTime = by.index, by.column == "contact_id"
	}
	from := " FROM conversations c" + d.indexedBy(index)
	if f.Search != "" {
		like := "%" + escapeLike(strings.ToLower(f.Search)) + "%"
		add(`(lower(p.display_name) LIKE ? ESCAPE '\' OR EXISTS (
			SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND NOT m.held AND lower(m.text) LIKE ? ESCAPE '\'))`, like, like)
		from += " LEFT JOIN social_profiles p ON p.id = c.profile_id"
	}
	if byTime && f.Status != "" {
		add("c.status = ?", string(f.Status))
	}
	before := Position{At: math.MaxInt64}
	if after.ID != "" {
		before = after
	}
	args = append(args, before.At, before.ID)
	at, id := fmt.Sprintf("$%d", len(args)-1), fmt.Sprintf("$%d", len(args))
	most := limitTo(limit)
	part := func(clause, order string) string {
		return "SELECT c.id, c.created_at" + from + " WHERE " + strings.Join(append([]string{clause}, where...), " AND ") + " ORDER BY " + order + most
	}
	// A range instead of a status, because only this index is in its order: one
	// of all conversations by time might be read far for the few that fit.
	of := func(status string) string {
		return part(fmt.Sprintf("(c.status, c.created_at, c.id) < (%[1]s, %[2]s, %[3]s) AND (c.status, c.created_at, c.id) >= (%[1]s, 0, '')", status, at, id),
			"c.status DESC, c.created_at DESC, c.id DESC")
	}
	var ids string
	switch {
	case byTime:
		ids = part(fmt.Sprintf("(c.created_at, c.id) < (%s, %s)", at, id), "c.created_at DESC, c.id DESC")
	case f.Status != "":
		args = append(args, string(f.Status))
		ids = of(fmt.Sprintf("CAST($%d AS TEXT)", len(args)))
	default:
		var parts []string
		for _, status := range everyStatus {
			parts = append(parts, "SELECT * FROM ("+of("'"+string(status)+"'")+") AS of_"+string(status))
		}
		ids = "SELECT * FROM (" + strings.Join(parts, " UNION ALL ") + ") AS each_status ORDER BY created_at DESC, id DESC" + most
	}
	return "SELECT " + conversationColumns + " FROM (" + ids + ") AS page CROSS JOIN conversations c LEFT JOIN social_profiles p ON p.id = c.profile_id" +
		" WHERE c.id = page.id ORDER BY page.created_at DESC, page.id DESC", args
}

// escapeLike makes the wildcards of LIKE ordinary characters.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
