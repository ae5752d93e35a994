package api

import (
	"context"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

const defaultPriority = 100

func showQueue(q store.Queue) Queue {
	return Queue{
		ID: q.ID, Name: q.Name, Priority: q.Priority, Assignment: QueueAssignment(q.Assignment), Custom: q.Custom, CalendarID: Nullable(q.CalendarID),
		OutOfHours: q.Settings.OutOfHours, Overflow: q.Settings.Overflow, WaitInfo: q.Settings.WaitInfo,
		Version: q.Version, CreatedAt: Time(q.CreatedAt), UpdatedAt: Time(q.UpdatedAt),
	}
}

func queueResponse(q store.Queue) QueueJSONResponse {
	return QueueJSONResponse{Body: showQueue(q), Headers: QueueResponseHeaders{ETag: etag(q.Version)}}
}

// apply checks the input and puts it into q.
func (in QueueInput) apply(q *store.Queue) error {
	q.Name, q.Priority, q.Assignment, q.Custom, q.CalendarID = in.Name, defaultPriority, routing.Method(in.Assignment), in.Custom, in.CalendarID
	if in.Priority != nil {
		q.Priority = *in.Priority
	}
	q.Settings = store.QueueSettings{OutOfHours: in.OutOfHours, Overflow: in.Overflow, WaitInfo: in.WaitInfo}.Defaults()
	wrong := invalid(q.Settings.Check(q.CalendarID))
	switch {
	case q.Assignment == routing.Custom && q.Custom == nil:
		wrong.add("/custom", "Say who is served first, and by whom, or choose another assignment.")
	case q.Assignment != routing.Custom && q.Custom != nil:
		wrong.add("/custom", "This belongs to the assignment custom. Take it out (null), or set assignment to custom.")
	case q.Custom != nil:
		q.Custom.Defaults(func(prefix string) string { return conversation.NewID(conversation.Prefix(prefix)) })
		wrong = append(wrong, routing.CheckCustom("/custom", *q.Custom)...)
	}
	return wrong.err()
}

// ListQueues lists queues.
func (s *Server) ListQueues(ctx context.Context, r ListQueuesRequestObject) (ListQueuesResponseObject, error) {
	items, next, err := listed("queues", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Queue, error) {
		return s.store.Queues(ctx, after, limit)
	}, func(q store.Queue) store.Cursor { return store.Cursor{At: q.CreatedAt, ID: q.ID} }, showQueue)
	return ListQueues200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateQueue creates a queue.
func (s *Server) CreateQueue(ctx context.Context, r CreateQueueRequestObject) (CreateQueueResponseObject, error) {
	q := store.Queue{ID: idFor(ctx, conversation.PrefixQueue)}
	if err := r.Body.apply(&q); err != nil {
		return nil, err
	}
	q, err := s.store.CreateQueue(ctx, origin(ctx), q)
	return CreateQueue201JSONResponse{queueResponse(q)}, err
}

// GetQueue reads a queue.
func (s *Server) GetQueue(ctx context.Context, r GetQueueRequestObject) (GetQueueResponseObject, error) {
	q, err := s.store.Queue(ctx, r.ID)
	return GetQueue200JSONResponse{queueResponse(q)}, err
}

// UpdateQueue changes a queue.
func (s *Server) UpdateQueue(ctx context.Context, r UpdateQueueRequestObject) (UpdateQueueResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	q, err := s.store.UpdateQueue(ctx, origin(ctx), r.ID, version, func(q *store.Queue) error {
		var in QueueInput
		if err := mergePatch(QueueInput{
			Name: q.Name, Priority: &q.Priority, Assignment: QueueInputAssignment(q.Assignment), Custom: q.Custom, CalendarID: q.CalendarID,
			OutOfHours: q.Settings.OutOfHours, Overflow: q.Settings.Overflow, WaitInfo: q.Settings.WaitInfo,
		}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(q)
	})
	return UpdateQueue200JSONResponse{queueResponse(q)}, s.dispatched(ctx, err)
}

// DeleteQueue deletes a queue.
func (s *Server) DeleteQueue(ctx context.Context, r DeleteQueueRequestObject) (DeleteQueueResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteQueue204Response{}, s.store.DeleteQueue(ctx, origin(ctx), r.ID, version)
}

func showMember(m store.Member) QueueMember {
	return QueueMember{AgentID: m.AgentID, Name: m.Name, CreatedAt: Time(m.Since)}
}

// ListQueueMembers lists those who work a queue.
func (s *Server) ListQueueMembers(ctx context.Context, r ListQueueMembersRequestObject) (ListQueueMembersResponseObject, error) {
	items, next, err := listed("members", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Member, error) {
		return s.store.Members(ctx, r.ID, after, limit)
	}, func(m store.Member) store.Cursor { return store.Cursor{At: m.Since, ID: m.AgentID} }, showMember)
	return ListQueueMembers200JSONResponse{Items: items, NextCursor: next}, err
}

// AddQueueMember has an agent work a queue.
func (s *Server) AddQueueMember(ctx context.Context, r AddQueueMemberRequestObject) (AddQueueMemberResponseObject, error) {
	return AddQueueMember204Response{}, s.dispatched(ctx, s.store.AddMember(ctx, origin(ctx), r.ID, r.AgentID))
}

// RemoveQueueMember has an agent work a queue no longer.
func (s *Server) RemoveQueueMember(ctx context.Context, r RemoveQueueMemberRequestObject) (RemoveQueueMemberResponseObject, error) {
	return RemoveQueueMember204Response{}, s.dispatched(ctx, s.store.RemoveMember(ctx, origin(ctx), r.ID, r.AgentID))
}

// dispatched has waiting conversations matched anew after a change of what
// they are matched by: queues, members, skills, capacity.
func (s *Server) dispatched(ctx context.Context, err error) error {
	if err == nil {
		s.dispatcher.Kick(ctx)
	}
	return err
}
