package e2e

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/linesim"
)

const burst = 500

func TestABurstThatNobodyAnswersCostsAlmostNoEvents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withoutBot)
		emma := k.newCustomer("Emma")
		emma.writes("hello")
		emma.isAnswered(1)
		emma.isQuiet()
		before := emma.historyLength()
		emma.burst(numbered(burst))
		emma.isQuiet()
		perMessage := float64(emma.historyLength()-before) / burst
		t.Logf("%s: %.3f history events a message of a burst of %d that nobody answers", dialect, perMessage, burst)
		require.LessOrEqual(t, perMessage, 0.1)
		require.Equal(t, append([]string{"hello"}, numbered(burst)...), emma.inbound(), "all of them, once, in order")
		require.Len(t, emma.conversations(), 1)
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
	})
}

func TestABurstAnsweredByTheBotTravelsTogether(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.writes("a0")
		emma.isAnswered(1)
		emma.isQuiet()
		before := emma.historyLength()
		emma.burst(numbered(burst))
		emma.isAnsweredInTheEnd(1 + burst)
		emma.isQuiet()
		perMessage := float64(emma.historyLength()-before) / burst
		calls := len(k.Sim.Calls(linesim.CallFilter{Endpoint: "reply"})) + len(k.Sim.Calls(linesim.CallFilter{Endpoint: "push"}))
		t.Logf("%s: %.3f history events a message of a burst of %d answered by the bot, in %d calls to LINE", dialect, perMessage, burst, calls)
		require.LessOrEqual(t, perMessage, 1.5)
		emma.heardEach(numbered(burst))
		require.Equal(t, append([]string{"a0"}, numbered(burst)...), emma.inbound())
		require.LessOrEqual(t, mostOpenTimers(k.history(emma.workflowID())), 2)
	})
}

// isAnsweredInTheEnd waits for many answers, as long as they go on coming.
func (c customer) isAnsweredInTheEnd(n int) {
	c.k.t.Helper()
	for have := min(n, 25); ; have = min(n, have+25) {
		c.isAnswered(have)
		if have == n {
			return
		}
	}
}

// heardEach asserts that each of the texts was answered once, and in order as
// far as LINE kept it: what a slow machine has LINE deliver again is answered
// when it comes.
func (c customer) heardEach(texts []string) {
	c.k.t.Helper()
	for _, d := range c.k.Sim.Deliveries(linesim.DeliveryFilter{}) {
		if d.Redelivery {
			require.ElementsMatch(c.k.t, echoes(texts), c.heard())
			return
		}
	}
	require.Equal(c.k.t, echoes(texts), c.heard())
}

// Runs that continue as new in the middle of a flood hand over everything.
func TestABurstOverManyRunsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect, func(o *dev.Options) { o.HistoryLimit = 60 })
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		texts := numbered(burst)
		// As fast as LINE delivers one chat's events, each in a body of its own.
		for _, text := range texts {
			emma.writes(text)
		}
		emma.isAnsweredInTheEnd(burst)
		emma.isQuiet()
		require.Equal(t, texts, emma.inbound(), "every message once, in order")
		emma.heardEach(texts[1:])
		require.Len(t, emma.conversations(), 1, "one conversation, however many runs")
		runs := emma.runs()
		longest := 0
		for _, run := range runs {
			longest = max(longest, len(run))
			require.LessOrEqual(t, mostOpenTimers(run), 2)
		}
		t.Logf("%s: %d messages in %d runs, the longest of %d events", dialect, burst, len(runs), longest)
		// How many depends on how much each ingest found; one run cannot do it.
		require.Greater(t, len(runs), 1)
	})
}

// Many chats at once, each over several runs.
func TestManyChatsContinueAsNewWithoutLosingAnything(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect, func(o *dev.Options) { o.HistoryLimit = 40 })
		k.arrange(withEcho)
		customers := make([]customer, 10)
		texts := numbered(30)
		var wg sync.WaitGroup
		for i := range customers {
			customers[i] = k.newCustomer("Emma")
			wg.Go(func() {
				for _, text := range texts {
					customers[i].writes(text)
				}
			})
		}
		wg.Wait()
		for _, c := range customers {
			c.isAnswered(len(texts))
			c.isQuiet()
			require.Equal(t, texts, c.inbound())
			c.heardEach(texts[1:])
			require.Len(t, c.conversations(), 1)
		}
	})
}
