package simulate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// day plays a document once with what comes at times of Monday, 2026-01-05, and
// returns the report.
func day(t *testing.T, document string, times ...string) *Report {
	t.Helper()
	past := "at,kind\n"
	for _, at := range times {
		if !strings.Contains(at, " ") {
			at = "2026-01-05 " + at
		}
		past += at + ",k\n"
	}
	s, err := Load([]File{{"office.yaml", []byte(document + "\narrivals: past.csv\nrun: {replications: 1, start: \"2026-01-05\"}\n")}}, files(map[string]string{"past.csv": past}))
	require.NoError(t, err)
	r, err := Play(t.Context(), s)
	require.NoError(t, err)
	all := r.Scopes[0].Measures
	require.InDelta(t, all[Arrivals].Mean, all[Served].Mean+all[Abandoned].Mean+all[Waiting].Mean+all[TurnedAway].Mean, 0, "nobody gets lost")
	return r
}

func (r *Report) of(t *testing.T, queueID string, m Measure) float64 {
	t.Helper()
	for _, s := range r.Scopes {
		if s.ID == queueID {
			return s.Measures[m].Mean
		}
	}
	require.Fail(t, "no such queue", queueID)
	return 0
}

func (r *Report) serves(agentID string) bool {
	for _, a := range r.Agents {
		if a.ID == agentID {
			return a.Occupancy.Mean > 0
		}
	}
	return false
}

const twoQueues = `
queues: [{id: q%s}, {id: other}]
agents: [{id: a, queues: [q]}, {id: b, queues: [other]}]
kinds: [{id: k, queue: q}]
handling: {constant: 1h}
`

func TestAFullQueuePassesOnOrEnds(t *testing.T) {
	t.Parallel()
	came := []string{"09:00", "09:01", "09:02", "09:03"}
	r := day(t, fmt.Sprintf(twoQueues, ""), came...)
	require.False(t, r.serves("b"))
	require.InDelta(t, 4, r.of(t, "q", Served), 0)

	r = day(t, fmt.Sprintf(twoQueues, ", overflow: {max_waiting: 1, action: transfer, queue_id: other}"), came...)
	require.InDelta(t, 2, r.of(t, "q", Served), 0, "one is served and one may wait")
	require.InDelta(t, 2, r.of(t, "q", PassedOn), 0)
	require.InDelta(t, 2, r.of(t, "other", Served), 0)

	r = day(t, fmt.Sprintf(twoQueues, ", overflow: {max_waiting: 1, action: end}"), came...)
	require.InDelta(t, 2, r.of(t, "q", TurnedAway), 0)
	require.False(t, r.serves("b"))

	r = day(t, fmt.Sprintf(twoQueues, ", overflow: {max_waiting: 1, action: transfer, queue_id: other}")+"offers: {answer: {constant: 10m}}\n", "09:00", "09:01", "09:02")
	require.InDelta(t, 2, r.of(t, "q", PassedOn), 0, "what is on offer waits, too")
}

func TestWhoWaitsTooLongGoesOn(t *testing.T) {
	t.Parallel()
	r := day(t, fmt.Sprintf(twoQueues, ", overflow: {max_wait_seconds: 90, action: transfer, queue_id: other}"), "09:00", "09:01")
	require.InDelta(t, 1, r.of(t, "other", Served), 0)
	require.InDelta(t, 90, r.of(t, "other", WaitMean), 1e-9)

	r = day(t, fmt.Sprintf(twoQueues, ", overflow: {max_wait_seconds: 90, action: end}"), "09:00", "09:01")
	require.InDelta(t, 1, r.of(t, "q", TurnedAway), 0)

	// Back where it overflowed from it stays, however long it waits.
	r = day(t, strings.Replace(fmt.Sprintf(twoQueues, ", overflow: {max_wait_seconds: 90, action: transfer, queue_id: other}"), "{id: other}",
		"{id: other, overflow: {max_wait_seconds: 60, action: transfer, queue_id: q}}", 1), "09:00", "09:00:30", "09:01")
	require.InDelta(t, 2, r.of(t, "q", PassedOn), 0)
	require.InDelta(t, 1, r.of(t, "other", PassedOn), 0)
	require.InDelta(t, 3, r.of(t, "", Served), 0)
}

func TestAClosedQueueDoesAsItSays(t *testing.T) {
	t.Parallel()
	const hours = `
calendars: [{id: office, zone: Asia/Tokyo, hours: [{day: monday, opens: "09:00", closes: "18:00"}, {day: tuesday, opens: "09:00", closes: "18:00"}], holidays: [{date: "2026-01-06", name: x}]}]
zone: Asia/Tokyo
`
	came := []string{"10:00", "19:00", "2026-01-06 12:00"}
	require.InDelta(t, 3, day(t, hours+fmt.Sprintf(twoQueues, ", calendar_id: office"), came...).of(t, "q", Served), 0, "hours alone send nobody away")
	r := day(t, hours+fmt.Sprintf(twoQueues, ", calendar_id: office, out_of_hours: {action: end}"), came...)
	require.InDelta(t, 1, r.of(t, "q", Served), 0)
	require.InDelta(t, 2, r.of(t, "q", TurnedAway), 0)
	r = day(t, hours+fmt.Sprintf(twoQueues, ", calendar_id: office, out_of_hours: {action: transfer, queue_id: other}"), came...)
	require.InDelta(t, 2, r.of(t, "other", Served), 0)
}

func TestRulesOfQueuesCountForRoutesToo(t *testing.T) {
	t.Parallel()
	r := day(t, `
queues: [{id: q, overflow: {max_waiting: 1, action: end}}, {id: other}]
agents: [{id: a, queues: [q]}, {id: b, queues: [other]}]
rulesets: [{id: r, kind: route, rules: [{condition: 'true', queue_id: q}, {condition: 'true', queue_id: other}]}]
workstreams: [{id: w, route_ruleset_id: r}]
kinds: [{id: k, workstream: w}]
handling: {constant: 1h}
`, "09:00", "09:01", "09:02")
	require.InDelta(t, 1, r.of(t, "other", Served), 0, "a rule whose queue is full is passed over")
	require.Zero(t, r.of(t, "q", TurnedAway))
}

func TestWhoComesBackGoesToTheirAgent(t *testing.T) {
	t.Parallel()
	const office = `
queues: [{id: q, assignment: round_robin}]
agents: [{id: a, queues: [q]}, {id: b, queues: [q]}]
workstreams: [{id: w, fallback_queue_id: q, affinity: %s}]
kinds: [{id: k, workstream: w, returns: {chance: 0.95, after: {constant: %s}}}]
handling: {constant: 5m}
%s
`
	back := func(affinity, after, more string) *Report {
		r := day(t, fmt.Sprintf(office, affinity, after, more), "09:00")
		require.Greater(t, r.of(t, "", Arrivals), 1.0, "it comes back")
		return r
	}
	require.True(t, back("off", "10m", "").serves("b"))
	require.False(t, back("prefer", "10m", "").serves("b"))
	require.False(t, back("require", "10m", "").serves("b"))

	away := `staffing: [{agents: [a], days: [monday], from: "09:00", to: "09:30"}, {agents: [b], days: [every_day], from: "09:10", to: "09:00"}]`
	r := back("prefer", "1h", away)
	require.True(t, r.serves("b"))
	require.GreaterOrEqual(t, r.of(t, "", WaitMean)*r.of(t, "", Served), 119.9, "after two minutes")
	r = back("require", "1h", away)
	require.False(t, r.serves("b"))
	require.InDelta(t, 1, r.of(t, "", Waiting), 0, "and waits for as long as it takes")
}

func TestWhomAContactPrefersIsOfferedItFirst(t *testing.T) {
	t.Parallel()
	const office = `
queues: [{id: q}]
agents: [{id: a, capacity: 9, queues: [q]}, {id: b}]
kinds: [{id: k, queue: q%s}]
handling: {constant: 5m}
`
	require.False(t, day(t, fmt.Sprintf(office, ""), "09:00").serves("b"))
	r := day(t, fmt.Sprintf(office, ", preferred_agents: [b]"), "09:00", "09:01")
	require.True(t, r.serves("b"), "though b works no queue")
	require.True(t, r.serves("a"), "b has no room for the second")
}

func TestCapacityProfilesLimitWhatIsServedAtOnce(t *testing.T) {
	t.Parallel()
	const office = `
capacity_profiles: [{id: p, limit_default: 1%s}, {id: second, limit_default: 5}]
queues: [{id: q}]
agents: [{id: a, capacity: 9, queues: [q], capacity_profiles: [%s]}]
rulesets: [{id: c, kind: classification, rules: [{condition: 'message.text == "x"', outputs: {capacity_profile_id: second}}]}]
workstreams: [{id: w, fallback_queue_id: q, classification_ruleset_ids: [c]%s}]
kinds: [{id: k, workstream: w}%s]
handling: {constant: 10m}
`
	wait := func(profile, limits, workstream string, times ...string) float64 {
		return day(t, fmt.Sprintf(office, profile, limits, workstream, ""), times...).of(t, "", WaitMean)
	}
	require.Zero(t, wait("", "{profile_id: p}", "", "09:00", "09:01"), "units")
	require.InDelta(t, 540/2.0, wait("", "{profile_id: p}", ", capacity_profile_id: p", "09:00", "09:01"), 1e-9)
	require.Zero(t, wait("", "{profile_id: p, limit: 2}", ", capacity_profile_id: p", "09:00", "09:01"))
	require.InDelta(t, (15*3600-60)/2.0, wait(", reset: end_of_day", "{profile_id: p}", ", capacity_profile_id: p", "09:00", "09:01"), 1e-9, "until midnight")
	r := day(t, fmt.Sprintf(office, "", "", ", capacity_profile_id: p", ""), "09:00")
	require.InDelta(t, 1, r.of(t, "", Waiting), 0, "nobody has the profile")

	// At the limit of one that blocks, nothing else is offered.
	other := ", {id: x, workstream: w, facts: {texts: [x]}}"
	mixed := func(profile string) float64 {
		s, err := Load([]File{{"office.yaml", []byte(fmt.Sprintf(office, profile, "{profile_id: p}, {profile_id: second}", ", capacity_profile_id: p", other) +
			"\narrivals: past.csv\nrun: {replications: 1, start: \"2026-01-05\"}\n")}}, files(map[string]string{"past.csv": "at,kind\n2026-01-05 09:00,k\n2026-01-05 09:01,x\n"}))
		require.NoError(t, err)
		r, err := Play(t.Context(), s)
		require.NoError(t, err)
		return r.of(t, "", WaitMean)
	}
	require.Zero(t, mixed(""))
	require.InDelta(t, 540/2.0, mixed(", blocks: true"), 1e-9)
}

func TestNothingIsOfferedInABreakUnlessTheWorkstreamAllowsIt(t *testing.T) {
	t.Parallel()
	const office = `
queues: [{id: q}]
agents: [{id: a, queues: [q]}]
workstreams: [{id: w, fallback_queue_id: q%s}]
kinds: [{id: k, workstream: w}]
handling: {constant: 5m}
staffing:
  - {agents: [a], days: [monday], from: "09:00", to: "18:00"}
  - {agents: [a], days: [weekdays], from: "12:00", to: "13:00", presence: away}
`
	require.InDelta(t, 50*60, day(t, fmt.Sprintf(office, ""), "12:10").of(t, "", WaitMean), 1e-9)
	require.Zero(t, day(t, fmt.Sprintf(office, ", presences: [available, away]"), "12:10").of(t, "", WaitMean))
	require.InDelta(t, 1, day(t, fmt.Sprintf(office, ""), "18:10").of(t, "", Waiting), 0)
}

func TestWhatIsWrongWithRulesIsSaid(t *testing.T) {
	t.Parallel()
	for part, says := range map[string]string{
		`queues: [{id: q, calendar_id: z}]`:                                                                                               `queues/0/calendar_id: There is no calendar "z".`,
		`queues: [{id: q, out_of_hours: {action: end}}]`:                                                                                  `queues/0/out_of_hours: Without a calendar_id`,
		`queues: [{id: q, overflow: {max_waiting: 1}}]`:                                                                                   `queues/0/overflow: Give max_waiting`,
		`queues: [{id: q, overflow: {action: end}}]`:                                                                                      `queues/0/overflow: Give max_waiting`,
		`queues: [{id: q, overflow: {max_waiting: 1, action: stop}}]`:                                                                     `queues/0/overflow/action: "stop" is no action`,
		`queues: [{id: q, overflow: {max_waiting: 1, action: transfer, queue_id: z}}]`:                                                    `queues/0/overflow/queue_id: There is no queue "z".`,
		`queues: [{id: q, overflow: {max_waiting: 1, action: transfer, queue_id: q}}]`:                                                    `queues/0/overflow/queue_id: A queue cannot transfer to itself.`,
		"queues: [{id: q}]\ncalendars: [{id: c, zone: Mars/Base}]":                                                                        `calendars/0/zone: This is not a known time zone`,
		"queues: [{id: q}]\ncapacity_profiles: [{id: p, reset: never}]":                                                                   `capacity_profiles/0/reset: "never" is no reset`,
		"queues: [{id: q}]\nagents: [{id: a, capacity_profiles: [{profile_id: p}]}]":                                                      `agents/0/capacity_profiles/0/profile_id: There is no capacity profile "p".`,
		"queues: [{id: q}]\nworkstreams: [{id: w, affinity: always}]":                                                                     `workstreams/0/affinity: "always" is no affinity`,
		"queues: [{id: q}]\nworkstreams: [{id: w, presences: [offline]}]":                                                                 `workstreams/0/presences/0: "offline" is no presence`,
		"queues: [{id: q}]\nkinds: [{id: k, queue: q, per_hour: 1, preferred_agents: [z]}]":                                               `kinds/0/preferred_agents/0: There is no agent "z".`,
		"queues: [{id: q}]\nkinds: [{id: k, queue: q, per_hour: 1, returns: {chance: 1}}]":                                                `kinds/0/returns/chance: It is a number from 0 to 0.95.`,
		"queues: [{id: q}]\nkinds: [{id: k, queue: q, per_hour: 1, returns: {chance: 0.5}}]":                                              `kinds/0/returns: Say after how long`,
		"queues: [{id: q}]\nagents: [{id: a}]\nstaffing: [{agents: [a], days: [monday], from: \"09:00\", to: \"10:00\", presence: home}]": `staffing/0/presence: "home" is no presence`,
	} {
		document := part
		if !strings.Contains(part, "kinds:") {
			document += "\nkinds: [{id: k, queue: q, per_hour: 1}]"
		}
		_, err := Load([]File{{"office.yaml", []byte(document + "\nhandling: {constant: 1m}\n")}}, noFiles)
		require.ErrorContains(t, err, says, part)
	}
}
