package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
	"kaiwa/worker"
)

// floor is the dispatcher in a test with skipped time, on a real database whose
// clock is the test's.
type floor struct {
	t     *testing.T
	env   *testsuite.TestWorkflowEnvironment
	s     *store.Store
	shop  *storetest.Shop
	woken woken
	looks int // tries of them
	away  int // tries that fail
}

// woken notes which chats were woken.
type woken struct {
	mu    sync.Mutex
	chats []string
}

func (w *woken) Notify(_, chatKey string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chats = append(w.chats, chatKey)
}

func newDispatchFloor(t *testing.T) *floor {
	t.Helper()
	f := &floor{t: t}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	f.env = suite.NewTestWorkflowEnvironment()
	f.env.SetTestTimeout(30 * time.Second)
	f.s, _ = storetest.New(t, "sqlite", func(o *store.Options) { o.Now = f.env.Now })
	worker.Register(f.env)
	acts := activities.New(activities.Options{Store: f.s, Inbox: &f.woken, Logger: slog.New(slog.DiscardHandler)})
	f.env.RegisterActivity(acts)
	// The attempt's deadline is by the machine's clock, and the rest by the test's.
	f.env.OnActivity("Match", mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.MatchInput) (activities.MatchOutput, error) {
		if f.looks++; f.looks <= f.away {
			return activities.MatchOutput{}, errors.New("the database is away")
		}
		return acts.Match(context.WithoutCancel(ctx), in)
	})
	f.shop = storetest.NewShop(t, f.s)
	return f
}

// agent makes a member of the queue who is available and gives signs of life
// for so long.
func (f *floor) agent(name string, there time.Duration) string {
	f.t.Helper()
	id := f.shop.Agent(name)
	for at := 30 * time.Second; at <= there; at += 30 * time.Second {
		f.at(at, func() {
			_, err := f.s.SignOfLife(context.Background(), id)
			require.NoError(f.t, err)
		})
	}
	return id
}

// at does something at a time after the start. Nobody is told.
func (f *floor) at(d time.Duration, do func()) { f.env.RegisterDelayedCallback(do, d) }

func (f *floor) kick() { f.env.SignalWorkflow(conversation.SignalKick, nil) }

// waits has a customer write and be routed to the queue.
func (f *floor) waits() string { return f.shop.Waits(f.env.Now()) }

// onOffer tells which conversations are on offer to an agent.
func (f *floor) onOffer(agentID string) (ids []string) {
	f.t.Helper()
	offers, err := f.s.LiveOffers(context.Background(), agentID)
	require.NoError(f.t, err)
	for _, o := range offers {
		ids = append(ids, o.ConversationID)
	}
	return ids
}

func (f *floor) run() {
	f.t.Helper()
	f.env.ExecuteWorkflow(conversation.WorkflowDispatcher)
	require.True(f.t, f.env.IsWorkflowCompleted())
}

// Who has woken it counts on it for a while: it looks on, and ends when nobody
// has come.
func TestTheDispatcherEndsWhenNobodyHasWaitedAndNobodyHasBeenThereForAWhile(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	started := f.env.Now()
	f.at(20*time.Second, f.kick)
	f.run()
	require.NoError(t, f.env.GetWorkflowError())
	took := f.env.Now().Sub(started) - 20*time.Second
	require.GreaterOrEqual(t, took, conversation.DispatcherLinger)
	require.Less(t, took, conversation.DispatcherLinger+conversation.DispatcherFloor)
}

func TestWhoComesWhileTheDispatcherLingersIsFoundWithinTheFloor(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	var mei, id string
	f.at(conversation.DispatcherLinger-time.Second, func() { id, mei = f.waits(), f.agent("mei", time.Minute) })
	f.at(conversation.DispatcherLinger+conversation.DispatcherFloor, func() {
		require.Equal(t, []string{id}, f.onOffer(mei))
		f.env.CancelWorkflow()
	})
	f.run()
}

func TestWhoWaitsIsOfferedAtOnceAndAgainWhenTheOfferRunsOut(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	mei := f.agent("mei", 10*time.Minute)
	var id, som string
	f.at(time.Minute+3*time.Second, func() { id = f.waits(); f.kick() })
	f.at(time.Minute+4*time.Second, func() {
		require.Equal(t, []string{id}, f.onOffer(mei))
		som = f.agent("som", 10*time.Minute)
	})
	f.at(3*time.Minute+2*time.Second, func() { require.Equal(t, []string{id}, f.onOffer(mei)) })
	f.at(3*time.Minute+4*time.Second, func() {
		require.Empty(t, f.onOffer(mei), "two minutes are over")
		require.Equal(t, []string{id}, f.onOffer(som))
		f.env.CancelWorkflow()
	})
	f.run()
	require.ErrorContains(t, f.env.GetWorkflowError(), "canceled")
	require.Empty(t, f.woken.chats, "the customer is not told, so the conversation has nothing to do")
}

func TestALostKickCostsNobodyMoreThanTheFloor(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]time.Duration{"somebody is there": 10 * time.Minute, "somebody comes": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDispatchFloor(t)
			var mei, id string
			if there > 0 {
				mei = f.agent("mei", there)
				f.at(61*time.Second, func() { id = f.waits() })
			} else {
				id = f.waits()
				f.at(61*time.Second, func() { mei = f.agent("mei", 10*time.Minute) })
			}
			f.at(62*time.Second+conversation.DispatcherFloor, func() {
				require.Equal(t, []string{id}, f.onOffer(mei))
				f.env.CancelWorkflow()
			})
			f.run()
		})
	}
}

func TestAnAgentWhoGoesSilentIsFoundOutInTimeAndThenTheDispatcherEnds(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	mei := f.agent("mei", 0)
	state := func() conversation.Presence {
		st, err := f.s.AgentState(context.Background(), mei)
		require.NoError(t, err)
		return st.Presence
	}
	f.at(conversation.PresenceGrace-time.Second, func() { require.Equal(t, conversation.PresenceAvailable, state()) })
	f.at(conversation.PresenceGrace+time.Second, func() { require.Equal(t, conversation.PresenceOffline, state()) })
	f.run()
	require.NoError(t, f.env.GetWorkflowError())
	require.Equal(t, conversation.PresenceOffline, state())
}

func TestTheDispatcherOutlivesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	mei := f.agent("mei", 5*time.Minute)
	id := f.waits()
	f.away = 40
	f.at(4*time.Minute, func() {
		require.Greater(t, f.looks, f.away)
		require.Equal(t, []string{id}, f.onOffer(mei))
		f.env.CancelWorkflow()
	})
	f.run()
}

func TestTheDispatcherGoesOnAnewWhenItsHistoryIsLong(t *testing.T) {
	t.Parallel()
	f := newDispatchFloor(t)
	f.agent("mei", 10*time.Minute)
	f.at(time.Minute, func() {
		f.env.SetContinueAsNewSuggested(true)
		for range 20 {
			f.kick()
		}
	})
	f.run()
	require.ErrorContains(t, f.env.GetWorkflowError(), "continue as new")
}
