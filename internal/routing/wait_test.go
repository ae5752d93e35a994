package routing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/routing"
)

func someWaitRules(t *rapid.T, name string) routing.WaitRules {
	minutes := func(what string) time.Duration {
		return time.Duration(rapid.IntRange(0, 4).Draw(t, name+" "+what)) * time.Minute
	}
	return routing.WaitRules{OutOfHours: rapid.Bool().Draw(t, name+" out of hours"), MaxWait: minutes("max wait"), Inform: minutes("inform")}
}

// Whoever is due earlier by other rules is found by the rules alone.
func TestRulesThatMakeSomebodyDueEarlierAreSooner(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, now := someWaitRules(t, "before"), someWaitRules(t, "now")
		came := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
		some := func(name string) time.Time {
			n := rapid.IntRange(-1, 6).Draw(t, name)
			if n < 0 {
				return time.Time{}
			}
			return came.Add(time.Duration(n) * 30 * time.Second)
		}
		w := routing.Wait{Since: came, Tended: some("tended"), Told: some("told")}
		was, wasAt := before.Next(w)
		is, at := now.Next(w)
		if is != routing.DutyNone && (was == routing.DutyNone || at.Before(wasAt)) {
			require.True(t, now.Sooner(before), "due at %s, and %s before", at, wasAt)
		}
		require.False(t, now.Sooner(now))
	})
}
