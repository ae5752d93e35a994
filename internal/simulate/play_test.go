package simulate

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
)

// load checks a document that names no files.
func load(t require.TestingT, document string) *Scenario {
	s, err := Load([]File{{"office.yaml", []byte(document)}}, noFiles)
	require.NoError(t, err)
	return s
}

func noFiles(name string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is not there")}
}

// files are those that a document names.
func files(content map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := content[name]; ok {
			return []byte(text), nil
		}
		return noFiles(name)
	}
}

// anOffice draws a document: several queues and kinds with skills, groups with
// capacity, nights, offers that are let pass, customers who give up.
func anOffice(t *rapid.T) string {
	var b strings.Builder
	queues := rapid.IntRange(1, 3).Draw(t, "queues")
	b.WriteString("zone: Europe/Copenhagen\nskills: [{id: ja}, {id: th}]\nqueues:\n")
	for i := range queues {
		rules := rapid.SampledFrom([]string{"", ", overflow: {max_waiting: 3, action: end}", ", overflow: {max_waiting: 4, max_wait_seconds: 300, action: transfer, queue_id: q%d}",
			", calendar_id: k, out_of_hours: {action: transfer, queue_id: q%d}", ", calendar_id: k, out_of_hours: {action: end}"}).Draw(t, "rules")
		if to := (i + 1) % queues; to == i && strings.Contains(rules, "%d") {
			rules = ""
		} else if strings.Contains(rules, "%d") {
			rules = fmt.Sprintf(rules, to)
		}
		fmt.Fprintf(&b, "  - {id: q%d, priority: %d, assignment: %s%s}\n", i, rapid.IntRange(0, 2).Draw(t, "priority"),
			rapid.SampledFrom([]string{"highest_capacity", "round_robin", "longest_idle"}).Draw(t, "method"), rules)
	}
	b.WriteString("calendars: [{id: k, zone: Europe/Copenhagen, hours: [{day: monday, opens: \"08:00\", closes: \"20:00\"}, {day: tuesday, opens: \"08:00\", closes: \"20:00\"}]}]\n")
	fmt.Fprintf(&b, "capacity_profiles: [{id: p, limit_default: 2, blocks: %v, reset: %s}]\n", rapid.Bool().Draw(t, "blocks"), rapid.SampledFrom([]string{"immediate", "end_of_day"}).Draw(t, "reset"))
	b.WriteString("agents:\n")
	groups := rapid.IntRange(1, 3).Draw(t, "groups")
	for i := range groups {
		fmt.Fprintf(&b, "  - {id: g%d, count: %d, capacity: %d, skills: [{skill_id: %s, level: %d}], capacity_profiles: [%s], queues: [", i, rapid.IntRange(1, 4).Draw(t, "people"),
			rapid.IntRange(0, 3).Draw(t, "capacity"), rapid.SampledFrom([]string{"ja", "th"}).Draw(t, "skill"), rapid.IntRange(1, 10).Draw(t, "level"),
			rapid.SampledFrom([]string{"", "{profile_id: p}"}).Draw(t, "profile"))
		for q := range queues {
			if rapid.Bool().Draw(t, "works") {
				fmt.Fprintf(&b, "q%d, ", q)
			}
		}
		b.WriteString("]}\n")
	}
	fmt.Fprintf(&b, "workstreams: [{id: shop, fallback_queue_id: q0, skill_matching: %s, affinity: %s, offer_timeout: 1m, max_offers: %d, route_ruleset_id: r, classification_ruleset_ids: [c]}]\n",
		rapid.SampledFrom([]string{"exact", "closest", "none"}).Draw(t, "matching"), rapid.SampledFrom([]string{"off", "prefer", "require"}).Draw(t, "affinity"), rapid.IntRange(1, 5).Draw(t, "offers"))
	where := "queue_id: q0"
	if queues > 1 {
		where = fmt.Sprintf("split: [{queue_id: q0, percent: 40}, {queue_id: q%d, percent: 60}]", queues-1)
	}
	fmt.Fprintf(&b, `rulesets:
  - {id: c, kind: classification, rules: [{condition: 'message.text == "urgent"', outputs: {priority: 50, %s}}]}
  - {id: r, kind: route, rules: [{condition: 'conversation.priority < 50', %s}]}
`, rapid.SampledFrom([]string{"units: 1", "units: 2", "capacity_profile_id: p"}).Draw(t, "units"), where)
	fmt.Fprintf(&b, `kinds:
  - {id: plain, workstream: shop, per_hour: %v, facts: {texts: [hello]}, returns: {chance: %v, after: {exponential: 20m}}}
  - {id: urgent, workstream: shop, per_hour: %v, facts: {texts: [urgent]}, skills: [{skill_id: ja, level: %d}]}
handling: {lognormal: {mean: 8m, deviation: 5m}}
wrap_up: {constant: 30s}
offers: {answer: {exponential: 10s}, decline: %v, miss: %v}
`, rapid.SampledFrom([]float64{2, 10, 30}).Draw(t, "rate"), rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "returns"), rapid.SampledFrom([]float64{1, 5}).Draw(t, "urgent"), rapid.IntRange(1, 10).Draw(t, "needs"),
		rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "decline"), rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "miss"))
	if rapid.Bool().Draw(t, "patience") {
		b.WriteString("patience: {exponential: 7m}\n")
	}
	if rapid.Bool().Draw(t, "shifts") {
		b.WriteString("staffing: [{agents: [g0], days: [every_day], from: \"08:00\", to: \"18:00\"}, {agents: [g0], days: [friday], from: \"22:00\", to: \"04:00\"}, {agents: [g0], days: [every_day], from: \"12:00\", to: \"13:00\", presence: away}]\n")
	}
	fmt.Fprintf(&b, "run: {replications: 1, seed: %d, start: \"2026-03-23\"}\n", rapid.IntRange(1, 1000).Draw(t, "seed")) // clocks change on the last day
	return b.String()
}

// Whoever comes is served, gives up or is still there, and nobody ever has more
// than they have capacity for; and what is looked at of those who wait decides
// the same as all of them.
func TestNobodyGetsLostAndNobodyHasTooMuch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := anOffice(t)
		p := newPlay(load(t, document), 0)
		kept := !strings.Contains(document, "affinity: off") // who comes back may be too much for their agent
		for steps := 0; p.step() && steps < 1500; steps++ {
			var free int64
			var snap routing.Snapshot
			for _, a := range p.agents {
				if !kept {
					require.LessOrEqual(t, a.Load, a.Capacity, "%s at %s", a.ID, p.now)
					for id, profile := range a.Profiles {
						require.LessOrEqual(t, profile.Load, profile.Limit, "%s of %s at %s", a.ID, id, p.now)
					}
				}
				offered := int64(0)
				for _, o := range a.offered {
					offered += o.units
				}
				require.Equal(t, a.Load, a.busy+offered)
				require.Equal(t, a.there, a.Presence != conversation.PresenceOffline)
				if a.there {
					free += a.room()
				}
				snap.Agents = append(snap.Agents, a.Agent)
			}
			require.Equal(t, free, p.free)
			waiting := map[string]int64{}
			count := func(x *talk) { waiting[x.QueueID]++ }
			for _, list := range p.waiting {
				for _, x := range list {
					count(x)
				}
			}
			for _, x := range p.again {
				count(x)
			}
			for _, a := range p.agents {
				for _, x := range a.offered {
					count(x)
				}
			}
			for id, n := range p.inQueue {
				require.Equal(t, waiting[id], n, "in %s", id)
			}
			if steps%50 == 0 {
				snap.Now, snap.Queues = p.time(), p.s.queues
				for _, list := range p.waiting {
					require.True(t, slices.IsSortedFunc(list, (*talk).order))
					for _, x := range list {
						snap.Items = append(snap.Items, x.Item)
					}
				}
				for _, x := range p.again {
					snap.Items = append(snap.Items, x.Item)
				}
				require.Empty(t, routing.Match(snap).Offers, "nobody waits whom somebody could have")
			}
		}
		y := p.finish()
		var all queueTally
		for _, q := range y.queues {
			require.Len(t, q.waits, q.served)
			all.add(q)
		}
		require.Equal(t, all.arrivals, all.served+all.abandoned+all.waiting+all.ended)
		require.Equal(t, p.came, all.arrivals)
	})
}

const shop = `
zone: Asia/Tokyo
queues: [{id: orders, name: Orders}, {id: refunds, name: Refunds, priority: -1}]
agents: [{id: day, count: 6, capacity: 2, queues: [orders, refunds]}]
kinds:
  - {id: order, queue: orders, by_hour: {weekdays: [0,0,0,0,0,0,0,0,0,40,50,50,40,45,50,50,40,30,0,0,0,0,0,0]}}
  - {id: refund, queue: refunds, by_hour: {weekdays: [0,0,0,0,0,0,0,0,0,4,5,5,4,4,5,5,4,3,0,0,0,0,0,0]}}
handling: {lognormal: {mean: 11m, deviation: 8m}}
patience: {exponential: 15m}
wrap_up: {exponential: 1m}
offers: {answer: {exponential: 8s}, decline: 0.02, miss: 0.05}
staffing: [{agents: [day], days: [weekdays], from: "09:00", to: "18:00"}]
run: {replications: 4}
`

func TestTheSameSeedGivesTheSameReport(t *testing.T) {
	t.Parallel()
	report := func(document string) string {
		r, err := Play(t.Context(), load(t, document))
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, r.CSV(&out))
		require.NoError(t, r.Table(&out))
		require.NoError(t, r.SVG(&out))
		return out.String()
	}
	first := report(shop)
	require.Equal(t, first, report(shop))
	require.NotEqual(t, first, report(strings.Replace(shop, "replications: 4", "replications: 4, seed: 2", 1)))
}

func TestAReportIsATableACSVAndAChart(t *testing.T) {
	t.Parallel()
	r, err := Play(t.Context(), load(t, shop))
	require.NoError(t, err)
	var table, figures, chart bytes.Buffer
	require.NoError(t, r.Table(&table))
	for _, says := range []string{"Orders", "Refunds", "occupancy", "served within 1m0s", "±", "4 replications"} {
		require.Contains(t, table.String(), says)
	}
	require.NoError(t, r.CSV(&figures))
	rows, err := csv.NewReader(&figures).ReadAll()
	require.NoError(t, err)
	scopes := map[string]int{}
	for _, row := range rows[1:] {
		scopes[row[0]]++
	}
	require.Equal(t, 6*2, scopes["agent"])
	require.Equal(t, 168*4, scopes["hour"])
	require.Positive(t, scopes["all"])
	require.Positive(t, scopes["queue"])
	require.NoError(t, r.SVG(&chart))
	require.NotContains(t, chart.String(), "NaN")
	for d := xml.NewDecoder(&chart); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	all := r.Scopes[0].Measures
	require.Greater(t, all[Occupancy].Mean, 0.3)
	require.Less(t, all[Occupancy].Mean, 1.0)
	for _, h := range r.Hours {
		require.Equal(t, h.Arrivals > 0, h.Hour >= 9 && h.Hour < 18 && h.Day != "saturday" && h.Day != "sunday", "%s %d", h.Day, h.Hour)
	}
}

func BenchmarkAWeekOfFiftyAgents(b *testing.B) {
	s := load(b, `
queues: [{id: a}, {id: b}, {id: c}]
agents: [{id: x, count: 25, capacity: 3, queues: [a, b]}, {id: y, count: 25, capacity: 3, queues: [b, c]}]
kinds: [{id: ka, queue: a, per_hour: 250}, {id: kb, queue: b, per_hour: 300}, {id: kc, queue: c, per_hour: 250}]
handling: {exponential: 10m}
patience: {exponential: 5m}
run: {replications: 1}
`)
	for b.Loop() {
		r, err := Play(b.Context(), s)
		require.NoError(b, err)
		b.ReportMetric(r.Scopes[0].Measures[Served].Mean, "conversations")
	}
}

func TestPlayingEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Play(ctx, load(t, shop))
	require.ErrorIs(t, err, context.Canceled)
}

func TestWhatCameInThePastIsPlayedAgain(t *testing.T) {
	t.Parallel()
	document := `
zone: Asia/Bangkok
queues: [{id: q}]
agents: [{id: a, queues: [q]}]
kinds: [{id: k, queue: q}]
arrivals: past.csv
handling: {csv: handling.csv}
run: {replications: 2, weeks: 1}
`
	s, err := Load([]File{{"office.yaml", []byte(document)}}, files(map[string]string{
		"past.csv":     "at,kind,handling_seconds\n2026-05-04 09:00,k,60\n2026-05-04T09:00:30+07:00,k,\n2026-05-04 09:01:00,k,60\n2027-01-01 00:00,k,1\n",
		"handling.csv": "seconds\n90\n",
	}))
	require.NoError(t, err)
	r, err := Play(t.Context(), s)
	require.NoError(t, err)
	all := r.Scopes[0].Measures
	require.InDelta(t, 3, all[Served].Mean, 0)
	// The second waits 30 s for the first, the third 90 s for the second.
	require.InDelta(t, (0+30+90)/3.0, all[WaitMean].Mean, 1e-9)
	require.InDelta(t, 90, all[WaitP95].Mean, 1e-9)
}

func TestRulesDecideAsTheyDoInTheProduct(t *testing.T) {
	t.Parallel()
	s := load(t, `
skills: [{id: ja}]
queues: [{id: general}, {id: refunds}]
agents: [{id: mai, queues: [refunds], skills: [{skill_id: ja, level: 8}]}, {id: ken, queues: [refunds, general]}]
rulesets:
  - id: what
    kind: classification
    rules:
      - {condition: 'message.text.contains("返金")', outputs: {priority: 20, skills: [{skill_id: ja, level: 7}], attributes: {intent: refund}}}
  - id: where
    kind: route
    rules:
      - {condition: 'conversation.attributes[?"intent"].orValue("") == "refund" && conversation.skills["ja"] == 7', queue_id: refunds}
workstreams: [{id: shop, classification_ruleset_ids: [what], route_ruleset_id: where, fallback_queue_id: general}]
kinds:
  - {id: refund, workstream: shop, per_hour: 2, facts: {texts: [返金してください]}}
  - {id: other, workstream: shop, per_hour: 2, facts: {texts: [hello]}}
handling: {constant: 5m}
run: {replications: 1}
`)
	r, err := Play(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, "refunds", r.Scopes[2].ID)
	require.Positive(t, r.Scopes[1].Measures[Served].Mean)
	require.Positive(t, r.Scopes[2].Measures[Served].Mean)
	require.Positive(t, r.Agents[0].Occupancy.Mean, "Mai knows Japanese")
	require.InDelta(t, r.Scopes[2].Measures[Served].Mean*300/(7*24*3600), r.Agents[0].Occupancy.Mean, 0.002, "and is alone with that")
}

// A rule that holds after some waiting is not missed, though nothing else
// happens then.
func TestACustomAssignmentRelaxesWithTime(t *testing.T) {
	t.Parallel()
	s, err := Load([]File{{"office.yaml", []byte(`
skills: [{id: ja}]
queues:
  - id: q
    assignment: custom
    custom:
      rules:
        - {condition: '"ja" in agent.skills', order_by: [{by: free_capacity, descending: true}]}
        - {after_seconds: 60, condition: 'true'}
agents: [{id: ken, queues: [q]}]
kinds: [{id: k, queue: q}]
arrivals: past.csv
handling: {constant: 10s}
run: {replications: 1, start: "2026-01-05"}
`)}}, files(map[string]string{"past.csv": "at,kind\n2026-01-05 09:00,k\n2026-01-05 10:00,k\n2026-01-05 10:00:05,k\n"}))
	require.NoError(t, err)
	r, err := Play(t.Context(), s)
	require.NoError(t, err)
	all := r.Scopes[0].Measures
	require.InDelta(t, 3, all[Served].Mean, 0)
	require.InDelta(t, (60+60+65)/3.0, all[WaitMean].Mean, 1e-9, "the last waits until Ken is done with the one before")
}

func TestWhoLeavesFinishesWhatTheyHave(t *testing.T) {
	t.Parallel()
	s, err := Load([]File{{"a.yaml", []byte(`
queues: [{id: q}]
agents: [{id: a, capacity: 2, queues: [q]}]
kinds: [{id: k, queue: q}]
`)}, {"b.yaml", []byte(`
arrivals: past.csv
handling: {constant: 30m}
offers: {answer: {constant: 1m}}
staffing: [{agents: [a], days: [monday], from: "09:00", to: "10:00"}, {agents: [a], days: [tuesday], from: "09:00", to: "10:00"}]
run: {replications: 1, start: "2026-01-05"}
`)}}, files(map[string]string{"past.csv": "at,kind\n2026-01-05 09:50,k\n2026-01-05 09:59:30,k\n"}))
	require.NoError(t, err)
	r, err := Play(t.Context(), s)
	require.NoError(t, err)
	all := r.Scopes[0].Measures
	require.InDelta(t, 2, all[Served].Mean, 0)
	require.InDelta(t, 3, all[OffersMade].Mean, 0, "one was taken back at ten")
	require.InDelta(t, (23*time.Hour + 90*time.Second).Seconds(), all[WaitP95].Mean, 1e-9)
	require.InDelta(t, 21.0/60, all[Overtime].Mean, 1e-9)
	require.InDelta(t, (9+30)/240.0, all[Occupancy].Mean, 1e-9)
}

func TestWhatIsWrongIsSaidWithFilePlaceAndWhatToDo(t *testing.T) {
	t.Parallel()
	const office = "queues: [{id: q}]\nagents:\n  - {id: a, queues: [q]}\nkinds:\n  - {id: k, queue: q, per_hour: 1}\nhandling: {constant: 1m}\n"
	require.NotNil(t, load(t, office))
	for _, test := range []struct{ change, to, says string }{
		{"per_hour: 1", "per_hours: 1", `office.yaml, line 5: There is no field "per_hours" here.`},
		{"per_hour: 1", "per_hour: many", `office.yaml, line 5: "many" stands where a number is needed.`},
		{"queues: [q]}\nkinds", "queues: q}\nkinds", `office.yaml, line 3: "q" stands where a list is needed.`},
		{"constant: 1m", "constant: 90", `office.yaml, line 6: "90" is no time: write it as 90s, 6m or 1h30m.`},
		{"constant: 1m", "constant: 1m, exponential: 1m", `office.yaml, line 6, handling: Give one of constant, exponential, lognormal and csv.`},
		{"{constant: 1m}", "{csv: gone.csv}", `gone.csv: This file cannot be read`},
		{"{constant: 1m}", "{csv: empty.csv}", `empty.csv: There are no rows.`},
		{"{constant: 1m}", "{csv: bad.csv}", `bad.csv, line 3, seconds: "soon" is no number of seconds.`},
		{"{constant: 1m}", "{csv: other.csv}", `other.csv, line 1: There is no column "seconds".`},
		{"{constant: 1m}", "{csv: ragged.csv}", `ragged.csv, line 2: This row cannot be read`},
		{"queues: [q]}\nkinds", "queues: [z]}\nkinds", `office.yaml, line 3, agents/0/queues/0: There is no queue "z".`},
		{"queue: q,", "queue: z,", `office.yaml, line 5, kinds/0/queue: There is no queue "z".`},
		{"queue: q,", "", `kinds/0: A kind needs a queue, or a workstream`},
		{"queues: [{id: q}]", "queues: [{id: q}, {id: q}]", `office.yaml, line 1, queues/1/id: Another queue has the id "q" already.`},
		{"handling: {constant: 1m}\n", "", `kinds/0: How long does it take?`},
		{"per_hour: 1", "by_hour: {monday: [1, 2]}", `kinds/0/by_hour/monday: There are 2 numbers.`},
		{"per_hour: 1", "", `Nothing comes.`},
		{"handling:", "zone: Mars/Base\nhandling:", `office.yaml, line 6, zone: "Mars/Base" is no time zone.`},
		{"handling:", "staffing: [{agents: [b], days: [monday], from: \"09:00\", to: \"17:00\"}]\nhandling:", `staffing/0/agents/0: There is no agent "b".`},
		{"handling:", "staffing: [{agents: [a], days: [mon], from: \"09:00\", to: \"17:00\"}]\nhandling:", `staffing/0/days/0: "mon" is no day`},
		{"handling:", "staffing: [{agents: [a], days: [monday], from: \"9\", to: \"17:00\"}]\nhandling:", `staffing/0/from: "9" is no time of the day.`},
		{"handling:", "offers: {miss: 2}\nhandling:", `offers/miss: A probability is between 0 and 1.`},
		{"handling:", "run: {warm_up: 200h}\nhandling:", `run/warm_up: Nothing is left`},
		{"handling:", "rulesets: [{id: r, kind: route, rules: [{condition: 'message.text = 1', queue_id: q}]}]\nhandling:", `rulesets/0/rules/0/condition: Line 1, column`},
		{"handling:", "rulesets: [{id: r, kind: route, rules: [{condition: 'true', queue_id: z}]}]\nhandling:", `rulesets/0/rules/0: There is no queue "z".`},
		{"handling:", "workstreams: [{id: w, route_ruleset_id: r}]\nhandling:", `workstreams/0/route_ruleset_id: There is no ruleset "r" of kind route.`},
		{"handling:", "workstreams: [{id: w, capacity_units: -1}]\nhandling:", `workstreams/0/capacity_units: Units are between 1 and 100.`},
		{"queue: q,", "queue: q, priority: 1001,", `kinds/0/priority: A priority is between -1000 and 1000.`},
		{"handling:", "workstreams: [{id: w, default_priority: -1001}]\nhandling:", `workstreams/0/default_priority: A priority is between`},
		{"handling:", "workstreams: [{id: w, max_offers: 6}]\nhandling:", `workstreams/0/max_offers: One agent is offered a conversation 1 to 5 times.`},
		{office, "- a list", `office.yaml: This is no simulation`},
		{office, "queues: [", `office.yaml, line 1: `},
	} {
		t.Run(test.to, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, office, test.change)
			_, err := Load([]File{{"office.yaml", []byte(strings.Replace(office, test.change, test.to, 1))}}, files(map[string]string{
				"empty.csv": "seconds\n", "bad.csv": "seconds\n1\nsoon\n", "other.csv": "minutes\n1\n", "ragged.csv": "seconds,other\n1\n",
			}))
			require.ErrorContains(t, err, test.says)
		})
	}
	_, err := Load([]File{{"a.yaml", []byte(office)}, {"b.yaml", []byte("queues: [{id: other}]\n")}}, noFiles)
	require.ErrorContains(t, err, "b.yaml, line 1, queues: This part stands in a.yaml already.")
}
