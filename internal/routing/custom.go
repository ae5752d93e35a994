package routing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// CustomAssignment is how a queue of the method Custom decides who is served
// first, and by whom.
//
// Conversations of an earlier bucket come first, those in no bucket last. Once a
// conversation has waited for a rule's time the rule holds for it; of those that
// hold, the first that finds an agent decides. So the longer somebody waits, the
// more agents can have the conversation. Membership, presence, capacity and how
// often somebody let it pass count whatever the rules say.
type CustomAssignment struct {
	Buckets []PriorityBucket `json:"buckets"`
	Rules   []AssignmentRule `json:"rules"`
}

// PriorityBucket holds the conversations its condition is the first to match.
type PriorityBucket struct {
	ID        string      `json:"id"`
	Name      string      `json:"name,omitempty"`
	Condition string      `json:"condition"` // in CEL, over QueuedFacts
	Order     BucketOrder `json:"order"`
}

// BucketOrder says who is served first in a bucket.
type BucketOrder string

// The orders of a bucket.
const (
	ByPriority BucketOrder = "priority" // the larger priority, then the longest wait
	ByAge      BucketOrder = "oldest"   // the longest wait
)

// AssignmentRule says who can have a conversation from some time on, and who of
// them comes first.
type AssignmentRule struct {
	ID           string      `json:"id"`
	Name         string      `json:"name,omitempty"`
	AfterSeconds int64       `json:"after_seconds"`           // since the customer first waited
	Condition    string      `json:"condition"`               // in CEL, over QueuedFacts and AgentFacts
	IgnoreSkills bool        `json:"ignore_skills,omitempty"` // skills count as the requirement says unless this is set
	OrderBy      []Criterion `json:"order_by"`                // ties go round
}

// Criterion compares agents, the smaller value first unless Descending.
type Criterion struct {
	By         CriterionKind `json:"by"`
	SkillID    string        `json:"skill_id,omitempty"` // of ByProficiency
	Descending bool          `json:"descending,omitempty"`
}

// CriterionKind is the value by which agents are compared.
type CriterionKind string

// What agents are compared by.
const (
	ByFreeCapacity CriterionKind = "free_capacity" // free units, or what is left of the capacity profile
	ByLoad         CriterionKind = "load"          // units they have, or conversations of the capacity profile
	ByIdle         CriterionKind = "idle"          // for how long they neither let go of work nor were offered some
	BySkillFit     CriterionKind = "skill_fit"     // required levels they miss, in sum
	ByProficiency  CriterionKind = "proficiency"   // their level of a skill; 0 without it
	ByRound        CriterionKind = "round_robin"   // when they were offered something last
)

var criteria = []CriterionKind{ByFreeCapacity, ByLoad, ByIdle, BySkillFit, ByProficiency, ByRound}

// QueuedFacts is what conditions of a custom assignment may ask of a
// conversation: what classification found. Nothing of it changes while the
// conversation waits, so those of which it is the same are placed as a class.
type QueuedFacts struct {
	Priority          int64             `json:"priority"`
	Language          string            `json:"language"`
	Attributes        map[string]string `json:"attributes"`
	Skills            map[string]int    `json:"skills"` // required level by skill id
	Units             int64             `json:"units"`  // 0 with a capacity profile
	CapacityProfileID string            `json:"capacity_profile_id"`
}

// AgentFacts is what the condition of an assignment rule may ask of an agent:
// what an offer does not change.
type AgentFacts struct {
	ID       string         `json:"id"`
	Presence string         `json:"presence"`
	Capacity int64          `json:"capacity"` // in units, whatever they hold
	Skills   map[string]int `json:"skills"`   // level by skill id
}

// AsksForSkills tells whether agents have to be known with all of their skills.
func (a *CustomAssignment) AsksForSkills() bool {
	return slices.ContainsFunc(a.Rules, func(r AssignmentRule) bool {
		return slices.ContainsFunc(r.OrderBy, func(c Criterion) bool { return c.By == ByProficiency }) || asksOf(scopeAssignment, r.Condition).skills
	})
}

// customKind begins the kind of a conversation in a queue of the method Custom.
const customKind = "c-"

// IsCustomKind tells whether a kind is one of a queue of the method Custom.
func IsCustomKind(kind string) bool { return strings.HasPrefix(kind, customKind) }

// KindOf is the same for what waits in one queue and is placed or passed over as
// a class: it asks the same of the same people, and differs in how long it has
// waited at most. custom is nil for queues of another method; then the kind is
// the requirement's signature, and facts do not count. Otherwise presences do
// not: they are the workstream's.
func KindOf(custom *CustomAssignment, r Requirement, facts QueuedFacts) string {
	if custom == nil {
		return r.Signature()
	}
	r.Presences = nil
	return custom.kind(r, facts, custom.rank(facts))
}

func (a *CustomAssignment) kind(r Requirement, facts QueuedFacts, in rank) string {
	text := fmt.Appendf(nil, "%s %d %d", r.Signature(), in.bucket, facts.Priority)
	var asked asks
	for _, rule := range a.Rules {
		asked.add(asksOf(scopeAssignment, rule.Condition))
	}
	text = asked.of(text, facts)
	sum := sha256.Sum256(text)
	return customKind + hex.EncodeToString(sum[:16])
}

// rank is where an item of a queue with buckets of its own stands.
type rank struct {
	bucket   int   // served first when smaller; 0 in queues without buckets
	priority int64 // served first when larger
	bucketID string
	failures []RuleLog // conditions of buckets that could not be evaluated
	facts    QueuedFacts
	kind     string
}

func (a *CustomAssignment) rank(facts QueuedFacts) rank {
	r := rank{bucket: len(a.Buckets), priority: facts.Priority, facts: facts}
	variables := map[string]any{"conversation": facts.own()}
	for i, b := range a.Buckets {
		e := always(b.Condition)
		if !e.matched {
			e = evaluateIn(scopeBucket, b.Condition, variables)
		}
		if e.failure != "" {
			r.failures = append(r.failures, RuleLog{RuleID: b.ID, Verdict: RuleError, Failure: e.failure, Line: e.line, Column: e.column})
			continue
		}
		if e.matched {
			r.bucket, r.bucketID = i, b.ID
			if b.Order == ByAge {
				r.priority = 0
			}
			break
		}
	}
	return r
}

// always spares the evaluation of a condition that always holds.
func always(condition string) evaluation {
	return evaluation{matched: strings.TrimSpace(condition) == "true"}
}

// own gives the facts maps, so that asking for what is not there is no mistake.
func (f QueuedFacts) own() QueuedFacts {
	if f.Attributes == nil {
		f.Attributes = map[string]string{}
	}
	if f.Skills == nil {
		f.Skills = map[string]int{}
	}
	return f
}

// rankItem notes where an item stands whose queue has buckets of its own.
func (m *matching) rankItem(item *Item) {
	q := m.queues[item.QueueID]
	if q.Method != Custom || q.Custom == nil {
		return
	}
	if m.ranks == nil {
		m.ranks = map[string]rank{}
	}
	facts := item.facts()
	r := q.Custom.rank(facts)
	r.kind = q.Custom.kind(item.Requirement, facts, r)
	m.ranks[item.ConversationID] = r
}

// standing is the place of an item's bucket, and what counts as its priority.
func (m *matching) standing(item *Item) (bucket int, priority int64) {
	if m.ranks != nil {
		if r, ok := m.ranks[item.ConversationID]; ok {
			return r.bucket, r.priority
		}
	}
	return 0, item.Priority
}

func (m *matching) kindOf(item *Item) string {
	if r, ok := m.ranks[item.ConversationID]; ok {
		return r.kind
	}
	return item.Requirement.Signature()
}

// facts is what conditions of the item's queue may ask of it.
func (i *Item) facts() QueuedFacts {
	return FactsOf(i.Requirement, i.Priority, i.Language, i.Attributes)
}

// FactsOf is what conditions of a queue may ask of a conversation that waits in
// it.
func FactsOf(r Requirement, priority int64, language string, attributes map[string]string) QueuedFacts {
	f := QueuedFacts{Priority: priority, Language: language, Attributes: attributes, Skills: map[string]int{}, CapacityProfileID: r.ProfileID}
	for _, k := range r.Skills {
		f.Skills[k.SkillID] = max(f.Skills[k.SkillID], k.Level)
	}
	if r.ProfileID == "" {
		f.Units = max(1, r.Units)
	}
	return f
}

// ruleSet is a set of rules of one queue, by their places.
type ruleSet uint32

// passed are the rules that hold for what has waited so long. It is empty for
// queues of another method.
func (a *CustomAssignment) passed(waited time.Duration) (set ruleSet) {
	if a == nil {
		return 0
	}
	for i, r := range a.Rules {
		if waited >= r.after() {
			set |= 1 << i
		}
	}
	return set
}

func (r AssignmentRule) after() time.Duration { return time.Duration(r.AfterSeconds) * time.Second }

// applyRules finds out by which rules each of the candidates can have what is
// asked by items of these facts.
func (b *bucket) applyRules(facts QueuedFacts) {
	if b.custom == nil {
		return
	}
	for i, r := range b.custom.Rules {
		variables := map[string]any{"conversation": facts.own()}
		failed := false
		for n := range b.candidates {
			c := &b.candidates[n]
			if c.miss != "" {
				continue
			}
			e := always(r.Condition)
			if !e.matched {
				variables["agent"] = c.facts()
				e = evaluateIn(scopeAssignment, r.Condition, variables)
			}
			switch {
			case e.failure != "" && !failed:
				failed = true // of several agents, the first one says it
				b.failures = append(b.failures, RuleLog{RuleID: r.ID, Verdict: RuleError, Failure: e.failure, Line: e.line, Column: e.column})
			case e.matched && !r.IgnoreSkills && b.unskilled(c):
				c.unskilled |= 1 << i
			case e.matched:
				c.rules |= 1 << i
			}
		}
	}
}

func (c *contender) facts() AgentFacts {
	f := AgentFacts{ID: c.ID, Presence: string(c.Presence), Capacity: c.Capacity, Skills: c.Levels}
	if f.Skills == nil {
		f.Skills = map[string]int{}
	}
	return f
}

// byRule finds the first rule of those that hold by which somebody can have an
// item, and who of them comes first.
func (b *bucket) byRule(able []*candidate, passed ruleSet) (*candidate, reason) {
	for i, r := range b.custom.Rules {
		set := ruleSet(1) << i & passed
		among := slices.DeleteFunc(slices.Clone(able), func(c *candidate) bool { return c.rules&set == 0 })
		if len(among) > 0 {
			return slices.MinFunc(among, func(x, y *candidate) int { return b.compareBy(r.OrderBy, x, y) }), reason{WhyRule, r.ID}
		}
	}
	return nil, reason{}
}

// compareBy orders agents by criteria, the first of them first; ties go round.
func (b *bucket) compareBy(by []Criterion, x, y *candidate) int {
	r := &b.requirement
	for _, k := range by {
		var d int
		switch k.By {
		case ByFreeCapacity:
			d = cmp.Compare(x.freeFor(r), y.freeFor(r))
		case ByLoad:
			d = cmp.Compare(x.loadFor(r), y.loadFor(r))
		case ByIdle:
			d = -x.idleness(y) // who became idle first is so for longest
		case BySkillFit:
			d = cmp.Compare(x.shortfall, y.shortfall)
		case ByProficiency:
			d = cmp.Compare(x.Levels[k.SkillID], y.Levels[k.SkillID])
		case ByRound:
			d = x.round(y)
		}
		if k.Descending {
			d = -d
		}
		if d != 0 {
			return d
		}
	}
	return cmp.Or(x.round(y), cmp.Compare(x.ID, y.ID))
}

// nextRule is when, by time alone, a rule brings somebody who can have an item
// that nobody can have now; zero is never.
func (b *bucket) nextRule(item *Item, now time.Time) (at time.Time) {
	if b.custom == nil {
		return time.Time{}
	}
	passed := b.custom.passed(item.waited(now))
	var bring ruleSet
	for i := range b.candidates {
		c := &b.candidates[i]
		if c.miss == "" && c.rules&^passed != 0 && item.refusals(c.ID) < item.maxOffers() && c.lacks(&b.requirement) == "" {
			bring |= c.rules &^ passed
		}
	}
	for i, r := range b.custom.Rules {
		if then := item.WaitingSince.Add(r.after()); bring&(1<<i) != 0 && (at.IsZero() || then.Before(at)) {
			at = then
		}
	}
	return at
}

// add joins what two conditions look at.
func (a *asks) add(other asks) {
	a.all, a.skills = a.all || other.all, a.skills || other.skills
	for _, m := range []struct{ into, from *map[string]bool }{{&a.fields, &other.fields}, {&a.attributes, &other.attributes}} {
		if *m.into == nil {
			*m.into = map[string]bool{}
		}
		maps.Copy(*m.into, *m.from)
	}
}

// of appends to text what is looked at of facts.
func (a *asks) of(text []byte, f QueuedFacts) []byte {
	looks := func(field string) bool { return a.all || a.fields[field] }
	if looks("language") {
		text = fmt.Appendf(text, " language %q", f.Language)
	}
	if looks("skills") {
		text = fmt.Appendf(text, " skills %v", skillList(f.Skills))
	}
	if looks("units") {
		text = fmt.Appendf(text, " units %d", f.Units)
	}
	if looks("capacity_profile_id") {
		text = fmt.Appendf(text, " profile %q", f.CapacityProfileID)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Attributes)) {
		if looks("attributes") || a.attributes[name] {
			text = fmt.Appendf(text, " %q %q", name, f.Attributes[name])
		}
	}
	return text
}

// Defaults fills in what was left out. newID makes the id of a bucket or a rule.
func (a *CustomAssignment) Defaults(newID func(prefix string) string) {
	if a.Buckets == nil {
		a.Buckets = []PriorityBucket{}
	}
	for i := range a.Buckets {
		b := &a.Buckets[i]
		b.ID, b.Order = cmp.Or(b.ID, newID("bucket_")), cmp.Or(b.Order, ByPriority)
	}
	for i := range a.Rules {
		r := &a.Rules[i]
		if r.ID = cmp.Or(r.ID, newID("rule_")); r.OrderBy == nil {
			r.OrderBy = []Criterion{}
		}
	}
}

// What the custom assignment of a queue may have at most.
const (
	MaxBuckets         = 20
	MaxAssignmentRules = 20
	MaxCriteria        = 5
	MaxAfterSeconds    = 7 * 24 * 3600
)

// CheckCustom says what is wrong with a custom assignment that stands at the
// JSON pointer at. Whether the skills exist is not known here.
func CheckCustom(at string, a CustomAssignment) []conversation.FieldError {
	c := checker{ids: map[string]bool{}}
	if len(a.Buckets) > MaxBuckets {
		c.say(at+"/buckets", "There are %d buckets; at most %d are allowed.", len(a.Buckets), MaxBuckets)
	}
	for i, b := range a.Buckets {
		p := fmt.Sprintf("%s/buckets/%d", at, i)
		c.named(p, b.ID, b.Name)
		c.condition(p+"/condition", scopeBucket, b.Condition)
		if b.Order != ByPriority && b.Order != ByAge {
			c.say(p+"/order", "Must be one of: %s, %s.", ByPriority, ByAge)
		}
	}
	switch n := len(a.Rules); {
	case n == 0:
		c.say(at+"/rules", "Without a rule nobody would be offered anything. Add one with the condition true.")
	case n > MaxAssignmentRules:
		c.say(at+"/rules", "There are %d rules; at most %d are allowed.", n, MaxAssignmentRules)
	}
	for i, r := range a.Rules {
		p := fmt.Sprintf("%s/rules/%d", at, i)
		c.named(p, r.ID, r.Name)
		c.condition(p+"/condition", scopeAssignment, r.Condition)
		if r.AfterSeconds < 0 || r.AfterSeconds > MaxAfterSeconds {
			c.say(p+"/after_seconds", "Must be between 0 and %d.", MaxAfterSeconds)
		}
		c.criteria(p+"/order_by", r.OrderBy)
	}
	return c.wrong
}

func (c *checker) criteria(at string, by []Criterion) {
	if len(by) > MaxCriteria {
		c.say(at, "There are more than %d criteria.", MaxCriteria)
	}
	for i, k := range by {
		p := fmt.Sprintf("%s/%d", at, i)
		switch {
		case !slices.Contains(criteria, k.By):
			c.say(p+"/by", "Agents are not compared by this.")
		case k.By == ByProficiency && k.SkillID == "":
			c.say(p+"/skill_id", "Name the skill whose level counts.")
		case k.By != ByProficiency && k.SkillID != "":
			c.say(p+"/skill_id", "A skill belongs to proficiency.")
		}
	}
}
