package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// queues has the queue of a life do something by time or by fullness.
func (l *life) queues(change func(q *store.Queue)) {
	l.t.Helper()
	ctx := l.t.Context()
	w, err := l.store.Workstream(ctx, l.channel.WorkstreamID)
	require.NoError(l.t, err)
	_, err = l.store.UpdateQueue(ctx, store.Origin{}, w.FallbackQueueID, store.AnyVersion, func(q *store.Queue) error {
		change(q)
		return nil
	})
	require.NoError(l.t, err)
}

// another is a queue with a member.
func (l *life) another() store.Queue {
	l.t.Helper()
	q, err := l.store.CreateQueue(l.t.Context(), store.Origin{}, store.Queue{Name: "Second"})
	require.NoError(l.t, err)
	require.NoError(l.t, l.store.AddMember(l.t.Context(), store.Origin{}, q.ID, l.agent("bo").ID))
	return q
}

var end = routing.Deflection{Action: routing.DeflectEnd}

func TestWhoHasWaitedTooLongIsToldAndTheConversationEnds(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	l.queues(func(q *store.Queue) { q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 600, Deflection: end} })
	l.write("hello")
	started := l.env.Now()
	l.at(9*time.Minute, func() { l.write("are you there?") })
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonOverflow}, l.reasons())
	require.InDelta(t, (10 * time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 2, "whatever the customer writes")
	require.Len(t, l.phone(), 3, "a greeting, that nobody is free, and the end")
}

func TestWhoHasWaitedTooLongGoesToAnotherQueue(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	second := l.another()
	l.queues(func(q *store.Queue) {
		q.Settings.Overflow = store.Overflow{MaxWaitSeconds: 600, Deflection: routing.Deflection{Action: routing.DeflectTransfer, QueueID: second.ID}}
	})
	l.write("hello")
	l.env.RegisterDelayedCallback(func() { require.NotEqual(t, second.ID, l.conversations()[0].QueueID) }, 599*time.Second)
	l.env.RegisterDelayedCallback(func() { require.Equal(t, second.ID, l.conversations()[0].QueueID) }, 602*time.Second)
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, time.Hour)
	l.run()
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventTransferredQueue, conversation.EventCancelled,
	}, l.events())
}

func TestAConversationThatComesToAClosedQueueEndsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	k, err := l.store.CreateCalendar(t.Context(), store.Origin{}, store.Calendar{Name: "never", Calendar: calendar.Calendar{Zone: "Asia/Tokyo"}})
	require.NoError(t, err)
	l.queues(func(q *store.Queue) { q.CalendarID, q.Settings.OutOfHours = k.ID, end })
	l.write("hello")
	started := l.env.Now()
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonOutOfHours}, l.reasons())
	require.Less(t, l.env.Now().Sub(started), time.Minute)
	require.Len(t, l.phone(), 2, "a greeting, and that it is closed")
	require.Equal(t, []conversation.Event{conversation.EventStartedInQueue, conversation.EventOutOfHours}, l.events())
}

// An agent gives it back at night.
func TestAConversationThatPeopleGiveBackToAClosedQueueEnds(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	k, err := l.store.CreateCalendar(t.Context(), store.Origin{}, store.Calendar{Name: "never", Calendar: calendar.Calendar{Zone: "Asia/Tokyo"}})
	require.NoError(t, err)
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.env.RegisterDelayedCallback(func() {
		l.queues(func(q *store.Queue) { q.CalendarID, q.Settings.OutOfHours = k.ID, end })
	}, 2*time.Minute)
	l.asks(3*time.Minute, conversation.UpdateRelease, conversation.ActionRequest{Event: conversation.EventReleased, Actor: by})
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventReleased, conversation.EventOutOfHours,
	}, l.events())
}

func TestWhoWaitsHearsTheirPlaceOnceAnInterval(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	l.queues(func(q *store.Queue) { q.Settings.WaitInfo = store.WaitInfo{Position: true, IntervalSeconds: 60} })
	l.write("hello")
	l.at(90*time.Second, func() { l.write("hello?") })
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 150*time.Second)
	l.run()
	require.Len(t, l.phone(), 5, "a greeting, that nobody is free, and the place at 0, 60 and 120 s: %v", l.phone())
	require.Contains(t, l.phone()[4], "number 1")
}
