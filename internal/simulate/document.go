package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kaiwa/internal/calendar"
)

// Document is an office and what comes to it, as they are written down in YAML
// or JSON. docs/simulation.md explains every field.
type Document struct {
	Zone      string     `yaml:"zone,omitempty"` // an IANA time zone; "" is UTC
	Calendars []Calendar `yaml:"calendars,omitempty"`
	Skills    []Skill    `yaml:"skills,omitempty"`
	// Profiles are named limits of concurrent work.
	Profiles    []Profile    `yaml:"capacity_profiles,omitempty"`
	Queues      []Queue      `yaml:"queues,omitempty"`
	Agents      []Agent      `yaml:"agents,omitempty"`
	Workstreams []Workstream `yaml:"workstreams,omitempty"`
	Rulesets    []Ruleset    `yaml:"rulesets,omitempty"`

	Kinds    []Kind        `yaml:"kinds,omitempty"`
	Arrivals string        `yaml:"arrivals,omitempty"` // a CSV file of conversations that came
	Handling *Distribution `yaml:"handling,omitempty"` // of kinds that have none of their own
	WrapUp   *Distribution `yaml:"wrap_up,omitempty"`  // likewise; nil is none
	Patience *Distribution `yaml:"patience,omitempty"` // likewise; nil waits for ever
	Staffing []Shift       `yaml:"staffing,omitempty"` // none: everybody is there all the time
	Offers   Offers        `yaml:"offers,omitempty"`
	Run      Run           `yaml:"run,omitempty"`
}

// Skill is a named ability.
type Skill struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name,omitempty"`
}

// Queue is where conversations wait.
type Queue struct {
	ID         string `yaml:"id"`
	Name       string `yaml:"name,omitempty"`
	Priority   int64  `yaml:"priority,omitempty"`   // smaller is served first
	Assignment string `yaml:"assignment,omitempty"` // a routing.Method
	// Custom says how, where the assignment is custom.
	Custom     *Custom    `yaml:"custom,omitempty"`
	CalendarID string     `yaml:"calendar_id,omitempty"` // "" is always open
	OutOfHours Deflection `yaml:"out_of_hours,omitempty"`
	Overflow   Overflow   `yaml:"overflow,omitempty"`
}

// Deflection is what a queue does with a conversation that it may turn away, with
// the fields that it has in the API.
type Deflection struct {
	Action  string `yaml:"action,omitempty"` // a routing.DeflectAction
	QueueID string `yaml:"queue_id,omitempty"`
}

// Overflow is what a queue does with those who come while it is full, or have
// waited too long.
type Overflow struct {
	MaxWaiting     int64 `yaml:"max_waiting,omitempty"`
	MaxWaitSeconds int64 `yaml:"max_wait_seconds,omitempty"`
	Deflection     `yaml:",inline"`
}

// Calendar is when queues are open.
type Calendar struct {
	ID                string `yaml:"id"`
	Name              string `yaml:"name,omitempty"`
	calendar.Calendar `yaml:",inline"`
}

// Profile is a named limit of concurrent work.
type Profile struct {
	ID           string `yaml:"id"`
	Name         string `yaml:"name,omitempty"`
	LimitDefault int64  `yaml:"limit_default,omitempty"` // conversations; 0 is 1
	Reset        string `yaml:"reset,omitempty"`         // immediate or end_of_day; "" is immediate
	Zone         string `yaml:"zone,omitempty"`          // of end_of_day; "" is the document's
	Blocks       bool   `yaml:"blocks,omitempty"`        // at the limit nothing else is offered either
}

// ProfileLimit is an agent's limit of a capacity profile.
type ProfileLimit struct {
	ProfileID string `yaml:"profile_id"`
	Limit     int64  `yaml:"limit,omitempty"` // 0 is the profile's
}

// Agent is somebody who serves, or a group of people who are alike.
type Agent struct {
	ID       string       `yaml:"id"`
	Name     string       `yaml:"name,omitempty"`
	Count    int          `yaml:"count,omitempty"`    // 0 is one person
	Capacity *int64       `yaml:"capacity,omitempty"` // units; nil is 1
	Skills   []SkillLevel `yaml:"skills,omitempty"`
	Queues   []string     `yaml:"queues,omitempty"` // that they work
	// Profiles are their limits of capacity profiles.
	Profiles []ProfileLimit `yaml:"capacity_profiles,omitempty"`
}

// SkillLevel is a skill that somebody has, or that is required.
type SkillLevel struct {
	SkillID string `yaml:"skill_id"`
	Level   int    `yaml:"level"` // 1 to 10
}

// Workstream is how conversations are routed and offered.
type Workstream struct {
	ID                       string    `yaml:"id"`
	Name                     string    `yaml:"name,omitempty"`
	FallbackQueueID          string    `yaml:"fallback_queue_id,omitempty"`
	ClassificationRulesetIDs []string  `yaml:"classification_ruleset_ids,omitempty"`
	RouteRulesetID           string    `yaml:"route_ruleset_id,omitempty"`
	DefaultPriority          int64     `yaml:"default_priority,omitempty"`
	CapacityUnits            int64     `yaml:"capacity_units,omitempty"` // 0 is 1
	SkillMatching            string    `yaml:"skill_matching,omitempty"` // a conversation.Matching
	OfferTimeout             *Duration `yaml:"offer_timeout,omitempty"`  // nil is 120 s
	MaxOffers                int64     `yaml:"max_offers,omitempty"`     // 0 is 3
	// CapacityProfileID is what its conversations count against instead of units.
	CapacityProfileID string   `yaml:"capacity_profile_id,omitempty"`
	Presences         []string `yaml:"presences,omitempty"` // in which agents are offered them; none is available
	Affinity          string   `yaml:"affinity,omitempty"`  // off, prefer or require; "" is prefer
}

// Ruleset is rules of one kind, as the API has them.
type Ruleset struct {
	ID    string `yaml:"id"`
	Name  string `yaml:"name,omitempty"`
	Kind  string `yaml:"kind"` // classification or route
	Rules []Rule `yaml:"rules"`
}

// Rule is a rule of either kind.
type Rule struct {
	ID        string   `yaml:"id,omitempty"`
	Name      string   `yaml:"name,omitempty"`
	Condition string   `yaml:"condition"`
	Outputs   *Outputs `yaml:"outputs,omitempty"`  // of a classification rule
	QueueID   string   `yaml:"queue_id,omitempty"` // of a route rule
	Split     []Share  `yaml:"split,omitempty"`    // of a route rule
}

// Outputs is what a classification rule sets.
type Outputs struct {
	Attributes map[string]string `yaml:"attributes,omitempty"`
	Priority   *int64            `yaml:"priority,omitempty"`
	Skills     []SkillLevel      `yaml:"skills,omitempty"`
	Units      int64             `yaml:"units,omitempty"`
	Language   string            `yaml:"language,omitempty"`
	// CapacityProfileID is what it counts against instead of units.
	CapacityProfileID string `yaml:"capacity_profile_id,omitempty"`
}

// Share is a queue's part of a split.
type Share struct {
	QueueID string `yaml:"queue_id"`
	Percent int64  `yaml:"percent"`
}

// Kind is conversations that are alike: what they are about, how many come and
// how long they take.
type Kind struct {
	ID         string `yaml:"id"`
	Name       string `yaml:"name,omitempty"`
	Workstream string `yaml:"workstream,omitempty"` // whose rules it goes by; "" has none
	Queue      string `yaml:"queue,omitempty"`      // where it waits whatever the rules say; "" leaves it to them
	Facts      Facts  `yaml:"facts,omitempty"`

	Priority *int64       `yaml:"priority,omitempty"` // to begin with; nil is the workstream's
	Skills   []SkillLevel `yaml:"skills,omitempty"`   // required to begin with
	Units    int64        `yaml:"units,omitempty"`    // 0 is the workstream's
	// PreferredAgents are those its customers' contacts prefer, in order.
	PreferredAgents []string `yaml:"preferred_agents,omitempty"`
	Returns         *Returns `yaml:"returns,omitempty"` // nil: nobody comes back

	PerHour float64              `yaml:"per_hour,omitempty"`     // conversations an hour, at any time
	ByHour  map[string][]float64 `yaml:"by_hour,omitempty,flow"` // by day, 24 numbers each; instead of per_hour

	Handling *Distribution `yaml:"handling,omitempty"`
	WrapUp   *Distribution `yaml:"wrap_up,omitempty"`
	Patience *Distribution `yaml:"patience,omitempty"`
}

// Returns is how conversations that were parked come back: to the queue where
// they waited, and to the agent who served them as the workstream says.
type Returns struct {
	Chance float64       `yaml:"chance"` // that one is parked instead of ended, 0 to 0.95
	After  *Distribution `yaml:"after"`  // until the customer writes again
}

// Facts is what rules may ask of a kind. What is left out is as for a customer
// nobody knows.
type Facts struct {
	Texts      []string          `yaml:"texts,omitempty"` // the customer's, oldest first
	Locale     string            `yaml:"locale,omitempty"`
	Context    map[string]string `yaml:"context,omitempty"`
	Attributes map[string]string `yaml:"attributes,omitempty"`
	Customer   struct {
		Name                 string `yaml:"name,omitempty"`
		Language             string `yaml:"language,omitempty"`
		Friend               bool   `yaml:"friend,omitempty"`
		ContactID            string `yaml:"contact_id,omitempty"`
		EarlierConversations int64  `yaml:"earlier_conversations,omitempty"`
	} `yaml:"customer,omitempty"`
	Channel struct {
		ID     string `yaml:"id,omitempty"`
		Name   string `yaml:"name,omitempty"`
		Locale string `yaml:"locale,omitempty"`
	} `yaml:"channel,omitempty"`
	Bot struct {
		ID        string `yaml:"id,omitempty"`
		Summary   string `yaml:"summary,omitempty"`
		Escalated bool   `yaml:"escalated,omitempty"`
		Reason    string `yaml:"reason,omitempty"`
	} `yaml:"bot,omitempty"`
}

// Shift is when people are there.
type Shift struct {
	Agents []string `yaml:"agents"`          // ids, of people or groups
	Count  int      `yaml:"count,omitempty"` // only so many of them, the first ones; 0 is all
	Days   []string `yaml:"days"`            // monday … sunday, weekdays, weekend, every_day
	From   string   `yaml:"from"`            // 00:00 to 23:59
	To     string   `yaml:"to"`              // 00:00 to 24:00; at or before From it is on the day after
	// Presence is how they are there: available ("") or, as in a break, busy,
	// do_not_disturb or away. Of shifts that meet the later in the list counts.
	Presence string `yaml:"presence,omitempty"`
}

// Offers is what agents do with offers.
type Offers struct {
	Answer  *Distribution `yaml:"answer,omitempty"`  // until they answer; nil is at once
	Decline float64       `yaml:"decline,omitempty"` // how likely, 0 to 1
	Miss    float64       `yaml:"miss,omitempty"`    // how likely it is that they never answer, 0 to 1
}

// Run is how long and how often it is played.
type Run struct {
	Seed         uint64    `yaml:"seed,omitempty"`         // 0 is 1
	Start        string    `yaml:"start,omitempty"`        // a date, at midnight; "" is Monday, 2026-01-05, or the day of the first arrival
	Weeks        int       `yaml:"weeks,omitempty"`        // each time; 0 is 1
	Replications int       `yaml:"replications,omitempty"` // how often; 0 is 10
	WarmUp       *Duration `yaml:"warm_up,omitempty"`      // at the beginning, which is not counted; nil is none
	Within       *Duration `yaml:"within,omitempty"`       // the service level counts who is served within it; nil is 60 s
}

// Duration is a time such as 90s, 6m or 1h30m.
type Duration time.Duration

// UnmarshalYAML reads a time.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	t, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || t < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is no time: write it as 90s, 6m or 1h30m", n.Line, n.Value)}}
	}
	*d = Duration(t)
	return nil
}

// MarshalYAML writes it as it is read.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// or is the time, or another one when there is none.
func (d *Duration) or(other time.Duration) time.Duration {
	if d == nil {
		return other
	}
	return time.Duration(*d)
}

// File is a document, or a part of one.
type File struct {
	Name    string
	Content []byte
}

// Error says what is wrong with a document, where, and what to do.
type Error struct {
	File   string
	Line   int    // from 1; 0 is unknown
	Place  string // such as agents/3/queues/0; "" is the file as a whole
	Detail string // sentences
}

func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += ", line " + strconv.Itoa(e.Line)
	}
	if e.Place != "" {
		s += ", " + e.Place
	}
	return s + ": " + e.Detail
}

// sources tells where in the files each part of a document stands.
type sources map[string]source // by the name of the part

type source struct {
	file string
	key  *yaml.Node
	node *yaml.Node
}

// parse reads the parts of a document from files. Each part stands in one file.
func parse(files []File) (Document, sources, error) {
	var doc Document
	from := sources{}
	if len(files) == 0 {
		return doc, nil, errors.New("there is no file to simulate")
	}
	for _, f := range files {
		var root yaml.Node
		err := yaml.Unmarshal(f.Content, &root)
		if err != nil {
			return doc, nil, unreadable(f.Name, err)
		}
		if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
			return doc, nil, &Error{File: f.Name, Detail: "This is no simulation: it has to begin with names such as queues, agents and kinds."}
		}
		parts := root.Content[0].Content
		for i := 0; i+1 < len(parts); i += 2 {
			name := parts[i].Value
			if other, twice := from[name]; twice && other.file != f.Name {
				return doc, nil, &Error{File: f.Name, Line: parts[i].Line, Place: name, Detail: "This part stands in " + other.file + " already. Leave it in one of the files."}
			}
			from[name] = source{f.Name, parts[i], parts[i+1]}
		}
		strict := yaml.NewDecoder(bytes.NewReader(f.Content))
		strict.KnownFields(true)
		if err := strict.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
			return doc, nil, unreadable(f.Name, err)
		}
	}
	return doc, from, nil
}

var (
	onLine       = regexp.MustCompile(`^(?:yaml: )?line (\d+): (?s)(.*)$`)
	unknownField = regexp.MustCompile(`^field (.+) not found in type .*$`)
	wrongKind    = regexp.MustCompile("^cannot unmarshal !!(\\w+)(?: `(.*)`)? into (.+)$")
)

// unreadable makes an error for people of what the decoder says.
func unreadable(file string, err error) error {
	text := err.Error()
	var kinds *yaml.TypeError
	if errors.As(err, &kinds) && len(kinds.Errors) > 0 {
		text = kinds.Errors[0]
	}
	e := &Error{File: file, Detail: text}
	if m := onLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1]) // it matched digits
		e.Detail = m[2]
	}
	if m := unknownField.FindStringSubmatch(e.Detail); m != nil {
		e.Detail = fmt.Sprintf("There is no field %q here. The fields are in docs/simulation.md.", m[1])
	} else if m := wrongKind.FindStringSubmatch(e.Detail); m != nil {
		is := map[string]string{"seq": "A list", "map": "A list of names and values"}[m[1]]
		if is == "" {
			is = strconv.Quote(m[2])
		}
		e.Detail = fmt.Sprintf("%s stands where %s is needed.", is, kindOf(m[3]))
	} else {
		e.Detail = strings.ToUpper(e.Detail[:1]) + e.Detail[1:] + "."
	}
	return e
}

// kindOf is what a Go type is for whoever writes a document.
func kindOf(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "uint"):
		return "a whole number"
	case strings.HasPrefix(goType, "float"):
		return "a number"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a text"
	}
	return "a list of names and values"
}

// at makes an error about a place in the document.
func (s sources) at(place, format string, args ...any) error {
	return s.place(place, &Error{Detail: fmt.Sprintf(format, args...)})
}

// place says where in the document an error is; one in another file has its
// place.
func (s sources) place(place string, e *Error) error {
	if e.File != "" {
		return e
	}
	e.Place = place
	steps := strings.Split(place, "/")
	part, known := s[steps[0]]
	if !known {
		e.File = s.first()
		return e
	}
	e.File, e.Line = part.file, part.key.Line
	node := part.node
	for _, step := range steps[1:] {
		if node = child(node, step); node == nil {
			break
		}
		e.Line = node.Line
	}
	return e
}

// first is the file that the document begins with.
func (s sources) first() string {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		return s[name].file
	}
	return ""
}

// child is a member of a list or of a mapping, nil when there is none.
func child(n *yaml.Node, step string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i+1]
		}
	}
	return nil
}
