package chaos

import (
	"slices"
	"time"
)

// blow is something that is done to the installation.
type blow string

const (
	// Of a process.
	kills  blow = "kill -9"
	pauses blow = "pause"
	// Of calls to LINE.
	slowBefore blow = "LINE slow"
	slowAfter  blow = "LINE answers late"
	fails      blow = "LINE fails (5xx)"
	limits     blow = "LINE limits (429)"
	cutsBefore blow = "LINE unreached"
	cutsAfter  blow = "LINE's answer lost"
	failsAfter blow = "LINE fails having done it"
	// Of LINE's webhooks.
	doubles  blow = "webhooks doubled"
	delays   blow = "webhooks delayed"
	forgets  blow = "webhook answers lost"
	shuffles blow = "webhooks shuffled"
	repeats  blow = "webhooks redelivered"
	// Of the webhook bot.
	hangs blow = "bot hangs"
	fools blow = "bot fails"
	// In Temporal's UI.
	cancels    blow = "workflow cancelled"
	terminates blow = "workflow terminated"
	resets     blow = "workflow reset"
)

// strike is one blow, at an instant after the beginning.
type strike struct {
	at     time.Duration
	blow   blow
	target string        // the process
	lasts  time.Duration // how long it is dead, paused, slow …
	delay  time.Duration // of what is slow
	times  int           // how many calls, deliveries or events it hits
	choice uint64        // which conversation, which order
}

// warfare is what the adversary may do.
type warfare struct {
	processes []string // by name
	length    time.Duration
	// calm is how long at the beginning every process lives and nobody operates.
	calm time.Duration
	// killEvery is the mean time between two kills.
	killEvery time.Duration
	// unanswered also loses LINE's answers and has it say no to what it did.
	unanswered bool
	// operate leaves time for what an operator's deeds take to mend.
	operate time.Duration
}

// plan is everything the adversary does, in order. The same seed and warfare
// give the same plan.
func plan(seed uint64, w warfare) []strike {
	var out []strike
	lane := func(number int, every, from, until time.Duration, make func(d dice) strike) {
		d := newDice(seed, roleStrikes, number, 0)
		for at := from + d.between(every/4, every); at < until; at += d.between(every/2, every*3/2) {
			s := make(d)
			s.at = at
			out = append(out, s)
		}
	}
	bag := shuffledBag(w.processes)
	lane(1, w.killEvery, w.calm, w.length, func(d dice) strike {
		return strike{blow: kills, target: bag(d), lasts: d.between(0, 2500*time.Millisecond)}
	})
	paused := shuffledBag(w.processes)
	lane(2, w.killEvery*3/2, w.calm, w.length, func(d dice) strike {
		return strike{blow: pauses, target: paused(d), lasts: d.between(time.Second, 6*time.Second)}
	})
	lane(3, 6*time.Second, 0, w.length, func(d dice) strike {
		ways := []share[blow]{{30, slowBefore}, {30, slowAfter}, {20, fails}, {20, limits}}
		if w.unanswered {
			ways = append(ways, share[blow]{15, cutsBefore}, share[blow]{15, cutsAfter}, share[blow]{15, failsAfter})
		}
		return strike{blow: weighted(d, ways), lasts: d.between(time.Second, 4*time.Second), delay: d.between(100*time.Millisecond, 2*time.Second), times: 1 + d.IntN(12)}
	})
	lane(4, 4*time.Second, 0, w.length, func(d dice) strike {
		ways := []share[blow]{{25, doubles}, {25, delays}, {20, forgets}, {15, shuffles}, {15, repeats}}
		return strike{blow: weighted(d, ways), lasts: d.between(300*time.Millisecond, 1500*time.Millisecond), delay: d.between(100*time.Millisecond, 3*time.Second), times: 2 + d.IntN(20), choice: d.Uint64()}
	})
	lane(5, 15*time.Second, 0, w.length, func(d dice) strike {
		return strike{blow: weighted(d, []share[blow]{{60, hangs}, {40, fools}}), lasts: d.between(time.Second, 4*time.Second)}
	})
	lane(6, 8*time.Second, w.calm, w.length-w.operate, func(d dice) strike {
		return strike{blow: weighted(d, []share[blow]{{40, cancels}, {25, terminates}, {35, resets}}), choice: d.Uint64()}
	})
	slices.SortStableFunc(out, func(a, b strike) int { return int(a.at - b.at) })
	return out
}

// shuffledBag draws from a list so that every entry comes before any comes a
// second time.
func shuffledBag(list []string) func(dice) string {
	var bag []string
	return func(d dice) string {
		if len(bag) == 0 {
			bag = slices.Clone(list)
			d.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		last := bag[len(bag)-1]
		bag = bag[:len(bag)-1]
		return last
	}
}
