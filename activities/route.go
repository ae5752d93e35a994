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
	Seen           int64  `json:"seen,omitempty"` // what the workflow has seen, for a queue that ends it
	// FindingsID names what the services among the rulesets found; "" when none
	// was asked, or the question was lost.
	FindingsID string `json:"findings_id,omitempty"`
}

// Route finds out what a conversation is about and decides its queue, by the
// workstream's rules. A queue that was named for it is kept. Rules that are not
// there, or cannot be read, decide nothing; without a rule that decides it is
// the fallback queue, and without that none: then people find it in the list of
// open conversations, and the routing log says what is missing. Where the queue
// does not keep it, the queue that it is passed on to does, or it ends.
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
	res, err := whileFull(func() (store.TransitionResult, error) { return a.routeOnce(ctx, in, plan, facts) })
	if err != nil {
		return TransitionOutput{}, final(err)
	}
	a.dispatcher.Kick(ctx)
	return TransitionOutput{TransitionResult: res}, nil
}

// routeOnce decides the queue and carries that out, unless the queue has become
// full meanwhile.
func (a *Activities) routeOnce(ctx context.Context, in RouteInput, plan store.Plan, facts store.RoutingFacts) (store.TransitionResult, error) {
	found, came, err := a.decide(ctx, plan, facts)
	if err != nil {
		return store.TransitionResult{}, err
	}
	trigger, err := a.told(ctx, plan, found, came)
	if err != nil {
		return store.TransitionResult{}, err
	}
	req := store.TransitionRequest{
		ID: in.ID, ConversationID: in.ConversationID, ChannelID: in.ChannelID, ChatKey: in.ChatKey,
		Event: came.event(conversation.EventRouted), Routing: found, Overflowed: came.Overflowed(), Room: came.room,
		Seen: in.Seen, Surveys: surveyPolicy(plan), Deadline: attemptDeadline(ctx),
	}
	if trigger != "" {
		conv, err := a.store.Conversation(ctx, in.ConversationID)
		if err != nil {
			return store.TransitionResult{}, err
		}
		if req.Announce, err = a.drafts(ctx, plan, conv, trigger, found.QueueID); err != nil {
			return store.TransitionResult{}, err
		}
	}
	return a.store.Transition(ctx, req)
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
	hours
}

// hours is how a queue's hours stand.
type hours struct {
	Hours   string     `json:"hours"`
	OpensAt *time.Time `json:"opens_at,omitempty"` // of a queue that is closed
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

// decide asks the rules, and says what becomes of the conversation in the queue
// that they find.
func (a *Activities) decide(ctx context.Context, plan store.Plan, facts store.RoutingFacts) (*store.Routing, entered, error) {
	settings := plan.Workstream.Settings
	sets, err := a.store.RulesetsByID(ctx, rulesetIDs(settings)...)
	if err != nil {
		return nil, entered{}, err
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

	where, how, came, err := a.queueFor(ctx, plan, facts, sets)
	if err != nil {
		return nil, entered{}, err
	}
	classification := classifiedByNone
	switch {
	case slices.ContainsFunc(about.Rules, func(l routing.RuleLog) bool { return l.Verdict == routing.RuleMatched }):
		classification = classifiedByRules
	case slices.ContainsFunc(about.Services, func(l routing.ServiceLog) bool { return l.Verdict == routing.ServiceAnswered }):
		classification = classifiedByServices
	}
	log, err := entries(append([]entry{
		{store.StageClassification, classification, about},
		{store.StageRoute, how, where},
	}, came.log()...)...)
	if err != nil {
		return nil, entered{}, err
	}
	requirement := routing.Requirement{
		Units: about.Units, ProfileID: about.CapacityProfileID, Skills: about.Skills, Matching: about.Matching, Presences: settings.Assignment.Presences, First: facts.ContactAgents,
	}
	kind := routing.KindOf(came.custom, requirement, routing.FactsOf(requirement, about.Priority, about.Language, about.Attributes))
	return &store.Routing{
		QueueID: came.QueueID, Priority: about.Priority, Skills: about.Skills, Matching: about.Matching, Units: about.Units,
		CapacityProfileID: about.CapacityProfileID, ContactAgents: facts.ContactAgents,
		Requirement: kind, Language: about.Language, Attributes: about.Attributes, Log: log,
	}, came, nil
}

// queueFor decides the queue, and says how it was found and what becomes of the
// conversation there.
func (a *Activities) queueFor(ctx context.Context, plan store.Plan, facts store.RoutingFacts, sets map[string]store.Ruleset) (routed, string, entered, error) {
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
	found, err := a.queuesAt(ctx, facts.Now, queueIDs(rules, facts.QueueID, fallback)...)
	if err != nil {
		return routed{}, "", entered{}, err
	}
	how := routeKept
	if _, there := found.states[facts.QueueID]; there {
		where.QueueID, where.Rules = facts.QueueID, []routing.RuleLog{}
	} else {
		out := routing.Route(rules, facts.Facts, found.states, fallback)
		how = string(out.Result)
		where.QueueID, where.RuleID, where.Warning, where.Rules = out.QueueID, out.RuleID, out.Warning, append([]routing.RuleLog{}, out.Log...)
	}
	if where.hours, err = a.hoursOf(ctx, found, where.QueueID, facts.Now); err != nil {
		return routed{}, "", entered{}, err
	}
	came, err := a.arrive(ctx, found, routing.Arrival{QueueID: where.QueueID, Been: facts.Overflowed}, facts.Now)
	return where, how, came, err
}

// hours tells how a calendar stands.
func (a *Activities) hours(ctx context.Context, calendarID string, now time.Time) (hours, error) {
	if calendarID == "" {
		return hours{hoursAlways, nil}, nil
	}
	k, err := a.store.Calendar(ctx, calendarID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return hours{hoursUnknown, nil}, nil
	}
	if err != nil {
		return hours{}, err
	}
	m, err := k.At(now)
	if err != nil {
		a.logger.WarnContext(ctx, "a calendar cannot be read; its queues count as open", slog.String("calendar", calendarID), slog.Any("error", err))
		return hours{hoursUnknown, nil}, nil
	}
	var opens *time.Time
	if !m.Opens.IsZero() {
		utc := m.Opens.UTC()
		opens = &utc
	}
	switch {
	case m.Open:
		return hours{hoursOpen, nil}, nil
	case m.Holiday != "":
		return hours{hoursHoliday, opens}, nil
	}
	return hours{hoursClosed, opens}, nil
}

// told is what the customer is told who has to wait: that the queue is closed,
// or that nobody is free; nothing when they are about to be offered to somebody.
// Who does not have to wait, because it ends, is told why.
func (a *Activities) told(ctx context.Context, plan store.Plan, found *store.Routing, came entered) (automessage.Trigger, error) {
	if trigger := came.trigger(); trigger != "" {
		return trigger, nil
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
