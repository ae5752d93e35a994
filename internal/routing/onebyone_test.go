package routing

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

// oneByOne is the matching in its simplest form: the first of all who wait gets
// the best agent there is, or nobody, and then everything is looked at anew for
// the next one. No classes, no bounds, nothing remembered but what an offer
// changes about its agent.
func oneByOne(s Snapshot) []Verdict {
	agents := slices.Clone(s.Agents)
	slices.SortFunc(agents, func(a, b Agent) int { return cmp.Compare(a.ID, b.ID) })
	queue := map[string]Queue{}
	for _, q := range s.Queues {
		queue[q.ID] = q
	}
	var out []Verdict
	for waiting := slices.Clone(s.Items); len(waiting) > 0; {
		first := slices.MinFunc(waiting, func(a, b Item) int {
			rankA, priorityA, _, _ := standing(queue[a.QueueID], a)
			rankB, priorityB, _, _ := standing(queue[b.QueueID], b)
			return cmp.Or(cmp.Compare(queue[a.QueueID].Priority, queue[b.QueueID].Priority), cmp.Compare(rankA, rankB), cmp.Compare(priorityB, priorityA),
				a.WaitingSince.Compare(b.WaitingSince), cmp.Compare(a.ConversationID, b.ConversationID))
		})
		waiting = slices.DeleteFunc(waiting, func(x Item) bool { return x.ConversationID == first.ConversationID })
		v := decide(s, queue, agents, first)
		v.ConversationID, v.QueueID = first.ConversationID, first.QueueID
		_, _, bucket, failures := standing(queue[first.QueueID], first)
		v.BucketID, v.Failures = bucket, append(failures, v.Failures...)
		if v.Placement == Offered {
			i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == v.AgentID })
			agents[i] = holding(agents[i], Offer{Units: first.Requirement.normal().Units, ProfileID: first.Requirement.ProfileID}, 1)
			agents[i].LastOfferedAt = offeredIn(s.Now, len(out))
		}
		out = append(out, v)
	}
	return out
}

// offeredIn is a time later than all before, for the offer that was decided as
// the nth.
func offeredIn(now time.Time, n int) time.Time {
	return now.Add(24*time.Hour + time.Duration(n)*time.Microsecond)
}

// standing is the bucket of an item, by its place and id, what counts as its
// priority there, and the conditions that failed.
func standing(q Queue, x Item) (place int, priority int64, id string, failures []RuleLog) {
	if q.Method != Custom {
		return 0, x.Priority, "", nil
	}
	for i, b := range q.Custom.Buckets {
		e := evaluateIn(scopeBucket, b.Condition, map[string]any{"conversation": x.facts().own()})
		if e.failure != "" {
			failures = append(failures, RuleLog{RuleID: b.ID, Verdict: RuleError, Failure: e.failure, Line: e.line, Column: e.column})
		}
		if e.matched && b.Order == ByAge {
			return i, 0, b.ID, failures
		}
		if e.matched {
			return i, x.Priority, b.ID, failures
		}
	}
	return len(q.Custom.Buckets), x.Priority, "", failures
}

// holds asks a rule about an agent and an item.
func holds(r AssignmentRule, a Agent, x Item) evaluation {
	levels := a.Levels
	if levels == nil {
		levels = map[string]int{}
	}
	return evaluateIn(scopeAssignment, r.Condition, map[string]any{
		"conversation": x.facts().own(), "agent": AgentFacts{ID: a.ID, Presence: string(a.Presence), Capacity: a.Capacity, Skills: levels},
	})
}

// decide decides one item.
func decide(s Snapshot, queue map[string]Queue, agents []Agent, x Item) Verdict {
	none := Verdict{Counts: map[Reason]int{}, Agents: []AgentVerdict{}}
	q, known := queue[x.QueueID]
	if !known {
		none.Placement = UnknownQueue
		return none
	}
	allowed := x.Requirement.Presences
	if len(allowed) == 0 {
		allowed = []conversation.Presence{available}
	}
	if i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == x.Affinity.AgentID }); i >= 0 {
		a, passed := agents[i], times(x, x.Affinity.AgentID)
		waits := x.Affinity.Mode == AffinityPrefer && passed == 0 && (x.Affinity.Until.IsZero() || s.Now.Before(x.Affinity.Until)) ||
			x.Affinity.Mode == AffinityRequire && passed < x.maxOffers()
		switch {
		case waits && slices.Contains(allowed, a.Presence):
			return Verdict{Placement: Offered, AgentID: a.ID, Why: WhyPreferred, Counts: map[Reason]int{ReasonChosen: 1}, Agents: []AgentVerdict{{a.ID, ReasonChosen}}}
		case waits:
			v := Verdict{Placement: WaitsForOne, AgentID: a.ID, Counts: map[Reason]int{ReasonPresence: 1}, Agents: []AgentVerdict{{a.ID, ReasonPresence}}}
			if x.Affinity.Mode == AffinityPrefer && !x.Affinity.Until.IsZero() {
				v.Until = &x.Affinity.Until
			}
			return v
		}
	}
	for _, id := range x.Requirement.First {
		i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == id })
		if i >= 0 && slices.Contains(allowed, agents[i].Presence) && hasRoom(agents[i], x.Requirement) && times(x, id) == 0 {
			return Verdict{Placement: Offered, AgentID: id, Why: WhyContact, Counts: map[Reason]int{ReasonChosen: 1}, Agents: []AgentVerdict{{id, ReasonChosen}}}
		}
	}
	waited := max(0, s.Now.Sub(x.WaitingSince))
	byRule := map[string][]bool{} // of each agent, whether each rule would let them have it
	var failures []RuleLog
	var bring []time.Time // when rules let somebody have it who has room
	if q.Method == Custom {
		failed := map[string]bool{}
		for _, r := range q.Custom.Rules {
			for _, a := range agents {
				_, profiled := a.Profiles[x.Requirement.ProfileID]
				if !slices.Contains(a.QueueIDs, x.QueueID) || !slices.Contains(allowed, a.Presence) || x.Requirement.ProfileID != "" && !profiled {
					continue
				}
				e := holds(r, a, x)
				if e.failure != "" && !failed[r.ID] {
					failed[r.ID] = true
					failures = append(failures, RuleLog{RuleID: r.ID, Verdict: RuleError, Failure: e.failure, Line: e.line, Column: e.column})
				}
				can := e.matched && (r.IgnoreSkills || !unskilled(a, x))
				byRule[a.ID] = append(byRule[a.ID], can)
				if at := x.WaitingSince.Add(r.after()); can && waited < r.after() && hasRoom(a, x.Requirement) && times(x, a.ID) < x.maxOffers() {
					bring = append(bring, at)
				}
			}
		}
	}
	byNow := func(a Agent) bool { // some rule that holds lets them have it
		for i, can := range byRule[a.ID] {
			if can && waited >= q.Custom.Rules[i].after() {
				return true
			}
		}
		return false
	}
	butForSkills := func(a Agent) bool {
		return slices.ContainsFunc(q.Custom.Rules, func(r AssignmentRule) bool { return waited >= r.after() && holds(r, a, x).matched })
	}
	why := map[string]Reason{}
	short, misses := map[string]int{}, map[string]int{}
	var able []Agent
	for _, a := range agents {
		missing := 0
		needed := map[string]int{}
		for _, k := range x.Requirement.Skills {
			needed[k.SkillID] = max(needed[k.SkillID], k.Level)
		}
		for skill, level := range needed {
			missing += max(0, level-a.Levels[skill])
		}
		exact := x.Requirement.Matching == conversation.MatchingExact || x.Requirement.Matching == ""
		if x.Requirement.Matching != conversation.MatchingNone {
			misses[a.ID] = missing
		}
		if x.Requirement.Matching == conversation.MatchingClosest {
			short[a.ID] = missing
		}
		profile, profiled := a.Profiles[x.Requirement.ProfileID]
		blocked := false
		for id, p := range a.Profiles {
			blocked = blocked || p.Blocks && p.Load >= p.Limit && id != x.Requirement.ProfileID
		}
		switch {
		case !slices.Contains(a.QueueIDs, x.QueueID):
			why[a.ID] = ReasonNotMember
		case !slices.Contains(allowed, a.Presence):
			why[a.ID] = ReasonPresence
		case x.Requirement.ProfileID != "" && !profiled:
			why[a.ID] = ReasonNoProfile
		case q.Method != Custom && exact && missing > 0:
			why[a.ID] = ReasonSkill
		case q.Method == Custom && !byNow(a) && butForSkills(a):
			why[a.ID] = ReasonSkill
		case q.Method == Custom && !byNow(a):
			why[a.ID] = ReasonNoRule
		case times(x, a.ID) >= x.maxOffers():
			why[a.ID] = ReasonTooOften
		case blocked:
			why[a.ID] = ReasonProfileBlocks
		case x.Requirement.ProfileID != "" && profile.Load >= profile.Limit:
			why[a.ID] = ReasonProfileFull
		case x.Requirement.ProfileID == "" && a.Capacity-a.Load < max(1, x.Requirement.Units):
			why[a.ID] = ReasonCapacity
		default:
			able = append(able, a)
		}
	}
	var best []Agent // those of the able who are left, criterion by criterion
	keep := func(from []Agent, better func(a, b Agent) int) []Agent {
		if len(from) == 0 {
			return nil
		}
		top := slices.MinFunc(from, better)
		return slices.DeleteFunc(slices.Clone(from), func(a Agent) bool { return better(top, a) < 0 })
	}
	best = keep(able, func(a, b Agent) int { return cmp.Compare(times(x, a.ID), times(x, b.ID)) })
	for _, a := range able {
		why[a.ID] = ReasonRefused
	}
	for _, a := range best {
		why[a.ID] = ReasonOutranked
	}
	free := func(a Agent) int64 {
		if p, by := a.Profiles[x.Requirement.ProfileID]; by {
			return p.Limit - p.Load
		}
		return a.Capacity - a.Load
	}
	load := func(a Agent) int64 {
		if p, by := a.Profiles[x.Requirement.ProfileID]; by {
			return p.Load
		}
		return a.Load
	}
	v := Verdict{Placement: NoAgent, Failures: failures}
	if len(best) == 0 && len(bring) > 0 {
		v.NextRuleAt = new(slices.MinFunc(bring, time.Time.Compare))
	}
	if len(best) > 0 && q.Method == Custom {
		v.Placement, v.Why = Offered, WhyRule
		for i, r := range q.Custom.Rules {
			left := slices.DeleteFunc(slices.Clone(best), func(a Agent) bool { return waited < r.after() || !byRule[a.ID][i] })
			if len(left) == 0 {
				continue
			}
			last := func(a Agent) time.Time { return a.LastOfferedAt }
			for _, k := range r.OrderBy {
				value := map[CriterionKind]func(a, b Agent) int{
					ByFreeCapacity: func(a, b Agent) int { return cmp.Compare(free(a), free(b)) },
					ByLoad:         func(a, b Agent) int { return cmp.Compare(load(a), load(b)) },
					ByIdle: func(a, b Agent) int { // idle for less long
						busy := func(a Agent) time.Time {
							return slices.MaxFunc([]time.Time{a.IdleSince, a.LastOfferedAt}, time.Time.Compare)
						}
						return busy(b).Compare(busy(a))
					},
					BySkillFit:    func(a, b Agent) int { return cmp.Compare(misses[a.ID], misses[b.ID]) },
					ByProficiency: func(a, b Agent) int { return cmp.Compare(a.Levels[k.SkillID], b.Levels[k.SkillID]) },
					ByRound:       func(a, b Agent) int { return last(a).Compare(last(b)) },
				}[k.By]
				if k.Descending {
					ascending := value
					value = func(a, b Agent) int { return ascending(b, a) }
				}
				left = keep(left, value)
			}
			left = keep(left, func(a, b Agent) int { return cmp.Or(last(a).Compare(last(b)), cmp.Compare(a.ID, b.ID)) })
			v.AgentID, v.RuleID, why[left[0].ID] = left[0].ID, r.ID, ReasonChosen
			break
		}
	} else if len(best) > 0 {
		fit := keep(best, func(a, b Agent) int { return cmp.Compare(short[a.ID], short[b.ID]) })
		v.Placement = Offered
		switch {
		case len(able) == 1:
			v.Why = WhyOnly
		case len(best) == 1:
			v.Why = WhyFewestRefusals
		case len(fit) == 1:
			v.Why = WhyClosest
		default:
			v.Why = map[Method]Why{"": WhyHighestCapacity, HighestCapacity: WhyHighestCapacity, RoundRobin: WhyRoundRobin, LongestIdle: WhyLongestIdle}[q.Method]
		}
		last := func(a Agent) time.Time { return a.LastOfferedAt }
		idle := func(a Agent) time.Time {
			if last(a).After(a.IdleSince) {
				return last(a)
			}
			return a.IdleSince
		}
		chosen := slices.MinFunc(fit, func(a, b Agent) int {
			switch q.Method {
			case LongestIdle:
				return cmp.Or(idle(a).Compare(idle(b)), last(a).Compare(last(b)), cmp.Compare(a.ID, b.ID))
			case RoundRobin:
				return cmp.Or(last(a).Compare(last(b)), cmp.Compare(a.ID, b.ID))
			}
			return cmp.Or(cmp.Compare(free(b), free(a)), last(a).Compare(last(b)), cmp.Compare(a.ID, b.ID))
		})
		v.AgentID, why[chosen.ID] = chosen.ID, ReasonChosen
	}
	v.Counts, v.Agents = map[Reason]int{}, []AgentVerdict{}
	for _, r := range why {
		v.Counts[r]++
	}
	if s.Others > 0 {
		v.Counts[ReasonNotMember] += s.Others
	}
	for _, r := range reasons {
		for _, a := range agents {
			if why[a.ID] == r && r != ReasonNotMember && len(v.Agents) < MaxNamed {
				v.Agents = append(v.Agents, AgentVerdict{a.ID, r})
			}
		}
	}
	return v
}

// What Match decides, in one run or in many bounded ones that each see only the
// first few of every kind, is what oneByOne decides: the same offers in the same
// order, to the same agents, for the same reasons.
func TestMatchDecidesAsOneByOneWould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		s.Others = rapid.IntRange(0, 2).Draw(t, "others")
		simple := map[string]Verdict{}
		var order []string // of the offers
		for _, v := range oneByOne(s) {
			simple[v.ConversationID] = v
			if v.Placement == Offered {
				order = append(order, v.ConversationID)
			}
		}

		left := s
		left.Agents = slices.Clone(s.Agents)
		considered := map[string]bool{}
		var offered []string
		for run := 0; ; run++ {
			if run > 2*len(s.Items)+2 {
				t.Fatalf("%d runs do not get on", run)
			}
			bounded := left
			bounded.MaxOffers = rapid.IntRange(0, 3).Draw(t, "at most")
			bounded.Items = headsOf(left.Items, rapid.IntRange(1, 3).Draw(t, "depth"), newMatching(left))
			r := Match(bounded)
			for _, v := range r.Verdicts {
				v.Shared = false
				if !considered[v.ConversationID] && !assert.ObjectsAreEqual(simple[v.ConversationID], v) {
					t.Fatalf("run %d\none by one: %+v\nin bounds: %+v", run, simple[v.ConversationID], v)
				}
				considered[v.ConversationID] = true
			}
			for _, o := range r.Offers {
				i := slices.IndexFunc(left.Agents, func(a Agent) bool { return a.ID == o.AgentID })
				left.Agents[i] = holding(left.Agents[i], o, 1)
				left.Agents[i].LastOfferedAt = offeredIn(s.Now, len(offered))
				offered = append(offered, o.ConversationID)
				left.Items = slices.DeleteFunc(slices.Clone(left.Items), func(x Item) bool { return x.ConversationID == o.ConversationID })
			}
			if !r.Cut {
				break
			}
			if len(r.Offers) == 0 {
				t.Fatalf("cut without an offer")
			}
		}
		if !slices.Equal(order, offered) {
			t.Fatalf("one by one: %v\nin bounds: %v", order, offered)
		}
		able := Placeable(s)
		for _, id := range order {
			if !able[id] {
				t.Fatalf("%s was placed, though it could not be", id)
			}
		}
	})
}

// headsOf leaves of each kind of items that are not looked at one by one only
// the first few.
func headsOf(items []Item, depth int, m *matching) (out []Item) {
	kinds := map[bucketKey][]Item{}
	for _, x := range items {
		if len(x.Refusals) > 0 || x.Affinity.AgentID != "" {
			out = append(out, x)
			continue
		}
		k := bucketKey{x.QueueID, m.kindOf(&x)}
		kinds[k] = append(kinds[k], x)
	}
	for _, k := range slices.SortedFunc(maps.Keys(kinds), func(a, b bucketKey) int {
		return cmp.Or(cmp.Compare(a.queueID, b.queueID), cmp.Compare(a.kind, b.kind))
	}) {
		list := kinds[k]
		slices.SortFunc(list, func(a, b Item) int { return m.order(&a, &b) })
		if len(list) > depth {
			list = list[:depth]
			list[depth-1].Behind = true
		}
		out = append(out, list...)
	}
	return out
}
