package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// haveChats gives each of the floor's conversations its chat.
func (f *floor) haveChats() {
	f.t.Helper()
	require.NoError(f.t, f.s.ExecForTest(f.t.Context(), `INSERT INTO chats (channel_id, chat_key, tick, created_at)
		SELECT channel_id, chat_key, 1, 1 FROM conversations WHERE channel_id = $1 ON CONFLICT (channel_id, chat_key) DO NOTHING`, f.channel.ID))
}

// changes are the changes of rules that nobody was woken for yet.
func (f *floor) changes() []store.RuleChange {
	f.t.Helper()
	list, err := f.s.RuleChanges(f.t.Context())
	require.NoError(f.t, err)
	return list
}

// spread spreads all changes and has everybody wanted; it tells how many at a
// time, and who.
func (f *floor) spread() (steps []int, chats []string) {
	f.t.Helper()
	ctx := f.t.Context()
	for _, c := range f.changes() {
		require.NoError(f.t, f.s.SpreadRuleChange(ctx, c))
		require.NoError(f.t, f.s.SpreadRuleChange(ctx, c), "once more, as after a crash")
	}
	require.Empty(f.t, f.changes())
	for {
		n, err := f.s.WantForRules(ctx)
		require.NoError(f.t, err)
		if n == 0 {
			break
		}
		steps = append(steps, n)
	}
	wanted, err := f.s.UnhandledChats(ctx, f.c.Now().Add(time.Second), 1000)
	require.NoError(f.t, err)
	for _, c := range wanted {
		chats = append(chats, c.ChatKey)
		require.NoError(f.t, f.s.ExecForTest(ctx, `UPDATE chats SET wanted_at = 0 WHERE chat_key = $1`, c.ChatKey))
	}
	return steps, chats
}

func (f *floor) change(queueID string, change func(q *store.QueueSettings)) {
	f.t.Helper()
	_, err := f.s.UpdateQueue(f.t.Context(), admin, queueID, store.AnyVersion, func(q *store.Queue) error {
		change(&q.Settings)
		return nil
	})
	require.NoError(f.t, err)
}

func TestWhoWaitsIsWokenWhenTheRulesOfTheirQueueBringTheirTimeNearer(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		other := aQueue(t, f.s, store.QueueSettings{})
		first, again, kept := f.waits(), f.waits("refused = TRUE"), f.waits("preferred_agent_id = 'agt_1'")
		f.waits("routed_at = 0")
		f.waits("owner = 'agent', status = 'active'")
		f.waits("queue_id = '" + other.ID + "'")
		f.haveChats()
		overflow := func(seconds int64) func(q *store.QueueSettings) {
			return func(q *store.QueueSettings) {
				q.Overflow = store.Overflow{MaxWaitSeconds: seconds, Deflection: routing.Deflection{Action: routing.DeflectEnd}}
			}
		}

		f.change(f.queue.ID, overflow(600))
		_, chats := f.spread()
		require.ElementsMatch(t, []string{first, again, kept}, chats)

		for name, change := range map[string]func(q *store.QueueSettings){
			"as before": overflow(900), "to somewhere else": func(q *store.QueueSettings) { q.Overflow.Deflection = transferTo(other.ID) },
			"by fullness alone": func(q *store.QueueSettings) { q.Overflow.MaxWaiting = 5 }, "never": func(q *store.QueueSettings) { q.Overflow = store.Overflow{} },
		} {
			f.change(f.queue.ID, overflow(900))
			f.spread()
			f.change(f.queue.ID, change)
			require.Empty(t, f.changes(), name)
		}

		f.change(f.queue.ID, func(q *store.QueueSettings) { q.WaitInfo.Position = true })
		stale := f.changes()
		require.Len(t, stale, 1)
		f.c.Advance(time.Second)
		f.change(f.queue.ID, func(q *store.QueueSettings) { q.WaitInfo.IntervalSeconds = 60 })
		require.NoError(t, f.s.SpreadRuleChange(ctx, stale[0]))
		require.Len(t, f.changes(), 1, "it was changed again since")
		_, chats = f.spread()
		require.ElementsMatch(t, []string{first, again, kept}, chats)
	})
}

func TestManyAreWokenAFewAtATimeThoughTheProcessDiesBetween(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		var ids []string
		for range 120 {
			ids = append(ids, f.waits())
		}
		f.haveChats()
		f.change(f.queue.ID, func(q *store.QueueSettings) { q.WaitInfo.Position = true })
		steps, chats := f.spread()
		require.Equal(t, []int{50, 50, 20}, steps)
		require.ElementsMatch(t, ids, chats)
	})
}

// Hours count when a conversation comes: those who wait stay, whatever becomes of
// the calendar.
func TestACalendarThatIsChangedWakesNobody(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		k, err := f.s.CreateCalendar(ctx, admin, store.Calendar{Name: "k", Calendar: calendar.Calendar{Zone: "Asia/Tokyo"}})
		require.NoError(t, err)
		_, err = f.s.UpdateQueue(ctx, admin, f.queue.ID, store.AnyVersion, func(q *store.Queue) error {
			q.CalendarID = k.ID
			return nil
		})
		require.NoError(t, err)
		_, err = f.s.UpdateCalendar(ctx, admin, k.ID, 1, func(k *store.Calendar) error {
			k.Holidays = []calendar.Holiday{{Date: "2026-01-05", Name: "x"}}
			return nil
		})
		require.NoError(t, err)
		require.Empty(t, f.changes())
	})
}

func TestConversationsAreWokenWhoseWorkstreamBringsTheirTimeNearer(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		in := map[conversation.Phase]string{}
		for _, p := range []conversation.Phase{
			conversation.PhaseConsent, conversation.PhaseBot, conversation.PhaseQueued, conversation.PhaseServed, conversation.PhaseWaiting, conversation.PhaseWrapUp, conversation.PhaseClosed,
		} {
			in[p] = f.waits("status = '" + string(p.Status) + "', owner = '" + string(p.Owner) + "'")
		}
		f.haveChats()
		rule := func(name string, seconds int64) store.TimeoutRule {
			return store.TimeoutRule{Name: name, When: store.CustomerSilent, AfterSeconds: seconds, Action: store.TimeoutPark}
		}
		for _, step := range []struct {
			name   string
			change func(w *store.WorkstreamSettings)
			wakes  []conversation.Phase
		}{
			{"an hour to close those who wait", func(w *store.WorkstreamSettings) { w.AutoClose.OpenSeconds = 3600 }, []conversation.Phase{conversation.PhaseConsent, conversation.PhaseQueued}},
			{"two hours", func(w *store.WorkstreamSettings) { w.AutoClose.OpenSeconds = 7200 }, nil},
			{"an hour to close those under way", func(w *store.WorkstreamSettings) { w.AutoClose.ActiveSeconds = 3600 }, []conversation.Phase{conversation.PhaseBot, conversation.PhaseServed}},
			{"a minute before the bot", func(w *store.WorkstreamSettings) { w.Bot.IdleSeconds = 60 }, []conversation.Phase{conversation.PhaseBot}},
			{"an hour to close what is parked", func(w *store.WorkstreamSettings) { w.AutoClose.WaitingSeconds = 3600 }, []conversation.Phase{conversation.PhaseWaiting}},
			{"an hour of wrap-up", func(w *store.WorkstreamSettings) { w.AutoClose.WrapUpSeconds = 3600 }, []conversation.Phase{conversation.PhaseWrapUp}},
			{"a rule", func(w *store.WorkstreamSettings) { w.TimeoutRules = []store.TimeoutRule{rule("park", 600)} }, []conversation.Phase{conversation.PhaseServed}},
			{"another", func(w *store.WorkstreamSettings) { w.TimeoutRules = append(w.TimeoutRules, rule("again", 900)) }, []conversation.Phase{conversation.PhaseServed}},
			{"the first no more", func(w *store.WorkstreamSettings) { w.TimeoutRules = w.TimeoutRules[1:] }, nil},
			{"something else", func(w *store.WorkstreamSettings) { w.DefaultPriority = 7 }, nil},
		} {
			_, err := f.s.UpdateWorkstream(t.Context(), admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error {
				step.change(&w.Settings)
				return nil
			})
			require.NoError(t, err)
			var want []string
			for _, p := range step.wakes {
				want = append(want, in[p])
			}
			_, chats := f.spread()
			require.ElementsMatch(t, want, chats, step.name)
		}
	})
}
