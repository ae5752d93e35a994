package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

const (
	available = conversation.PresenceAvailable
	busy      = conversation.PresenceBusy
)

func agent(id string, change ...func(*Agent)) Agent {
	a := Agent{ID: id, Presence: available, Capacity: 3, QueueIDs: []string{"que_1"}}
	for _, c := range change {
		c(&a)
	}
	return a
}

func item(id string, change ...func(*Item)) Item {
	i := Item{ConversationID: id, QueueID: "que_1", WaitingSince: monday}
	for _, c := range change {
		c(&i)
	}
	return i
}

func load(n int64) func(*Agent)      { return func(a *Agent) { a.Load = n } }
func offered(min int) func(*Agent)   { return func(a *Agent) { a.LastOfferedAt = minute(min) } }
func idle(min int) func(*Agent)      { return func(a *Agent) { a.IdleSince = minute(min) } }
func works(q ...string) func(*Agent) { return func(a *Agent) { a.QueueIDs = q } }
func is(p conversation.Presence) func(*Agent) {
	return func(a *Agent) { a.Presence = p }
}
func knows(skill string, level int) func(*Agent) {
	return func(a *Agent) {
		if a.Levels == nil {
			a.Levels = map[string]int{}
		}
		a.Levels[skill] = level
	}
}

func in(queue string) func(*Item)  { return func(i *Item) { i.QueueID = queue } }
func priority(n int64) func(*Item) { return func(i *Item) { i.Priority = n } }
func waiting(min int) func(*Item)  { return func(i *Item) { i.WaitingSince = minute(min) } }
func units(n int64) func(*Item)    { return func(i *Item) { i.Requirement.Units = n } }
func refused(agent string, n int64) func(*Item) {
	return func(i *Item) { i.Refusals = append(i.Refusals, Refusal{agent, n}) }
}
func needs(m conversation.Matching, skill string, level int) func(*Item) {
	return func(i *Item) {
		i.Requirement.Matching = m
		i.Requirement.Skills = append(i.Requirement.Skills, conversation.SkillNeed{SkillID: skill, Level: level})
	}
}
func wants(agent string, mode AffinityMode, until time.Time) func(*Item) {
	return func(i *Item) { i.Affinity = Affinity{agent, mode, until} }
}

func minute(n int) time.Time { return monday.Add(time.Duration(n) * time.Minute) }

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		queues []Queue // que_1 with the highest capacity when empty
		agents []Agent
		items  []Item
		want   []string // conversation>agent why
	}{
		{
			name:   "the most free units first, and each offer counts",
			agents: []Agent{agent("a", load(1)), agent("b"), agent("c", load(2))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>b highest_capacity", "2>a highest_capacity", "3>b highest_capacity", "4>c highest_capacity"},
		},
		{
			name:   "ties of capacity go round",
			agents: []Agent{agent("a", offered(-1)), agent("b", offered(-3)), agent("c", offered(-2))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>b highest_capacity", "2>c highest_capacity", "3>a highest_capacity", "4>b highest_capacity"},
		},
		{
			name:   "an offer of this run is the most recent one",
			agents: []Agent{agent("a", offered(-9)), agent("b", offered(-1), load(1))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>a highest_capacity", "2>b highest_capacity", "3>a highest_capacity", "4>b highest_capacity"},
		},
		{
			name:   "round robin goes by the last offer, whatever the load; who never had one comes first",
			queues: []Queue{{ID: "que_1", Method: RoundRobin}},
			agents: []Agent{agent("a", offered(-1)), agent("b", offered(-2), load(2)), agent("c", load(1))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>c round_robin", "2>b round_robin", "3>a round_robin", "4>c round_robin"},
		},
		{
			name:   "longest idle; an offer ends idleness",
			queues: []Queue{{ID: "que_1", Method: LongestIdle}},
			agents: []Agent{agent("a", idle(-1)), agent("b", idle(-9), load(2)), agent("c", idle(-5))},
			items:  []Item{item("1"), item("2"), item("3"), item("4")},
			want:   []string{"1>b longest_idle", "2>c longest_idle", "3>a longest_idle", "4>c longest_idle"},
		},
		{
			name:   "the smaller queue number, then the larger priority, then the longest wait, then the id",
			queues: []Queue{{ID: "que_1", Priority: 20}, {ID: "que_2", Priority: 10}},
			agents: []Agent{agent("a", works("que_1", "que_2"), func(a *Agent) { a.Capacity = 9 })},
			items: []Item{
				item("1", waiting(-1)), item("2", waiting(-2)), item("4", waiting(-2)), item("3", waiting(-2)),
				item("5", priority(1)), item("6", in("que_2"), priority(-5)),
			},
			want: []string{"6>a only_one", "5>a only_one", "2>a only_one", "3>a only_one", "4>a only_one", "1>a only_one"},
		},
		{
			name:   "an item nobody can have blocks nobody",
			agents: []Agent{agent("a", load(1))},
			items:  []Item{item("1", units(3)), item("2", needs(conversation.MatchingExact, "skl_th", 1)), item("3"), item("4", units(2)), item("5")},
			want:   []string{"3>a only_one", "5>a only_one"},
		},
		{
			name:   "presence: available unless others are allowed",
			agents: []Agent{agent("a", is(busy))},
			items: []Item{item("1"), item("2", func(i *Item) {
				i.Requirement.Presences = []conversation.Presence{busy, available}
			})},
			want: []string{"2>a only_one"},
		},
		{
			name:   "exact needs every skill at its level",
			agents: []Agent{agent("a", knows("skl_ja", 9)), agent("b", knows("skl_ja", 5), knows("skl_pay", 4), load(2)), agent("c", knows("skl_ja", 4), knows("skl_pay", 9))},
			items:  []Item{item("1", needs(conversation.MatchingExact, "skl_ja", 5), needs(conversation.MatchingExact, "skl_pay", 4))},
			want:   []string{"1>b only_one"},
		},
		{
			name:   "closest takes the best fit, and the next best when they are full",
			agents: []Agent{agent("a"), agent("b", knows("skl_ja", 3), load(2)), agent("c", knows("skl_ja", 2))},
			items:  []Item{item("1", needs(conversation.MatchingClosest, "skl_ja", 5)), item("2", needs(conversation.MatchingClosest, "skl_ja", 5))},
			want:   []string{"1>b closest_skills", "2>c closest_skills"},
		},
		{
			name:   "among equal fits the method decides; more than required is no better",
			agents: []Agent{agent("a", knows("skl_ja", 9), load(1)), agent("b", knows("skl_ja", 5))},
			items:  []Item{item("1", needs(conversation.MatchingClosest, "skl_ja", 5))},
			want:   []string{"1>b highest_capacity"},
		},
		{
			name:   "without matching skills do not count",
			agents: []Agent{agent("a")},
			items:  []Item{item("1", needs(conversation.MatchingNone, "skl_ja", 5))},
			want:   []string{"1>a only_one"},
		},
		{
			name:   "who let it pass waits until the others had it",
			agents: []Agent{agent("a"), agent("b", load(2))},
			items:  []Item{item("1", refused("a", 1))},
			want:   []string{"1>b fewest_refusals"},
		},
		{
			name:   "who is asked again is the only one able to",
			agents: []Agent{agent("a"), agent("b", load(3))},
			items:  []Item{item("1", refused("a", 2))},
			want:   []string{"1>a only_one"},
		},
		{
			name:   "nobody is asked more than three times, or as the item says",
			agents: []Agent{agent("a")},
			items:  []Item{item("1", refused("a", 3)), item("2", refused("a", 3), func(i *Item) { i.MaxOffers = 4 }), item("3", refused("a", 1), func(i *Item) { i.MaxOffers = 1 })},
			want:   []string{"2>a only_one"},
		},
		{
			name:   "the preferred agent comes first, full, untrained and elsewhere as they are",
			agents: []Agent{agent("a", load(3), works("que_9")), agent("b", knows("skl_ja", 9))},
			items:  []Item{item("1", wants("a", AffinityPrefer, minute(2)), needs(conversation.MatchingExact, "skl_ja", 9))},
			want:   []string{"1>a preferred_agent"},
		},
		{
			name:   "what the preferred agent gets beyond capacity leaves them nothing else",
			agents: []Agent{agent("a", load(2))},
			items:  []Item{item("1", wants("a", AffinityPrefer, minute(2)), units(2)), item("2")},
			want:   []string{"1>a preferred_agent"},
		},
		{
			name:   "an item waits for its preferred agent and blocks nobody",
			agents: []Agent{agent("a", is(busy)), agent("b")},
			items:  []Item{item("1", wants("a", AffinityPrefer, minute(2))), item("2", wants("a", AffinityRequire, time.Time{})), item("3")},
			want:   []string{"3>b only_one"},
		},
		{
			name:   "prefer ends at its deadline, require does not",
			agents: []Agent{agent("a", is(busy)), agent("b")},
			items:  []Item{item("1", wants("a", AffinityPrefer, monday)), item("2", wants("a", AffinityRequire, monday))},
			want:   []string{"1>b only_one"},
		},
		{
			name:   "the preferred agent who lets it pass is not asked first again; required, they are until it is enough",
			agents: []Agent{agent("a"), agent("b", load(2)), agent("c", load(2))},
			items: []Item{
				item("1", wants("a", AffinityPrefer, minute(2)), refused("a", 1)),
				item("2", wants("a", AffinityRequire, time.Time{}), refused("a", 2)),
				item("3", wants("a", AffinityRequire, time.Time{}), refused("a", 3)),
			},
			want: []string{"1>b highest_capacity", "2>a preferred_agent", "3>c only_one"},
		},
		{
			name:   "an agent who is no more is not waited for",
			agents: []Agent{agent("b")},
			items:  []Item{item("1", wants("a", AffinityRequire, time.Time{}))},
			want:   []string{"1>b only_one"},
		},
		{
			name:   "an item of an unknown queue is left alone",
			agents: []Agent{agent("a", works("que_1", "que_9"))},
			items:  []Item{item("1", in("que_9"))},
		},
		{
			name:   "no capacity is no capacity",
			agents: []Agent{agent("a", load(7)), agent("b", func(a *Agent) { a.Capacity = 0 })},
			items:  []Item{item("1", units(-4))},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.queues == nil {
				c.queues = []Queue{{ID: "que_1"}}
			}
			r := Match(Snapshot{Now: monday, Queues: c.queues, Agents: c.agents, Items: c.items})
			var got []string
			for _, o := range r.Offers {
				got = append(got, fmt.Sprintf("%s>%s %s", o.ConversationID, o.AgentID, o.Why))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestAVerdictSaysWhereEverybodyStands(t *testing.T) {
	t.Parallel()
	s := Snapshot{
		Now:    monday,
		Queues: []Queue{{ID: "que_1"}},
		Agents: []Agent{
			agent("a", is(busy), knows("skl_ja", 5)), agent("b", load(3), knows("skl_ja", 5)), agent("c", works("que_2")), agent("d", knows("skl_ja", 4)),
			agent("e", knows("skl_ja", 5)), agent("f", knows("skl_ja", 5), load(1)), agent("g", knows("skl_ja", 5), load(2)), agent("h", knows("skl_ja", 6)),
		},
		Items: []Item{item("1", needs(conversation.MatchingExact, "skl_ja", 5), refused("e", 3), refused("h", 1)), item("2", units(4))},
	}
	r := Match(s)
	assert.Equal(t, []Verdict{
		{
			ConversationID: "1", QueueID: "que_1", Placement: Offered, AgentID: "f", Why: WhyHighestCapacity,
			Counts: map[Reason]int{
				ReasonChosen: 1, ReasonOutranked: 1, ReasonRefused: 1, ReasonCapacity: 1, ReasonTooOften: 1, ReasonSkill: 1, ReasonPresence: 1, ReasonNotMember: 1,
			},
			Agents: []AgentVerdict{
				{"f", ReasonChosen}, {"g", ReasonOutranked}, {"h", ReasonRefused}, {"b", ReasonCapacity}, {"e", ReasonTooOften}, {"d", ReasonSkill}, {"a", ReasonPresence},
			},
		},
		{
			ConversationID: "2", QueueID: "que_1", Placement: NoAgent,
			Counts: map[Reason]int{ReasonCapacity: 6, ReasonPresence: 1, ReasonNotMember: 1},
			Agents: []AgentVerdict{
				{"b", ReasonCapacity}, {"d", ReasonCapacity}, {"e", ReasonCapacity}, {"f", ReasonCapacity}, {"g", ReasonCapacity}, {"h", ReasonCapacity}, {"a", ReasonPresence},
			},
		},
	}, r.Verdicts)
	assert.Equal(t, "offered:f", r.Verdicts[0].Compact())
	assert.Equal(t, "no_agent:capacity,presence,not_member", r.Verdicts[1].Compact())

	s.Agents[1].Load = 9
	s.Agents = append(s.Agents, agent("i", load(3)))
	assert.Equal(t, r.Verdicts[1].Compact(), Match(s).Verdicts[1].Compact(), "more of the same is no news")
	for i := range s.Agents {
		s.Agents[i].Presence = available
	}
	assert.Equal(t, "no_agent:capacity,not_member", Match(s).Verdicts[1].Compact())

	s.Agents = nil
	for i := range 3 * MaxNamed {
		s.Agents = append(s.Agents, agent(fmt.Sprintf("%02d", i), is(busy)))
	}
	s.Agents[59].Presence, s.Agents[59].Load = available, 1
	v := Match(s).Verdicts[1]
	require.Len(t, v.Agents, MaxNamed)
	assert.Equal(t, AgentVerdict{"59", ReasonCapacity}, v.Agents[0], "the nearest miss first")
	assert.Equal(t, map[Reason]int{ReasonCapacity: 1, ReasonPresence: 59}, v.Counts)
}

func TestItemsOfABlockedBucketShareItsVerdictUnlessSomebodyRefusedThem(t *testing.T) {
	t.Parallel()
	r := Match(Snapshot{
		Now: monday, Queues: []Queue{{ID: "que_1"}}, Agents: []Agent{agent("a"), agent("b", load(3))},
		Items: []Item{item("1", refused("a", 3), priority(9)), item("2", units(4)), item("3", units(4)), item("4", units(4), refused("a", 3)), item("5")},
	})
	var got []string
	for _, v := range r.Verdicts {
		got = append(got, v.ConversationID+" "+v.Compact())
	}
	assert.Equal(t, []string{
		"1 no_agent:capacity,max_offers", "2 no_agent:capacity", "3 no_agent:capacity", "4 no_agent:capacity,max_offers", "5 offered:a",
	}, got)
}

func TestMatchSaysWhenTimeAloneChangesSomething(t *testing.T) {
	t.Parallel()
	s := Snapshot{
		Now: monday, Queues: []Queue{{ID: "que_1"}}, Agents: []Agent{agent("a", is(busy)), agent("b", is(busy))},
		Items: []Item{
			item("1", wants("a", AffinityPrefer, minute(3))), item("2", wants("b", AffinityPrefer, minute(2))), item("3"),
			item("4", wants("a", AffinityRequire, minute(1))), item("5", wants("a", AffinityPrefer, time.Time{})),
		},
	}
	r := Match(s)
	assert.Equal(t, minute(2), r.NextAt)
	assert.Equal(t, Verdict{
		ConversationID: "1", QueueID: "que_1", Placement: WaitsForOne, AgentID: "a", Until: new(minute(3)),
		Counts: map[Reason]int{ReasonPresence: 1}, Agents: []AgentVerdict{{"a", ReasonPresence}},
	}, r.Verdicts[0])
	assert.Equal(t, "waits_for_preferred:a:presence", r.Verdicts[0].Compact())
	assert.Nil(t, r.Verdicts[3].Until)
	assert.Nil(t, r.Verdicts[4].Until)

	s.Now = minute(2)
	assert.Equal(t, minute(3), Match(s).NextAt)
	s.Now = minute(3)
	assert.Zero(t, Match(s).NextAt)
}

func TestSignatureIsTheSameForTheSameRequirement(t *testing.T) {
	t.Parallel()
	need := func(id string, level int) conversation.SkillNeed {
		return conversation.SkillNeed{SkillID: id, Level: level}
	}
	base := Requirement{Units: 1, Matching: conversation.MatchingExact, Skills: []conversation.SkillNeed{need("a", 1), need("b", 2)}, Presences: []conversation.Presence{available, busy}}
	assert.Len(t, base.Signature(), 32)
	for _, same := range []Requirement{
		{Skills: []conversation.SkillNeed{need("b", 2), need("a", 1)}, Presences: []conversation.Presence{busy, available, busy}},
		{Units: -1, Skills: []conversation.SkillNeed{need("b", 2), need("a", 1), need("b", 1)}, Presences: []conversation.Presence{busy, available}},
	} {
		assert.Equal(t, base.Signature(), same.Signature())
	}
	plain := Requirement{}
	for _, same := range []Requirement{
		{Units: 1, Matching: conversation.MatchingClosest, Presences: []conversation.Presence{available}},
		{Matching: conversation.MatchingNone, Skills: []conversation.SkillNeed{need("a", 9)}},
	} {
		assert.Equal(t, plain.Signature(), same.Signature())
	}
	seen := map[string]bool{}
	for _, other := range []Requirement{
		base, plain, {Units: 2}, {Presences: []conversation.Presence{busy}}, {Skills: []conversation.SkillNeed{need("a", 1)}},
		{Skills: []conversation.SkillNeed{need("a", 2)}}, {Skills: []conversation.SkillNeed{need("a", 1)}, Matching: conversation.MatchingClosest},
	} {
		assert.False(t, seen[other.Signature()], other)
		seen[other.Signature()] = true
	}
}

// snapshots draws small snapshots in which everything meets everything.
func snapshots(t *rapid.T) Snapshot {
	queueIDs, profileIDs := []string{"que_1", "que_2", "que_3"}, []string{"cpf_1", "cpf_2"}
	agentIDs := []string{"a", "b", "c", "d", "e", "f"}
	skills := []string{"skl_1", "skl_2"}
	presence := rapid.SampledFrom([]conversation.Presence{available, available, available, busy})
	when := rapid.Map(rapid.IntRange(-3, 3), minute)
	some := func(of []string) *rapid.Generator[[]string] {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID)
	}
	s := Snapshot{Now: monday}
	for _, id := range queueIDs[:rapid.IntRange(1, 3).Draw(t, "queues")] {
		q := Queue{ID: id, Priority: rapid.Int64Range(0, 2).Draw(t, "queue priority"), Method: rapid.SampledFrom([]Method{"", HighestCapacity, RoundRobin, LongestIdle, Custom, Custom}).Draw(t, "method")}
		if q.Method == Custom {
			q.Custom = customs(t)
		}
		s.Queues = append(s.Queues, q)
	}
	for _, id := range agentIDs[:rapid.IntRange(0, 6).Draw(t, "agents")] {
		a := Agent{
			ID: id, Presence: presence.Draw(t, "presence"), Capacity: rapid.Int64Range(0, 5).Draw(t, "capacity"), Load: rapid.Int64Range(0, 4).Draw(t, "load"),
			QueueIDs: some(queueIDs).Draw(t, "member of"), Levels: map[string]int{}, IdleSince: when.Draw(t, "idle"), LastOfferedAt: when.Draw(t, "last offered"),
		}
		for _, skill := range some(skills).Draw(t, "skills") {
			a.Levels[skill] = rapid.IntRange(1, 3).Draw(t, "level")
		}
		for _, id := range some(profileIDs).Draw(t, "profiles") {
			if a.Profiles == nil {
				a.Profiles = map[string]Profile{}
			}
			a.Profiles[id] = Profile{Limit: rapid.Int64Range(1, 3).Draw(t, "limit"), Load: rapid.Int64Range(0, 3).Draw(t, "of profile"), Blocks: rapid.IntRange(0, 3).Draw(t, "blocks") == 0}
		}
		s.Agents = append(s.Agents, a)
	}
	var requirements []Requirement // few, so that items share buckets
	for range 3 {
		r := Requirement{
			Units:    rapid.Int64Range(0, 3).Draw(t, "units"),
			Matching: rapid.SampledFrom([]conversation.Matching{"", conversation.MatchingExact, conversation.MatchingClosest, conversation.MatchingNone}).Draw(t, "matching"),
		}
		if rapid.IntRange(0, 3).Draw(t, "other presences") == 0 {
			r.Presences = []conversation.Presence{busy, available}
		}
		if rapid.IntRange(0, 2).Draw(t, "by profile") == 0 {
			r.ProfileID = rapid.SampledFrom(profileIDs).Draw(t, "profile")
		}
		if rapid.IntRange(0, 3).Draw(t, "contact prefers") == 0 {
			r.First = some(agentIDs[2:5]).Draw(t, "preferred by the contact")
		}
		for _, skill := range some(skills).Draw(t, "required") {
			r.Skills = append(r.Skills, conversation.SkillNeed{SkillID: skill, Level: rapid.IntRange(1, 3).Draw(t, "required level")})
		}
		requirements = append(requirements, r)
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "items") {
		x := Item{
			ConversationID: fmt.Sprintf("cnv_%02d", i), QueueID: rapid.SampledFrom(queueIDs).Draw(t, "queue"),
			Priority: rapid.Int64Range(0, 1).Draw(t, "priority"), WaitingSince: when.Draw(t, "waiting"), MaxOffers: rapid.Int64Range(0, 4).Draw(t, "max offers"),
			Requirement: rapid.SampledFrom(requirements).Draw(t, "requirement"), Language: rapid.SampledFrom([]string{"", "ja"}).Draw(t, "language"),
			Attributes: rapid.SampledFrom([]map[string]string{nil, {"topic": "refund"}, {"topic": "order", "shop": "1"}}).Draw(t, "attributes"),
		}
		for _, id := range some(agentIDs[:3]).Draw(t, "refused by") {
			x.Refusals = append(x.Refusals, Refusal{id, rapid.Int64Range(1, 3).Draw(t, "times")})
		}
		if rapid.IntRange(0, 2).Draw(t, "affinity") == 0 {
			x.Affinity = Affinity{rapid.SampledFrom(agentIDs).Draw(t, "preferred"), rapid.SampledFrom([]AffinityMode{AffinityPrefer, AffinityRequire}).Draw(t, "mode"), when.Draw(t, "until")}
		}
		s.Items = append(s.Items, x)
	}
	return s
}

// fits tells, in words of its own, whether a may be offered x as anybody may.
func fits(s Snapshot, a Agent, x Item) bool {
	if !slices.Contains(a.QueueIDs, x.QueueID) || !hasRoom(a, x.Requirement) || !isThere(a, x.Requirement) {
		return false
	}
	q := s.Queues[slices.IndexFunc(s.Queues, func(q Queue) bool { return q.ID == x.QueueID })]
	if q.Method != Custom && unskilled(a, x) {
		return false
	}
	if q.Method == Custom && !slices.ContainsFunc(q.Custom.Rules, func(r AssignmentRule) bool {
		return max(0, s.Now.Sub(x.WaitingSince)) >= r.after() && holds(r, a, x) == (evaluation{matched: true}) && (r.IgnoreSkills || !unskilled(a, x))
	}) {
		return false
	}
	limit := x.MaxOffers
	if limit == 0 {
		limit = DefaultMaxOffers
	}
	return times(x, a.ID) < limit
}

func isThere(a Agent, r Requirement) bool {
	return len(r.Presences) == 0 && a.Presence == available || slices.Contains(r.Presences, a.Presence)
}

func unskilled(a Agent, x Item) bool {
	if m := x.Requirement.Matching; m != conversation.MatchingExact && m != "" {
		return false
	}
	return slices.ContainsFunc(x.Requirement.Skills, func(need conversation.SkillNeed) bool { return a.Levels[need.SkillID] < need.Level })
}

func hasRoom(a Agent, r Requirement) bool {
	for id, p := range a.Profiles {
		if p.Blocks && p.Load >= p.Limit && id != r.ProfileID {
			return false
		}
	}
	if r.ProfileID != "" {
		p, has := a.Profiles[r.ProfileID]
		return has && p.Load < p.Limit
	}
	return a.Capacity-a.Load >= max(1, r.Units)
}

// holding is a with an offer more (1), or less (-1).
func holding(a Agent, o Offer, n int64) Agent {
	a.Load += n * o.Units
	if p, has := a.Profiles[o.ProfileID]; has {
		a.Profiles = maps.Clone(a.Profiles)
		p.Load += n
		a.Profiles[o.ProfileID] = p
	}
	return a
}

func times(x Item, agentID string) int64 {
	for _, r := range x.Refusals {
		if r.AgentID == agentID {
			return r.Count
		}
	}
	return 0
}

func TestMatchProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		r := Match(s)
		agents, items := map[string]Agent{}, map[string]Item{}
		for _, a := range s.Agents {
			agents[a.ID] = a
		}
		for _, x := range s.Items {
			items[x.ConversationID] = x
		}

		// Nobody ineligible is chosen, and nobody is brought over capacity.
		offers := map[string]Offer{}
		for _, o := range r.Offers {
			x, a := items[o.ConversationID], agents[o.AgentID]
			if _, twice := offers[o.ConversationID]; twice {
				t.Fatalf("%s is offered twice", o.ConversationID)
			}
			offers[o.ConversationID] = o
			switch {
			case o.Units != x.Requirement.normal().Units || o.ProfileID != x.Requirement.ProfileID || o.QueueID != x.QueueID:
				t.Fatalf("the offer is not the item's: %+v", o)
			case o.Why == WhyPreferred:
				if x.Affinity.AgentID != o.AgentID || !slices.Contains(x.Requirement.normal().Presences, a.Presence) || times(x, a.ID) >= x.maxOffers() {
					t.Fatalf("%s is not preferred: %+v", a.ID, x)
				}
			case o.Why == WhyContact:
				place := slices.Index(x.Requirement.First, a.ID)
				if place < 0 || !isThere(a, x.Requirement) || !hasRoom(a, x.Requirement) || times(x, a.ID) > 0 {
					t.Fatalf("%s cannot have %s first", a.ID, x.ConversationID)
				}
				for _, id := range x.Requirement.First[:place] {
					if other, there := agents[id]; there && isThere(other, x.Requirement) && hasRoom(other, x.Requirement) && times(x, id) == 0 {
						t.Fatalf("%s is preferred to %s for %s", id, a.ID, x.ConversationID)
					}
				}
			case !fits(s, a, x):
				t.Fatalf("%s is offered to %s, who cannot have it", o.ConversationID, o.AgentID)
			default:
				for _, other := range agents { // declines rotate
					if times(x, other.ID) < times(x, a.ID) && fits(s, other, x) {
						t.Fatalf("%s is asked again about %s before %s", a.ID, x.ConversationID, other.ID)
					}
				}
			}
			agents[o.AgentID] = holding(a, o, 1)
		}

		// Every item has one verdict, which agrees with the offers and counts everybody.
		if len(r.Verdicts) != len(s.Items) {
			t.Fatalf("%d verdicts on %d items", len(r.Verdicts), len(s.Items))
		}
		var next time.Time
		for i, v := range r.Verdicts {
			x := items[v.ConversationID]
			o, isOffered := offers[v.ConversationID]
			if isOffered != (v.Placement == Offered) || isOffered && (o.AgentID != v.AgentID || o.Why != v.Why) {
				t.Fatalf("verdict %+v, offer %+v", v, o)
			}
			if sum := counted(v); v.Placement == NoAgent && sum != len(s.Agents) || isOffered && v.Why != WhyPreferred && v.Why != WhyContact && sum != len(s.Agents) {
				t.Fatalf("%d of %d agents counted: %+v", sum, len(s.Agents), v)
			}
			for _, at := range []*time.Time{v.Until, v.NextRuleAt} {
				if at != nil && (next.IsZero() || at.Before(next)) {
					next = *at
				}
			}
			if v.Placement != NoAgent {
				continue
			}
			// An item stays only when nobody can have it, before and after the lesser ones.
			for _, a := range agents {
				if fits(s, a, x) {
					t.Fatalf("%s could have %s", a.ID, x.ConversationID)
				}
				for _, later := range r.Verdicts[i+1:] {
					if o, ok := offers[later.ConversationID]; ok && o.AgentID == a.ID && fits(s, holding(a, o, -1), x) {
						t.Fatalf("%s got %s, but %s comes before", a.ID, later.ConversationID, x.ConversationID)
					}
				}
			}
		}
		if !next.Equal(r.NextAt) {
			t.Fatalf("the next change is at %s, not %s", next, r.NextAt)
		}

		// The order of the input, and running again, change nothing.
		p := Snapshot{Now: s.Now, Queues: slices.Clone(s.Queues), Items: slices.Clone(s.Items), Agents: slices.Clone(s.Agents)}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(p.Queues), func(i, j int) { p.Queues[i], p.Queues[j] = p.Queues[j], p.Queues[i] })
		random.Shuffle(len(p.Items), func(i, j int) { p.Items[i], p.Items[j] = p.Items[j], p.Items[i] })
		random.Shuffle(len(p.Agents), func(i, j int) { p.Agents[i], p.Agents[j] = p.Agents[j], p.Agents[i] })
		if again := Match(p); !assert.ObjectsAreEqual(r, again) {
			t.Fatalf("in another order:\n%+v\n%+v", r, again)
		}

		// What is not placed blocks nobody: without it the offers are the same.
		p = s
		p.Items = slices.DeleteFunc(slices.Clone(s.Items), func(x Item) bool { _, ok := offers[x.ConversationID]; return !ok })
		if alone := Match(p); !assert.ObjectsAreEqual(r.Offers, alone.Offers) {
			t.Fatalf("without what is not placed:\n%+v\n%+v", r.Offers, alone.Offers)
		}
	})
}

func counted(v Verdict) int {
	sum := 0
	for _, n := range v.Counts {
		sum += n
	}
	return sum
}

func TestDeclinesRotateFairly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		s.Items = []Item{item("cnv_1", func(i *Item) { i.MaxOffers = rapid.Int64Range(1, 5).Draw(t, "limit") })}
		able := map[string]bool{}
		for _, a := range s.Agents {
			able[a.ID] = fits(s, a, s.Items[0])
		}
		asked := map[string]int64{}
		for {
			r := Match(s)
			if len(r.Offers) == 0 {
				break
			}
			id := r.Offers[0].AgentID
			for other, ok := range able {
				if ok && asked[other] < asked[id] {
					t.Fatalf("%s is asked before %s: %v", id, other, asked)
				}
			}
			asked[id]++
			x := item("cnv_1", func(i *Item) { i.MaxOffers = s.Items[0].MaxOffers })
			for other, n := range asked {
				x.Refusals = append(x.Refusals, Refusal{other, n})
			}
			s.Items = []Item{x}
		}
		for id, ok := range able {
			if want := s.Items[0].MaxOffers; ok && asked[id] != want || !ok && asked[id] != 0 {
				t.Fatalf("%s was asked %d times of %d", id, asked[id], want)
			}
		}
	})
}

// BenchmarkMatch is a bad minute: 1,000 conversations wait in 50 buckets for
// 200 agents who have room for about 300 of them.
func BenchmarkMatch(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	s := Snapshot{Now: monday}
	for q := range 10 {
		s.Queues = append(s.Queues, Queue{ID: fmt.Sprintf("que_%d", q), Priority: int64(q % 3), Method: []Method{HighestCapacity, RoundRobin, LongestIdle}[q%3]})
	}
	for i := range 200 {
		a := agent(fmt.Sprintf("agt_%03d", i), works(fmt.Sprintf("que_%d", i%10), fmt.Sprintf("que_%d", i/20)), load(random.Int64N(4)), offered(-i), idle(-i))
		for k := range 5 {
			knows(fmt.Sprintf("skl_%d", k), 1+random.IntN(10))(&a)
		}
		s.Agents = append(s.Agents, a)
	}
	for i := range 1000 {
		x := item(fmt.Sprintf("cnv_%04d", i), in(fmt.Sprintf("que_%d", i%10)), waiting(-random.IntN(60)))
		if k := i / 10 % 5; k > 0 {
			needs([]conversation.Matching{conversation.MatchingExact, conversation.MatchingClosest}[k%2], fmt.Sprintf("skl_%d", k), 5)(&x)
		}
		if i%7 == 0 {
			refused(fmt.Sprintf("agt_%03d", random.IntN(200)), 1)(&x)
		}
		s.Items = append(s.Items, x)
	}
	b.ReportAllocs()
	for b.Loop() {
		Match(s)
	}
	b.ReportMetric(float64(len(Match(s).Offers)), "offers")
}
