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
			return cmp.Or(cmp.Compare(queue[a.QueueID].Priority, queue[b.QueueID].Priority), cmp.Compare(b.Priority, a.Priority),
				a.WaitingSince.Compare(b.WaitingSince), cmp.Compare(a.ConversationID, b.ConversationID))
		})
		waiting = slices.DeleteFunc(waiting, func(x Item) bool { return x.ConversationID == first.ConversationID })
		v := decide(s, queue, agents, first)
		v.ConversationID, v.QueueID = first.ConversationID, first.QueueID
		if v.Placement == Offered {
			i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == v.AgentID })
			agents[i].Load += max(1, first.Requirement.Units)
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
	why := map[string]Reason{}
	short := map[string]int{}
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
		if x.Requirement.Matching == conversation.MatchingClosest {
			short[a.ID] = missing
		}
		switch {
		case !slices.Contains(a.QueueIDs, x.QueueID):
			why[a.ID] = ReasonNotMember
		case !slices.Contains(allowed, a.Presence):
			why[a.ID] = ReasonPresence
		case exact && missing > 0:
			why[a.ID] = ReasonSkill
		case times(x, a.ID) >= x.maxOffers():
			why[a.ID] = ReasonTooOften
		case a.Capacity-a.Load < max(1, x.Requirement.Units):
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
	v := Verdict{Placement: NoAgent}
	if len(best) > 0 {
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
			return cmp.Or(cmp.Compare(b.Capacity-b.Load, a.Capacity-a.Load), last(a).Compare(last(b)), cmp.Compare(a.ID, b.ID))
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
			bounded.Items = headsOf(left.Items, rapid.IntRange(1, 3).Draw(t, "depth"), newMatching(left).order)
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
				left.Agents[i].Load += o.Units
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
func headsOf(items []Item, depth int, order func(a, b *Item) int) (out []Item) {
	kinds := map[bucketKey][]Item{}
	for _, x := range items {
		if len(x.Refusals) > 0 || x.Affinity.AgentID != "" {
			out = append(out, x)
			continue
		}
		k := bucketKey{x.QueueID, x.Requirement.Signature()}
		kinds[k] = append(kinds[k], x)
	}
	for _, k := range slices.SortedFunc(maps.Keys(kinds), func(a, b bucketKey) int {
		return cmp.Or(cmp.Compare(a.queueID, b.queueID), cmp.Compare(a.signature, b.signature))
	}) {
		list := kinds[k]
		slices.SortFunc(list, func(a, b Item) int { return order(&a, &b) })
		if len(list) > depth {
			list = list[:depth]
			list[depth-1].Behind = true
		}
		out = append(out, list...)
	}
	return out
}
