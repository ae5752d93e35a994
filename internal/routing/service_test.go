package routing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

func someService() Service {
	return Service{
		Kind: ServiceHTTP, URL: "https://classify.example.com", DeadlineMS: 3000, MinConfidence: 0.6, CacheSeconds: 60,
		Intents: []Intent{
			{Name: "返金", Outputs: Outputs{Priority: new(int64(9)), Skills: []conversation.SkillNeed{skill("skl_refunds", 3)}, Attributes: map[string]string{"team": "money"}}},
			{Name: "delivery", Outputs: Outputs{Language: "th"}},
		},
	}
}

var knownSkills = []KnownSkill{{"skl_ja", "日本語"}, {"skl_vip", "VIP"}}

func TestWhatAServiceIsSureEnoughOfIsTakenIfThereIsSuchAThing(t *testing.T) {
	t.Parallel()
	sure := func(value string) *Graded { return &Graded{value, 0.9} }
	for name, c := range map[string]struct {
		answer Answer
		want   Finding
	}{
		"all of it": {
			Answer{sure("返金"), &Graded{"very_negative", 0.6}, &Graded{"ja", 1}, []GradedSkill{{"skl_vip", 2, 0.8}, {"日本語", 5, 0.7}, {"vip", 1, 0.9}}},
			Finding{
				Intent: "返金", Sentiment: "very_negative", Language: "ja", Skills: []conversation.SkillNeed{skill("skl_ja", 5), skill("skl_vip", 2)},
				Confidence: map[string]float64{"intent": 0.9, "sentiment": 0.6, "language": 1, "skill": 0.7},
			},
		},
		"nothing": {Answer{}, Finding{Confidence: map[string]float64{}}},
		"it is not sure": {
			Answer{&Graded{"返金", 0.59}, &Graded{"neutral", 0}, &Graded{"ja", 0.1}, []GradedSkill{{"skl_ja", 5, 0.2}}},
			Finding{Confidence: map[string]float64{}, Ignored: []Ignored{
				{"intent", IgnoredConfidence}, {"sentiment", IgnoredConfidence}, {"language", IgnoredConfidence}, {"skill", IgnoredConfidence},
			}},
		},
		"no such thing": {
			Answer{sure("refund"), sure("angry"), sure("the customer lives in Tokyo"), []GradedSkill{{"skl_none", 5, 1}, {"skl_ja", 11, 1}, {"", 5, 1}}},
			Finding{Confidence: map[string]float64{}, Ignored: []Ignored{
				{"intent", IgnoredUnknown}, {"sentiment", IgnoredValue}, {"language", IgnoredValue}, {"skill", IgnoredUnknown}, {"skill", IgnoredValue}, {"skill", IgnoredUnknown},
			}},
		},
	} {
		assert.Equal(t, c.want, someService().Read(c.answer, knownSkills), name)
	}
	f := someService().Read(Answer{Skills: []GradedSkill{{"skl_ja", 1, 1}, {"skl_vip", 1, 1}}}, knownSkills)
	kept := f.Keep(func(id string) bool { return id == "skl_vip" })
	assert.Equal(t, []conversation.SkillNeed{skill("skl_vip", 1)}, kept.Skills)
	assert.Equal(t, []Ignored{{"skill", IgnoredUnknown}}, kept.Ignored)
	assert.Len(t, f.Skills, 2, "the finding itself stays")
}

func TestAFindingHoldsNothingThatAServiceMakesUp(t *testing.T) {
	t.Parallel()
	allowed := []string{"返金", "delivery", "skl_ja", "skl_vip"}
	for _, s := range Sentiments() {
		allowed = append(allowed, string(s))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"返金", "日本語", "neutral", "skl_ja", "my card is 4111"}))
		graded := func(name string) *Graded { return &Graded{text.Draw(t, name), rapid.Float64Range(0, 1).Draw(t, name)} }
		a := Answer{Intent: graded("intent"), Sentiment: graded("sentiment"), Skills: []GradedSkill{{text.Draw(t, "skill"), rapid.Int().Draw(t, "level"), 1}}}
		f := someService().Read(a, knownSkills)
		found := []string{f.Intent, string(f.Sentiment)}
		for _, k := range f.Skills {
			found = append(found, k.SkillID)
			if k.Level < MinLevel || k.Level > MaxLevel {
				t.Fatalf("level %d", k.Level)
			}
		}
		for _, word := range found {
			if word != "" && !slices.Contains(allowed, word) {
				t.Fatalf("found %q", word)
			}
		}
	})
}

func TestAServiceStandsAmongRulesets(t *testing.T) {
	t.Parallel()
	s := someService()
	o := Classify([]Ruleset{
		{ID: "rul_1", Rules: []Rule{{ID: "1", Condition: "true", Outputs: Outputs{Priority: new(int64(1)), Units: 3}}}},
		{ID: "rul_2", Service: &s, Found: Finding{Intent: "返金", Sentiment: "negative", Language: "ja", Skills: []conversation.SkillNeed{skill("skl_ja", 4)}, Cached: true}},
		{ID: "rul_3", Rules: []Rule{{
			ID:        "1",
			Condition: `conversation.attributes.intent == "返金" && conversation.attributes.sentiment == "negative" && conversation.attributes.team == "money" && conversation.skills["skl_ja"] == 4 && conversation.priority == 9 && conversation.language == "ja"`,
			Outputs:   Outputs{Units: 5},
		}}},
		{ID: "rul_4", Service: &s, Found: Finding{Failure: ServiceTimeout, Milliseconds: 3000}},
		{ID: "rul_5", Rules: []Rule{{ID: "1", Condition: "conversation.units == 5", Outputs: Outputs{Attributes: map[string]string{"last": "yes"}}}}},
	}, Facts{})
	assert.Equal(t, map[string]string{"intent": "返金", "sentiment": "negative", "team": "money", "last": "yes"}, o.Attributes)
	assert.Equal(t, []conversation.SkillNeed{skill("skl_ja", 4), skill("skl_refunds", 3)}, o.Skills)
	assert.Equal(t, int64(9), o.Priority)
	assert.Equal(t, "ja", o.Language)
	require.Len(t, o.Services, 2)
	assert.Equal(t, ServiceAnswered, o.Services[0].Verdict)
	assert.Equal(t, ServiceFailed, o.Services[1].Verdict)
	line, err := json.Marshal(o.Services[1])
	require.NoError(t, err)
	assert.JSONEq(t, `{"ruleset_id": "rul_4", "verdict": "failed", "failure": "timeout", "milliseconds": 3000}`, string(line))

	changed := s
	changed.Intents = nil
	o = Classify([]Ruleset{{ID: "rul_1", Service: &changed, Found: Finding{Intent: "返金"}}}, Facts{})
	assert.Empty(t, o.Attributes, "an intent that was removed meanwhile is none")
}

func TestTheLanguageIsWhatARuleSaysElseAServiceElseTheTexts(t *testing.T) {
	t.Parallel()
	s := someService()
	rule := func(language string) Ruleset {
		return Ruleset{ID: "rul_r", Rules: []Rule{{ID: "1", Condition: "true", Outputs: Outputs{Language: language}}}}
	}
	service := func(f Finding) Ruleset { return Ruleset{ID: "rul_s", Service: &s, Found: f} }
	for name, c := range map[string]struct {
		sets []Ruleset
		want string
	}{
		"the texts":                         {nil, "da"},
		"a service that does not know":      {[]Ruleset{service(Finding{})}, "da"},
		"a service":                         {[]Ruleset{service(Finding{Language: "ja"})}, "ja"},
		"the later service":                 {[]Ruleset{service(Finding{Language: "ja"}), service(Finding{Language: "en"})}, "en"},
		"a rule after a service":            {[]Ruleset{service(Finding{Language: "ja"}), rule("ko")}, "ko"},
		"a rule before a service":           {[]Ruleset{rule("ko"), service(Finding{Language: "ja"})}, "ko"},
		"a rule that leaves it":             {[]Ruleset{rule(""), service(Finding{Language: "ja"})}, "ja"},
		"an intent, as good as a rule":      {[]Ruleset{service(Finding{Intent: "delivery", Language: "ja"}), service(Finding{Language: "en"})}, "th"},
		"a rule after such an intent again": {[]Ruleset{service(Finding{Intent: "delivery"}), rule("ko")}, "ko"},
	} {
		facts := Facts{Message: MessageFacts{Language: "da"}}
		assert.Equal(t, c.want, Classify(c.sets, facts).Language, name)
	}
}

func TestAServiceIsCheckedByField(t *testing.T) {
	t.Parallel()
	assert.Empty(t, CheckService("/service", someService()))
	for pointer, change := range map[string]func(*Service){
		"/service/kind":                             func(s *Service) { s.Kind = "soap" },
		"/service/url":                              func(s *Service) { s.URL = "" },
		"/service/model":                            func(s *Service) { s.Kind = ServiceOpenAI },
		"/service/instructions":                     func(s *Service) { s.Instructions = "be kind" },
		"/service/deadline_ms":                      func(s *Service) { s.DeadlineMS = 199 },
		"/service/min_confidence":                   func(s *Service) { s.MinConfidence = 1.01 },
		"/service/cache_seconds":                    func(s *Service) { s.CacheSeconds = -1 },
		"/service/intents":                          func(s *Service) { s.Intents = make([]Intent, MaxIntents+1) },
		"/service/intents/1/name":                   func(s *Service) { s.Intents[1].Name = s.Intents[0].Name },
		"/service/intents/0/name":                   func(s *Service) { s.Intents[0].Name = strings.Repeat("話", MaxIntentName+1) },
		"/service/intents/0/description":            func(s *Service) { s.Intents[0].Description = strings.Repeat("話", MaxIntentText+1) },
		"/service/intents/0/outputs/skills/0/level": func(s *Service) { s.Intents[0].Outputs.Skills[0].Level = 11 },
		"/service/intents/1/outputs/language":       func(s *Service) { s.Intents[1].Outputs.Language = "jp" },
	} {
		s := someService()
		change(&s)
		wrong := CheckService("/service", s)
		require.NotEmpty(t, wrong, pointer)
		assert.Equal(t, pointer, wrong[0].Pointer)
		assert.NotEmpty(t, wrong[0].Detail)
	}
}
