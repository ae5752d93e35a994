package routing

import "kaiwa/internal/conversation"

// RuleVerdict says what came of a rule.
type RuleVerdict string

// The verdicts on a rule.
const (
	RuleMatched    RuleVerdict = "matched"
	RuleNotMatched RuleVerdict = "not_matched"
	RuleError      RuleVerdict = "error"   // it could not be evaluated, and so does not match
	RuleSkipped    RuleVerdict = "skipped" // it matched, and its queue could not be used
)

// RuleLog is the line a rule leaves in the routing log.
type RuleLog struct {
	RulesetID string      `json:"ruleset_id,omitempty"`
	RuleID    string      `json:"rule_id"`
	Verdict   RuleVerdict `json:"verdict"`
	Failure   Failure     `json:"failure,omitempty"` // of an error
	Line      int         `json:"line,omitempty"`    // of the failure, from 1
	Column    int         `json:"column,omitempty"`  // of the failure, from 1, in characters
	Queues    []QueueSkip `json:"queues,omitempty"`  // which a matching rule names and could not use
}

// Outcome is what classification found. Priority, Language, Attributes, Skills,
// Units and CapacityProfileID begin as they were in the facts.
type Outcome struct {
	Attributes map[string]string        `json:"attributes"`
	Priority   int64                    `json:"priority"`
	Skills     []conversation.SkillNeed `json:"skills"` // in order of their ids
	Units      int64                    `json:"units"`
	Language   string                   `json:"language"`
	Log        []RuleLog                `json:"rules"` // nil when no rule was asked
	// CapacityProfileID is what it counts against instead of Units, which are 0
	// then.
	CapacityProfileID string       `json:"capacity_profile_id,omitempty"`
	Services          []ServiceLog `json:"services,omitempty"`
}

// Classify asks the rulesets in their order. Of each, the first rule that
// matches sets its outputs, and the rulesets after it see them. A rule that
// cannot be evaluated does not match. Where a service stands in the place of
// rules, what it found is set.
//
// The language is what a rule says; else what a service says; else the one that
// the customer's texts are written in.
func Classify(rulesets []Ruleset, facts Facts) Outcome {
	facts = facts.own()
	c := &facts.Conversation
	var log []RuleLog
	var services []ServiceLog
	ruled := false // a rule has set the language
	for _, set := range rulesets {
		if set.Service != nil {
			line := ServiceLog{RulesetID: set.ID, Verdict: ServiceAnswered, Finding: set.Found}
			if set.Found.Failure != "" {
				line.Verdict = ServiceFailed
			}
			services = append(services, line)
			if c.heed(*set.Service, set.Found, ruled) {
				ruled = true
			}
			continue
		}
		variables := facts.variables()
		for _, rule := range set.Rules {
			line := judge(rule.ID, rule.Condition, variables)
			line.RulesetID = set.ID
			log = append(log, line)
			if line.Verdict == RuleMatched {
				c.apply(rule.Outputs)
				ruled = ruled || rule.Outputs.Language != ""
				break
			}
		}
	}
	if c.Language == "" {
		c.Language = facts.Message.Language
	}
	return Outcome{c.Attributes, c.Priority, skillList(c.Skills), c.Units, c.Language, log, c.CapacityProfileID, services}
}

func judge(id, condition string, variables map[string]any) RuleLog {
	e := evaluate(condition, variables)
	switch {
	case e.failure != "":
		return RuleLog{RuleID: id, Verdict: RuleError, Failure: e.failure, Line: e.line, Column: e.column}
	case e.matched:
		return RuleLog{RuleID: id, Verdict: RuleMatched}
	}
	return RuleLog{RuleID: id, Verdict: RuleNotMatched}
}

// apply sets a rule's outputs. A skill already required gets the new level. What
// counts against units counts against no capacity profile, and the other way
// round.
func (c *ConversationFacts) apply(o Outputs) {
	for name, value := range o.Attributes {
		c.Attributes[name] = value
	}
	if o.Priority != nil {
		c.Priority = *o.Priority
	}
	for _, s := range o.Skills {
		c.Skills[s.SkillID] = s.Level
	}
	if o.Units > 0 {
		c.Units, c.CapacityProfileID = o.Units, ""
	}
	if o.CapacityProfileID != "" {
		c.Units, c.CapacityProfileID = 0, o.CapacityProfileID
	}
	if o.Language != "" {
		c.Language = o.Language
	}
}
