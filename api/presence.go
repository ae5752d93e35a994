package api

import (
	"context"
	"sync"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// signEvery is how often a process writes that an agent is there.
const signEvery = 30 * time.Second

// signs remembers whose sign of life was written when.
type signs struct {
	mu sync.Mutex
	at map[string]time.Time // by agent
}

// due tells whether a sign of life is to be written now.
func (s *signs) due(agentID string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.at[agentID]) < signEvery {
		return false
	}
	if s.at == nil {
		s.at = map[string]time.Time{}
	}
	s.at[agentID] = now
	return true
}

// alive notes that the caller is there. Whom that brings back from offline may
// be given work. An API that cannot write this still answers.
func (s *Server) alive(ctx context.Context) {
	back, err := s.store.SignOfLife(ctx, caller(ctx).Agent.ID)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("a sign of life was not noted", "agent_id", caller(ctx).Agent.ID, "error", err)
	}
	if back {
		s.dispatcher.Kick(ctx)
	}
}

func showAgentState(st store.AgentState) AgentState {
	out := AgentState{
		Presence: Presence(st.Shown()), ChosenPresence: Presence(st.Chosen), Cause: Nullable(st.Cause), AtCapacity: st.AtCapacity,
		Since: fromMicros(st.Since), LastSeenAt: fromMicros(st.LastSeen), Capacity: st.Capacity, Load: st.Load,
	}
	if st.CustomID != "" {
		out.CustomPresence = &Named{ID: st.CustomID, Name: st.Custom}
	}
	return out
}

// SetMyPresence sets the caller's presence.
func (s *Server) SetMyPresence(ctx context.Context, r SetMyPresenceRequestObject) (SetMyPresenceResponseObject, error) {
	st, err := s.store.SetPresence(ctx, caller(ctx).Agent.ID, conversation.Presence(r.Body.Presence), true)
	return SetMyPresence200JSONResponse(showAgentState(st)), s.dispatched(ctx, err)
}

// SetAgentPresence sets the presence of an agent on behalf of a supervisor.
func (s *Server) SetAgentPresence(ctx context.Context, r SetAgentPresenceRequestObject) (SetAgentPresenceResponseObject, error) {
	st, err := s.store.SetPresence(ctx, r.ID, conversation.Presence(r.Body.Presence), r.ID == caller(ctx).Agent.ID)
	return SetAgentPresence200JSONResponse(showAgentState(st)), s.dispatched(ctx, err)
}
