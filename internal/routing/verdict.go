package routing

import (
	"slices"
	"strings"
	"time"
)

// MaxNamed is how many agents a verdict names.
const MaxNamed = 20

// Result is what Match decided.
type Result struct {
	Offers   []Offer   // in the order they were decided
	Verdicts []Verdict // of every item that was considered, in that order
	// Cut says that the run ended before all items were considered: there were
	// MaxOffers, or Behind was placed, an item that others follow who are not in
	// the snapshot. What was decided is what a run without bounds begins with.
	Cut    bool
	Behind string
	// NextAt is when the result may change by time alone: the nearest end of an
	// affinity, or the nearest time at which a rule brings somebody who can have an
	// item that nobody can have yet. Zero is never.
	NextAt time.Time
}

// Offer gives one agent the choice of one conversation.
type Offer struct {
	ConversationID string
	QueueID        string
	AgentID        string
	Units          int64  // 0 when it counts against a capacity profile
	ProfileID      string // the capacity profile it counts against; "" is none
	Why            Why
}

// Why says what singled an agent out.
type Why string

// The reasons for an offer.
const (
	WhyPreferred       Why = "preferred_agent"  // served the customer last
	WhyContact         Why = "contact_agent"    // is one of those the contact prefers
	WhyOnly            Why = "only_one"         // nobody else could have it
	WhyFewestRefusals  Why = "fewest_refusals"  // let it pass less often than the others
	WhyClosest         Why = "closest_skills"   // fits the required skills best
	WhyHighestCapacity Why = "highest_capacity" // by the queue's method
	WhyRoundRobin      Why = "round_robin"
	WhyLongestIdle     Why = "longest_idle"
	WhyRule            Why = "rule" // by a rule of the queue; the verdict names it
)

// Placement says what came of an item.
type Placement string

// The placements.
const (
	Offered      Placement = "offered"
	NoAgent      Placement = "no_agent"            // nobody can have it now
	WaitsForOne  Placement = "waits_for_preferred" // for the agent who served last
	UnknownQueue Placement = "unknown_queue"       // its queue is not in the snapshot
)

// Reason says where an agent stands with an item.
type Reason string

// The reasons, the nearest miss first. Where several apply, the last of them is
// given.
const (
	ReasonChosen        Reason = "chosen"         // is offered it
	ReasonOutranked     Reason = "outranked"      // could have had it; somebody else came first
	ReasonRefused       Reason = "refused"        // let it pass, and others have not had it as often
	ReasonCapacity      Reason = "capacity"       // has not enough free units
	ReasonProfileFull   Reason = "profile_full"   // has reached their limit of its capacity profile
	ReasonProfileBlocks Reason = "profile_blocks" // has reached their limit of another profile, which blocks
	ReasonTooOften      Reason = "max_offers"     // let it pass as often as one agent is asked
	ReasonNoRule        Reason = "no_rule"        // matches no rule of the queue that holds by now
	ReasonSkill         Reason = "skill"          // lacks a required skill or its level
	ReasonNoProfile     Reason = "no_profile"     // has no limit of its capacity profile
	ReasonPresence      Reason = "presence"       // is in no allowed presence
	ReasonNotMember     Reason = "not_member"     // does not work the queue; counted, never named
)

var reasons = []Reason{
	ReasonChosen, ReasonOutranked, ReasonRefused, ReasonCapacity, ReasonProfileFull, ReasonProfileBlocks, ReasonTooOften, ReasonNoRule, ReasonSkill,
	ReasonNoProfile, ReasonPresence, ReasonNotMember,
}

// Verdict says why an item was placed or not. Verdicts may share their Counts
// and Agents, which are not to be changed.
type Verdict struct {
	ConversationID string         `json:"-"`
	QueueID        string         `json:"queue_id"`
	Placement      Placement      `json:"placement"`
	AgentID        string         `json:"agent_id,omitempty"`     // who is offered it, or waited for
	Why            Why            `json:"why,omitempty"`          // of an offer
	RuleID         string         `json:"rule_id,omitempty"`      // of the queue, that decided
	BucketID       string         `json:"bucket_id,omitempty"`    // of the queue, that it is in
	Until          *time.Time     `json:"until,omitempty"`        // when waiting for an agent ends; nil is never
	NextRuleAt     *time.Time     `json:"next_rule_at,omitempty"` // when a rule brings somebody who can have it; nil is never
	Failures       []RuleLog      `json:"failures,omitempty"`     // conditions of the queue that could not be evaluated
	Counts         map[Reason]int `json:"counts"`                 // agents by reason
	Agents         []AgentVerdict `json:"agents"`                 // at most MaxNamed, the nearest misses first
	// Shared says that an item before this one asked the same and had the same
	// verdict.
	Shared bool `json:"-"`
}

// AgentVerdict is where one agent stands with an item.
type AgentVerdict struct {
	AgentID string `json:"agent_id"`
	Reason  Reason `json:"reason"`
}

// Compact is what of a verdict is worth a new line in the routing log when it
// changes: placement, agent and which reasons there are. How many agents each
// reason has does not count, or every waiting conversation would get a line
// whenever anybody's load changed.
func (v Verdict) Compact() string {
	parts := []string{string(v.Placement)}
	if v.AgentID != "" {
		parts = append(parts, v.AgentID)
	}
	if v.Placement != Offered {
		var words []string
		for _, r := range reasons {
			if v.Counts[r] > 0 {
				words = append(words, string(r))
			}
		}
		parts = append(parts, strings.Join(words, ","))
	}
	return strings.Join(parts, ":")
}

// tally collects agents by reason.
type tally struct {
	counts map[Reason]int
	named  map[Reason][]string
}

func newTally(notMembers int) *tally {
	t := &tally{counts: map[Reason]int{}, named: map[Reason][]string{}}
	if notMembers > 0 {
		t.counts[ReasonNotMember] = notMembers
	}
	return t
}

func (t *tally) add(agentID string, r Reason) {
	t.counts[r]++
	if len(t.named[r]) < MaxNamed {
		t.named[r] = append(t.named[r], agentID)
	}
}

// agents are those named, the nearest misses first, then by id.
func (t *tally) agents() []AgentVerdict {
	out := []AgentVerdict{}
	for _, r := range reasons {
		for _, id := range t.named[r] {
			if len(out) == MaxNamed {
				return out
			}
			out = append(out, AgentVerdict{id, r})
		}
	}
	return slices.Clip(out)
}
