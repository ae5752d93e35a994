package chaos

import (
	"math/rand/v2"
	"time"
)

// role tells apart who decides, so that nobody's decisions depend on another's.
type role uint64

const (
	roleCustomer role = 1 + iota
	roleAgent
	roleServing // one conversation in the hands of one agent
	roleSupervisor
	roleStrikes
)

// dice are somebody's own: what they decide follows from the run's seed and
// their number, in whatever order everybody is scheduled.
type dice struct{ *rand.Rand }

func newDice(seed uint64, r role, number, of int) dice {
	return dice{rand.New(rand.NewPCG(seed, uint64(r)<<48|uint64(number)<<24|uint64(of)))}
}

// between is a time from least up to, but not including, most.
func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)))
}

// chance is true so many times in a hundred.
func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// one is any of a list.
func one[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

// share is one way among several, by how many times in the sum of all weights
// it is taken.
type share[T any] struct {
	weight int
	what   T
}

func weighted[T any](d dice, shares []share[T]) T {
	sum := 0
	for _, s := range shares {
		sum += s.weight
	}
	n := d.IntN(sum)
	for _, s := range shares {
		if n -= s.weight; n < 0 {
			return s.what
		}
	}
	panic("chaos: shares without weight")
}
