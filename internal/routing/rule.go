package routing

import (
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
)

// What a workstream may have at most, and the limits of what rules set.
const (
	MaxRulesets       = 10
	MaxRules          = 100 // in one ruleset
	MaxRouteRules     = 200
	MaxShares         = 5   // queues in a split
	MaxRuleName       = 100 // characters
	MaxAttributes     = 20  // set by one rule
	MaxAttribute      = 500 // characters of a value
	MaxRequiredSkills = 20  // set by one rule
	MaxPriority       = 1000
	MinPriority       = -1000
	MaxUnits          = 100
)

// Rule sets its outputs on the conversations its condition matches.
type Rule struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Condition string  `json:"condition"` // in CEL
	Outputs   Outputs `json:"outputs"`
}

// Outputs is what a rule sets; what is left out stays as it is.
type Outputs struct {
	Attributes map[string]string        `json:"attributes,omitempty"`
	Priority   *int64                   `json:"priority,omitempty"` // larger is served first
	Skills     []conversation.SkillNeed `json:"skills,omitempty"`   // required, added to those already required
	Units      int64                    `json:"units,omitempty"`    // of an agent's capacity
	// CapacityProfileID is what it counts against instead of units.
	CapacityProfileID string `json:"capacity_profile_id,omitempty"`
	Language          string `json:"language,omitempty"` // a locale, such as ja or zh-TW
}

// Ruleset is a list of rules of which the first that matches counts, or a
// service in the place of rules.
type Ruleset struct {
	ID      string   `json:"id"`
	Rules   []Rule   `json:"rules"`
	Service *Service `json:"service,omitempty"` // nil where rules classify
	Found   Finding  `json:"-"`                 // what the service found
}

// RouteRule names the queue of the conversations its condition matches: one
// queue, or several that share them.
type RouteRule struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Condition string  `json:"condition"` // in CEL
	QueueID   string  `json:"queue_id,omitempty"`
	Split     []Share `json:"split,omitempty"`
}

// Share is a queue's part of a split.
type Share struct {
	QueueID string `json:"queue_id"`
	Percent int64  `json:"percent"` // 1 to 100; those of a rule sum to 100
}

// attributeName is what can be asked for as conversation.attributes.name.
var attributeName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)

// CheckRules says what is wrong with the rules of a ruleset that stands at the
// JSON pointer at. Whether the skills exist is not known here.
func CheckRules(at string, rules []Rule) []conversation.FieldError {
	c := checker{ids: map[string]bool{}}
	c.count(at, len(rules), MaxRules)
	for i, r := range rules {
		p := at + "/" + strconv.Itoa(i)
		c.rule(p, r.ID, r.Name, r.Condition)
		c.outputs(p+"/outputs", r.Outputs)
	}
	return c.wrong
}

// CheckRouteRules says what is wrong with route rules that stand at the JSON
// pointer at. Whether the queues exist is not known here.
func CheckRouteRules(at string, rules []RouteRule) []conversation.FieldError {
	c := checker{ids: map[string]bool{}}
	c.count(at, len(rules), MaxRouteRules)
	for i, r := range rules {
		p := at + "/" + strconv.Itoa(i)
		c.rule(p, r.ID, r.Name, r.Condition)
		switch {
		case r.QueueID == "" && len(r.Split) == 0:
			c.say(p+"/queue_id", "Name a queue, or give a split.")
		case r.QueueID != "" && len(r.Split) > 0:
			c.say(p+"/split", "Name a queue or give a split, not both.")
		case len(r.Split) > 0:
			c.split(p+"/split", r.Split)
		}
	}
	return c.wrong
}

// checker collects what is wrong.
type checker struct {
	wrong []conversation.FieldError
	ids   map[string]bool
}

func (c *checker) say(at, format string, args ...any) {
	c.wrong = append(c.wrong, conversation.FieldError{Pointer: at, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) count(at string, n, limit int) {
	if n > limit {
		c.say(at, "There are %d rules; at most %d are allowed.", n, limit)
	}
}

func (c *checker) rule(at, id, name, condition string) {
	c.named(at, id, name)
	c.condition(at+"/condition", scopeRule, condition)
}

func (c *checker) condition(at string, s scope, condition string) {
	if _, err := s.compile(condition); err != nil {
		c.say(at, "%s", err)
	}
}

func (c *checker) named(at, id, name string) {
	switch {
	case id == "":
		c.say(at+"/id", "A rule has an id.")
	case c.ids[id]:
		c.say(at+"/id", "Another rule has this id.")
	}
	c.ids[id] = true
	if utf8.RuneCountInString(name) > MaxRuleName {
		c.say(at+"/name", "The name is longer than %d characters.", MaxRuleName)
	}
}

func (c *checker) outputs(at string, o Outputs) {
	if len(o.Attributes) > MaxAttributes {
		c.say(at+"/attributes", "There are more than %d attributes.", MaxAttributes)
	}
	for name, value := range o.Attributes {
		if !attributeName.MatchString(name) {
			c.say(at+"/attributes", "An attribute's name has letters, digits and underscores, at most 64, and begins with no digit.")
		} else if utf8.RuneCountInString(value) > MaxAttribute {
			c.say(at+"/attributes/"+name, "The value is longer than %d characters.", MaxAttribute)
		}
	}
	if o.Priority != nil && (*o.Priority < MinPriority || *o.Priority > MaxPriority) {
		c.say(at+"/priority", "A priority is between %d and %d.", MinPriority, MaxPriority)
	}
	if len(o.Skills) > MaxRequiredSkills {
		c.say(at+"/skills", "There are more than %d skills.", MaxRequiredSkills)
	}
	seen := map[string]bool{}
	for i, s := range o.Skills {
		p := at + "/skills/" + strconv.Itoa(i)
		if s.SkillID == "" || seen[s.SkillID] {
			c.say(p+"/skill_id", "Name each skill once.")
		}
		seen[s.SkillID] = true
		if s.Level < MinLevel || s.Level > MaxLevel {
			c.say(p+"/level", "A level is between %d and %d.", MinLevel, MaxLevel)
		}
	}
	if o.Units < 0 || o.Units > MaxUnits {
		c.say(at+"/units", "Units are between 1 and %d; leave them out to keep the workstream's.", MaxUnits)
	}
	if o.Units > 0 && o.CapacityProfileID != "" {
		c.say(at+"/capacity_profile_id", "A conversation counts against a capacity profile or takes units, not both.")
	}
	if o.Language != "" && !locale.Valid(o.Language) {
		c.say(at+"/language", "This is not a known language tag such as en, ja or zh-TW.")
	}
}

func (c *checker) split(at string, shares []Share) {
	if len(shares) > MaxShares {
		c.say(at, "There are more than %d queues in the split.", MaxShares)
	}
	seen, sum := map[string]bool{}, int64(0)
	for i, s := range shares {
		p := at + "/" + strconv.Itoa(i)
		if s.QueueID == "" || seen[s.QueueID] {
			c.say(p+"/queue_id", "Name each queue once.")
		}
		seen[s.QueueID] = true
		if s.Percent < 1 || s.Percent > 100 {
			c.say(p+"/percent", "A share is between 1 and 100 percent.")
		}
		sum += s.Percent
	}
	if sum != 100 {
		c.say(at, "The shares sum to %d percent, not 100.", sum)
	}
}
