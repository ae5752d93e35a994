package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// door is a Waker that lets wake-ups through when it is open.
type door struct {
	mu       sync.Mutex
	opened   *sync.Cond
	open     bool
	fails    error
	calls    map[string]int
	underWay map[string]int
	now      int // wake-ups under way
	most     int // at once
	together int // most at once of one chat
}

func newDoor() *door {
	d := &door{calls: map[string]int{}, underWay: map[string]int{}}
	d.opened = sync.NewCond(&d.mu)
	return d
}

func (d *door) wake(_ context.Context, channelID, chatKey string) error {
	chat := channelID + "/" + chatKey
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[chat]++
	d.now++
	d.underWay[chat]++
	d.most, d.together = max(d.most, d.now), max(d.together, d.underWay[chat])
	for !d.open {
		d.opened.Wait()
	}
	d.now--
	d.underWay[chat]--
	return d.fails
}

func (d *door) set(open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = open
	d.opened.Broadcast()
}

func (d *door) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = err
}

func (d *door) called(chat string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[chat]
}

func (d *door) chats() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.calls)
}

// inTime runs f in a bubble where time passes only when all wait, and where
// nothing may be left running.
func inTime(t *testing.T, f func(t *testing.T, d *door, s *Signaller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor()
		f(t, d, NewSignaller(d.wake, slog.New(slog.DiscardHandler)))
	})
}

func TestWhatComesWhileAWakeUpIsUnderWayGoesTogetherWithOneMore(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		s.Notify("shop", "emma")
		synctest.Wait()
		require.True(t, s.UnderWay("shop", "emma"))
		for range 100 {
			s.Notify("shop", "emma")
		}
		synctest.Wait()
		require.Equal(t, 1, d.called("shop/emma"), "one is under way at most")
		d.set(true)
		synctest.Wait()
		require.Equal(t, 2, d.called("shop/emma"))
		require.False(t, s.UnderWay("shop", "emma"))

		s.Notify("shop", "emma")
		synctest.Wait()
		require.Equal(t, 3, d.called("shop/emma"), "what comes later is not forgotten")
		s.Close()
	})
}

func TestAReminderSparesWhoHasATaskToDo(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		d.set(true)
		asked := make(chan bool)
		s.Sparing(func(_ context.Context, _, chat string) bool { asked <- true; return chat == "emma" })
		s.Remind("shop", "emma")
		s.Remind("shop", "noah")
		<-asked
		<-asked
		synctest.Wait()
		require.Zero(t, d.called("shop/emma"))
		require.Equal(t, 1, d.called("shop/noah"), "its wake-up was lost")

		s.Notify("shop", "emma")
		synctest.Wait()
		require.Equal(t, 1, d.called("shop/emma"), "something new came")

		s.Remind("shop", "emma")
		synctest.Wait()
		s.Notify("shop", "emma") // while the question is under way
		<-asked
		synctest.Wait()
		require.Equal(t, 2, d.called("shop/emma"))
		s.Close()
	})
}

func TestChatsThatWaitForTheirTurnAreWokenOnce(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		for i := range parallel {
			s.Notify("shop", fmt.Sprint("other", i))
		}
		for range 100 {
			s.Notify("shop", "emma")
		}
		synctest.Wait()
		require.True(t, s.UnderWay("shop", "emma"), "waiting counts: the relay need not ask")
		require.Zero(t, d.called("shop/emma"))
		d.set(true)
		synctest.Wait()
		require.Equal(t, 1, d.called("shop/emma"))
		s.Close()
	})
}

func TestAChatOfAnotherChannelIsAnotherChat(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		s.Notify("shop", "emma")
		s.Notify("support", "emma")
		synctest.Wait()
		require.Equal(t, 1, d.called("shop/emma"))
		require.Equal(t, 1, d.called("support/emma"))
		d.set(true)
		s.Close()
	})
}

func TestOnlySoManyWakeUpsAreUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		const chats = 10 * parallel
		for i := range chats {
			s.Notify("shop", fmt.Sprint(i))
		}
		synctest.Wait()
		require.Equal(t, parallel, d.chats())
		d.set(true)
		synctest.Wait()
		require.Equal(t, chats, d.chats())
		require.Equal(t, parallel, d.most)
		s.Close()
	})
}

// A busy process stores webhooks first: wake-ups go one by one, with pauses, and
// together again when it is quiet.
func TestWakeUpsGiveWayToWebhooks(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		var stored []func()
		for range busyWebhooks {
			stored = append(stored, s.Taking())
		}
		for i := range parallel {
			s.Notify("shop", fmt.Sprint(i))
		}
		synctest.Wait()
		require.Equal(t, busyParallel, d.chats())
		d.set(true)
		synctest.Wait()
		require.Equal(t, busyParallel, d.chats(), "a pause")
		time.Sleep(busyPause)
		synctest.Wait()
		require.Equal(t, 2*busyParallel, d.chats())
		d.set(false)
		for _, f := range stored {
			f()
		}
		time.Sleep(busyTime + busyPause)
		synctest.Wait()
		require.Equal(t, parallel, d.chats(), "nobody waits to be stored")
		require.Greater(t, d.most, busyParallel)
		d.set(true)
		s.Close()
	})
}

func TestAClosingSignallerIsNotHeldUpByWebhooks(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		for range busyWebhooks {
			defer s.Taking()()
		}
		for i := range parallel {
			s.Notify("shop", fmt.Sprint(i))
		}
		d.set(true)
		start := time.Now()
		s.Close()
		require.Equal(t, parallel, d.chats())
		require.LessOrEqual(t, time.Since(start), busyPause)
	})
}

// While Temporal hangs, a webhook is answered as ever. What does not fit is
// left to the relay.
func TestAskingNeverWaitsHoweverManyChatsDo(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		start := time.Now()
		for i := range waitingChats + 500 {
			s.Notify("shop", fmt.Sprint(i))
		}
		require.Equal(t, start, time.Now())
		require.False(t, s.UnderWay("shop", fmt.Sprint(waitingChats)), "the relay will find it")
		d.set(true)
		synctest.Wait()
		require.Equal(t, waitingChats, d.chats())
		s.Close()
	})
}

func TestClosingDeliversWhatWasAskedForAndTakesNothingMore(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		for i := range parallel + 10 {
			s.Notify("shop", fmt.Sprint(i))
		}
		synctest.Wait()
		s.Notify("shop", "0") // once more
		closed := make(chan struct{})
		go func() { defer close(closed); s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			require.Fail(t, "closed while wake-ups are under way")
		default:
		}
		s.Notify("shop", "late")
		d.set(true)
		<-closed
		require.Equal(t, parallel+10, d.chats())
		require.Equal(t, 2, d.called("shop/0"))
		require.Zero(t, d.called("shop/late"))
		s.Close() // again
	})
}

func TestClosingDropsWhatIsNotDeliveredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		s := NewSignaller(func(ctx context.Context, _, _ string) error {
			asked.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}, slog.New(slog.DiscardHandler))
		for i := range 10 * parallel {
			s.Notify("shop", fmt.Sprint(i))
		}
		time.Sleep(signalTime / 2)
		start := time.Now()
		s.Close()
		require.Equal(t, signalTime, time.Since(start))
		require.EqualValues(t, 2*parallel, asked.Load(), "those under way at the beginning, and those after them")
	})
}

func TestClosingWaitsOnlySoLongForATemporalThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSignaller(func(ctx context.Context, _, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}, slog.New(slog.DiscardHandler))
		s.Notify("shop", "emma")
		synctest.Wait()
		start := time.Now()
		s.Close()
		require.Equal(t, signalTime, time.Since(start))
	})
}

func TestAWakeUpThatHangsIsGivenUpAndTheNextIsMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		woken := make(chan time.Time, 2)
		s := NewSignaller(func(ctx context.Context, _, _ string) error {
			woken <- time.Now()
			<-ctx.Done()
			return ctx.Err()
		}, slog.New(slog.DiscardHandler))
		s.Notify("shop", "emma")
		synctest.Wait()
		s.Notify("shop", "emma")
		first, second := <-woken, <-woken
		require.Equal(t, signalTime, second.Sub(first))
		s.Close()
	})
}

func TestAWakeUpThatFailsIsNotUnderWayAnyMore(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, d *door, s *Signaller) {
		d.set(true)
		d.fail(errors.New("Temporal is away"))
		s.Notify("shop", "emma")
		synctest.Wait()
		require.Equal(t, 1, d.called("shop/emma"), "the signaller itself tries once")
		require.False(t, s.UnderWay("shop", "emma"), "so that the relay asks again")
		s.Notify("shop", "emma")
		synctest.Wait()
		require.Equal(t, 2, d.called("shop/emma"))
		s.Close()
	})
}

// After the last event of a chat there is always a wake-up that began later,
// whoever else notifies at the same time.
func TestEveryEventIsFollowedByAWakeUpThatBeganAfterIt(t *testing.T) {
	t.Parallel()
	const writers, each, chats = 16, 500, 5
	var mu sync.Mutex
	stored, seen := map[string]int{}, map[string]int{} // events of a chat, and those the last wake-up found
	busy := map[string]bool{}
	together := false
	s := NewSignaller(func(_ context.Context, _, chat string) error {
		mu.Lock()
		together = together || busy[chat]
		busy[chat] = true
		seen[chat] = stored[chat]
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			busy[chat] = false
		}()
		return nil
	}, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				chat := fmt.Sprint(i % chats)
				mu.Lock()
				stored[chat]++
				mu.Unlock()
				s.Notify("shop", chat)
			}
		})
	}
	wg.Wait()
	isIdle(t, s)
	s.Close()
	require.Equal(t, stored, seen)
	require.False(t, together, "one wake-up of a chat at a time")
}

// isIdle waits until no wake-up waits or is under way.
func isIdle(t *testing.T, s *Signaller) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.chats) == 0 && s.running == 0
	}, time.Minute, time.Millisecond)
}
