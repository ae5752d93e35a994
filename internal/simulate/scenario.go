package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones, wherever this runs

	"kaiwa/internal/conversation"
	"kaiwa/internal/language"
	"kaiwa/internal/routing"
)

// Scenario is a document that has been checked, ready to be played. It is not
// changed by playing it.
type Scenario struct {
	zone         *time.Location
	start        time.Time
	length       time.Duration
	warmUp       time.Duration
	within       time.Duration
	seed         uint64
	replications int

	queues []routing.Queue
	names  map[string]string // of queues, by id
	states map[string]routing.QueueState
	// rules are what queues do by time and by fullness, of those that do.
	rules map[string]queueRules
	// customs are the custom assignments of queues, by their ids.
	customs map[string]*routing.CustomAssignment
	agents  []agentPlan
	kinds   []kind
	past    []arrival // that came, in order
	// midnights are the zones of the capacity profiles that are reset at the end
	// of the day, by the profiles' ids.
	midnights map[string]*time.Location
	offers    offerPlan
}

// agentPlan is an agent and when they are there.
type agentPlan struct {
	routing.Agent
	name  string
	there []span
}

// kind is conversations that are alike.
type kind struct {
	id         string
	workstream *workstream
	queue      string
	facts      routing.Facts
	rates      *rates // nil: none come by themselves
	handling   sampler
	wrapUp     sampler // nil: none
	patience   sampler // nil: they wait for ever
	preferred  []string
	returns    float64 // how likely one is parked and comes back
	after      sampler // until it does; nil: none does
}

// workstream is how conversations are routed and offered.
type workstream struct {
	rulesets     []routing.Ruleset
	routes       []routing.RouteRule
	fallback     string
	priority     int64
	units        int64
	matching     conversation.Matching
	offerTimeout time.Duration
	maxOffers    int64
	profile      string // the capacity profile that conversations count against instead of units; "" is none
	presences    []conversation.Presence
	affinity     routing.AffinityMode
}

// arrival is a conversation that came.
type arrival struct {
	at       time.Duration
	kind     int           // its place among the kinds
	handling time.Duration // below zero: drawn as for any of its kind
}

// offerPlan is what agents do with offers.
type offerPlan struct {
	answer        sampler // nil: at once
	decline, miss float64
}

// Load reads and checks a document that is spread over files. read reads the
// CSV files that it names. The error is an *Error about the first mistake.
func Load(files []File, read func(name string) ([]byte, error)) (*Scenario, error) {
	doc, from, err := parse(files)
	if err != nil {
		return nil, err
	}
	c := compiler{doc: doc, from: from, read: read, s: &Scenario{
		names: map[string]string{}, states: map[string]routing.QueueState{}, customs: map[string]*routing.CustomAssignment{},
		rules: map[string]queueRules{}, midnights: map[string]*time.Location{},
	}}
	for _, step := range []func() error{c.run, c.offers, c.queues, c.queueRules, c.profiles, c.people, c.staffing, c.workstreams, c.kinds, c.arrivals} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c.s, nil
}

// Change sets another seed and another number of replications; 0 leaves what the
// document says.
func (s *Scenario) Change(seed uint64, replications int) {
	if seed > 0 {
		s.seed = seed
	}
	if replications > 0 {
		s.replications = replications
	}
}

// compiler makes a scenario of a document.
type compiler struct {
	doc  Document
	from sources
	read func(string) ([]byte, error)
	s    *Scenario

	skills  map[string]bool
	profile map[string]Profile // by id
	byID    map[string][]int   // the agents that an id stands for
	ways    map[string]*workstream
}

func (c *compiler) wrong(place, format string, args ...any) error {
	return c.from.at(place, format, args...)
}

// run takes over how long and how often it is played.
func (c *compiler) run() error {
	s, r := c.s, c.doc.Run
	var err error
	if s.zone, err = time.LoadLocation(c.doc.Zone); err != nil || c.doc.Zone == "Local" {
		return c.wrong("zone", "%q is no time zone. Write an IANA name such as Asia/Tokyo.", c.doc.Zone)
	}
	s.seed, s.replications = max(1, r.Seed), r.Replications
	if s.replications == 0 {
		s.replications = 10
	}
	weeks := max(1, r.Weeks)
	switch {
	case r.Weeks < 0 || r.Weeks > maxWeeks:
		return c.wrong("run/weeks", "It is played for 1 to %d weeks.", maxWeeks)
	case s.replications < 1 || s.replications > 10_000:
		return c.wrong("run/replications", "It is played 1 to 10000 times.")
	}
	s.start = time.Date(2026, 1, 5, 0, 0, 0, 0, s.zone) // a Monday
	if r.Start != "" {
		if s.start, err = time.ParseInLocation(time.DateOnly, r.Start, s.zone); err != nil {
			return c.wrong("run/start", "%q is no date. Write it as 2026-01-05, in quotation marks.", r.Start)
		}
	}
	s.length = s.start.AddDate(0, 0, 7*weeks).Sub(s.start)
	s.warmUp, s.within = r.WarmUp.or(0), r.Within.or(time.Minute)
	if s.warmUp >= s.length {
		return c.wrong("run/warm_up", "Nothing is left to be counted after %s. Make it shorter, or play more weeks.", s.warmUp)
	}
	return nil
}

// maxWeeks bounds how long it is played.
const maxWeeks = 520

// offers takes over what agents do with offers.
func (c *compiler) offers() error {
	o := c.doc.Offers
	for _, share := range []struct {
		field string
		p     float64
	}{{"decline", o.Decline}, {"miss", o.Miss}} {
		if !(share.p >= 0 && share.p <= 1) {
			return c.wrong("offers/"+share.field, "A probability is between 0 and 1.")
		}
	}
	if o.Decline+o.Miss > 1 {
		return c.wrong("offers", "What is declined and what is missed are more than everything: together they are 1 at most.")
	}
	var err error
	c.s.offers.decline, c.s.offers.miss = o.Decline, o.Miss
	c.s.offers.answer, err = c.sampler("offers/answer", o.Answer)
	return err
}

// sampler compiles the distribution at a place; nil when there is none.
func (c *compiler) sampler(place string, d *Distribution) (sampler, error) {
	if d == nil {
		return nil, nil
	}
	s, err := d.sampler(c.read)
	if err != nil {
		return nil, c.from.place(place, err)
	}
	return s, nil
}

func (c *compiler) queues() error {
	if len(c.doc.Queues) == 0 {
		return c.wrong("queues", "There are no queues. Name at least one, or give the file that has them.")
	}
	for i, q := range c.doc.Queues {
		at := fmt.Sprintf("queues/%d", i)
		_, twice := c.s.names[q.ID]
		switch {
		case q.ID == "":
			return c.wrong(at, "A queue needs an id.")
		case twice:
			return c.wrong(at+"/id", "Another queue has the id %q already.", q.ID)
		case q.Assignment != "" && !routing.Method(q.Assignment).Valid():
			return c.wrong(at+"/assignment", "%q is no way of assigning: it is highest_capacity, round_robin, longest_idle or custom.", q.Assignment)
		case (q.Assignment == string(routing.Custom)) != (q.Custom != nil):
			return c.wrong(at+"/custom", "A queue whose assignment is custom says how under custom, and no other does.")
		}
		queue := routing.Queue{ID: q.ID, Priority: q.Priority, Method: routing.Method(q.Assignment), Custom: (*routing.CustomAssignment)(q.Custom)}
		if custom := queue.Custom; custom != nil {
			made := 0
			custom.Defaults(func(prefix string) string { made++; return prefix + strconv.Itoa(made) })
			for _, found := range routing.CheckCustom("/custom", *custom) {
				return c.wrong(at+found.Pointer, "%s", found.Detail)
			}
			c.s.customs[q.ID] = custom
		}
		c.s.names[q.ID] = named(q.Name, q.ID)
		c.s.queues = append(c.s.queues, queue)
		c.s.states[q.ID] = routing.QueueState{}
	}
	return nil
}

func named(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

// people takes over skills, and agents with what they can and where they work.
func (c *compiler) people() error {
	c.skills, c.byID = map[string]bool{}, map[string][]int{}
	for i, k := range c.doc.Skills {
		if k.ID == "" || c.skills[k.ID] {
			return c.wrong(fmt.Sprintf("skills/%d", i), "A skill needs an id of its own.")
		}
		c.skills[k.ID] = true
	}
	taken := map[string]bool{}
	for i, a := range c.doc.Agents {
		at := fmt.Sprintf("agents/%d", i)
		capacity := int64(1)
		if a.Capacity != nil {
			capacity = *a.Capacity
		}
		_, twice := c.byID[a.ID]
		switch {
		case a.ID == "":
			return c.wrong(at, "An agent needs an id.")
		case twice:
			return c.wrong(at+"/id", "Another agent has the id %q already.", a.ID)
		case a.Count < 0 || a.Count > 10_000:
			return c.wrong(at+"/count", "There are 1 to 10000 people in a group.")
		case capacity < 0 || capacity > routing.MaxUnits:
			return c.wrong(at+"/capacity", "A capacity is between 0 and %d units.", routing.MaxUnits)
		}
		levels, err := c.levels(at+"/skills", a.Skills)
		if err != nil {
			return err
		}
		limits, err := c.limits(at+"/capacity_profiles", a.Profiles)
		if err != nil {
			return err
		}
		for j, q := range a.Queues {
			if _, known := c.s.states[q]; !known {
				return c.wrong(fmt.Sprintf("%s/queues/%d", at, j), "There is no queue %q. Name one of queues.", q)
			}
		}
		for n := range max(1, a.Count) {
			id, name := a.ID, named(a.Name, a.ID)
			if a.Count > 0 {
				id, name = fmt.Sprintf("%s-%d", id, n+1), fmt.Sprintf("%s %d", name, n+1)
			}
			if taken[id] {
				return c.wrong(at+"/id", "Two agents would have the id %q.", id)
			}
			taken[id] = true
			c.byID[a.ID] = append(c.byID[a.ID], len(c.s.agents))
			c.s.agents = append(c.s.agents, agentPlan{name: name, Agent: routing.Agent{
				ID: id, Presence: conversation.PresenceOffline, Capacity: capacity, Levels: levels, QueueIDs: a.Queues, Profiles: limits,
			}})
			for _, q := range slices.Compact(slices.Sorted(slices.Values(a.Queues))) {
				state := c.s.states[q]
				state.Members++
				c.s.states[q] = state
			}
		}
	}
	return nil
}

// levels reads skills with their levels.
func (c *compiler) levels(at string, list []SkillLevel) (map[string]int, error) {
	out := map[string]int{}
	for i, k := range list {
		p := fmt.Sprintf("%s/%d", at, i)
		switch {
		case !c.skills[k.SkillID]:
			return nil, c.wrong(p+"/skill_id", "There is no skill %q. Name one of skills.", k.SkillID)
		case k.Level < routing.MinLevel || k.Level > routing.MaxLevel:
			return nil, c.wrong(p+"/level", "A level is between %d and %d.", routing.MinLevel, routing.MaxLevel)
		}
		out[k.SkillID] = k.Level
	}
	return out, nil
}

// staffing says when everybody is there.
func (c *compiler) staffing() error {
	for i, shift := range c.doc.Staffing {
		at := fmt.Sprintf("staffing/%d", i)
		var week []time.Weekday
		for j, d := range shift.Days {
			on := daysOf(d)
			if on == nil {
				return c.wrong(fmt.Sprintf("%s/days/%d", at, j), "%q is no day: it is one of %s.", d, dayNames)
			}
			week = append(week, on...)
		}
		if len(week) == 0 {
			return c.wrong(at, "A shift needs days, such as [weekdays].")
		}
		from, err := minutes(shift.From, false)
		if err != nil {
			return c.from.place(at+"/from", err)
		}
		to, err := minutes(shift.To, true)
		if err != nil {
			return c.from.place(at+"/to", err)
		}
		var who []int
		for j, id := range shift.Agents {
			if len(c.byID[id]) == 0 {
				return c.wrong(fmt.Sprintf("%s/agents/%d", at, j), "There is no agent %q. Name one of agents.", id)
			}
			who = append(who, c.byID[id]...)
		}
		if len(who) == 0 || shift.Count < 0 || shift.Count > len(who) {
			return c.wrong(at, "A shift names agents, and counts no more than it names, which are %d.", len(who))
		}
		if shift.Count > 0 {
			who = who[:shift.Count]
		}
		presence := conversation.Presence(shift.Presence)
		switch presence {
		case "":
			presence = conversation.PresenceAvailable
		case conversation.PresenceAvailable, conversation.PresenceBusy, conversation.PresenceDoNotDisturb, conversation.PresenceAway:
		default:
			return c.wrong(at+"/presence", "%q is no presence of who is there: it is available, busy, do_not_disturb or away.", shift.Presence)
		}
		for _, n := range who {
			c.s.agents[n].there = append(c.s.agents[n].there, spans(week, from, to, c.s.start, c.s.length, span{presence: presence, shift: i})...)
		}
	}
	for i := range c.s.agents {
		if len(c.doc.Staffing) == 0 {
			c.s.agents[i].there = []span{{to: c.s.length, presence: conversation.PresenceAvailable}}
		}
		c.s.agents[i].there = timeline(c.s.agents[i].there)
	}
	return nil
}

// workstreams takes over workstreams with their rules.
func (c *compiler) workstreams() error {
	c.ways = map[string]*workstream{}
	sets := map[string]Ruleset{}
	for i, set := range c.doc.Rulesets {
		if err := c.ruleset(fmt.Sprintf("rulesets/%d", i), set, sets); err != nil {
			return err
		}
		sets[set.ID] = set
	}
	for i, w := range c.doc.Workstreams {
		at := fmt.Sprintf("workstreams/%d", i)
		made := &workstream{
			fallback: w.FallbackQueueID, priority: w.DefaultPriority, units: max(1, w.CapacityUnits), matching: conversation.Matching(w.SkillMatching),
			offerTimeout: w.OfferTimeout.or(defaultOfferTimeout), maxOffers: w.MaxOffers, profile: w.CapacityProfileID,
		}
		if made.matching == "" {
			made.matching = conversation.MatchingExact
		}
		switch {
		case w.ID == "" || c.ways[w.ID] != nil:
			return c.wrong(at, "A workstream needs an id of its own.")
		case w.FallbackQueueID != "" && c.s.names[w.FallbackQueueID] == "":
			return c.wrong(at+"/fallback_queue_id", "There is no queue %q. Name one of queues.", w.FallbackQueueID)
		case made.matching != conversation.MatchingExact && made.matching != conversation.MatchingClosest && made.matching != conversation.MatchingNone:
			return c.wrong(at+"/skill_matching", "%q is no way of matching: it is exact, closest or none.", w.SkillMatching)
		case w.CapacityUnits < 0 || w.CapacityUnits > routing.MaxUnits:
			return c.wrong(at+"/capacity_units", "Units are between 1 and %d.", routing.MaxUnits)
		case w.DefaultPriority < routing.MinPriority || w.DefaultPriority > routing.MaxPriority:
			return c.wrong(at+"/default_priority", "A priority is between %d and %d.", routing.MinPriority, routing.MaxPriority)
		case w.MaxOffers < 0 || w.MaxOffers > maxOffers:
			return c.wrong(at+"/max_offers", "One agent is offered a conversation 1 to %d times.", maxOffers)
		case made.offerTimeout <= 0:
			return c.wrong(at+"/offer_timeout", "It has to be longer than nothing.")
		}
		if err := c.assignment(at, w, made); err != nil {
			return err
		}
		for j, id := range w.ClassificationRulesetIDs {
			set, known := sets[id]
			if !known || set.Kind != rulesetClassification {
				return c.wrong(fmt.Sprintf("%s/classification_ruleset_ids/%d", at, j), "There is no ruleset %q of kind classification. Name one of rulesets.", id)
			}
			made.rulesets = append(made.rulesets, routing.Ruleset{ID: id, Rules: classificationRules(set)})
		}
		if id := w.RouteRulesetID; id != "" {
			set, known := sets[id]
			if !known || set.Kind != rulesetRoute {
				return c.wrong(at+"/route_ruleset_id", "There is no ruleset %q of kind route. Name one of rulesets.", id)
			}
			made.routes = routeRules(set)
		}
		c.ways[w.ID] = made
	}
	return nil
}

// defaultOfferTimeout is how long agents have to answer where no workstream says
// otherwise.
const defaultOfferTimeout = 120 * time.Second

// maxOffers bounds how often one agent is offered one conversation, as the API
// does.
const maxOffers = 5

// The kinds of Ruleset.
const (
	rulesetClassification = "classification"
	rulesetRoute          = "route"
)

// ruleset checks a ruleset as the API does when one is saved.
func (c *compiler) ruleset(at string, set Ruleset, others map[string]Ruleset) error {
	if _, twice := others[set.ID]; set.ID == "" || twice {
		return c.wrong(at, "A ruleset needs an id of its own.")
	}
	var found []conversation.FieldError
	switch set.Kind {
	case rulesetClassification:
		for i, r := range set.Rules {
			if r.QueueID != "" || r.Split != nil {
				return c.wrong(fmt.Sprintf("%s/rules/%d", at, i), "A classification rule sets outputs; queues are named by route rules.")
			}
			if r.Outputs == nil {
				continue
			}
			if _, err := c.levels(fmt.Sprintf("%s/rules/%d/outputs/skills", at, i), r.Outputs.Skills); err != nil {
				return err
			}
			if err := c.knownProfile(fmt.Sprintf("%s/rules/%d/outputs/capacity_profile_id", at, i), r.Outputs.CapacityProfileID); err != nil {
				return err
			}
		}
		found = routing.CheckRules("/rules", classificationRules(set))
	case rulesetRoute:
		for i, r := range set.Rules {
			p := fmt.Sprintf("%s/rules/%d", at, i)
			if r.Outputs != nil {
				return c.wrong(p+"/outputs", "A route rule names a queue; outputs are set by classification rules.")
			}
			for _, q := range append([]Share{{QueueID: r.QueueID}}, r.Split...) {
				if q.QueueID != "" && c.s.names[q.QueueID] == "" {
					return c.wrong(p, "There is no queue %q. Name one of queues.", q.QueueID)
				}
			}
		}
		found = routing.CheckRouteRules("/rules", routeRules(set))
	default:
		return c.wrong(at+"/kind", "%q is no kind of ruleset: it is classification or route.", set.Kind)
	}
	if len(found) > 0 {
		return c.wrong(at+found[0].Pointer, "%s", found[0].Detail)
	}
	return nil
}

// ruleID is the id of the nth rule, which need not have one.
func ruleID(r Rule, n int) string {
	if r.ID == "" {
		return fmt.Sprintf("rule_%d", n+1)
	}
	return r.ID
}

func classificationRules(set Ruleset) []routing.Rule {
	out := make([]routing.Rule, len(set.Rules))
	for i, r := range set.Rules {
		out[i] = routing.Rule{ID: ruleID(r, i), Name: r.Name, Condition: r.Condition}
		if o := r.Outputs; o != nil {
			out[i].Outputs = routing.Outputs{Attributes: o.Attributes, Priority: o.Priority, Units: o.Units, Language: o.Language, CapacityProfileID: o.CapacityProfileID}
			for _, k := range o.Skills {
				out[i].Outputs.Skills = append(out[i].Outputs.Skills, conversation.SkillNeed(k))
			}
		}
	}
	return out
}

func routeRules(set Ruleset) []routing.RouteRule {
	out := make([]routing.RouteRule, len(set.Rules))
	for i, r := range set.Rules {
		out[i] = routing.RouteRule{ID: ruleID(r, i), Name: r.Name, Condition: r.Condition, QueueID: r.QueueID}
		for _, s := range r.Split {
			out[i].Split = append(out[i].Split, routing.Share(s))
		}
	}
	return out
}

// kinds takes over what comes.
func (c *compiler) kinds() error {
	if len(c.doc.Kinds) == 0 {
		return c.wrong("kinds", "Nothing comes. Name at least one of kinds, or give the file that has them.")
	}
	for i, k := range c.doc.Kinds {
		made, err := c.kind(fmt.Sprintf("kinds/%d", i), k)
		if err != nil {
			return err
		}
		c.s.kinds = append(c.s.kinds, made)
	}
	return nil
}

func (c *compiler) kind(at string, k Kind) (kind, error) {
	made := kind{id: k.ID, queue: k.Queue, workstream: &workstream{units: 1, matching: conversation.MatchingExact, offerTimeout: defaultOfferTimeout, affinity: routing.AffinityPrefer}}
	if k.Workstream != "" {
		made.workstream = c.ways[k.Workstream]
	}
	switch {
	case k.ID == "" || slices.ContainsFunc(c.s.kinds, func(other kind) bool { return other.id == k.ID }):
		return made, c.wrong(at, "A kind needs an id of its own.")
	case made.workstream == nil:
		return made, c.wrong(at+"/workstream", "There is no workstream %q. Name one of workstreams.", k.Workstream)
	case k.Queue != "" && c.s.names[k.Queue] == "":
		return made, c.wrong(at+"/queue", "There is no queue %q. Name one of queues.", k.Queue)
	case k.Queue == "" && k.Workstream == "":
		return made, c.wrong(at, "A kind needs a queue, or a workstream whose rules find one.")
	case k.Units < 0 || k.Units > routing.MaxUnits:
		return made, c.wrong(at+"/units", "Units are between 1 and %d.", routing.MaxUnits)
	}
	if k.Priority != nil && (*k.Priority < routing.MinPriority || *k.Priority > routing.MaxPriority) {
		return made, c.wrong(at+"/priority", "A priority is between %d and %d.", routing.MinPriority, routing.MaxPriority)
	}
	levels, err := c.levels(at+"/skills", k.Skills)
	if err != nil {
		return made, err
	}
	made.facts = factsOf(k, made.workstream, levels)
	if err := c.comesBack(at, k, &made); err != nil {
		return made, err
	}
	if made.rates, err = c.rates(at, k); err != nil {
		return made, err
	}
	for _, d := range []struct {
		field       string
		own, common *Distribution
		to          *sampler
	}{
		{"handling", k.Handling, c.doc.Handling, &made.handling}, {"wrap_up", k.WrapUp, c.doc.WrapUp, &made.wrapUp}, {"patience", k.Patience, c.doc.Patience, &made.patience},
	} {
		place, distribution := at+"/"+d.field, d.own
		if distribution == nil {
			place, distribution = d.field, d.common
		}
		if *d.to, err = c.sampler(place, distribution); err != nil {
			return made, err
		}
	}
	if made.handling == nil {
		return made, c.wrong(at, "How long does it take? Give handling here or for all kinds, such as {exponential: 6m}.")
	}
	return made, nil
}

// rates is how often a kind comes, nil when it does not by itself.
func (c *compiler) rates(at string, k Kind) (*rates, error) {
	if k.PerHour != 0 && k.ByHour != nil {
		return nil, c.wrong(at, "Give per_hour or by_hour, not both.")
	}
	if !(k.PerHour >= 0 && k.PerHour <= maxPerHour) {
		return nil, c.wrong(at+"/per_hour", "It is a number from 0 to %d.", maxPerHour)
	}
	if k.ByHour == nil {
		if k.PerHour == 0 {
			return nil, nil
		}
		r := constant(k.PerHour)
		return &r, nil
	}
	var r rates
	for _, name := range append([]string{"every_day", "weekdays", "weekend"}, days...) { // the more particular ones last
		list, given := k.ByHour[name]
		if !given {
			continue
		}
		p := at + "/by_hour/" + name
		if len(list) != 24 {
			return nil, c.wrong(p, "There are %d numbers. A day has 24, the first for the hour from 00:00.", len(list))
		}
		for h, n := range list {
			if !(n >= 0 && n <= maxPerHour) {
				return nil, c.wrong(fmt.Sprintf("%s/%d", p, h), "It is a number from 0 to %d.", maxPerHour)
			}
		}
		for _, d := range daysOf(name) {
			r[d] = [24]float64(list)
		}
	}
	for name := range k.ByHour {
		if daysOf(name) == nil {
			return nil, c.wrong(at+"/by_hour/"+name, "%q is no day: it is one of %s.", name, dayNames)
		}
	}
	return &r, nil
}

// maxPerHour bounds how many conversations of a kind come in an hour.
const maxPerHour = 1_000_000

// factsOf is what rules see of a kind.
func factsOf(k Kind, w *workstream, levels map[string]int) routing.Facts {
	f := routing.Facts{
		Message:  routing.MessageFacts{Texts: append([]string{}, k.Facts.Texts...), Language: language.Of(k.Facts.Texts)},
		Customer: routing.CustomerFacts(k.Facts.Customer), Channel: routing.ChannelFacts(k.Facts.Channel), Bot: routing.BotFacts(k.Facts.Bot),
		Context: k.Facts.Context,
	}
	if n := len(k.Facts.Texts); n > 0 {
		f.Message.Type, f.Message.Text = conversation.ContentText, k.Facts.Texts[n-1]
	}
	f.Conversation = routing.ConversationFacts{
		Priority: w.priority, Locale: k.Facts.Locale, Messages: int64(len(k.Facts.Texts)), Attributes: k.Facts.Attributes, Skills: levels, Units: k.Units,
	}
	if k.Priority != nil {
		f.Conversation.Priority = *k.Priority
	}
	return f
}

// arrivals takes over the conversations that came, in the order of their times.
func (c *compiler) arrivals() error {
	none := !slices.ContainsFunc(c.s.kinds, func(k kind) bool { return k.rates != nil })
	if c.doc.Arrivals == "" {
		if none {
			return c.wrong("kinds", "Nothing comes. Give per_hour or by_hour of a kind, or a file of arrivals.")
		}
		return nil
	}
	if !none {
		return c.wrong("arrivals", "There are rates as well. Leave out per_hour and by_hour of the kinds, or the file of arrivals.")
	}
	rows, wrong := table(c.doc.Arrivals, c.read, "at", "kind")
	if wrong != nil {
		return wrong
	}
	times := make([]time.Time, len(rows))
	for i, row := range rows {
		t, err := moment(row.cells["at"], c.s.zone)
		if err != nil {
			return &Error{File: row.file, Line: row.line, Place: "at", Detail: fmt.Sprintf("%q is no time. Write it as 2026-01-05 09:30:00, or with its zone as 2026-01-05T09:30:00+09:00.", row.cells["at"])}
		}
		times[i] = t
	}
	if len(times) == 0 {
		return &Error{File: c.doc.Arrivals, Detail: "There are no rows. Give at least one."}
	}
	if err := c.playAll(times); err != nil {
		return err
	}
	for i, row := range rows {
		a := arrival{at: times[i].Sub(c.s.start), handling: -1}
		id := strings.TrimSpace(row.cells["kind"])
		if a.kind = slices.IndexFunc(c.s.kinds, func(k kind) bool { return k.id == id }); a.kind < 0 {
			return &Error{File: row.file, Line: row.line, Place: "kind", Detail: fmt.Sprintf("There is no kind %q. Name one of kinds.", id)}
		}
		if strings.TrimSpace(row.cells[handlingColumn]) != "" {
			t, err := row.seconds(handlingColumn)
			if err != nil {
				return err
			}
			a.handling = t
		}
		if a.at >= 0 && a.at < c.s.length {
			c.s.past = append(c.s.past, a)
		}
	}
	if len(c.s.past) == 0 {
		return c.wrong("arrivals", "None of them came in the time that is played, from %s for %d weeks. Change run.start or run.weeks, or leave both out.",
			c.s.start.Format(time.DateOnly), max(1, c.doc.Run.Weeks))
	}
	slices.SortStableFunc(c.s.past, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return nil
}

// playAll begins on the day of the first of those that came, and plays until the
// last has come, unless the document says otherwise.
func (c *compiler) playAll(times []time.Time) error {
	if c.doc.Run.Start == "" {
		c.doc.Run.Start = slices.MinFunc(times, time.Time.Compare).In(c.s.zone).Format(time.DateOnly)
	}
	if err := c.run(); err != nil {
		return err
	}
	if c.doc.Run.Weeks == 0 {
		const week = 7 * 24 * time.Hour
		c.doc.Run.Weeks = min(maxWeeks, max(1, 1+int(slices.MaxFunc(times, time.Time.Compare).Sub(c.s.start)/week)))
		if err := c.run(); err != nil {
			return err
		}
	}
	for i := range c.s.agents {
		c.s.agents[i].there = nil
	}
	return c.staffing()
}

// handlingColumn says how long a conversation that came has taken.
const handlingColumn = "handling_seconds"

// moment reads a time, in a zone unless it says its own.
func moment(text string, zone *time.Location) (t time.Time, err error) {
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err = time.ParseInLocation(form, strings.TrimSpace(text), zone); err == nil {
			return t, nil
		}
	}
	return t, err
}
