package simulate

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// erlangC is what a queue of n agents does whose customers never give up
// (M/M/n): how likely one has to wait, and for how long on average, in units of
// the handling time. load is in Erlang, below n.
func erlangC(n int, load float64) (delayed, wait float64) {
	blocked := 1.0 // Erlang B, by its recursion, which neither overflows nor cancels
	for k := 1; k <= n; k++ {
		blocked = load * blocked / (float64(k) + load*blocked)
	}
	use := load / float64(n)
	delayed = blocked / (1 - use*(1-blocked))
	return delayed, delayed / (float64(n) - load)
}

// erlangA is the same with customers who give up after an exponential time
// (M/M/n+M), whose mean is patience, in units of the handling time: how likely
// one has to wait, and how likely one gives up.
func erlangA(n int, load, patience float64) (delayed, abandoned float64) {
	// The states' probabilities, each as a multiple of the largest.
	weights := []float64{1}
	largest := 1.0
	for k := 1; k < n || weights[len(weights)-1] > 1e-18*largest; k++ {
		leave := float64(min(k, n)) + float64(max(0, k-n))/patience
		weights = append(weights, weights[k-1]*load/leave)
		if largest = max(largest, weights[k]); largest > 1e200 {
			for i := range weights {
				weights[i] /= largest
			}
			largest = 1
		}
	}
	var all, full, queue float64
	for k, w := range weights {
		all += w
		if k >= n {
			full += w
			queue += w * float64(k-n)
		}
	}
	return full / all, queue / all / patience / load
}

// The formulas themselves, held against published figures: Erlang C for 10
// agents and 8 Erlang; M/M/1, where everything is known in closed form; and
// Erlang A with endless patience, which is Erlang C.
func TestTheFormulasAreThoseOfErlang(t *testing.T) {
	t.Parallel()
	delayed, wait := erlangC(10, 8)
	require.InDelta(t, 0.4092, delayed, 0.0001)
	require.InDelta(t, 0.2046, wait, 0.0001)
	delayed, wait = erlangC(1, 0.7)
	require.InDelta(t, 0.7, delayed, 1e-12)
	require.InDelta(t, 0.7/0.3, wait, 1e-12)
	_, wait = erlangC(2000, 1990)
	require.False(t, math.IsNaN(wait))
	delayed, abandoned := erlangA(10, 8, 1e9)
	require.InDelta(t, 0.4092, delayed, 0.0001)
	require.InDelta(t, 0, abandoned, 1e-8)
	// With patience as long as handling the number of customers is that of
	// M/M/∞, which is Poisson.
	poisson, below := math.Exp(-8), 0.0
	for k := range 10 {
		below += poisson
		poisson *= 8 / float64(k+1)
	}
	delayed, _ = erlangA(10, 8, 1)
	require.InDelta(t, 1-below, delayed, 1e-12)
	_, abandoned = erlangA(2000, 2100, 0.5)
	require.InDelta(t, 0.05, abandoned, 0.005) // what is too much gives up
}

// sure is the confidence of the intervals that the formulas are held against.
const sure = 0.999

func queueOf(agents int, load float64, patience, method string) string {
	return fmt.Sprintf(`
queues: [{id: q, assignment: %s}]
agents: [{id: a, count: %d, queues: [q]}]
kinds: [{id: k, queue: q, per_hour: %v}]
handling: {exponential: 6m}
%s
run: {replications: 12, weeks: %d, warm_up: 12h}
`, method, agents, load*10, patience, max(1, 12/agents))
}

// played returns what was measured replication by replication.
func played(t *testing.T, document string) map[Measure]Estimate {
	t.Helper()
	s := load(t, document)
	values := map[Measure][]float64{}
	for n := range s.replications {
		p := newPlay(s, n)
		for p.step() {
		}
		for m, v := range p.finish().queues["q"].measures() {
			values[m] = append(values[m], v)
		}
	}
	out := map[Measure]Estimate{}
	for m, list := range values {
		out[m] = estimate(list, sure)
	}
	return out
}

func requireWithin(t *testing.T, e Estimate, exact float64, what string) {
	t.Helper()
	require.True(t, e.Low() <= exact && exact <= e.High(), "%s: %v is not within %v ± %v", what, exact, e.Mean, e.Half)
	require.Less(t, e.Half, 0.25*exact, "%s: an interval that says something", what)
}

func TestAQueueWhoseCustomersWaitForEverIsAsErlangCSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		agents int
		load   float64
		method string
	}{
		{1, 0.6, "longest_idle"}, {5, 3.5, "highest_capacity"}, {5, 4.2, "round_robin"}, {12, 10, "longest_idle"},
	} {
		t.Run(fmt.Sprintf("%d agents, %v Erlang", test.agents, test.load), func(t *testing.T) {
			t.Parallel()
			delayed, wait := erlangC(test.agents, test.load)
			found := played(t, queueOf(test.agents, test.load, "", test.method))
			requireWithin(t, found[Delayed], delayed, "who has to wait")
			requireWithin(t, found[WaitMean], wait*360, "the mean wait")
			require.Zero(t, found[Abandoned].Mean)
		})
	}
}

func TestAQueueWhoseCustomersGiveUpIsAsErlangASays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		agents   int
		load     float64
		patience float64 // of the handling time
	}{
		{4, 3.5, 0.5}, {5, 6, 1}, {12, 11, 2},
	} {
		t.Run(fmt.Sprintf("%d agents, %v Erlang, patience %v", test.agents, test.load, test.patience), func(t *testing.T) {
			t.Parallel()
			delayed, abandoned := erlangA(test.agents, test.load, test.patience)
			found := played(t, queueOf(test.agents, test.load, fmt.Sprintf("patience: {exponential: %vs}", 360*test.patience), "longest_idle"))
			requireWithin(t, found[Delayed], delayed, "who has to wait")
			requireWithin(t, found[AbandonShare], abandoned, "who gives up")
		})
	}
}

func TestQuantilesOfStudentsDistribution(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		probability float64
		freedom     int
		quantile    float64
	}{
		{0.975, 1, 12.7062}, {0.975, 4, 2.7764}, {0.975, 9, 2.2622}, {0.975, 100, 1.9840}, {0.9995, 9, 4.7809}, {0.95, 30, 1.6973}, {0.975, 9999, 1.9602},
	} {
		require.InDelta(t, test.quantile, student(test.probability, test.freedom), 0.0002, "%v with %d degrees of freedom", test.probability, test.freedom)
	}
	e := estimate([]float64{1, 2, math.NaN(), 3, 4}, 0.95)
	require.Equal(t, 4, e.N)
	require.InDelta(t, 2.5, e.Mean, 1e-12)
	require.InDelta(t, 3.1824*math.Sqrt(5.0/3)/2, e.Half, 0.001)
	require.True(t, math.IsNaN(estimate([]float64{7}, 0.95).Half))
}
