package api

import (
	"context"
	"encoding/json"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showConversation(c store.Conversation) Conversation {
	return Conversation{
		ID: c.ID, Status: ConversationStatus(c.Status), Owner: ConversationOwner(c.Owner), ChannelID: c.ChannelID, WorkstreamID: c.WorkstreamID,
		QueueID: Nullable(c.QueueID), AgentID: Nullable(c.AgentID),
		Contact: ConversationContact{
			ID: Nullable(c.ContactID), Name: c.DisplayName, PictureURL: Nullable(c.PictureURL), Language: Nullable(c.Language),
			Friendship: ConversationContactFriendship(c.Friendship), CustomerID: Nullable(c.CustomerID),
		},
		ChatType: chatType(c.LINEUserID), LINEUserID: Nullable(c.LINEUserID), Priority: c.Priority, Skills: json.RawMessage(c.Skills), Context: json.RawMessage(c.Context),
		WaitingSince: fromMicros(c.WaitingSince), CreatedAt: fromMicros(c.CreatedAt), UpdatedAt: fromMicros(c.UpdatedAt), ClosedAt: fromMicros(c.ClosedAt),
		ClosureReason: Nullable(c.ClosureReason), WorkflowID: c.WorkflowID(), RunID: Nullable(c.RunID),
	}
}

// chatType tells with whom a conversation is held, by the first letter of LINE's
// id: U, C or R.
func chatType(id string) string {
	switch {
	case strings.HasPrefix(id, "C"):
		return "group"
	case strings.HasPrefix(id, "R"):
		return "room"
	}
	return "user"
}

// me stands for the caller's own agent id in filters.
const me = "me"

// ListConversations lists conversations, newest first.
func (s *Server) ListConversations(ctx context.Context, r ListConversationsRequestObject) (ListConversationsResponseObject, error) {
	p := r.Params
	if p.AgentID == me {
		p.AgentID = caller(ctx).Agent.ID
	}
	var after store.Position
	if err := readCursor("conversations", p.Cursor, &after); err != nil {
		return nil, err
	}
	limit := pageSize(p.Limit)
	list, err := s.store.Conversations(ctx, store.ConversationFilter{
		Status: conversation.Status(p.Status), QueueID: p.QueueID, AgentID: p.AgentID, ContactID: p.ContactID, ChannelID: p.ChannelID, Search: p.Q,
	}, after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next, err := page("conversations", list, limit, func(c store.Conversation) any { return store.Position{At: c.CreatedAt, ID: c.ID} })
	if err != nil {
		return nil, err
	}
	items := shown(list, showConversation)
	return ListConversations200JSONResponse{Items: items, NextCursor: next}, s.countUnread(ctx, items)
}

// countUnread counts what nobody has read in conversations that are not closed.
func (s *Server) countUnread(ctx context.Context, items []Conversation) error {
	var open []string
	for _, c := range items {
		if c.Status != ConversationStatus(conversation.StatusClosed) {
			open = append(open, c.ID)
		}
	}
	unread, err := s.store.Unread(ctx, open)
	if err != nil {
		return err
	}
	for i, c := range items {
		if n, ok := unread[c.ID]; ok {
			items[i].Unread = &n
		}
	}
	return nil
}

// GetConversation reads a conversation.
func (s *Server) GetConversation(ctx context.Context, r GetConversationRequestObject) (GetConversationResponseObject, error) {
	c, err := s.store.Conversation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	out := showConversation(c)
	if c.Owner == conversation.OwnerQueue {
		e, err := s.store.Estimate(ctx, c.ID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound { // it waits no more, or not yet
			return nil, err
		}
		out.QueuePosition, out.EstimatedWaitSeconds = e.Position, int64(e.Left().Seconds())
	}
	u, err := s.store.ConversationUsage(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	used := showUsage(u)
	out.LINEUsage = &used
	one := []Conversation{out}
	err = s.countUnread(ctx, one)
	return GetConversation200JSONResponse(one[0]), err
}

func showSender(m store.Message) MessageSender {
	return MessageSender{Kind: MessageSenderKind(m.SenderKind), ID: Nullable(m.SenderID), Name: Nullable(m.SenderName)}
}

func showMessage(m store.Message) Message {
	out := Message{
		ID: m.ID, Direction: MessageDirection(m.Direction), Sender: showSender(m), ImageSet: imageSet(m), Edits: showEdits(m), EditedAt: fromMicros(m.EditedAt),
		Type: m.Type, Text: Nullable(m.Text), LINEMessageID: Nullable(m.LINEMessageID), LINERequestID: Nullable(m.LINERequestID), State: MessageState(m.State), Via: Nullable(m.Via),
		Charged: m.Charged, Automated: Nullable(m.Automated), RetryID: Nullable(m.RetryID), Quotable: m.Quotable(), CreatedAt: fromMicros(m.CreatedAt), SentAt: fromMicros(m.SentAt),
	}
	if shown := m.Shown(); shown != nil {
		out.Payload = shown
	}
	if m.Failure != "" {
		out.Failure = &MessageFailure{Code: m.Failure, Detail: m.FailureDetail}
	}
	return out
}

// ListMessages lists a conversation's messages, oldest first.
func (s *Server) ListMessages(ctx context.Context, r ListMessagesRequestObject) (ListMessagesResponseObject, error) {
	var after store.MessagePosition
	if err := readCursor("messages", r.Params.Cursor, &after); err != nil {
		return nil, err
	}
	limit := pageSize(r.Params.Limit)
	list, err := s.store.Messages(ctx, r.ID, after, limit+1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 { // as of a conversation that does not exist
		if _, err := s.store.Conversation(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	list, next, err := page("messages", list, limit, func(m store.Message) any {
		return store.MessagePosition{At: m.OccurredAt, Ordinal: m.Ordinal, ID: m.ID}
	})
	if err != nil {
		return nil, err
	}
	items, err := s.showMessages(ctx, list)
	return ListMessages200JSONResponse{Items: items, NextCursor: next}, err
}

// GetTimeline lists the steps of a conversation's life.
func (s *Server) GetTimeline(ctx context.Context, r GetTimelineRequestObject) (GetTimelineResponseObject, error) {
	if _, err := s.store.Conversation(ctx, r.ID); err != nil {
		return nil, err
	}
	list, err := s.store.Timeline(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetTimeline200JSONResponse{Items: shown(list, func(e store.TimelineEntry) TimelineEntry {
		return TimelineEntry{
			ID: e.ID, Event: string(e.Event), FromStatus: Nullable(e.FromStatus), FromOwner: Nullable(e.FromOwner), ToStatus: string(e.ToStatus), ToOwner: string(e.ToOwner),
			Epoch: e.Epoch, ActorID: Nullable(e.ActorID), Reason: Nullable(e.Reason), Note: Nullable(e.Note), CreatedAt: fromMicros(e.CreatedAt),
		}
	})}, nil
}
