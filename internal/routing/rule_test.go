package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

func skill(id string, level int) conversation.SkillNeed {
	return conversation.SkillNeed{SkillID: id, Level: level}
}

func TestEachRulesetStopsAtItsFirstMatchAndTheNextSeesItsOutputs(t *testing.T) {
	t.Parallel()
	facts := someFacts()
	o := Classify([]Ruleset{
		{ID: "rul_1", Rules: []Rule{
			{ID: "1", Condition: `message.text.contains("退款")`, Outputs: Outputs{Units: 9}},
			{ID: "2", Condition: `context.absent == "x"`, Outputs: Outputs{Units: 9}},
			{ID: "3", Condition: `message.text.contains("返品")`, Outputs: Outputs{
				Attributes: map[string]string{"intent": "refund", "mood": "calm"}, Priority: new(int64(0)), Skills: []conversation.SkillNeed{skill("skl_ja", 5), skill("skl_a", 1)},
			}},
			{ID: "4", Condition: `true`, Outputs: Outputs{Units: 9}},
		}},
		{ID: "rul_2", Rules: []Rule{{ID: "1", Condition: `message.txt == "broken"`}, {ID: "2", Condition: `false`}}},
		{ID: "rul_3", Rules: []Rule{{
			ID:        "1",
			Condition: `conversation.attributes.intent == "refund" && conversation.priority == 0 && conversation.skills["skl_ja"] == 5 && conversation.units == 1 && conversation.language == "ja"`,
			Outputs:   Outputs{Units: 2, Language: "th", Skills: []conversation.SkillNeed{skill("skl_ja", 2)}},
		}}},
		{ID: "rul_4", Rules: []Rule{{ID: "1", Condition: `conversation.units == 2 && conversation.language == "th"`, Outputs: Outputs{Priority: new(int64(7))}}}},
	}, facts)
	assert.Equal(t, Outcome{
		Attributes: map[string]string{"intent": "refund", "mood": "calm"},
		Priority:   7,
		Skills:     []conversation.SkillNeed{skill("skl_a", 1), skill("skl_ja", 2)},
		Units:      2,
		Language:   "th",
		Log: []RuleLog{
			{RulesetID: "rul_1", RuleID: "1", Verdict: RuleNotMatched},
			{RulesetID: "rul_1", RuleID: "2", Verdict: RuleError, Failure: FailureKey, Line: 1, Column: 8},
			{RulesetID: "rul_1", RuleID: "3", Verdict: RuleMatched},
			{RulesetID: "rul_2", RuleID: "1", Verdict: RuleError, Failure: FailureCondition, Line: 1, Column: 8},
			{RulesetID: "rul_2", RuleID: "2", Verdict: RuleNotMatched},
			{RulesetID: "rul_3", RuleID: "1", Verdict: RuleMatched},
			{RulesetID: "rul_4", RuleID: "1", Verdict: RuleMatched},
		},
	}, o)
	assert.Equal(t, someFacts(), facts, "the facts of the caller stay")

	o = Classify(nil, Facts{})
	assert.Equal(t, Outcome{Attributes: map[string]string{}, Skills: []conversation.SkillNeed{}}, o)
}

func TestRoute(t *testing.T) {
	t.Parallel()
	queues := map[string]QueueState{"que_a": {Members: 1}, "que_b": {Members: 2}, "que_empty": {}, "que_fallback": {Members: 1}}
	for _, c := range []struct {
		name     string
		rules    []RouteRule
		fallback string
		want     RouteOutcome
	}{
		{
			name: "the first rule that matches",
			rules: []RouteRule{
				{ID: "1", Condition: `customer.language == "th"`, QueueID: "que_a"},
				{ID: "2", Condition: `customer.language == "ja"`, QueueID: "que_b"},
				{ID: "3", Condition: `true`, QueueID: "que_a"},
			},
			fallback: "que_fallback",
			want:     RouteOutcome{QueueID: "que_b", Result: RouteByRule, RuleID: "2", Log: []RuleLog{{RuleID: "1", Verdict: RuleNotMatched}, {RuleID: "2", Verdict: RuleMatched}}},
		},
		{
			name: "a queue that is missing or has nobody is passed over, an error does not match",
			rules: []RouteRule{
				{ID: "1", Condition: `true`, QueueID: "que_gone"},
				{ID: "2", Condition: `true`, QueueID: "que_empty"},
				{ID: "3", Condition: `context.absent == ""`, QueueID: "que_a"},
				{ID: "4", Condition: `true`, Split: []Share{{"que_gone", 50}, {"que_a", 50}}},
			},
			fallback: "que_fallback",
			want: RouteOutcome{QueueID: "que_a", Result: RouteBySplit, RuleID: "4", Log: []RuleLog{
				{RuleID: "1", Verdict: RuleSkipped, Queues: []QueueSkip{{"que_gone", QueueMissing}}},
				{RuleID: "2", Verdict: RuleSkipped, Queues: []QueueSkip{{"que_empty", QueueEmpty}}},
				{RuleID: "3", Verdict: RuleError, Failure: FailureKey, Line: 1, Column: 8},
				{RuleID: "4", Verdict: RuleMatched, Queues: []QueueSkip{{"que_gone", QueueMissing}}},
			}},
		},
		{
			name:     "no rule decides",
			rules:    []RouteRule{{ID: "1", Condition: `false`, QueueID: "que_a"}},
			fallback: "que_fallback",
			want:     RouteOutcome{QueueID: "que_fallback", Result: RouteFallback, Log: []RuleLog{{RuleID: "1", Verdict: RuleNotMatched}}},
		},
		{
			name:     "the fallback queue is used without members",
			rules:    []RouteRule{{ID: "1", Condition: `true`, Split: []Share{{"que_empty", 100}}}},
			fallback: "que_empty",
			want: RouteOutcome{QueueID: "que_empty", Result: RouteFallback, Warning: QueueEmpty, Log: []RuleLog{
				{RuleID: "1", Verdict: RuleSkipped, Queues: []QueueSkip{{"que_empty", QueueEmpty}}},
			}},
		},
		{name: "there is no fallback queue", want: RouteOutcome{Result: RouteNone, Warning: QueueMissing}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			facts := someFacts()
			facts.Conversation.ID = "cnv_split" // falls on the first share of rule 4
			assert.Equal(t, c.want, Route(c.rules, facts, queues, c.fallback))
		})
	}
}

func TestASplitDividesAsItSaysAndStaysWithAConversation(t *testing.T) {
	t.Parallel()
	rule := []RouteRule{{ID: "1", Condition: "true", Split: []Share{{"que_a", 60}, {"que_b", 30}, {"que_c", 10}}}}
	queues := map[string]QueueState{"que_a": {Members: 1}, "que_b": {Members: 1}, "que_c": {Members: 1}}
	without := map[string]QueueState{"que_a": {Members: 1}, "que_b": {}, "que_c": {Members: 1}}
	got, moved := map[string]int{}, map[string]int{}
	for i := range 10_000 {
		facts := Facts{Conversation: ConversationFacts{ID: fmt.Sprintf("cnv_%d", i)}}
		o := Route(rule, facts, queues, "")
		assert.Equal(t, o, Route(rule, facts, queues, ""))
		got[o.QueueID]++
		other := Route(rule, facts, without, "")
		if o.QueueID == "que_b" {
			moved[other.QueueID]++
		} else if o.QueueID != other.QueueID {
			t.Fatalf("%s moved from %s, which can be used, to %s", facts.Conversation.ID, o.QueueID, other.QueueID)
		}
	}
	for queue, percent := range map[string]int{"que_a": 60, "que_b": 30, "que_c": 10} {
		assert.InDelta(t, percent*100, got[queue], 200, queue)
	}
	assert.InDelta(t, got["que_b"]*6/7, moved["que_a"], 150, "the part of a queue that cannot be used goes to the others as they share")
	assert.Equal(t, got["que_b"], moved["que_a"]+moved["que_c"])
}

func TestASplitAlwaysEndsInAQueueThatCanBeUsed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		queues, usable := map[string]QueueState{}, []string{}
		var shares []Share
		for i := range rapid.IntRange(1, 5).Draw(t, "shares") {
			id := fmt.Sprintf("que_%d", i)
			shares = append(shares, Share{id, rapid.Int64Range(1, 99).Draw(t, "percent")})
			if rapid.Bool().Draw(t, "exists") {
				queues[id] = QueueState{Members: rapid.IntRange(0, 1).Draw(t, "members")}
				if queues[id].Members > 0 {
					usable = append(usable, id)
				}
			}
		}
		facts := Facts{Conversation: ConversationFacts{ID: rapid.String().Draw(t, "id")}}
		o := Route([]RouteRule{{ID: "1", Condition: "true", Split: shares}}, facts, queues, "")
		if len(usable) == 0 && (o.Result != RouteNone || len(o.Log[0].Queues) != len(shares)) || len(usable) > 0 && !slices.Contains(usable, o.QueueID) {
			t.Fatalf("%+v of %v", o, usable)
		}
	})
}

func TestWhatIsWrongWithRulesIsSaidAtItsPlace(t *testing.T) {
	t.Parallel()
	good := []Rule{{ID: "1", Name: "返品", Condition: `true`, Outputs: Outputs{
		Attributes: map[string]string{"intent": "return"}, Priority: new(int64(-5)), Skills: []conversation.SkillNeed{skill("skl_1", 10)}, Units: 2, Language: "zh-TW",
	}}, {ID: "2", Condition: `false`}}
	assert.Empty(t, CheckRules("/rules", good))
	assert.Equal(t, []string{
		"/rules/0/id", "/rules/0/name", "/rules/0/condition", "/rules/0/outputs/attributes", "/rules/0/outputs/priority",
		"/rules/0/outputs/skills/1/skill_id", "/rules/0/outputs/skills/1/level", "/rules/0/outputs/units", "/rules/0/outputs/language",
		"/rules/2/id", "/rules/2/outputs/attributes/a", "/rules/2/outputs/units",
	}, pointers(CheckRules("/rules", []Rule{
		{Name: strings.Repeat("名", 101), Condition: "1", Outputs: Outputs{
			Attributes: map[string]string{"a b": ""}, Priority: new(int64(1001)), Skills: []conversation.SkillNeed{skill("skl_1", 1), skill("skl_1", 11)}, Units: 101, Language: "xx-nonsense-",
		}},
		{ID: "1", Condition: "true"},
		{ID: "1", Condition: "true", Outputs: Outputs{Attributes: map[string]string{"a": strings.Repeat("あ", 501)}, Units: -1}},
	})))
	many := make([]Rule, MaxRules+1)
	for i := range many {
		many[i] = Rule{ID: fmt.Sprint(i), Condition: "true"}
	}
	assert.Equal(t, []string{"/rules"}, pointers(CheckRules("/rules", many)))
	assert.Empty(t, CheckRules("/rules", many[:MaxRules]))

	assert.Empty(t, CheckRouteRules("/rules", []RouteRule{
		{ID: "1", Condition: "true", QueueID: "que_1"},
		{ID: "2", Condition: "true", Split: []Share{{"que_1", 33}, {"que_2", 67}}},
	}))
	assert.Equal(t, []string{
		"/rules/0/condition", "/rules/0/queue_id", "/rules/1/split", "/rules/2/split",
		"/rules/3/split/1/queue_id", "/rules/3/split/1/percent", "/rules/4/split",
	}, pointers(CheckRouteRules("/rules", []RouteRule{
		{ID: "1", Condition: "message.text"},
		{ID: "2", Condition: "true", QueueID: "que_1", Split: []Share{{"que_1", 100}}},
		{ID: "3", Condition: "true", Split: []Share{{"que_1", 50}, {"que_2", 49}}},
		{ID: "4", Condition: "true", Split: []Share{{"que_1", 100}, {"que_1", 0}}},
		{ID: "5", Condition: "true", Split: []Share{{"1", 20}, {"2", 20}, {"3", 20}, {"4", 20}, {"5", 10}, {"6", 10}}},
	})))
}

func pointers(wrong []conversation.FieldError) []string {
	var out []string
	for _, w := range wrong {
		out = append(out, w.Pointer)
	}
	return out
}

func TestConditionsAreRememberedAndForgotten(t *testing.T) {
	t.Parallel()
	var c cache
	kept, err := c.get(scopeRule, "true")
	assert.Nil(t, err)
	for i := range 2*cacheSize + 10 {
		if i%100 == 0 {
			again, _ := c.get(scopeRule, "true")
			assert.Same(t, kept, again, "what is asked for stays")
		}
		c.mu.Lock()
		c.put(scoped{expr: fmt.Sprint(i)}, kept)
		c.mu.Unlock()
	}
	assert.LessOrEqual(t, len(c.young)+len(c.old), 2*cacheSize)
	assert.NotContains(t, c.old, scoped{expr: "0"})
	assert.NotContains(t, c.young, scoped{expr: "0"})
	_, err = c.get(scopeRule, "1")
	assert.NotNil(t, err, "forgotten, so compiled anew")
}

// BenchmarkClassify asks everything a workstream may have.
func BenchmarkClassify(b *testing.B) {
	var sets []Ruleset
	for s := range MaxRulesets {
		set := Ruleset{ID: fmt.Sprint(s)}
		for r := range MaxRules {
			set.Rules = append(set.Rules, Rule{ID: fmt.Sprint(r), Condition: fmt.Sprintf(`message.texts.exists(t, t.contains("返品%d")) && customer.language == "ja"`, r)})
		}
		sets = append(sets, set)
	}
	facts := someFacts()
	for b.Loop() {
		Classify(sets, facts)
	}
}
