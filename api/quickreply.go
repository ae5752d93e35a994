package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/fold"
	"kaiwa/internal/locale"
	"kaiwa/internal/store"
)

const (
	// maxFilledQuickReplies is how many quick replies an agent is shown in a
	// conversation, and maxSearchedQuickReplies among how many they are searched.
	maxFilledQuickReplies   = 200
	maxSearchedQuickReplies = 2000
)

func showQuickReply(q store.QuickReply) QuickReply {
	return QuickReply{
		ID: q.ID, Title: q.Title, Text: q.Text, Locale: Nullable(q.Locale), Tags: append([]string{}, q.Tags...), WorkstreamIDs: append([]string{}, q.WorkstreamIDs...),
		AgentID: Nullable(q.AgentID), Version: q.Version, CreatedAt: Time(q.CreatedAt), UpdatedAt: Time(q.UpdatedAt),
	}
}

func quickReplyResponse(q store.QuickReply) QuickReplyJSONResponse {
	return QuickReplyJSONResponse{Body: showQuickReply(q), Headers: QuickReplyResponseHeaders{ETag: etag(q.Version)}}
}

func (in QuickReplyInput) apply(q *store.QuickReply) error {
	q.Title, q.Text, q.Locale, q.Tags, q.WorkstreamIDs = in.Title, in.Text, in.Locale, in.Tags, in.WorkstreamIDs
	var wrong invalid
	if q.Locale != "" && !locale.Valid(q.Locale) {
		wrong.add("/locale", "This is not a known language tag such as en, ja or zh-TW.")
	}
	for _, slug := range automessage.Slugs(q.Text) {
		if !slug.Known() || !slug.Variable && !slices.Contains([]string{"customer_name", "agent_name", "queue_name"}, slug.Name) {
			wrong.add("/text", "There is no slug %s in a quick reply.", slug)
		}
	}
	return wrong.err()
}

// mine tells whether the caller may see a quick reply.
func mine(ctx context.Context, q store.QuickReply) bool {
	return q.AgentID == "" || q.AgentID == caller(ctx).Agent.ID
}

// mayWrite refuses to let the caller write everybody's quick replies without the
// permission for it.
func mayWrite(ctx context.Context, q store.QuickReply) error {
	if q.AgentID == "" && !slices.Contains(permissions(caller(ctx)), PermissionConfigurationWrite) {
		return conversation.Errorf(conversation.CodeForbidden, "Everybody's quick replies need the permission %s. Yours may be personal.", PermissionConfigurationWrite)
	}
	return nil
}

// quickReply reads one that the caller may see.
func (s *Server) quickReply(ctx context.Context, id string) (store.QuickReply, error) {
	q, err := s.store.QuickReply(ctx, id)
	if err == nil && !mine(ctx, q) {
		return q, conversation.Errorf(conversation.CodeNotFound, "There is no quick reply %q.", id)
	}
	return q, err
}

// ListQuickReplies lists everybody's quick replies and the caller's own.
func (s *Server) ListQuickReplies(ctx context.Context, r ListQuickRepliesRequestObject) (ListQuickRepliesResponseObject, error) {
	items, next, err := listed("quick-replies", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.QuickReply, error) {
		return s.store.QuickReplies(ctx, caller(ctx).Agent.ID, after, limit)
	}, func(q store.QuickReply) store.Cursor { return store.Cursor{At: q.CreatedAt, ID: q.ID} }, showQuickReply)
	return ListQuickReplies200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateQuickReply creates a quick reply.
func (s *Server) CreateQuickReply(ctx context.Context, r CreateQuickReplyRequestObject) (CreateQuickReplyResponseObject, error) {
	q := store.QuickReply{ID: idFor(ctx, conversation.PrefixQuickReply)}
	if r.Body.Personal {
		q.AgentID = caller(ctx).Agent.ID
	}
	if err := mayWrite(ctx, q); err != nil {
		return nil, err
	}
	if err := r.Body.apply(&q); err != nil {
		return nil, err
	}
	q, err := s.store.CreateQuickReply(ctx, origin(ctx), q)
	return CreateQuickReply201JSONResponse{quickReplyResponse(q)}, err
}

// GetQuickReply reads a quick reply.
func (s *Server) GetQuickReply(ctx context.Context, r GetQuickReplyRequestObject) (GetQuickReplyResponseObject, error) {
	q, err := s.quickReply(ctx, r.ID)
	return GetQuickReply200JSONResponse{quickReplyResponse(q)}, err
}

// UpdateQuickReply changes a quick reply.
func (s *Server) UpdateQuickReply(ctx context.Context, r UpdateQuickReplyRequestObject) (UpdateQuickReplyResponseObject, error) {
	q, version, err := s.quickReplyToWrite(ctx, r.ID, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	q, err = s.store.UpdateQuickReply(ctx, origin(ctx), q.ID, version, func(q *store.QuickReply) error {
		var in QuickReplyInput
		if err := mergePatch(QuickReplyInput{Title: q.Title, Text: q.Text, Locale: q.Locale, Tags: q.Tags, WorkstreamIDs: q.WorkstreamIDs}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(q)
	})
	return UpdateQuickReply200JSONResponse{quickReplyResponse(q)}, err
}

// DeleteQuickReply deletes a quick reply.
func (s *Server) DeleteQuickReply(ctx context.Context, r DeleteQuickReplyRequestObject) (DeleteQuickReplyResponseObject, error) {
	q, version, err := s.quickReplyToWrite(ctx, r.ID, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteQuickReply204Response{}, s.store.DeleteQuickReply(ctx, origin(ctx), q.ID, version)
}

// quickReplyToWrite reads one that the caller may write. Whose it is never
// changes, so what was read holds.
func (s *Server) quickReplyToWrite(ctx context.Context, id, match string) (q store.QuickReply, version int64, err error) {
	if version, err = ifMatch(match); err != nil {
		return q, 0, err
	}
	if q, err = s.quickReply(ctx, id); err != nil {
		return q, 0, err
	}
	return q, version, mayWrite(ctx, q)
}

// ListConversationQuickReplies lists what the caller may answer with in a
// conversation, filled in.
func (s *Server) ListConversationQuickReplies(ctx context.Context, r ListConversationQuickRepliesRequestObject) (ListConversationQuickRepliesResponseObject, error) {
	c, err := s.store.Conversation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	agent := caller(ctx).Agent
	list, err := s.store.QuickRepliesFor(ctx, agent.ID, c.WorkstreamID, maxSearchedQuickReplies)
	if err != nil {
		return nil, err
	}
	values := automessage.Values{CustomerName: c.DisplayName, AgentName: agent.Name, Context: map[string]string{}}
	if err := json.Unmarshal([]byte(c.Context), &values.Context); err != nil {
		return nil, err
	}
	if c.QueueID != "" {
		queue, err := s.store.Queue(ctx, c.QueueID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return nil, err
		}
		values.QueueName = queue.Name
	}
	speaks := cmp.Or(c.Language, c.Locale)
	words := strings.Fields(fold.Text(r.Params.Q))
	out := []FilledQuickReply{}
	// fits tells how well a quick reply's language does; less is better.
	fits := func(q FilledQuickReply) int {
		switch {
		case q.Locale != "" && locale.Match(speaks, []string{string(q.Locale)}) != "":
			return 0
		case q.Locale == "":
			return 1
		}
		return 2
	}
	for _, q := range list {
		in := fold.Text(strings.Join(append([]string{q.Title, q.Text}, q.Tags...), " "))
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(in, w) }) {
			continue
		}
		out = append(out, FilledQuickReply{
			ID: q.ID, Title: q.Title, Text: automessage.Fill(q.Text, values), Locale: Nullable(q.Locale), Tags: append([]string{}, q.Tags...), Personal: q.AgentID != "",
		})
	}
	slices.SortStableFunc(out, func(a, b FilledQuickReply) int { return fits(a) - fits(b) })
	return ListConversationQuickReplies200JSONResponse{Items: out[:min(len(out), maxFilledQuickReplies)]}, nil
}
