package routing

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func transferTo(queue string) Deflection { return Deflection{DeflectTransfer, queue} }

var ends = Deflection{Action: DeflectEnd}

// open takes everybody, full and closed turn away.
func open() QueueState { return QueueState{Members: 1} }

func full(d Deflection) QueueState {
	return QueueState{Members: 1, Waiting: 3, MaxWaiting: 3, Overflow: d}
}

func closed(d Deflection) QueueState { return QueueState{Members: 1, Closed: true, OutOfHours: d} }

func TestAQueueKeepsPassesOnOrEndsWhatComesToIt(t *testing.T) {
	t.Parallel()
	roomy := full(transferTo("b"))
	roomy.Waiting = 2
	fullAndClosed := full(ends)
	fullAndClosed.Closed, fullAndClosed.OutOfHours = true, transferTo("b")
	for _, c := range []struct {
		name    string
		arrival Arrival
		queues  map[string]QueueState
		where   string
		ends    QueueReason
		steps   []Step
		over    []string
	}{
		{"it is open", Arrival{QueueID: "a"}, map[string]QueueState{"a": open()}, "a", "", nil, nil},
		{"nobody knows the queue", Arrival{QueueID: ""}, nil, "", "", nil, nil},
		{"it is closed and takes it all the same", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(Deflection{Action: DeflectAssign})}, "a", "", nil, nil},
		{"it has room for one more", Arrival{QueueID: "a"}, map[string]QueueState{"a": roomy}, "a", "", nil, nil},
		{"it is full", Arrival{QueueID: "a"}, map[string]QueueState{"a": full(transferTo("b")), "b": open()}, "b", "",
			[]Step{{"a", QueueFull, DeflectTransfer, "b", ""}}, []string{"a"}},
		{"it is full and ends it", Arrival{QueueID: "a"}, map[string]QueueState{"a": full(ends)}, "a", QueueFull,
			[]Step{{"a", QueueFull, DeflectEnd, "", ""}}, nil},
		{"it is closed", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(transferTo("b")), "b": open()}, "b", "",
			[]Step{{"a", QueueClosed, DeflectTransfer, "b", ""}}, nil},
		{"it is closed and ends it", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(ends)}, "a", QueueClosed,
			[]Step{{"a", QueueClosed, DeflectEnd, "", ""}}, nil},
		{"hours come before fullness", Arrival{QueueID: "a"}, map[string]QueueState{"a": fullAndClosed, "b": open()}, "b", "",
			[]Step{{"a", QueueClosed, DeflectTransfer, "b", ""}}, nil},
		{"the next one decides in turn", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(transferTo("b")), "b": full(transferTo("c")), "c": closed(ends)}, "c", QueueClosed,
			[]Step{{"a", QueueClosed, DeflectTransfer, "b", ""}, {"b", QueueFull, DeflectTransfer, "c", ""}, {"c", QueueClosed, DeflectEnd, "", ""}}, []string{"b"}},
		{"in a circle", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(transferTo("b")), "b": full(transferTo("a"))}, "a", "",
			[]Step{{"a", QueueClosed, DeflectTransfer, "b", ""}, {"b", QueueFull, DeflectAssign, "a", KeptCircle}}, nil},
		{"nobody works where it would go", Arrival{QueueID: "a"}, map[string]QueueState{"a": full(transferTo("b")), "b": {}}, "a", "",
			[]Step{{"a", QueueFull, DeflectAssign, "b", KeptNoQueue}}, nil},
		{"where it would go does not exist", Arrival{QueueID: "a"}, map[string]QueueState{"a": closed(transferTo("b"))}, "a", "",
			[]Step{{"a", QueueClosed, DeflectAssign, "b", KeptNoQueue}}, nil},
		{"it overflowed from here before", Arrival{QueueID: "a", Been: []string{"a"}}, map[string]QueueState{"a": full(transferTo("b")), "b": open()}, "a", "",
			[]Step{{"a", QueueFull, DeflectAssign, "b", KeptOnce}}, nil},
		{"it was passed on from everywhere", Arrival{QueueID: "a", Been: []string{"1", "2", "3", "4", "5"}}, map[string]QueueState{"a": full(transferTo("b")), "b": open()}, "a", "",
			[]Step{{"a", QueueFull, DeflectAssign, "b", KeptMoves}}, nil},
		{"somebody put it there", Arrival{QueueID: "a", ByPeople: true}, map[string]QueueState{"a": full(ends)}, "a", "",
			[]Step{{"a", QueueFull, DeflectAssign, "", KeptForPeople}}, nil},
		{"somebody put it where it is closed", Arrival{QueueID: "a", ByPeople: true}, map[string]QueueState{"a": closed(transferTo("b")), "b": full(ends)}, "b", QueueFull,
			[]Step{{"a", QueueClosed, DeflectTransfer, "b", ""}, {"b", QueueFull, DeflectEnd, "", ""}}, nil},
		{"it has waited too long", Arrival{QueueID: "a", TooLong: true}, map[string]QueueState{"a": roomy, "b": open()}, "b", "",
			[]Step{{"a", QueueLate, DeflectTransfer, "b", ""}}, []string{"a"}},
		{"it has waited too long, and nobody sets a bound any more", Arrival{QueueID: "a", TooLong: true}, map[string]QueueState{"a": open()}, "a", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := Enter(c.arrival, c.queues)
			require.Equal(t, Entry{c.where, c.ends, c.steps}, e)
			require.Equal(t, c.over, e.Overflowed())
			require.Equal(t, len(c.steps) > 0 && c.steps[len(c.steps)-1].Action == DeflectAssign, e.Kept())
		})
	}
}

func TestFiveQueuesPassItOnAndTheSixthDoesNot(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{5: "q5", 6: "q0"} {
		queues := map[string]QueueState{fmt.Sprint("q", n): open()}
		for i := range n {
			queues[fmt.Sprint("q", i)] = closed(transferTo(fmt.Sprint("q", i+1)))
		}
		e := Enter(Arrival{QueueID: "q0"}, queues)
		assert.Equal(t, want, e.QueueID)
		assert.Equal(t, n == 6, e.Kept())
	}
}

// However queues name each other, an arrival comes to rest, and one that goes on
// overflowing does so at most five times.
func TestEveryArrivalComesToRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "queues")
		id := func(label string) string { return fmt.Sprint("q", rapid.IntRange(0, n).Draw(t, label)) } // one of them does not exist
		deflection := func(label string) Deflection {
			d := Deflection{Action: rapid.SampledFrom([]DeflectAction{"", DeflectAssign, DeflectTransfer, DeflectTransfer, DeflectEnd}).Draw(t, label)}
			if d.Action == DeflectTransfer {
				d.QueueID = id(label)
			}
			return d
		}
		queues := map[string]QueueState{}
		for i := range n {
			queues[fmt.Sprint("q", i)] = QueueState{
				Members: rapid.IntRange(0, 2).Draw(t, "members"), Waiting: 1, MaxWaiting: rapid.Int64Range(0, 2).Draw(t, "max"), Overflow: deflection("overflow"),
				Closed: rapid.Bool().Draw(t, "closed"), OutOfHours: deflection("out of hours"),
			}
		}
		var been []string
		at := "q0"
		for range 20 {
			e := Enter(Arrival{QueueID: at, Been: been, TooLong: rapid.Bool().Draw(t, "too long")}, queues)
			if e.QueueID != at && unusable(e.QueueID, queues) != "" {
				t.Fatalf("it ended where it cannot be: %+v", e)
			}
			for _, q := range e.Overflowed() {
				if slices.Contains(been, q) {
					t.Fatalf("it overflowed from %s twice: %+v", q, e)
				}
			}
			been = append(been, e.Overflowed()...)
			if len(been) > MaxMoves {
				t.Fatalf("it overflowed from %v", been)
			}
			at = e.QueueID
		}
	})
}

func TestWhatAQueueWantsDoneByTime(t *testing.T) {
	t.Parallel()
	came := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	in := func(minutes int) time.Time { return came.Add(time.Duration(minutes) * time.Minute) }
	for _, c := range []struct {
		name  string
		rules WaitRules
		wait  Wait
		duty  Duty
		at    time.Time
	}{
		{"nothing", WaitRules{}, Wait{Since: came}, DutyNone, time.Time{}},
		{"whether it was open is asked at once", WaitRules{OutOfHours: true, MaxWait: time.Hour}, Wait{Since: came}, DutyEntry, came},
		{"and once", WaitRules{OutOfHours: true}, Wait{Since: came, Tended: came}, DutyNone, time.Time{}},
		{"and again in the next queue", WaitRules{OutOfHours: true}, Wait{Since: in(5), Tended: in(4)}, DutyEntry, in(5)},
		{"it waits for an hour", WaitRules{MaxWait: time.Hour}, Wait{Since: came, Tended: in(59)}, DutyOverflow, in(60)},
		{"and is passed on once", WaitRules{MaxWait: time.Hour}, Wait{Since: came, Tended: in(60)}, DutyNone, time.Time{}},
		{"the bound was set later", WaitRules{MaxWait: time.Minute}, Wait{Since: came, Tended: in(0)}, DutyOverflow, in(1)},
		{"the customer hears at once", WaitRules{Inform: 5 * time.Minute, MaxWait: time.Minute}, Wait{Since: came}, DutyInform, came},
		{"then in five minutes", WaitRules{Inform: 5 * time.Minute}, Wait{Since: came, Told: in(2)}, DutyInform, in(7)},
		{"not sooner in another queue", WaitRules{Inform: 5 * time.Minute}, Wait{Since: in(4), Told: in(2)}, DutyInform, in(7)},
		{"but at once after a while", WaitRules{Inform: 5 * time.Minute}, Wait{Since: in(60), Told: in(2)}, DutyInform, in(60)},
		{"what comes first", WaitRules{Inform: 5 * time.Minute, MaxWait: 6 * time.Minute}, Wait{Since: came, Told: in(2)}, DutyOverflow, in(6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			duty, at := c.rules.Next(c.wait)
			require.Equal(t, c.duty, duty)
			require.Equal(t, c.at, at)
		})
	}
}

func TestARuleWhoseQueueTurnsAwayIsPassedOver(t *testing.T) {
	t.Parallel()
	opens := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	late, soon, never := closed(ends), closed(ends), closed(ends)
	late.Opens, soon.Opens = opens.Add(time.Hour), opens
	crowded := full(ends)
	crowded.Waiting = 9
	rules := func(queues ...string) (out []RouteRule) {
		for _, q := range queues {
			out = append(out, RouteRule{ID: q, Condition: "true", QueueID: q})
		}
		return out
	}
	queues := map[string]QueueState{
		"open": open(), "full": full(transferTo("open")), "crowded": crowded, "soon": soon, "late": late, "never": never, "empty": {}, "fallback": open(),
	}
	for _, c := range []struct {
		name   string
		rules  []RouteRule
		want   string
		result RouteResult
	}{
		{"the next rule has it", rules("full", "late", "open"), "open", RouteByRule},
		{"all turn away: the least crowded", rules("late", "crowded", "full"), "full", RouteSoonest},
		{"the one that opens first", rules("never", "late", "soon"), "soon", RouteSoonest},
		{"one that nobody works does not count", rules("empty", "never"), "never", RouteSoonest},
		{"none turns away, none can be used", rules("empty"), "fallback", RouteFallback},
		{"the others of a split have its part", []RouteRule{{ID: "s", Condition: "true", Split: []Share{{"full", 99}, {"open", 1}}}}, "open", RouteBySplit},
		{"a split of which all turn away", append([]RouteRule{{ID: "s", Condition: "true", Split: []Share{{"full", 50}, {"late", 50}}}}, rules("crowded")...), "full", RouteSoonest},
		{"a rule after the one that decided is not asked", rules("open", "full"), "open", RouteByRule},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := Route(c.rules, Facts{}, queues, "fallback")
			require.Equal(t, c.want, out.QueueID, "%+v", out)
			require.Equal(t, c.result, out.Result)
		})
	}
}
