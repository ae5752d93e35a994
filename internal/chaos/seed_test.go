package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func visitsOf(seed uint64, number, n int) (out [][]deed) {
	l := newLife(seed, number)
	for range n {
		out = append(out, l.next())
	}
	return out
}

func TestACustomersLifeFollowsFromTheSeedAndTheirNumber(t *testing.T) {
	t.Parallel()
	require.Equal(t, visitsOf(7, 3, 50), visitsOf(7, 3, 50))
	require.NotEqual(t, visitsOf(7, 3, 5), visitsOf(8, 3, 5))
	require.NotEqual(t, visitsOf(7, 3, 5), visitsOf(7, 4, 5))
}

func TestCustomersDoEverythingAndSayNothingTwice(t *testing.T) {
	t.Parallel()
	done, texts, locales := map[kind]int{}, map[string]bool{}, map[string]bool{}
	for n := range 20 {
		l := newLife(1, n)
		locales[l.tongue.locale] = true
		for range 30 {
			for _, d := range l.next() {
				done[d.kind]++
				if d.text != "" && d.text != l.tongue.bye {
					require.False(t, texts[d.text], d.text)
					texts[d.text] = true
				}
			}
		}
	}
	for k := says; k <= listens; k++ {
		require.Positive(t, done[k], k)
	}
	require.Len(t, locales, len(tongues))
}

func TestNobodyIsKilledPausedOrOperatedOnWhileItIsCalm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		begins := map[blow]bool{}
		for _, s := range plan(seed, warfare{processes: []string{"api-1"}, length: 5 * time.Minute, calm: time.Minute, killEvery: 8 * time.Second, operate: time.Minute}) {
			begins[s.blow] = true
			switch s.blow {
			case kills, pauses, cancels, terminates, resets:
				require.GreaterOrEqual(t, s.at, time.Minute)
			}
		}
		require.True(t, begins[kills] && begins[pauses], "it comes all the same")
	}
}

func TestThePlanFollowsFromTheSeedAndSparesNobody(t *testing.T) {
	t.Parallel()
	w := warfare{
		processes: []string{"postgres", "temporal", "api-1", "api-2", "worker-1", "worker-2"},
		length:    7 * time.Minute, killEvery: 8 * time.Second, operate: 90 * time.Second,
	}
	for seed := range uint64(50) {
		p := plan(seed, w)
		require.Equal(t, p, plan(seed, w))
		killed, blows := map[string]int{}, map[blow]int{}
		last := time.Duration(0)
		for _, s := range p {
			require.GreaterOrEqual(t, s.at, last)
			require.Less(t, s.at, w.length)
			last = s.at
			blows[s.blow]++
			if s.blow == kills {
				killed[s.target]++
			}
			if s.blow == cancels || s.blow == terminates || s.blow == resets {
				require.Less(t, s.at, w.length-w.operate)
			}
		}
		require.GreaterOrEqual(t, blows[kills], 40)
		require.Len(t, killed, len(w.processes))
		for _, b := range []blow{pauses, slowBefore, slowAfter, fails, limits, doubles, delays, forgets, shuffles, repeats, hangs, fools, cancels, terminates, resets} {
			require.Positive(t, blows[b], b)
		}
		for _, b := range []blow{cutsBefore, cutsAfter, failsAfter} {
			require.Zero(t, blows[b], "LINE answers in the default run")
		}
	}
	require.NotEqual(t, plan(1, w), plan(2, w))
	w.unanswered = true
	lost := 0
	for _, s := range plan(1, w) {
		if s.blow == cutsBefore || s.blow == cutsAfter || s.blow == failsAfter {
			lost++
		}
	}
	require.Positive(t, lost)
}
