package api

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/locale"
	"kaiwa/internal/store"
)

// defaultLocale is the language of whoever did not say one.
const defaultLocale = "en"

func showAgent(a store.Agent, st store.AgentState, loads []store.ProfileLoad) Agent {
	return Agent{
		ID: a.ID, Name: a.Name, Email: a.Email, Role: Role(a.Role), Locale: a.Locale, Capacity: a.Capacity, AutoBusy: a.AutoBusy, Sender: a.Sender, Skills: append([]AgentSkill{}, a.Skills...),
		CapacityProfiles: append([]AgentCapacityProfile{}, a.CapacityProfiles...),
		State:            showAgentState(st, loads), Version: a.Version, CreatedAt: Time(a.CreatedAt), UpdatedAt: Time(a.UpdatedAt),
	}
}

// agentResponse shows an agent with how their day goes.
func (s *Server) agentResponse(ctx context.Context, a store.Agent, err error) (AgentJSONResponse, error) {
	if err != nil {
		return AgentJSONResponse{}, err
	}
	st, err := s.store.AgentState(ctx, a.ID)
	if err != nil {
		return AgentJSONResponse{}, err
	}
	loads, err := s.profileLoads(ctx, a)
	return AgentJSONResponse{Body: showAgent(a, st, loads[a.ID]), Headers: AgentResponseHeaders{ETag: etag(a.Version)}}, err
}

func (in AgentInput) apply(a *store.Agent) error {
	a.Name, a.Email, a.Role, a.Locale = in.Name, strings.ToLower(in.Email), store.Role(in.Role), in.Locale
	if a.Capacity = store.DefaultCapacity; in.Capacity != nil {
		a.Capacity = *in.Capacity
	}
	a.AutoBusy, a.Sender = in.AutoBusy, in.Sender
	a.Skills = slices.SortedFunc(slices.Values(in.Skills), func(x, y AgentSkill) int { return strings.Compare(x.SkillID, y.SkillID) })
	a.CapacityProfiles = slices.SortedFunc(slices.Values(in.CapacityProfiles), func(x, y AgentCapacityProfile) int { return strings.Compare(x.ProfileID, y.ProfileID) })
	var wrong invalid
	if err := wrong.under("/sender", line.ValidateSender(in.Sender)); err != nil {
		return err
	}
	for i, p := range in.CapacityProfiles {
		if slices.ContainsFunc(in.CapacityProfiles[:i], func(earlier AgentCapacityProfile) bool { return earlier.ProfileID == p.ProfileID }) {
			wrong.add("/capacity_profiles/"+strconv.Itoa(i)+"/profile_id", "The agent has this capacity profile in the list already.")
		}
	}
	for i, k := range in.Skills {
		if slices.ContainsFunc(in.Skills[:i], func(earlier AgentSkill) bool { return earlier.SkillID == k.SkillID }) {
			wrong.add("/skills/"+strconv.Itoa(i)+"/skill_id", "The agent has this skill in the list already.")
		}
	}
	if err := wrong.under("", checkLocale(&a.Locale)); err != nil {
		return err
	}
	return wrong.err()
}

// checkLocale fills in the default and refuses what is no language.
func checkLocale(tag *string) error {
	if *tag == "" {
		*tag = defaultLocale
	}
	if !locale.Valid(*tag) {
		return conversation.Invalid("/locale", "This is not a known language tag such as en, ja or zh-TW.")
	}
	return nil
}

// ListAgents lists agents.
func (s *Server) ListAgents(ctx context.Context, r ListAgentsRequestObject) (ListAgentsResponseObject, error) {
	var states map[string]store.AgentState
	var loads map[string][]store.ProfileLoad
	items, next, err := listed("agents", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Agent, error) {
		list, err := s.store.Agents(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		if states, err = s.store.AgentStates(ctx, shown(list, func(a store.Agent) string { return a.ID })); err != nil {
			return nil, err
		}
		loads, err = s.profileLoads(ctx, list...)
		return list, err
	}, func(a store.Agent) store.Cursor { return store.Cursor{At: a.CreatedAt, ID: a.ID} }, func(a store.Agent) Agent { return showAgent(a, states[a.ID], loads[a.ID]) })
	return ListAgents200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateAgent creates an agent.
func (s *Server) CreateAgent(ctx context.Context, r CreateAgentRequestObject) (CreateAgentResponseObject, error) {
	a := store.Agent{ID: idFor(ctx, conversation.PrefixAgent)}
	if err := s.profileLimits(ctx, r.Body.CapacityProfiles); err != nil {
		return nil, err
	}
	if err := r.Body.apply(&a); err != nil {
		return nil, err
	}
	a, err := s.store.CreateAgent(ctx, origin(ctx), a)
	body, err := s.agentResponse(ctx, a, err)
	return CreateAgent201JSONResponse{body}, err
}

// GetAgent reads an agent.
func (s *Server) GetAgent(ctx context.Context, r GetAgentRequestObject) (GetAgentResponseObject, error) {
	a, err := s.store.Agent(ctx, r.ID)
	body, err := s.agentResponse(ctx, a, err)
	return GetAgent200JSONResponse{body}, err
}

// UpdateAgent changes an agent.
func (s *Server) UpdateAgent(ctx context.Context, r UpdateAgentRequestObject) (UpdateAgentResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	a, err := s.store.UpdateAgent(ctx, origin(ctx), r.ID, version, func(a *store.Agent) error {
		var in AgentInput
		if err := mergePatch(AgentInput{Name: a.Name, Email: a.Email, Role: Role(a.Role), Locale: a.Locale, Capacity: &a.Capacity, AutoBusy: a.AutoBusy, Sender: a.Sender, Skills: a.Skills, CapacityProfiles: a.CapacityProfiles}, *r.Body, &in); err != nil {
			return err
		}
		if err := s.profileLimits(ctx, in.CapacityProfiles); err != nil {
			return err
		}
		return in.apply(a)
	})
	body, err := s.agentResponse(ctx, a, s.dispatched(ctx, err))
	return UpdateAgent200JSONResponse{body}, err
}

// DeleteAgent deletes an agent.
func (s *Server) DeleteAgent(ctx context.Context, r DeleteAgentRequestObject) (DeleteAgentResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteAgent204Response{}, s.dispatched(ctx, s.store.DeleteAgent(ctx, origin(ctx), r.ID, version))
}

// GetMe tells who the token speaks for.
func (s *Server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	i := caller(ctx)
	agent, err := s.store.Agent(ctx, i.Agent.ID)
	if err != nil {
		return nil, err
	}
	st, err := s.store.AgentState(ctx, i.Agent.ID)
	if err != nil {
		return nil, err
	}
	loads, err := s.profileLoads(ctx, agent)
	if err != nil {
		return nil, err
	}
	return GetMe200JSONResponse{Agent: showAgent(agent, st, loads[agent.ID]), TokenID: i.Token.ID, Role: Role(i.Role()), Permissions: permissions(i)}, nil
}
