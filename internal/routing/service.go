package routing

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
)

// The limits of a Service.
const (
	MinServiceDeadline = 200    // milliseconds
	MaxServiceDeadline = 10_000 // milliseconds
	MaxServiceCache    = 7 * 24 * 3600
	MaxIntents         = 100
	MaxIntentName      = 100  // characters
	MaxIntentText      = 500  // characters of a description
	MaxModel           = 200  // characters
	MaxInstructions    = 4000 // characters
	MaxServiceURL      = 2000 // bytes
	// MaxServiceTexts is how many of the customer's latest texts a service is
	// given, and MaxServiceText how much of each, in characters.
	MaxServiceTexts = 6
	MaxServiceText  = 2000
	// MaxServiceSkills is how many skills a service may choose from.
	MaxServiceSkills = 100
)

// MaxServiceTime is how long the customer waits for the services of a
// workstream, all together.
const MaxServiceTime = 10 * time.Second

// What is taken for what is left out of a Service.
const (
	DefaultServiceDeadline   = 3000 // milliseconds
	DefaultServiceConfidence = 0.6
	DefaultServiceCache      = 3600 // seconds
)

// ServiceKind is how a service is spoken to.
type ServiceKind string

// The kinds of service.
const (
	ServiceHTTP   ServiceKind = "http"   // a signed request, a JSON answer
	ServiceOpenAI ServiceKind = "openai" // a chat endpoint as OpenAI has it
)

// Service is a classifier of its own, in the place of rules: it is given what
// the customer wrote last, and says what that is about.
type Service struct {
	Kind          ServiceKind `json:"kind"`
	URL           string      `json:"url"`                    // of kind openai the base, such as https://api.openai.com/v1
	Model         string      `json:"model,omitempty"`        // ServiceOpenAI
	Instructions  string      `json:"instructions,omitempty"` // ServiceOpenAI: what the model is told beside
	DeadlineMS    int64       `json:"deadline_ms"`
	MinConfidence float64     `json:"min_confidence"` // 0 to 1; what the service is less sure of is ignored
	CacheSeconds  int64       `json:"cache_seconds"`  // how long the same question has the same answer; 0 is not at all
	Intents       []Intent    `json:"intents"`        // what a service may choose from
}

// Intent is something a customer may want. Its name becomes the attribute
// intent, and its outputs are set as a rule's.
type Intent struct {
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"` // for the service
	Outputs     Outputs `json:"outputs"`
}

// intent is the intent of a name, nil when there is none.
func (s Service) intent(name string) *Intent {
	for i := range s.Intents {
		if s.Intents[i].Name == name {
			return &s.Intents[i]
		}
	}
	return nil
}

// CheckService says what is wrong with a service that stands at the JSON pointer
// at. Whether the skills exist, and whether its address may be reached, is not
// known here.
func CheckService(at string, s Service) []conversation.FieldError {
	c := checker{}
	switch s.Kind {
	case ServiceOpenAI:
		if s.Model == "" {
			c.say(at+"/model", "Name the model, as its provider calls it.")
		}
	case ServiceHTTP:
		if s.Model != "" {
			c.say(at+"/model", "A service of kind http has no model.")
		}
		if s.Instructions != "" {
			c.say(at+"/instructions", "A service of kind http has no instructions.")
		}
	default:
		c.say(at+"/kind", "The kinds are http and openai.")
	}
	if utf8.RuneCountInString(s.Model) > MaxModel {
		c.say(at+"/model", "The name is longer than %d characters.", MaxModel)
	}
	if utf8.RuneCountInString(s.Instructions) > MaxInstructions {
		c.say(at+"/instructions", "The instructions are longer than %d characters.", MaxInstructions)
	}
	if s.URL == "" {
		c.say(at+"/url", "A service has a URL.")
	} else if len(s.URL) > MaxServiceURL {
		c.say(at+"/url", "The URL is longer than %d bytes.", MaxServiceURL)
	}
	if s.DeadlineMS < MinServiceDeadline || s.DeadlineMS > MaxServiceDeadline {
		c.say(at+"/deadline_ms", "A deadline is between %d and %d milliseconds.", MinServiceDeadline, MaxServiceDeadline)
	}
	if s.MinConfidence < 0 || s.MinConfidence > 1 {
		c.say(at+"/min_confidence", "A confidence is between 0 and 1.")
	}
	if s.CacheSeconds < 0 || s.CacheSeconds > MaxServiceCache {
		c.say(at+"/cache_seconds", "This is between 0, which is off, and %d seconds.", MaxServiceCache)
	}
	if len(s.Intents) > MaxIntents {
		c.say(at+"/intents", "There are %d intents; at most %d are allowed.", len(s.Intents), MaxIntents)
	}
	seen := map[string]bool{}
	for i, in := range s.Intents {
		p := at + "/intents/" + strconv.Itoa(i)
		switch {
		case strings.TrimSpace(in.Name) == "":
			c.say(p+"/name", "An intent has a name.")
		case seen[in.Name]:
			c.say(p+"/name", "Another intent has this name.")
		case utf8.RuneCountInString(in.Name) > MaxIntentName:
			c.say(p+"/name", "The name is longer than %d characters.", MaxIntentName)
		}
		seen[in.Name] = true
		if utf8.RuneCountInString(in.Description) > MaxIntentText {
			c.say(p+"/description", "The description is longer than %d characters.", MaxIntentText)
		}
		c.outputs(p+"/outputs", in.Outputs)
	}
	return c.wrong
}

// Sentiment is how a customer feels, in seven levels.
type Sentiment string

// Sentiments lists the levels, the worst first.
func Sentiments() []Sentiment {
	return []Sentiment{"very_negative", "negative", "slightly_negative", "neutral", "slightly_positive", "positive", "very_positive"}
}

// The attributes that services set.
const (
	AttributeIntent    = "intent"
	AttributeSentiment = "sentiment"
)

// Answer is what a service said, as it came.
type Answer struct {
	Intent    *Graded
	Sentiment *Graded
	Language  *Graded
	Skills    []GradedSkill
}

// Graded is a value, and how sure the service is of it.
type Graded struct {
	Value      string
	Confidence float64 // 0 to 1
}

// GradedSkill is a skill that the service would have an agent have.
type GradedSkill struct {
	Skill      string // its id or name
	Level      int
	Confidence float64 // 0 to 1
}

// KnownSkill is a skill that there is.
type KnownSkill struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ServiceFailure says in one word why a service found nothing.
type ServiceFailure string

// The failures of a service.
const (
	ServiceTimeout     ServiceFailure = "timeout"         // no complete answer before its deadline, or before that of all services
	ServiceAddress     ServiceFailure = "refused_address" // its address is one that Kaiwa may not reach
	ServiceUnreachable ServiceFailure = "unreachable"     // no connection, or it broke off
	ServiceStatus      ServiceFailure = "http_status"     // it answered with another status than 200
	ServiceTooLarge    ServiceFailure = "too_large"       // its answer is too large
	ServiceBadAnswer   ServiceFailure = "bad_answer"      // its answer is not as the contract has it
	ServiceNoText      ServiceFailure = "no_text"         // the customer has written nothing that could be read; it was not asked
	ServiceUnusable    ServiceFailure = "unusable"        // what is set of it cannot be used; it was not asked
	ServiceNoAnswer    ServiceFailure = "no_answer"       // the question was lost with its worker, or the service is new to the workstream
)

// ServiceFailures lists the failures.
func ServiceFailures() []ServiceFailure {
	return []ServiceFailure{
		ServiceTimeout, ServiceAddress, ServiceUnreachable, ServiceStatus, ServiceTooLarge, ServiceBadAnswer, ServiceNoText, ServiceUnusable, ServiceNoAnswer,
	}
}

// IgnoreReason says why a part of an answer is not taken.
type IgnoreReason string

// The reasons to ignore a part of an answer.
const (
	IgnoredConfidence IgnoreReason = "low_confidence"
	IgnoredUnknown    IgnoreReason = "unknown"   // no intent, or no skill, of that name
	IgnoredValue      IgnoreReason = "bad_value" // no level, or no language
)

// Ignored is a part of an answer that is not taken.
type Ignored struct {
	Output string       `json:"output"` // intent, sentiment, language or skill
	Reason IgnoreReason `json:"reason"`
}

// Finding is what an answer comes to. It holds enumerated words, ids and numbers
// only, whatever the service said: it is logged and kept.
type Finding struct {
	Failure      ServiceFailure           `json:"failure,omitempty"` // of a service that found nothing
	Status       int                      `json:"status,omitempty"`  // of ServiceStatus
	Intent       string                   `json:"intent,omitempty"`
	Sentiment    Sentiment                `json:"sentiment,omitempty"`
	Language     string                   `json:"language,omitempty"`
	Skills       []conversation.SkillNeed `json:"skills,omitempty"`     // in order of their ids
	Confidence   map[string]float64       `json:"confidence,omitempty"` // by output, of those taken; of skills the least
	Ignored      []Ignored                `json:"ignored,omitempty"`
	Cached       bool                     `json:"cached,omitempty"`       // the question was answered before
	Milliseconds int64                    `json:"milliseconds,omitempty"` // that the service took
}

// Read makes of an answer what is taken of it: what the service is sure enough
// of, and what there is. skills are those it could choose from.
func (s Service) Read(a Answer, skills []KnownSkill) Finding {
	f := Finding{Confidence: map[string]float64{}}
	taken := func(output string, confidence float64, reason IgnoreReason) bool {
		if confidence < s.MinConfidence {
			reason = IgnoredConfidence
		}
		if reason != "" {
			f.Ignored = append(f.Ignored, Ignored{output, reason})
			return false
		}
		if before, there := f.Confidence[output]; !there || confidence < before {
			f.Confidence[output] = confidence
		}
		return true
	}
	unless := func(ok bool, reason IgnoreReason) IgnoreReason {
		if ok {
			return ""
		}
		return reason
	}
	if g := a.Intent; g != nil && taken("intent", g.Confidence, unless(s.intent(g.Value) != nil, IgnoredUnknown)) {
		f.Intent = g.Value
	}
	if g := a.Sentiment; g != nil && taken("sentiment", g.Confidence, unless(slices.Contains(Sentiments(), Sentiment(g.Value)), IgnoredValue)) {
		f.Sentiment = Sentiment(g.Value)
	}
	if g := a.Language; g != nil && taken("language", g.Confidence, unless(len(g.Value) <= maxLanguage && locale.Valid(g.Value), IgnoredValue)) {
		f.Language = g.Value
	}
	levels := map[string]int{}
	for _, g := range a.Skills {
		id, reason := skillID(g.Skill, skills), IgnoreReason("")
		switch {
		case id == "":
			reason = IgnoredUnknown
		case g.Level < MinLevel || g.Level > MaxLevel:
			reason = IgnoredValue
		}
		if taken("skill", g.Confidence, reason) {
			levels[id] = max(levels[id], g.Level)
		}
	}
	if len(levels) > 0 {
		f.Skills = skillList(levels)
	}
	return f
}

// maxLanguage bounds a language tag, in bytes: enough for language, script and
// country, and too little to say anything else.
const maxLanguage = 12

func skillID(named string, skills []KnownSkill) string {
	for _, k := range skills {
		if k.ID == named || strings.EqualFold(k.Name, named) {
			return k.ID
		}
	}
	return ""
}

// Keep is the finding without the skills that there are no longer.
func (f Finding) Keep(there func(skillID string) bool) Finding {
	kept := []conversation.SkillNeed(nil)
	ignored := slices.Clone(f.Ignored)
	for _, k := range f.Skills {
		if there(k.SkillID) {
			kept = append(kept, k)
		} else {
			ignored = append(ignored, Ignored{"skill", IgnoredUnknown})
		}
	}
	f.Skills, f.Ignored = kept, ignored
	return f
}

// ServiceVerdict says what came of a service.
type ServiceVerdict string

// The verdicts on a service.
const (
	ServiceAnswered ServiceVerdict = "answered"
	ServiceFailed   ServiceVerdict = "failed" // it found nothing; failure says why
)

// ServiceLog is the line a service leaves in the routing log.
type ServiceLog struct {
	RulesetID string         `json:"ruleset_id"`
	Verdict   ServiceVerdict `json:"verdict"`
	Finding
}

// heed sets what a service found; ruled says that a rule has set the language,
// which then stays. It tells whether an output of an intent, which is as good as
// a rule's, has set it.
func (c *ConversationFacts) heed(s Service, f Finding, ruled bool) (sets bool) {
	if f.Sentiment != "" {
		c.Attributes[AttributeSentiment] = string(f.Sentiment)
	}
	if f.Language != "" && !ruled {
		c.Language = f.Language
	}
	for _, k := range f.Skills {
		c.Skills[k.SkillID] = k.Level
	}
	in := s.intent(f.Intent)
	if in == nil {
		return false
	}
	c.Attributes[AttributeIntent] = in.Name
	c.apply(in.Outputs)
	return in.Outputs.Language != ""
}
