package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// queue changes the queue to which the seeded workstream falls back.
func (k *kaiwa) queue(change func(q *store.Queue)) {
	k.t.Helper()
	ctx := k.t.Context()
	channel, err := k.Store.Channel(ctx, k.Seeded.ChannelID)
	require.NoError(k.t, err)
	w, err := k.Store.Workstream(ctx, channel.WorkstreamID)
	require.NoError(k.t, err)
	_, err = k.Store.UpdateQueue(ctx, store.Origin{}, w.FallbackQueueID, store.AnyVersion, func(q *store.Queue) error {
		change(q)
		return nil
	})
	require.NoError(k.t, err)
}

// onTime asserts that something happened after so many seconds: never sooner,
// and later only by what a busy machine adds.
func onTime(t *testing.T, want, have float64) {
	t.Helper()
	require.GreaterOrEqual(t, have, want)
	require.Less(t, have, want+8)
}

func TestWhoWaitsTooLongIsPassedOnAndThenToldThatItEnds(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) { plain(w, b); picked(w, b) })
		ctx := t.Context()
		second, err := k.Store.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Second", Settings: store.QueueSettings{
			Overflow: store.Overflow{MaxWaitSeconds: 2, Deflection: routing.Deflection{Action: routing.DeflectEnd}},
		}})
		require.NoError(t, err)
		require.NoError(t, k.Store.AddMember(ctx, store.Origin{}, second.ID, k.as("kaiwa-dev-mali").id))
		k.queue(func(q *store.Queue) {
			q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 1, Deflection: routing.Deflection{Action: routing.DeflectTransfer, QueueID: second.ID}}
			q.Settings.WaitInfo = store.WaitInfo{Position: true}
		})
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		k.eventually(func() bool {
			list := emma.conversations()
			return list[len(list)-1].ClosureReason == conversation.ReasonOverflow
		}, "the conversation ends")
		steps, err := k.Store.Timeline(ctx, id)
		require.NoError(t, err)
		at := map[conversation.Event]int64{}
		for _, s := range steps {
			at[s.Event] = s.CreatedAt
		}
		seconds := func(from, to conversation.Event) float64 {
			return (time.Duration(at[to]-at[from]) * time.Microsecond).Seconds()
		}
		onTime(t, 1, seconds(conversation.EventRouted, conversation.EventTransferredQueue))
		onTime(t, 2, seconds(conversation.EventTransferredQueue, conversation.EventOverflow))
		var said []string
		for _, m := range emma.transcript() {
			if m.Automated != "" {
				said = append(said, m.Automated)
			}
		}
		require.Equal(t, []string{"queue_position", "overflow_end"}, said[len(said)-2:])
	})
}

func TestACustomerWhoFallsSilentIsAskedOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) {
			plain(w, b)
			picked(w, b)
			w.Settings.TimeoutRules = []store.TimeoutRule{
				{Name: "ask", When: store.CustomerSilent, AfterSeconds: 2, Action: store.TimeoutTellCustomer, Texts: map[string]string{"en": "Are you still there?"}},
				{Name: "close", When: store.CustomerSilent, AfterSeconds: 5, Action: store.TimeoutClose},
			}
		})
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.asksForAPerson()
		kenta.does("pick", id, nil)
		status, _ := kenta.says(id, "What is it?")
		require.Contains(t, stored, status)
		k.eventually(func() bool {
			list := emma.conversations()
			return list[len(list)-1].ClosureReason == conversation.ReasonTimeoutRule
		}, "the conversation is closed")
		var asked, answered store.Message
		for _, m := range emma.transcript() {
			switch {
			case m.Automated == store.AutomatedTimeoutRule:
				require.Empty(t, asked.ID, "once")
				asked = m
			case m.SenderKind == conversation.SenderAgent:
				answered = m
			}
		}
		require.Equal(t, "Are you still there?", asked.Text)
		onTime(t, 2, (time.Duration(asked.CreatedAt-answered.CreatedAt) * time.Microsecond).Seconds())
	})
}

// Nobody writes, and nothing is due by the settings that there were when they
// came to wait, or got their agent.
func TestChangedSettingsReachWhoWaitsAndWhoIsServed(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.arrange(func(w *store.Workstream, b *store.Bot) { plain(w, b); picked(w, b) })
		kenta := k.as("kaiwa-dev-kenta")
		emma, yuki := k.newCustomer("Emma"), k.newCustomer("Yuki")
		served := emma.asksForAPerson()
		kenta.does("pick", served, nil)
		status, _ := kenta.says(served, "What is it?")
		require.Contains(t, stored, status)
		yuki.asksForAPerson()
		ended := func(c customer) conversation.ClosureReason {
			list := c.conversations()
			return list[len(list)-1].ClosureReason
		}

		k.queue(func(q *store.Queue) {
			q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 1, Deflection: routing.Deflection{Action: routing.DeflectEnd}}
		})
		k.arrange(func(w *store.Workstream, _ *store.Bot) {
			w.Settings.TimeoutRules = []store.TimeoutRule{{Name: "close", When: store.CustomerSilent, AfterSeconds: 1, Action: store.TimeoutClose}}
		})
		k.eventually(func() bool { return ended(yuki) == conversation.ReasonOverflow }, "who waits hears that it ends")
		k.eventually(func() bool { return ended(emma) == conversation.ReasonTimeoutRule }, "whose customer is silent is closed")
		k.eventually(func() bool { return strings.Contains(strings.Join(yuki.reads(), " "), "so many people") }, "and reads why")
	})
}

// The process dies after the timer has rung and before the conversation ends.
func TestTheProcessMayDieBetweenTheTimerOfAQueueAndItsEffect(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		for _, point := range []string{"close.before_commit", "close.after_commit"} {
			t.Run(dialect+"/"+point, func(t *testing.T) {
				t.Parallel()
				crashing <- struct{}{}
				defer func() { <-crashing }()
				m := newMortal(t, dialect, "KAIWA_FAILPOINT="+point+":1")
				w, err := m.store.Workstream(t.Context(), m.channel.WorkstreamID)
				require.NoError(t, err)
				_, err = m.store.UpdateQueue(t.Context(), store.Origin{}, w.FallbackQueueID, store.AnyVersion, func(q *store.Queue) error {
					q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 2, Deflection: routing.Deflection{Action: routing.DeflectEnd}}
					return nil
				})
				require.NoError(t, err)
				m.ready()
				user := m.addCustomer()
				_, err = m.sim.SendText(t.Context(), mortalLINE, user, "talk to a person")
				require.NoError(t, err)
				require.NoError(t, m.until(func() bool {
					list := m.conversations(user)
					return m.died() > 0 && len(list) == 1 && list[0].ClosureReason == conversation.ReasonOverflow && len(m.shows(user)) > 2
				}), "%s", m.told(user))
				require.Equal(t, 1, m.died())
				ended := slices.DeleteFunc(m.transcript(user), func(said store.Message) bool { return said.Automated != "overflow_end" })
				require.Len(t, ended, 1, "said once")
			})
		}
	}
}
