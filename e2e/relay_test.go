package e2e

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/cmd/kaiwa-dev/dev"
)

// A wake-up that is lost costs seconds, never a message: the relay finds what
// stays unhandled.

func TestWithAThirdOfTheWakeUpsLostNothingIs(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		drops := losing(0.3)
		k := start(t, dialect, func(o *dev.Options) { o.DropWakeups = drops.next })
		k.arrange(withEcho)
		customers := make([]customer, 20)
		delays := make([][]time.Duration, len(customers))
		var wg sync.WaitGroup
		for i := range customers {
			customers[i] = k.newCustomer("Emma")
			wg.Go(func() {
				for n, text := range numbered(5) {
					asked := time.Now()
					customers[i].writes(text)
					customers[i].isAnswered(n + 1)
					delays[i] = append(delays[i], time.Since(asked))
				}
			})
		}
		wg.Wait()
		for _, c := range customers {
			c.isQuiet()
			require.Equal(t, numbered(5), c.inbound())
			c.heardEach(numbered(5)[1:])
			require.Len(t, c.conversations(), 1)
		}
		all := slices.Concat(delays...)
		slices.Sort(all)
		lost, of := drops.lost()
		t.Logf("%s: %d of %d wake-ups lost; answers after %v (median), %v (at 69%%), %v (at 90%%), %v (last)",
			dialect, lost, of, all[len(all)/2], all[len(all)*69/100], all[len(all)*9/10], all[len(all)-1])
		require.NotZero(t, lost)
	})
}

// The first wake-up of a chat that is not running starts its workflow: when
// that one is lost, the relay starts it.
func TestAConversationWhoseFirstWakeUpIsLostBegins(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		drops := &drops{pattern: func(n int) bool { return n == 0 }}
		k := start(t, dialect, func(o *dev.Options) { o.DropWakeups = drops.next })
		k.arrange(withEcho)
		emma := k.newCustomer("Emma")
		emma.writes("m000")
		emma.isAnswered(1)
		emma.isQuiet()
		t.Logf("%s: the relay repeated the lost wake-up after %v", dialect, drops.times[1].Sub(drops.times[0]))
		require.Equal(t, []string{"m000"}, emma.inbound())
		lost, _ := drops.lost()
		require.Equal(t, 1, lost)
	})
}

// drops tells which wake-ups are lost.
type drops struct {
	pattern func(n int) bool
	mu      sync.Mutex
	asked   int
	yes     int
	times   []time.Time // of the wake-ups, lost or not
}

// losing loses a share of the wake-ups, always the same ones.
func losing(share float64) *drops {
	r := rand.New(rand.NewPCG(1, 2))
	return &drops{pattern: func(int) bool { return r.Float64() < share }}
}

func (d *drops) next() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	lose := d.pattern(d.asked)
	d.asked++
	d.times = append(d.times, time.Now())
	if lose {
		d.yes++
	}
	return lose
}

func (d *drops) lost() (lost, of int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.yes, d.asked
}
