package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// QuickReply is a text that agents answer with.
type QuickReply struct {
	ID            string
	Title         string
	Text          string // with slugs
	Locale        string // "": whatever the customer speaks
	Tags          []string
	WorkstreamIDs []string // none: all of them
	AgentID       string   // whose it is; "": everybody's
	Version       int64
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

type quickReplyRow struct {
	ID            string         `db:"id"`
	Title         string         `db:"title"`
	Text          string         `db:"text"`
	Locale        string         `db:"locale"`
	Tags          string         `db:"tags"`
	WorkstreamIDs string         `db:"workstream_ids"`
	AgentID       sql.NullString `db:"agent_id"`
	Version       int64          `db:"version"`
	CreatedAt     int64          `db:"created_at"`
	UpdatedAt     int64          `db:"updated_at"`
}

var quickReplies = &family[QuickReply, quickReplyRow]{
	kind: "quick reply", table: "quick_replies", prefix: conversation.PrefixQuickReply,
	meta: func(q *QuickReply) meta { return meta{&q.ID, &q.Title, &q.Version, &q.CreatedAt, &q.UpdatedAt} },
	seal: func(_ *Store, q QuickReply) (quickReplyRow, error) {
		tags, err := json.Marshal(append([]string{}, q.Tags...))
		if err != nil {
			return quickReplyRow{}, err
		}
		workstreams, err := json.Marshal(append([]string{}, q.WorkstreamIDs...))
		owner := sql.NullString{String: q.AgentID, Valid: q.AgentID != ""}
		return quickReplyRow{q.ID, q.Title, q.Text, q.Locale, string(tags), string(workstreams), owner, q.Version, micros(q.CreatedAt), micros(q.UpdatedAt)}, err
	},
	open: func(_ *Store, r quickReplyRow) (QuickReply, error) {
		q := QuickReply{ID: r.ID, Title: r.Title, Text: r.Text, Locale: r.Locale, AgentID: r.AgentID.String, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt)}
		if err := json.Unmarshal([]byte(r.Tags), &q.Tags); err != nil {
			return q, fmt.Errorf("tags of quick reply %s: %w", r.ID, err)
		}
		if err := json.Unmarshal([]byte(r.WorkstreamIDs), &q.WorkstreamIDs); err != nil {
			return q, fmt.Errorf("workstreams of quick reply %s: %w", r.ID, err)
		}
		return q, nil
	},
	facts: func(q QuickReply) map[string]any {
		return map[string]any{"title": q.Title, "text": q.Text, "locale": q.Locale, "tags": q.Tags, "workstream_ids": q.WorkstreamIDs, "agent_id": q.AgentID}
	},
	uses: func(ctx context.Context, c conn, q QuickReply) error {
		refs := references{}
		for i, id := range q.WorkstreamIDs {
			refs.add(id, fmt.Sprintf("/workstream_ids/%d", i))
		}
		return c.exist(ctx, "workstreams", "workstream", refs)
	},
	unused: none[QuickReply],
}

// QuickReply reads one quick reply; CodeNotFound when there is none.
func (s *Store) QuickReply(ctx context.Context, id string) (QuickReply, error) {
	return quickReplies.get(ctx, s, s.read(), id, "")
}

// QuickReplies lists everybody's quick replies and an agent's own, oldest first.
func (s *Store) QuickReplies(ctx context.Context, agentID string, after Cursor, limit int) ([]QuickReply, error) {
	var rows []quickReplyRow
	if err := s.read().list(ctx, &rows, quickRepliesQuery, micros(after.At), after.ID, agentID, limit); err != nil {
		return nil, err
	}
	return quickReplies.opened(ctx, s, s.read(), rows...)
}

var quickRepliesQuery = "SELECT " + strings.Join(columns[quickReplyRow](), ", ") + ` FROM quick_replies
	WHERE (created_at, id) > ($1, $2) AND (agent_id IS NULL OR agent_id = $3) ORDER BY created_at, id LIMIT $4`

// QuickRepliesFor lists, by their titles, at most limit quick replies that an
// agent may answer with in a workstream: everybody's and the agent's own, those
// of the workstream and those of all.
func (s *Store) QuickRepliesFor(ctx context.Context, agentID, workstreamID string, limit int) ([]QuickReply, error) {
	var rows []quickReplyRow
	if err := s.read().list(ctx, &rows, quickRepliesForQuery, agentID, named(workstreamID), limit); err != nil {
		return nil, err
	}
	return quickReplies.opened(ctx, s, s.read(), rows...)
}

var quickRepliesForQuery = "SELECT " + strings.Join(columns[quickReplyRow](), ", ") + ` FROM quick_replies
	WHERE (agent_id IS NULL OR agent_id = $1) AND (workstream_ids = '[]' OR workstream_ids LIKE $2 ESCAPE '\')
	ORDER BY title, id LIMIT $3`

// CreateQuickReply stores a quick reply; CodeInvalid when a workstream is not
// there.
func (s *Store) CreateQuickReply(ctx context.Context, by Origin, q QuickReply) (QuickReply, error) {
	return quickReplies.create(ctx, s, by, q)
}

// UpdateQuickReply changes a quick reply: CodeNotFound, CodeVersionStale,
// CodeInvalid when a workstream is not there.
func (s *Store) UpdateQuickReply(ctx context.Context, by Origin, id string, version int64, change func(*QuickReply) error) (QuickReply, error) {
	return quickReplies.update(ctx, s, by, id, version, change)
}

// DeleteQuickReply deletes a quick reply: CodeNotFound, CodeVersionStale.
func (s *Store) DeleteQuickReply(ctx context.Context, by Origin, id string, version int64) error {
	return quickReplies.delete(ctx, s, by, id, version)
}
