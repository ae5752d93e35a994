package routing

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// QueueState is what routing knows of a queue.
type QueueState struct {
	Members    int
	Waiting    int64      // conversations in it
	MaxWaiting int64      // it is full from so many on; 0 is never
	Overflow   Deflection // what it does with those who come while it is full, or have waited too long
	Closed     bool       // by its calendar
	Opens      time.Time  // when it is closed: when it opens; zero is not within a year
	OutOfHours Deflection // what it does with those who come while it is closed
}

// QueueReason says why a queue could not be used, or is used all the same.
type QueueReason string

// The reasons about queues.
const (
	QueueMissing QueueReason = "queue_missing"    // there is no such queue
	QueueEmpty   QueueReason = "queue_no_members" // nobody works it
	QueueClosed  QueueReason = "queue_closed"     // by its calendar, and it keeps nobody who comes then
	QueueFull    QueueReason = "queue_full"       // as many wait as it takes
	QueueLate    QueueReason = "waited_too_long"  // longer than the queue has anybody wait
)

// QueueSkip is a queue a rule names and could not use.
type QueueSkip struct {
	QueueID string      `json:"queue_id"`
	Reason  QueueReason `json:"reason"`
}

// RouteResult says how a queue was found.
type RouteResult string

// The results of routing.
const (
	RouteByRule   RouteResult = "rule"
	RouteBySplit  RouteResult = "split"
	RouteSoonest  RouteResult = "soonest"  // every queue that rules named turns away; it is the one that is available soonest
	RouteFallback RouteResult = "fallback" // no rule matched, or none could be used
	RouteNone     RouteResult = "no_queue" // and there is no fallback queue
)

// RouteOutcome is where a conversation waits.
type RouteOutcome struct {
	QueueID string      `json:"queue_id"` // "" with RouteNone
	Result  RouteResult `json:"result"`
	RuleID  string      `json:"rule_id,omitempty"` // the rule that decided, "" with RouteSoonest and without one
	Warning QueueReason `json:"warning,omitempty"` // the fallback queue is missing or has no members; "" otherwise
	Log     []RuleLog   `json:"rules"`             // nil when no rule was asked
}

// Route asks the rules in their order and takes the queue of the first that
// matches and whose queue exists, has members and turns nobody away. A split
// divides by a digest of conversation and rule, so that the same conversation
// always gets the same queue; the part of a queue that cannot be used is divided
// among the others. Where all queues that rules named turn away, it is the one
// that is available soonest.
//
// Where no rule decides, the fallback queue is taken, even without members.
// queues holds every queue, the fallback queue too.
func Route(rules []RouteRule, facts Facts, queues map[string]QueueState, fallback string) RouteOutcome {
	var log []RuleLog
	variables := facts.variables()
	for _, rule := range rules {
		line := judge(rule.ID, rule.Condition, variables)
		result, queue := RouteByRule, ""
		if line.Verdict == RuleMatched {
			shares := rule.Split
			if len(shares) == 0 {
				shares = []Share{{rule.QueueID, 100}}
			} else {
				result = RouteBySplit
			}
			queue, line.Queues = draw(shares, facts.Conversation.ID, rule.ID, queues)
			if queue == "" {
				line.Verdict = RuleSkipped
			}
		}
		log = append(log, line)
		if queue != "" {
			return RouteOutcome{QueueID: queue, Result: result, RuleID: rule.ID, Log: log}
		}
	}
	if queue := soonest(log, queues); queue != "" {
		return RouteOutcome{QueueID: queue, Result: RouteSoonest, Log: log}
	}
	warning := unusable(fallback, queues)
	if warning == QueueMissing {
		return RouteOutcome{Result: RouteNone, Warning: warning, Log: log}
	}
	return RouteOutcome{QueueID: fallback, Result: RouteFallback, Warning: warning, Log: log}
}

func unusable(queue string, queues map[string]QueueState) QueueReason {
	state, ok := queues[queue]
	switch {
	case !ok:
		return QueueMissing
	case state.Members <= 0:
		return QueueEmpty
	}
	return ""
}

// soonest is the queue that is available soonest of those that rules named and
// that turn away: one that is open before one that opens later, then the one with
// the fewest who wait beyond what it takes, then the first named. It is "" when
// none was.
func soonest(log []RuleLog, queues map[string]QueueState) string {
	var away []string
	for _, line := range log {
		for _, skip := range line.Queues {
			if (skip.Reason == QueueClosed || skip.Reason == QueueFull) && line.Verdict == RuleSkipped {
				away = append(away, skip.QueueID)
			}
		}
	}
	if len(away) == 0 {
		return ""
	}
	return slices.MinFunc(away, func(a, b string) int { return queues[a].compareAvailable(queues[b]) })
}

// compareAvailable is negative when q is available before other.
func (q QueueState) compareAvailable(other QueueState) int {
	when := func(s QueueState) int64 {
		switch {
		case !s.Closed:
			return 0
		case s.Opens.IsZero():
			return math.MaxInt64
		}
		return s.Opens.Unix()
	}
	over := func(s QueueState) int64 {
		if s.MaxWaiting == 0 {
			return 0
		}
		return s.Waiting - s.MaxWaiting
	}
	return cmp.Or(cmp.Compare(when(q), when(other)), cmp.Compare(over(q), over(other)))
}

// draw chooses one of the shares. When it is one that cannot be used it draws
// again among the others, so conversations of the usable ones stay where they
// are.
func draw(shares []Share, conversationID, ruleID string, queues map[string]QueueState) (string, []QueueSkip) {
	var skipped []QueueSkip
	left := append([]Share(nil), shares...)
	for round := uint64(0); ; round++ {
		var total uint64
		for _, s := range left {
			total += uint64(max(0, s.Percent))
		}
		if total == 0 {
			return "", skipped
		}
		point := hash(conversationID, ruleID, round) % total
		for i, s := range left {
			percent := uint64(max(0, s.Percent))
			if point >= percent {
				point -= percent
				continue
			}
			reason := unusable(s.QueueID, queues)
			if reason == "" {
				reason, _ = queues[s.QueueID].turnsAway()
			}
			if reason == "" {
				return s.QueueID, skipped
			}
			skipped = append(skipped, QueueSkip{s.QueueID, reason})
			left = append(left[:i], left[i+1:]...)
			break
		}
	}
}

func hash(conversationID, ruleID string, round uint64) uint64 {
	in := binary.BigEndian.AppendUint64(nil, uint64(len(conversationID)))
	in = append(append(in, conversationID...), ruleID...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(in, round))
	return binary.BigEndian.Uint64(sum[:8])
}
