package activities

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// RouteInput asks for a waiting conversation to be classified and routed.
type RouteInput struct {
	ID             string `json:"id"` // names the step: it is done once
	ConversationID string `json:"conversation_id"`
	ChannelID      string `json:"channel_id"`
	ChatKey        string `json:"chat_key"`
	// FindingsID names what the services among the rulesets found; "" when none
	// was asked, or the question was lost.
	FindingsID string `json:"findings_id,omitempty"`
}

// Route finds out what a conversation is about and decides its queue, by the
// workstream's rules. A queue that was named for it is kept. Rules that are not
// there, or cannot be read, decide nothing; without a rule that decides it is
// the fallback queue, and without that none: then people find it in the list of
// open conversations, and the routing log says what is missing.
func (a *Activities) Route(ctx context.Context, in RouteInput) (TransitionOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	facts, err := a.store.RoutingFacts(ctx, in.ConversationID)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	facts.Channel = routing.ChannelFacts{ID: plan.Channel.ID, Name: plan.Channel.Name, Locale: plan.Channel.Locale}
	facts.Now = a.now()
	if facts.Findings, err = a.findings(ctx, in.FindingsID); err != nil {
		return TransitionOutput{}, final(err)
	}
	found, hours, err := a.decide(ctx, plan, facts)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	trigger, err := a.told(ctx, plan, found, hours)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: conversation.EventRouted, Routing: found, Deadline: attemptDeadline(ctx),
	}
	if trigger != "" {
		conv, err := a.store.Conversation(ctx, in.ConversationID)
		if err != nil {
			return TransitionOutput{}, final(err)
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, trigger, found.QueueID); err != nil {
			return TransitionOutput{}, final(err)
		}
	}
	res, err := a.store.Transition(ctx, req)
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	a.dispatcher.Kick(ctx)
	return TransitionOutput{TransitionResult: res}, nil
}

// classified is what the routing log keeps of a classification.
type classified struct {
	Missing    []string                 `json:"missing,omitempty"` // rulesets that are not there or cannot be read
	Rules      []routing.RuleLog        `json:"rules"`
	Services   []routing.ServiceLog     `json:"services,omitempty"`
	Priority   int64                    `json:"priority"`
	Units      int64                    `json:"units"`
	Skills     []conversation.SkillNeed `json:"skills"`
	Matching   conversation.Matching    `json:"matching"`
	Language   string                   `json:"language,omitempty"`
	Written    string                   `json:"written_language,omitempty"` // the language of the customer's texts
	Attributes map[string]string        `json:"attributes"`
	// CapacityProfileID is what it counts against instead of units.
	CapacityProfileID string `json:"capacity_profile_id,omitempty"`
}

// routed is what the routing log keeps of a choice of queue.
type routed struct {
	Missing string              `json:"missing,omitempty"` // a ruleset that is not there or cannot be read
	Rules   []routing.RuleLog   `json:"rules"`
	QueueID string              `json:"queue_id,omitempty"`
	RuleID  string              `json:"rule_id,omitempty"`
	Warning routing.QueueReason `json:"warning,omitempty"`
	Hours   string              `json:"hours"`
	OpensAt *time.Time          `json:"opens_at,omitempty"` // of a queue that is closed

	custom *routing.CustomAssignment // of the queue
}

// The outcomes in the routing log that are not routing's own words.
const (
	classifiedByRules    = "rules_matched"
	classifiedByServices = "service_answered" // and no rule matched
	classifiedByNone     = "no_rule_matched"
	routeKept            = "queue_named" // by a bot, or by whoever transferred it
)

// How a queue's hours stand when a conversation comes to it.
const (
	hoursAlways  = "always" // it has no calendar
	hoursOpen    = "open"
	hoursClosed  = "closed"
	hoursHoliday = "holiday"
	hoursUnknown = "unknown" // the calendar cannot be read; it counts as open
)

// decide asks the rules, and says how the queue's hours stand.
func (a *Activities) decide(ctx context.Context, plan store.Plan, facts store.RoutingFacts) (_ *store.Routing, hours string, _ error) {
	settings := plan.Workstream.Settings
	sets, err := a.store.RulesetsByID(ctx, rulesetIDs(settings)...)
	if err != nil {
		return nil, "", err
	}
	facts.Conversation.Priority = settings.DefaultPriority
	about := classified{Matching: settings.Assignment.SkillMatching}
	var rules []routing.Ruleset
	for _, id := range settings.ClassificationRulesetIDs {
		if set, ok := sets[id]; ok {
			rules = append(rules, classifying(set, facts.Findings))
		} else {
			about.Missing = append(about.Missing, id)
		}
	}
	outcome := routing.Classify(rules, facts.Facts)
	about.Rules, about.Priority, about.Skills, about.Language, about.Attributes = append([]routing.RuleLog{}, outcome.Log...), outcome.Priority, outcome.Skills, outcome.Language, outcome.Attributes
	about.Services, about.Written = outcome.Services, facts.Message.Language
	about.Units, about.CapacityProfileID = outcome.Units, outcome.CapacityProfileID
	if about.Units == 0 && about.CapacityProfileID == "" {
		if about.CapacityProfileID = settings.CapacityProfileID; about.CapacityProfileID == "" {
			about.Units = settings.CapacityUnits
		}
	}
	facts.Conversation.Priority, facts.Conversation.Units, facts.Conversation.Language = about.Priority, about.Units, about.Language
	facts.Conversation.Attributes, facts.Conversation.Skills, facts.Conversation.CapacityProfileID = about.Attributes, levels(about.Skills), about.CapacityProfileID

	where, how, err := a.queueFor(ctx, plan, facts, sets)
	if err != nil {
		return nil, "", err
	}
	classification := classifiedByNone
	switch {
	case slices.ContainsFunc(about.Rules, func(l routing.RuleLog) bool { return l.Verdict == routing.RuleMatched }):
		classification = classifiedByRules
	case slices.ContainsFunc(about.Services, func(l routing.ServiceLog) bool { return l.Verdict == routing.ServiceAnswered }):
		classification = classifiedByServices
	}
	log, err := entries(
		entry{store.StageClassification, classification, about},
		entry{store.StageRoute, how, where})
	if err != nil {
		return nil, "", err
	}
	requirement := routing.Requirement{
		Units: about.Units, ProfileID: about.CapacityProfileID, Skills: about.Skills, Matching: about.Matching, Presences: settings.Assignment.Presences, First: facts.ContactAgents,
	}
	kind := routing.KindOf(where.custom, requirement, routing.FactsOf(requirement, about.Priority, about.Language, about.Attributes))
	return &store.Routing{
		QueueID: where.QueueID, Priority: about.Priority, Skills: about.Skills, Matching: about.Matching, Units: about.Units,
		CapacityProfileID: about.CapacityProfileID, ContactAgents: facts.ContactAgents,
		Requirement: kind, Language: about.Language, Attributes: about.Attributes, Log: log,
	}, where.Hours, nil
}

// queueFor decides the queue, and says how it was found.
func (a *Activities) queueFor(ctx context.Context, plan store.Plan, facts store.RoutingFacts, sets map[string]store.Ruleset) (routed, string, error) {
	fallback := plan.Workstream.FallbackQueueID
	var where routed
	var rules []routing.RouteRule
	if id := plan.Workstream.Settings.RouteRulesetID; id != "" && facts.QueueID == "" {
		set, ok := sets[id]
		if !ok {
			where.Missing = id
		}
		rules = set.RouteRules
	}
	states, err := a.store.QueueStates(ctx, queueIDs(rules, facts.QueueID, fallback)...)
	if err != nil {
		return routed{}, "", err
	}
	how := routeKept
	if _, there := states[facts.QueueID]; there {
		where.QueueID, where.Rules = facts.QueueID, []routing.RuleLog{}
	} else {
		queues := map[string]routing.QueueState{}
		for id, q := range states {
			queues[id] = routing.QueueState{Members: q.Members}
		}
		out := routing.Route(rules, facts.Facts, queues, fallback)
		how = string(out.Result)
		where.QueueID, where.RuleID, where.Warning, where.Rules = out.QueueID, out.RuleID, out.Warning, append([]routing.RuleLog{}, out.Log...)
	}
	where.custom = states[where.QueueID].Custom
	where.Hours, where.OpensAt, err = a.hours(ctx, states[where.QueueID].CalendarID, facts.Now)
	return where, how, err
}

// hours tells how a calendar stands.
func (a *Activities) hours(ctx context.Context, calendarID string, now time.Time) (string, *time.Time, error) {
	if calendarID == "" {
		return hoursAlways, nil, nil
	}
	k, err := a.store.Calendar(ctx, calendarID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return hoursUnknown, nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	m, err := k.At(now)
	if err != nil {
		a.logger.WarnContext(ctx, "a calendar cannot be read; its queues count as open", slog.String("calendar", calendarID), slog.Any("error", err))
		return hoursUnknown, nil, nil
	}
	var opens *time.Time
	if !m.Opens.IsZero() {
		utc := m.Opens.UTC()
		opens = &utc
	}
	switch {
	case m.Open:
		return hoursOpen, nil, nil
	case m.Holiday != "":
		return hoursHoliday, opens, nil
	}
	return hoursClosed, opens, nil
}

// told is what the customer is told who has to wait: that the queue is closed,
// or that nobody is free; nothing when they are about to be offered to somebody.
func (a *Activities) told(ctx context.Context, plan store.Plan, found *store.Routing, hours string) (automessage.Trigger, error) {
	switch hours {
	case hoursClosed:
		return automessage.OutOfHours, nil
	case hoursHoliday:
		return automessage.Holiday, nil
	}
	if plan.Workstream.Mode == store.ModePush {
		free, err := a.store.SomebodyFree(ctx, found.QueueID, plan.Workstream.Settings.Assignment.Presences, found.Units, found.CapacityProfileID)
		if free || err != nil {
			return "", err
		}
	}
	return automessage.NoAgentAvailable, nil
}

func rulesetIDs(s store.WorkstreamSettings) []string {
	ids := slices.Clone(s.ClassificationRulesetIDs)
	if s.RouteRulesetID != "" {
		ids = append(ids, s.RouteRulesetID)
	}
	return ids
}

// queueIDs are the queues that may be taken, each once.
func queueIDs(rules []routing.RouteRule, more ...string) []string {
	ids := more
	for _, r := range rules {
		ids = append(ids, r.QueueID)
		for _, share := range r.Split {
			ids = append(ids, share.QueueID)
		}
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}

func levels(skills []conversation.SkillNeed) map[string]int {
	out := map[string]int{}
	for _, k := range skills {
		out[k.SkillID] = k.Level
	}
	return out
}

// entry is a line for the routing log.
type entry struct {
	stage, outcome string
	detail         any
}

func entries(list ...entry) ([]store.RoutingEntry, error) {
	out := make([]store.RoutingEntry, len(list))
	for i, e := range list {
		doc, err := json.Marshal(e.detail)
		if err != nil {
			return nil, err
		}
		out[i] = store.RoutingEntry{Stage: e.stage, Outcome: e.outcome, Entry: doc}
	}
	return out, nil
}
