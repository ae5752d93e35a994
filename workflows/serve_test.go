package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// asked is what came of an update.
type asked struct {
	answer conversation.ActionAnswer
	err    error
	done   bool
}

func (a *asked) Accept()          {}
func (a *asked) Reject(err error) { a.err, a.done = err, true }
func (a *asked) Complete(v any, err error) {
	a.done, a.err = true, err
	if answer, ok := v.(conversation.ActionAnswer); ok {
		a.answer = answer
	}
}

// asks sends an update at a time after the start, on the conversation there is
// then.
func (l *life) asks(d time.Duration, name string, req conversation.ActionRequest) *asked {
	a := &asked{}
	l.env.RegisterDelayedCallback(func() {
		req.ConversationID = l.conversations()[0].ID
		l.env.UpdateWorkflow(name, name+d.String(), a, req)
	}, d)
	return a
}

func (l *life) agent(name string) store.Agent {
	l.t.Helper()
	a, err := l.store.CreateAgent(l.t.Context(), store.Origin{}, store.Agent{
		Name: name, Email: name + "@example.com", Role: store.RoleAgent, Locale: "en", Capacity: store.DefaultCapacity,
	})
	require.NoError(l.t, err)
	return a
}

func noBot(w *store.Workstream, b *store.Bot) { b.Kind, w.Mode = "", store.ModePick }

func (l *life) events() (out []conversation.Event) {
	l.t.Helper()
	steps, err := l.store.Timeline(l.t.Context(), l.conversations()[0].ID)
	require.NoError(l.t, err)
	for _, s := range steps {
		out = append(out, s.Event)
	}
	return out
}

func TestAForgottenWrapUpExpires(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	mei := l.agent("mei")
	by := conversation.Actor{AgentID: mei.ID}
	l.write("hello")
	started := l.env.Now()
	picked := l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	ended := l.asks(2*time.Minute, conversation.UpdateEnd, conversation.ActionRequest{Event: conversation.EventEnded, Actor: by})
	l.run()
	require.NoError(t, picked.err)
	require.Equal(t, mei.ID, picked.answer.AgentID)
	require.NoError(t, ended.err)
	require.Equal(t, conversation.StatusWrapUp, ended.answer.Status)
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonAgentEnded}, l.reasons())
	require.InDelta(t, (24*time.Hour + 2*time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventEnded, conversation.EventWrapUpExpired,
	}, l.events())
}

func TestAParkedConversationWaitsForTheCustomerAndThenCloses(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	started := l.env.Now()
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.asks(2*time.Minute, conversation.UpdatePark, conversation.ActionRequest{Event: conversation.EventParked, Actor: by})
	l.at(3*time.Hour, func() { l.write("are you there?") })
	l.asks(4*time.Hour, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.asks(5*time.Hour, conversation.UpdatePark, conversation.ActionRequest{Event: conversation.EventParked, Actor: by})
	l.run()
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonAutoClosed}, l.reasons())
	require.InDelta(t, (29 * time.Hour).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventParked, conversation.EventCustomerWrote,
		conversation.EventPicked, conversation.EventParked, conversation.EventAutoClosed,
	}, l.events())
}

func TestACustomerWhoWritesInWrapUpIsServedAgain(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.asks(2*time.Minute, conversation.UpdateEnd, conversation.ActionRequest{Event: conversation.EventEnded, Actor: by})
	l.at(3*time.Minute, func() { l.write("one more thing") })
	early := l.asks(4*time.Minute, conversation.UpdateWrapUp, conversation.ActionRequest{Event: conversation.EventWrapUpDone, Actor: by})
	l.asks(5*time.Minute, conversation.UpdateEnd, conversation.ActionRequest{Event: conversation.EventEnded, Actor: by})
	done := l.asks(6*time.Minute, conversation.UpdateWrapUp, conversation.ActionRequest{Event: conversation.EventWrapUpDone, Actor: by})
	l.run()
	require.ErrorContains(t, early.err, "not possible")
	require.NoError(t, done.err)
	require.Equal(t, conversation.ReasonAgentEnded, done.answer.Reason)
	require.Len(t, l.conversations(), 1)
}

func TestAnUpdateForAnotherConversationOrOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	wrong, other := &asked{}, &asked{}
	l.env.RegisterDelayedCallback(func() {
		l.env.UpdateWorkflow(conversation.UpdatePick, "1", wrong, conversation.ActionRequest{ConversationID: l.conversations()[0].ID, Event: conversation.EventForceClosed, Actor: by})
		l.env.UpdateWorkflow(conversation.UpdatePick, "2", other, conversation.ActionRequest{ConversationID: "cnv_before", Event: conversation.EventPicked, Actor: by})
	}, time.Minute)
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 2*time.Minute)
	l.run()
	require.ErrorContains(t, wrong.err, "cannot ask")
	require.ErrorContains(t, other.err, "conversation is closed")
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonCancelled}, l.reasons())
}

func TestAnActionDoneBeforeIsAnsweredAndNotDoneAgain(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	again := &asked{}
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.asks(2*time.Minute, conversation.UpdateRelease, conversation.ActionRequest{Event: conversation.EventReleased, Actor: by})
	l.env.RegisterDelayedCallback(func() {
		l.env.UpdateWorkflow(conversation.UpdatePick, conversation.UpdatePick+time.Minute.String(), again,
			conversation.ActionRequest{ConversationID: l.conversations()[0].ID, Event: conversation.EventPicked, Actor: by})
	}, 3*time.Minute)
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 4*time.Minute)
	l.run()
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventReleased, conversation.EventCancelled,
	}, l.events())
}
