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

func showAgentState(st store.AgentState, loads []store.ProfileLoad) AgentState {
	out := AgentState{
		CapacityProfiles: shown(loads, func(l store.ProfileLoad) CapacityProfileLoad {
			return CapacityProfileLoad{ProfileID: l.ProfileID, Limit: l.Limit, Load: l.Load}
		}),
		Presence: Presence(st.Shown()), ChosenPresence: Presence(st.Chosen), Cause: Nullable(st.Cause), AtCapacity: st.AtCapacity,
		Since: fromMicros(st.Since), LastSeenAt: fromMicros(st.LastSeen), Capacity: st.Capacity, Load: st.Load,
	}
	if st.CustomID != "" {
		out.CustomPresence = &Named{ID: st.CustomID, Name: st.Custom}
	}
	return out
}

// profileLoads reads what agents hold of their capacity profiles: nothing, in no
// statement, of those who have none.
func (s *Server) profileLoads(ctx context.Context, list ...store.Agent) (map[string][]store.ProfileLoad, error) {
	var ids []string
	for _, a := range list {
		if len(a.CapacityProfiles) > 0 {
			ids = append(ids, a.ID)
		}
	}
	loads, err := s.store.ProfileLoads(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if loads[a.ID] == nil { // nobody has given them anything yet
			for _, p := range a.CapacityProfiles {
				loads[a.ID] = append(loads[a.ID], store.ProfileLoad{ProfileID: p.ProfileID, Limit: p.Limit})
			}
		}
	}
	return loads, nil
}

// stateOf is how an agent's day goes, whose presence was just set.
func (s *Server) stateOf(ctx context.Context, st store.AgentState, err error) (AgentState, error) {
	if err = s.dispatched(ctx, err); err != nil {
		return AgentState{}, err
	}
	loads, err := s.store.ProfileLoads(ctx, []string{st.AgentID})
	return showAgentState(st, loads[st.AgentID]), err
}

// SetMyPresence sets the caller's presence.
func (s *Server) SetMyPresence(ctx context.Context, r SetMyPresenceRequestObject) (SetMyPresenceResponseObject, error) {
	st, err := s.store.SetPresence(ctx, caller(ctx).Agent.ID, conversation.Presence(r.Body.Presence), true)
	body, err := s.stateOf(ctx, st, err)
	return SetMyPresence200JSONResponse(body), err
}

// SetAgentPresence sets the presence of an agent on behalf of a supervisor.
func (s *Server) SetAgentPresence(ctx context.Context, r SetAgentPresenceRequestObject) (SetAgentPresenceResponseObject, error) {
	st, err := s.store.SetPresence(ctx, r.ID, conversation.Presence(r.Body.Presence), r.ID == caller(ctx).Agent.ID)
	body, err := s.stateOf(ctx, st, err)
	return SetAgentPresence200JSONResponse(body), err
}
