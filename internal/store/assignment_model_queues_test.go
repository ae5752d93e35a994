package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/calendar"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// counter is a queue as the model knows it.
type counter struct {
	id       string
	priority int64
	method   routing.Method
	rules    *ownRules // of the method custom

	hours         bool // it is closed at times
	opens, closes int  // hours of the day in UTC; overnight when it closes before it opens
	away          routing.Deflection
}

func (m *office) opensQueue(t *rapid.T, i int) {
	q := &counter{priority: rapid.Int64Range(1, 2).Draw(t, "queue priority"), hours: rapid.Bool().Draw(t, "is closed at times")}
	q.method, q.rules = m.drawMethod(t)
	of := store.Queue{Name: fmt.Sprint("Queue ", i), Priority: q.priority, Assignment: q.method, Custom: q.custom()}
	if q.hours {
		q.opens, q.closes = rapid.IntRange(0, 23).Draw(t, "opens"), rapid.IntRange(0, 23).Draw(t, "closes")
		of.CalendarID = m.calendar(t, fmt.Sprint("Hours ", i), q)
	}
	made, err := m.s.CreateQueue(t.Context(), admin, of)
	require.NoError(t, err)
	q.id = made.ID
	m.queues = append(m.queues, q)
}

func (m *office) calendar(t *rapid.T, name string, q *counter) string {
	k := store.Calendar{Name: name, Calendar: calendar.Calendar{Zone: "UTC"}}
	for _, day := range []calendar.Day{calendar.Monday, calendar.Tuesday, calendar.Wednesday, calendar.Thursday, calendar.Friday, calendar.Saturday, calendar.Sunday} {
		k.Hours = append(k.Hours, calendar.Span{Day: day, Opens: fmt.Sprintf("%02d:00", q.opens), Closes: fmt.Sprintf("%02d:00", q.closes)})
	}
	k, err := m.s.CreateCalendar(t.Context(), admin, k)
	require.NoError(t, err)
	return k.ID
}

// sendsAway decides what queues do with those who come while they are closed,
// once all queues are there.
func (m *office) sendsAway(t *rapid.T) {
	for i, q := range m.queues {
		if !q.hours {
			continue
		}
		q.away.Action = rapid.SampledFrom([]routing.DeflectAction{routing.DeflectAssign, routing.DeflectTransfer, routing.DeflectEnd}).Draw(t, "while it is closed")
		if q.away.Action == routing.DeflectTransfer {
			if len(m.queues) == 1 {
				q.away.Action = routing.DeflectEnd
			} else {
				q.away.QueueID = m.queues[(i+rapid.IntRange(1, len(m.queues)-1).Draw(t, "how far"))%len(m.queues)].id
			}
		}
		_, err := m.s.UpdateQueue(t.Context(), admin, q.id, store.AnyVersion, func(x *store.Queue) error {
			x.Settings.OutOfHours = q.away
			return nil
		})
		require.NoError(t, err)
	}
}

func (q *counter) open(at time.Time) bool {
	switch hour := at.UTC().Hour(); {
	case !q.hours, q.opens == q.closes:
		return true
	case q.opens < q.closes:
		return q.opens <= hour && hour < q.closes
	default:
		return q.opens <= hour || hour < q.closes
	}
}

// settles is where a conversation waits that comes to a queue now, or that it
// ends. What waits already stays where it is, whatever opens or closes.
func (m *office) settles(queue string) (at string, ends bool) {
	been := []string{}
	for at = queue; ; {
		q := m.counter(at)
		if q.open(m.c.Now()) || q.away.Action == routing.DeflectAssign {
			return at, false
		}
		if q.away.Action == routing.DeflectEnd {
			return at, true
		}
		been = append(been, at)
		to := q.away.QueueID
		if slices.Contains(been, to) {
			return queue, false // round in a circle
		}
		if !slices.ContainsFunc(m.agents, func(a *seat) bool { return a.queues[to] }) {
			return at, false // nobody works it
		}
		at = to
	}
}

// ownRules is a custom assignment as the model knows it: each condition beside
// what it asks.
type ownRules struct {
	buckets []ownBucket
	rules   []ownRule
}

type ownBucket struct {
	routing.PriorityBucket
	holds func(*visitor) bool
}

type ownRule struct {
	routing.AssignmentRule
	holds func(*visitor, *seat) bool
}

// drawMethod decides whom a queue offers work first.
func (m *office) drawMethod(t *rapid.T) (routing.Method, *ownRules) {
	method := rapid.SampledFrom([]routing.Method{
		routing.HighestCapacity, routing.RoundRobin, routing.LongestIdle, routing.Custom, routing.Custom, routing.Custom,
	}).Draw(t, "method")
	if method != routing.Custom {
		return method, nil
	}
	own := &ownRules{}
	for i := range rapid.IntRange(0, 2).Draw(t, "buckets") {
		b := drawn(t, "bucket", bucketConditions)
		b.ID, b.Order = fmt.Sprint("bucket", i), rapid.SampledFrom([]routing.BucketOrder{routing.ByPriority, routing.ByAge}).Draw(t, "order")
		own.buckets = append(own.buckets, b)
	}
	conditions := m.ruleConditions()
	for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
		r := drawn(t, "rule", conditions)
		r.ID, r.AfterSeconds = fmt.Sprint("rule", i), rapid.SampledFrom([]int64{0, 0, 30, 60}).Draw(t, "after")
		r.IgnoreSkills = rapid.IntRange(0, 3).Draw(t, "ignores skills") == 0
		r.OrderBy = rapid.SliceOfN(rapid.SampledFrom(m.criteria()), 0, 2).Draw(t, "order by")
		own.rules = append(own.rules, r)
	}
	return method, own
}

var bucketConditions = []ownBucket{
	{routing.PriorityBucket{Condition: `conversation.language == "ja"`}, func(v *visitor) bool { return v.language == "ja" }},
	{routing.PriorityBucket{Condition: `conversation.attributes[?"plan"].orValue("") == "gold"`}, func(v *visitor) bool { return v.plan == "gold" }},
	{routing.PriorityBucket{Condition: `conversation.priority > 0`}, func(v *visitor) bool { return v.priority > 0 }},
	{routing.PriorityBucket{Condition: `conversation.capacity_profile_id != ""`}, func(v *visitor) bool { return v.pool != "" }},
}

func (m *office) ruleConditions() []ownRule {
	billing, thai := m.skills[0], m.skills[1]
	asks := func(condition string, holds func(*visitor, *seat) bool) ownRule {
		return ownRule{routing.AssignmentRule{Condition: condition}, holds}
	}
	return []ownRule{
		asks(`true`, func(*visitor, *seat) bool { return true }),
		asks(`agent.capacity >= 2`, func(_ *visitor, a *seat) bool { return a.capacity >= 2 }),
		asks(fmt.Sprintf(`agent.skills[?%q].orValue(0) >= 2`, billing), func(_ *visitor, a *seat) bool { return a.levels[billing] >= 2 }),
		asks(fmt.Sprintf(`conversation.language == "ja" || %q in agent.skills`, thai), func(v *visitor, a *seat) bool { return v.language == "ja" || a.levels[thai] > 0 }),
		asks(`conversation.attributes[?"plan"].orValue("") == "gold"`, func(v *visitor, _ *seat) bool { return v.plan == "gold" }),
	}
}

func (m *office) criteria() (list []routing.Criterion) {
	for _, descending := range []bool{false, true} {
		for _, by := range []routing.CriterionKind{routing.ByFreeCapacity, routing.ByLoad, routing.ByIdle, routing.BySkillFit, routing.ByRound} {
			list = append(list, routing.Criterion{By: by, Descending: descending})
		}
		list = append(list, routing.Criterion{By: routing.ByProficiency, SkillID: m.skills[0], Descending: descending})
	}
	return list
}

// custom is the same as the store has it; nil for the other methods.
func (q *counter) custom() *routing.CustomAssignment {
	if q.rules == nil {
		return nil
	}
	c := &routing.CustomAssignment{Buckets: []routing.PriorityBucket{}}
	for _, b := range q.rules.buckets {
		c.Buckets = append(c.Buckets, b.PriorityBucket)
	}
	for _, r := range q.rules.rules {
		c.Rules = append(c.Rules, r.AssignmentRule)
	}
	return c
}

// standing is the place of a conversation's bucket, its id, and what counts as
// its priority there.
func (q *counter) standing(v *visitor) (place int, id string, priority int64) {
	if q.rules == nil {
		return 0, "", v.priority
	}
	for i, b := range q.rules.buckets {
		if b.holds(v) {
			if b.Order == routing.ByAge {
				return i, b.ID, 0
			}
			return i, b.ID, v.priority
		}
	}
	return len(q.rules.buckets), "", v.priority
}

// before orders those who wait: who comes first.
func (m *office) before(v, w *visitor) int {
	p, q := m.counter(v.queue), m.counter(w.queue)
	placeV, _, priorityV := p.standing(v)
	placeW, _, priorityW := q.standing(w)
	return cmp.Or(cmp.Compare(p.priority, q.priority), cmp.Compare(placeV, placeW), cmp.Compare(priorityW, priorityV), v.since.Compare(w.since), cmp.Compare(v.id, w.id))
}

// lets tells whether a rule lets an agent have a conversation that has waited for
// some time.
func (r ownRule) lets(v *visitor, a *seat, waited time.Duration) bool {
	return waited >= time.Duration(r.AfterSeconds)*time.Second && r.holds(v, a) && (r.IgnoreSkills || a.shortfall(v) == 0)
}
