package routing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

// customs draws custom assignments, with conditions that fail among others.
func customs(t *rapid.T) *CustomAssignment {
	a := &CustomAssignment{}
	for i := range rapid.IntRange(0, 2).Draw(t, "buckets") {
		a.Buckets = append(a.Buckets, PriorityBucket{
			ID: fmt.Sprintf("bucket_%d", i), Order: rapid.SampledFrom([]BucketOrder{ByPriority, ByAge}).Draw(t, "order"),
			Condition: rapid.SampledFrom([]string{
				`conversation.priority > 0`, `conversation.attributes.topic == "refund"`, `conversation.language == "ja"`, `conversation.units > 1`, `"skl_1" in conversation.skills`, `true`,
			}).Draw(t, "bucket"),
		})
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
		r := AssignmentRule{
			ID: fmt.Sprintf("rule_%d", i), AfterSeconds: rapid.SampledFrom([]int64{0, 0, 60, 150}).Draw(t, "after"), IgnoreSkills: rapid.IntRange(0, 3).Draw(t, "ignore") == 0,
			Condition: rapid.SampledFrom([]string{
				`true`, `agent.id < "c"`, `agent.skills["skl_1"] > 1`, `"skl_2" in agent.skills && conversation.priority > 0`, `agent.capacity > 2 || conversation.language == "ja"`,
				`conversation.attributes[?"topic"].orValue("") == "refund" && agent.presence == "available"`, `conversation.attributes.shop == "1"`,
			}).Draw(t, "rule"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "criteria") {
			r.OrderBy = append(r.OrderBy, Criterion{By: rapid.SampledFrom(criteria).Draw(t, "by"), SkillID: "skl_1", Descending: rapid.Bool().Draw(t, "descending")})
		}
		a.Rules = append(a.Rules, r)
	}
	return a
}

func attribute(name, value string) func(*Item) {
	return func(i *Item) { i.Attributes = map[string]string{name: value} }
}

func limited(profile string, p Profile) func(*Agent) {
	return func(a *Agent) {
		if a.Profiles == nil {
			a.Profiles = map[string]Profile{}
		}
		a.Profiles[profile] = p
	}
}
func against(profile string) func(*Item) {
	return func(i *Item) { i.Requirement.ProfileID = profile }
}
func prefers(agents ...string) func(*Item) {
	return func(i *Item) { i.Requirement.First = agents }
}

// decided tells who is offered what: conversation>agent why.
func decided(r Result) (out []string) {
	rules := map[string]string{}
	for _, v := range r.Verdicts {
		rules[v.ConversationID] = v.RuleID
	}
	for _, o := range r.Offers {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s>%s %s %s", o.ConversationID, o.AgentID, o.Why, rules[o.ConversationID])))
	}
	return out
}

func TestMatchByCapacityProfile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		agents []Agent
		items  []Item
		want   []string
		why    []string // verdicts on those that are not placed
	}{
		{
			name:   "a conversation takes one of its profile and no units",
			agents: []Agent{agent("a", load(3), limited("cpf_1", Profile{Limit: 2}))},
			items:  []Item{item("1", against("cpf_1"), units(9)), item("2"), item("3", against("cpf_1")), item("4", against("cpf_1"))},
			want:   []string{"1>a only_one", "3>a only_one"},
			why:    []string{"no_agent:capacity", "no_agent:profile_full"},
		},
		{
			name:   "no profile and a full one are told apart",
			agents: []Agent{agent("a", limited("cpf_1", Profile{Limit: 1, Load: 1})), agent("b", limited("cpf_2", Profile{Limit: 1}))},
			items:  []Item{item("1", against("cpf_1"))},
			why:    []string{"no_agent:profile_full,no_profile"},
		},
		{
			name:   "at the limit of a profile that blocks nothing else is offered, and of this one neither",
			agents: []Agent{agent("a", limited("cpf_1", Profile{Limit: 2, Load: 1, Blocks: true}), limited("cpf_2", Profile{Limit: 5}))},
			items:  []Item{item("1"), item("2", against("cpf_2")), item("3", against("cpf_1")), item("4"), item("5", against("cpf_2")), item("6", against("cpf_1"))},
			want:   []string{"1>a only_one", "2>a only_one", "3>a only_one"},
			why:    []string{"no_agent:profile_blocks", "no_agent:profile_blocks", "no_agent:profile_full"},
		},
		{
			name:   "the most left of the profile comes first",
			agents: []Agent{agent("a", limited("cpf_1", Profile{Limit: 2})), agent("b", load(3), limited("cpf_1", Profile{Limit: 4, Load: 1}))},
			items:  []Item{item("1", against("cpf_1")), item("2", against("cpf_1"))},
			want:   []string{"1>b highest_capacity", "2>a highest_capacity"},
		},
		{
			name:   "whom the contact prefers comes first, in order, who has room and is there",
			agents: []Agent{agent("a", works("que_9")), agent("b", load(3)), agent("c", is(busy)), agent("d")},
			items:  []Item{item("1", prefers("b", "c", "a", "d"), needs(conversation.MatchingExact, "skl_ja", 9)), item("2", prefers("b", "x"))},
			want:   []string{"1>a contact_agent", "2>d only_one"},
		},
		{
			name:   "who served last comes before whom the contact prefers; whoever let it pass is asked as anybody",
			agents: []Agent{agent("a"), agent("b", load(2)), agent("c", load(1))},
			items: []Item{
				item("1", prefers("b"), wants("c", AffinityPrefer, minute(2))), item("2", prefers("b"), refused("b", 1)), item("3", prefers("b")), item("4", prefers("b")),
			},
			want: []string{"1>c preferred_agent", "2>a highest_capacity", "3>b contact_agent", "4>a highest_capacity"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Match(Snapshot{Now: monday, Queues: []Queue{{ID: "que_1"}}, Agents: c.agents, Items: c.items})
			assert.Equal(t, c.want, decided(r))
			var why []string
			for _, v := range r.Verdicts {
				if v.Placement != Offered {
					why = append(why, v.Compact())
				}
			}
			assert.Equal(t, c.why, why)
		})
	}
}

func TestMatchByTheQueuesOwnRules(t *testing.T) {
	t.Parallel()
	gold := PriorityBucket{ID: "gold", Condition: `conversation.attributes[?"plan"].orValue("") == "gold"`, Order: ByAge}
	urgent := PriorityBucket{ID: "urgent", Condition: `conversation.priority >= 50`, Order: ByPriority}
	anybody := AssignmentRule{ID: "any", Condition: "true"}
	for _, c := range []struct {
		name   string
		custom CustomAssignment
		agents []Agent
		items  []Item
		want   []string
	}{
		{
			name:   "earlier buckets first, those in none last; in each by its own order",
			custom: CustomAssignment{Buckets: []PriorityBucket{gold, urgent}, Rules: []AssignmentRule{anybody}},
			agents: []Agent{agent("a", func(a *Agent) { a.Capacity = 9 })},
			items: []Item{
				item("1", priority(9), waiting(-9)), item("2", priority(50), waiting(-1)), item("3", priority(60)), item("4", attribute("plan", "gold"), priority(99)),
				item("5", attribute("plan", "gold"), waiting(-1)), item("6", waiting(-20)),
			},
			want: []string{"5>a rule any", "4>a rule any", "3>a rule any", "2>a rule any", "1>a rule any", "6>a rule any"},
		},
		{
			name: "a rule holds once the customer has waited for its time; the first that finds somebody decides",
			custom: CustomAssignment{Rules: []AssignmentRule{
				{ID: "expert", Condition: `agent.skills[?"skl_ja"].orValue(0) >= 8`},
				{ID: "speaker", AfterSeconds: 60, Condition: `"skl_ja" in agent.skills`},
				{ID: "any", AfterSeconds: 120, Condition: `true`},
			}},
			agents: []Agent{agent("a", load(2)), agent("b", knows("skl_ja", 3), load(2)), agent("c", knows("skl_ja", 9), load(2))},
			items:  []Item{item("1", waiting(-3)), item("2", waiting(-1)), item("3"), item("4", waiting(-2))},
			want:   []string{"1>c rule expert", "4>b rule speaker"},
		},
		{
			name:   "agents are ordered by one criterion after the other, and ties go round",
			custom: CustomAssignment{Rules: []AssignmentRule{{ID: "r", Condition: "true", OrderBy: []Criterion{{By: ByProficiency, SkillID: "skl_ja", Descending: true}, {By: ByLoad}}}}},
			agents: []Agent{agent("a", load(1)), agent("b", knows("skl_ja", 5), load(1)), agent("c", knows("skl_ja", 5)), agent("d", knows("skl_ja", 5), offered(-1))},
			items:  []Item{item("1"), item("2"), item("3")},
			want:   []string{"1>c rule r", "2>d rule r", "3>b rule r"},
		},
		{
			name: "skills count as required, unless the rule says otherwise",
			custom: CustomAssignment{Rules: []AssignmentRule{
				{ID: "r", Condition: "true", OrderBy: []Criterion{{By: ByFreeCapacity, Descending: true}}},
				{ID: "any", AfterSeconds: 60, Condition: "true", IgnoreSkills: true, OrderBy: []Criterion{{By: BySkillFit}}},
			}},
			agents: []Agent{agent("a"), agent("b", knows("skl_ja", 5), load(2)), agent("c", knows("skl_ja", 4))},
			items: []Item{
				item("1", needs(conversation.MatchingExact, "skl_ja", 5), waiting(-1)), item("2", needs(conversation.MatchingExact, "skl_ja", 5)),
				item("3", needs(conversation.MatchingExact, "skl_ja", 5), waiting(-1)),
			},
			want: []string{"1>b rule r", "3>c rule any"},
		},
		{
			name: "nobody is asked again before everybody else who can have it, whatever the rules' order",
			custom: CustomAssignment{Rules: []AssignmentRule{
				{ID: "first", Condition: `agent.id == "a"`}, {ID: "any", Condition: "true"},
			}},
			agents: []Agent{agent("a"), agent("b")},
			items:  []Item{item("1", refused("a", 1))},
			want:   []string{"1>b rule any"},
		},
		{
			name:   "idle for longest; an offer ends it",
			custom: CustomAssignment{Rules: []AssignmentRule{{ID: "r", Condition: "true", OrderBy: []Criterion{{By: ByIdle, Descending: true}}}}},
			agents: []Agent{agent("a", idle(-1)), agent("b", idle(-9)), agent("c", idle(-5))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>b rule r", "2>c rule r", "3>a rule r", "4>b rule r"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := Snapshot{Now: monday, Queues: []Queue{{ID: "que_1", Method: Custom, Custom: &c.custom}}, Agents: c.agents, Items: c.items}
			assert.Equal(t, c.want, decided(Match(s)))
		})
	}
}

func TestMatchSaysWhenTheNextRuleBringsSomebody(t *testing.T) {
	t.Parallel()
	s := Snapshot{
		Now: monday,
		Queues: []Queue{{ID: "que_1", Method: Custom, Custom: &CustomAssignment{
			Buckets: []PriorityBucket{{ID: "gold", Condition: `conversation.attributes.plan == "gold"`, Order: ByPriority}},
			Rules: []AssignmentRule{
				{ID: "nobody", Condition: `agent.id == "x"`}, {ID: "full", AfterSeconds: 60, Condition: `agent.id == "b"`}, {ID: "broken", AfterSeconds: 60, Condition: `agent.skills["skl_th"] > 3`},
				{ID: "a", AfterSeconds: 120, Condition: `agent.id == "a"`},
			},
		}}},
		Agents: []Agent{agent("a"), agent("b", load(3))},
		Items:  []Item{item("1"), item("2", waiting(-1))},
	}
	r := Match(s)
	require.Equal(t, minute(1), r.NextAt, "of who has waited for longest")
	v := r.Verdicts[1]
	require.Equal(t, "1", v.ConversationID)
	require.Equal(t, minute(2), *v.NextRuleAt)
	require.Equal(t, "no_agent:no_rule", v.Compact())
	require.Equal(t, []RuleLog{
		{RuleID: "gold", Verdict: RuleError, Failure: FailureKey, Line: 1, Column: 24}, {RuleID: "broken", Verdict: RuleError, Failure: FailureKey, Line: 1, Column: 13},
	}, v.Failures)

	s.Now = minute(1)
	r = Match(s)
	require.Equal(t, []string{"2>a rule a"}, decided(r))
	require.Equal(t, minute(2), r.NextAt)
	s.Now, s.Agents[0].Load = minute(2), 3
	require.Zero(t, Match(s).NextAt, "only capacity keeps them")
}

// What is of one kind differs in its age alone: the older can have whatever the
// younger can, and comes before it.
func TestTheOlderOfAKindCanHaveWhateverTheYoungerCan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		m := newMatching(s)
		alone := func(x Item) bool {
			one := s
			one.Items = []Item{x}
			return Placeable(one)[x.ConversationID]
		}
		for _, old := range s.Items {
			for _, young := range s.Items {
				if old.QueueID != young.QueueID || m.kindOf(&old) != m.kindOf(&young) || len(old.Refusals)+len(young.Refusals) > 0 || old.Affinity.Mode+young.Affinity.Mode != "" {
					continue
				}
				if _, known := m.queues[old.QueueID]; !known || !old.WaitingSince.Before(young.WaitingSince) {
					continue
				}
				if alone(young) && !alone(old) {
					t.Fatalf("%+v can be placed, the older %+v cannot", young, old)
				}
				if m.queues[old.QueueID].Method == Custom && m.order(&old, &young) > 0 {
					t.Fatalf("%+v comes before the older %+v", young, old)
				}
			}
		}
	})
}

func TestAKindIsWhatConditionsAskAbout(t *testing.T) {
	t.Parallel()
	custom := func(bucket, rule string) *CustomAssignment {
		a := &CustomAssignment{Rules: []AssignmentRule{{ID: "r", Condition: rule}}}
		if bucket != "" {
			a.Buckets = []PriorityBucket{{ID: "b", Condition: bucket, Order: ByAge}}
		}
		return a
	}
	base := QueuedFacts{Language: "ja", Units: 1, Attributes: map[string]string{"topic": "refund", "shop": "1"}, Skills: map[string]int{"skl_ja": 3}}
	change := func(f func(*QueuedFacts)) QueuedFacts {
		x := base
		x.Attributes = map[string]string{"topic": "refund", "shop": "1"}
		f(&x)
		return x
	}
	shop := change(func(f *QueuedFacts) { f.Attributes["shop"] = "2" })
	language := change(func(f *QueuedFacts) { f.Language = "th" })
	urgent := change(func(f *QueuedFacts) { f.Priority = 1 })
	for _, c := range []struct {
		custom *CustomAssignment
		other  QueuedFacts
		same   bool
	}{
		{custom("", `true`), shop, true},
		{custom("", `true`), language, true},
		{custom("", `true`), urgent, false},
		{custom("", `conversation.attributes.topic == agent.id`), shop, true},
		{custom("", `conversation.attributes.shop == agent.id`), shop, false},
		{custom("", `conversation.attributes["shop"] == agent.id`), shop, false},
		{custom("", `conversation.attributes[?"shop"].orValue("") == agent.id`), shop, false},
		{custom("", `conversation.attributes.?shop.orValue("") == agent.id`), shop, false},
		{custom("", `has(conversation.attributes.shop)`), shop, false},
		{custom("", `has(conversation.attributes.topic)`), shop, true},
		{custom("", `conversation.attributes.exists(k, k == "shop")`), shop, false},
		{custom("", `conversation.?attributes.orValue({}).size() == 2`), shop, false},
		{custom("", `conversation.language == "ja"`), language, false},
		{custom("", `conversation.units == 1`), language, true},
		{custom("", `[conversation].exists(c, c.language == "ja")`), language, false},
		{custom(`conversation.language == "ja"`, `true`), language, false},
		{custom(`conversation.attributes.shop in ["1", "2"]`, `true`), shop, true},
		{nil, urgent, true},
	} {
		a, b := KindOf(c.custom, Requirement{}, base), KindOf(c.custom, Requirement{}, c.other)
		assert.Equal(t, c.same, a == b, "%+v", c.custom)
		assert.Equal(t, c.custom != nil, IsCustomKind(a))
	}
	assert.True(t, custom("", `agent.skills.size() > 1`).AsksForSkills())
	assert.False(t, custom(`"skl_ja" in conversation.skills`, `agent.id != "" && agent.capacity > 1`).AsksForSkills())
	assert.True(t, (&CustomAssignment{Rules: []AssignmentRule{{Condition: "true", OrderBy: []Criterion{{By: ByProficiency}}}}}).AsksForSkills())
}

func TestACustomAssignmentIsCheckedByField(t *testing.T) {
	t.Parallel()
	many := CustomAssignment{}
	for range MaxBuckets + 1 {
		many.Buckets = append(many.Buckets, PriorityBucket{Condition: "true"})
	}
	many.Defaults(func(prefix string) string { return conversation.NewID(conversation.Prefix(prefix)) })
	assert.Equal(t, []string{"/custom/buckets", "/custom/rules"}, pointers(CheckCustom("/custom", many)))

	wrong := CheckCustom("/custom", CustomAssignment{
		Buckets: []PriorityBucket{{ID: "b", Condition: `agent.id == "a"`, Order: ByAge}, {ID: "b", Condition: `conversation.waiting_seconds > 60`, Order: "random"}},
		Rules: []AssignmentRule{
			{ID: "r", Condition: `agent.load < 2`, AfterSeconds: -1, OrderBy: []Criterion{{By: "luck"}, {By: ByProficiency}, {By: ByLoad, SkillID: "skl_1"}}},
			{ID: "s", Name: strings.Repeat("x", MaxRuleName+1), Condition: `message.text == ""`},
		},
	})
	assert.ElementsMatch(t, []string{
		"/custom/buckets/0/condition", "/custom/buckets/1/id", "/custom/buckets/1/condition", "/custom/buckets/1/order",
		"/custom/rules/0/condition", "/custom/rules/0/after_seconds", "/custom/rules/0/order_by/0/by", "/custom/rules/0/order_by/1/skill_id", "/custom/rules/0/order_by/2/skill_id",
		"/custom/rules/1/name", "/custom/rules/1/condition",
	}, pointers(wrong))
	for _, f := range wrong {
		if strings.HasSuffix(f.Pointer, "/condition") {
			assert.Regexp(t, `^Line 1, column \d+: .*\. The (names|fields)`, f.Detail)
		}
	}
	assert.Empty(t, CheckCustom("/custom", CustomAssignment{Rules: []AssignmentRule{{ID: "r", Condition: `conversation.capacity_profile_id == "" && agent.presence != "busy"`}}}))
}

func TestWhatCountsAgainstAProfileTakesNoUnits(t *testing.T) {
	t.Parallel()
	rule := func(o Outputs) Ruleset {
		return Ruleset{Rules: []Rule{{ID: "r", Condition: "true", Outputs: o}}}
	}
	o := Classify([]Ruleset{rule(Outputs{Units: 3}), rule(Outputs{CapacityProfileID: "cpf_1"})}, Facts{})
	assert.Equal(t, Outcome{Attributes: map[string]string{}, Skills: []conversation.SkillNeed{}, CapacityProfileID: "cpf_1", Log: o.Log}, o)
	o = Classify([]Ruleset{rule(Outputs{CapacityProfileID: "cpf_1"}), rule(Outputs{Units: 3})}, Facts{})
	assert.Equal(t, int64(3), o.Units)
	assert.Empty(t, o.CapacityProfileID)
	wrong := CheckRules("/rules", []Rule{{ID: "r", Condition: "true", Outputs: Outputs{Units: 1, CapacityProfileID: "cpf_1"}}})
	assert.Equal(t, []string{"/rules/0/outputs/capacity_profile_id"}, pointers(wrong))
}

// BenchmarkMatchByRules is BenchmarkMatch with rules of the queues' own.
func BenchmarkMatchByRules(b *testing.B) {
	s := Snapshot{Now: monday}
	for q := range 10 {
		s.Queues = append(s.Queues, Queue{ID: fmt.Sprintf("que_%d", q), Method: Custom, Custom: &CustomAssignment{
			Buckets: []PriorityBucket{{ID: "b", Condition: `conversation.attributes[?"plan"].orValue("") == "gold"`}},
			Rules: []AssignmentRule{
				{ID: "1", Condition: `agent.skills[?"skl_1"].orValue(0) >= 8`}, {ID: "2", AfterSeconds: 60, Condition: `conversation.language == "ja" && "skl_2" in agent.skills`},
				{ID: "3", AfterSeconds: 600, Condition: "true"},
			},
		}})
	}
	for i := range 200 {
		a := agent(fmt.Sprintf("agt_%03d", i), works(fmt.Sprintf("que_%d", i%10), fmt.Sprintf("que_%d", i/20)), load(int64(i%4)), offered(-i))
		for k := range i % 5 {
			knows(fmt.Sprintf("skl_%d", k), 1+i%10)(&a)
		}
		s.Agents = append(s.Agents, a)
	}
	for i := range 1000 {
		x := item(fmt.Sprintf("cnv_%04d", i), in(fmt.Sprintf("que_%d", i%10)), func(x *Item) { x.WaitingSince = monday.Add(-time.Duration(i) * time.Second) })
		if i%5 == 0 {
			attribute("plan", "gold")(&x)
		}
		s.Items = append(s.Items, x)
	}
	for b.Loop() {
		Match(s)
	}
	b.ReportMetric(float64(len(Match(s).Offers)), "offers")
}
