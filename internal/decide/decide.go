// Package decide classifies and routes a conversation by its workstream's rules,
// for those who carry it out and for those who only ask what would be decided.
// The decisions themselves are package routing's.
package decide

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Reader reads what is decided by. *store.Store is one.
type Reader interface {
	RulesetsByID(ctx context.Context, ids ...string) (map[string]store.Ruleset, error)
	QueueStates(ctx context.Context, ids ...string) (map[string]store.QueueState, error)
	Calendar(ctx context.Context, id string) (store.Calendar, error)
}

// Decider decides by what a Reader reads.
type Decider struct {
	Reader
	Logger *slog.Logger
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
	Named   *routing.QueueSkip  `json:"named,omitempty"` // a queue that was named for it, and is no more
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
	routeKept            = store.OutcomeQueueNamed
)

// How a queue's hours stand when a conversation comes to it.
const (
	hoursAlways  = "always" // it has no calendar
	hoursOpen    = "open"
	hoursClosed  = "closed"
	hoursHoliday = "holiday"
	hoursUnknown = "unknown" // the calendar cannot be read; it counts as open
)

// Decide asks the rules, and says what becomes of the conversation in the queue
// that they find.
func (d Decider) Decide(ctx context.Context, plan store.Plan, facts store.RoutingFacts) (*store.Routing, Entered, error) {
	settings := plan.Workstream.Settings
	sets, err := d.RulesetsByID(ctx, rulesetIDs(settings)...)
	if err != nil {
		return nil, Entered{}, err
	}
	kept := facts.Kept()
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

	where, how, queues, came, err := d.queueFor(ctx, plan, facts, sets)
	if err != nil {
		return nil, Entered{}, err
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
	}, came.lines()...)...)
	if err != nil {
		return nil, Entered{}, err
	}
	kept.Queues = queues
	log[0].Facts = &kept
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

// queueFor decides the queue, and says how it was found and among which, and what
// becomes of the conversation there.
func (d Decider) queueFor(ctx context.Context, plan store.Plan, facts store.RoutingFacts, sets map[string]store.Ruleset) (routed, string, []store.KeptQueue, Entered, error) {
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
	found, err := d.QueuesAt(ctx, facts.Now, queueIDs(rules, facts.QueueID, fallback)...)
	if err != nil {
		return routed{}, "", nil, Entered{}, err
	}
	how := routeKept
	if _, there := found.states[facts.QueueID]; there {
		where.QueueID, where.Rules = facts.QueueID, []routing.RuleLog{}
	} else {
		if facts.QueueID != "" {
			where.Named = &routing.QueueSkip{QueueID: facts.QueueID, Reason: routing.QueueMissing}
		}
		out := routing.Route(rules, facts.Facts, found.states, fallback)
		how = string(out.Result)
		where.QueueID, where.RuleID, where.Warning, where.Rules = out.QueueID, out.RuleID, out.Warning, append([]routing.RuleLog{}, out.Log...)
	}
	if where.hours, err = d.hoursOf(ctx, found, where.QueueID, facts.Now); err != nil {
		return routed{}, "", nil, Entered{}, err
	}
	came, err := d.Arrive(ctx, found, routing.Arrival{QueueID: where.QueueID, Been: facts.Overflowed}, facts.Now)
	return where, how, store.KeepQueues(found.asked, found.stored), came, err
}

// hours tells how a calendar stands.
func (d Decider) hours(ctx context.Context, calendarID string, now time.Time) (hours, error) {
	if calendarID == "" {
		return hours{hoursAlways, nil}, nil
	}
	k, err := d.Calendar(ctx, calendarID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return hours{hoursUnknown, nil}, nil
	}
	if err != nil {
		return hours{}, err
	}
	m, err := k.At(now)
	if err != nil {
		d.Logger.WarnContext(ctx, "a calendar cannot be read; its queues count as open", slog.String("calendar", calendarID), slog.Any("error", err))
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

// classifying is a ruleset as routing asks it.
func classifying(set store.Ruleset, findings map[string]routing.Finding) routing.Ruleset {
	r := routing.Ruleset{ID: set.ID, Rules: set.Rules, Service: set.Service}
	if set.Service != nil {
		var known bool
		if r.Found, known = findings[set.ID]; !known {
			r.Found = routing.Finding{Failure: routing.ServiceNoAnswer}
		}
	}
	return r
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
