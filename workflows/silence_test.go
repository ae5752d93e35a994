package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// agentWrites has an agent write, and the workflow woken as the API wakes it.
func (l *life) agentWrites(d time.Duration, by conversation.Actor, text string) {
	l.at(d, func() {
		_, _, err := l.store.Say(l.t.Context(), store.SayRequest{Cause: text, ConversationID: l.conversations()[0].ID, Actor: by, Drafts: []store.Draft{
			{SenderKind: conversation.SenderAgent, SenderID: by.AgentID, Content: conversation.TextContent(text)},
		}})
		require.NoError(l.t, err)
	})
}

func withRules(rules ...store.TimeoutRule) customize {
	return func(w *store.Workstream, b *store.Bot) {
		noBot(w, b)
		w.Settings.TimeoutRules = rules
	}
}

func TestACustomerWhoFallsSilentIsRemindedAndThenLetGo(t *testing.T) {
	t.Parallel()
	l := newLife(t, withRules(
		store.TimeoutRule{Name: "remind", When: store.CustomerSilent, AfterSeconds: 300, Action: store.TimeoutTellCustomer, Texts: map[string]string{"en": "Are you still there?"}},
		store.TimeoutRule{Name: "close", When: store.CustomerSilent, AfterSeconds: 900, Action: store.TimeoutClose},
	))
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	started := l.env.Now()
	l.asks(time.Second, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.agentWrites(2*time.Second, by, "what is it?")
	before := 0
	l.env.RegisterDelayedCallback(func() { before = len(l.phone()) }, 299*time.Second)
	l.env.RegisterDelayedCallback(func() { require.Len(t, l.phone(), before+1) }, 305*time.Second)
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, "Are you still there?", l.phone()[before])
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonTimeoutRule}, l.reasons())
	require.InDelta(t, (15 * time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
}

func TestAConversationWithoutAnAnswerOfTheAgentIsParkedByARule(t *testing.T) {
	t.Parallel()
	l := newLife(t, withRules(store.TimeoutRule{Name: "park", When: store.AgentSilent, AfterSeconds: 600, Action: store.TimeoutPark}))
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	l.asks(time.Second, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.env.RegisterDelayedCallback(func() { require.Equal(t, conversation.StatusActive, l.conversations()[0].Status) }, 599*time.Second)
	l.env.RegisterDelayedCallback(func() { require.Equal(t, conversation.StatusWaiting, l.conversations()[0].Status) }, 610*time.Second)
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, time.Hour)
	l.run()
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventParked, conversation.EventCancelled,
	}, l.events())
}

func TestAWordOfTheCustomerBeginsTheSilenceAnew(t *testing.T) {
	t.Parallel()
	l := newLife(t, withRules(store.TimeoutRule{Name: "close", When: store.CustomerSilent, AfterSeconds: 600, Action: store.TimeoutClose}))
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	l.asks(time.Second, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.agentWrites(2*time.Second, by, "what is it?")
	l.at(9*time.Minute, func() { l.write("wait") })
	l.env.RegisterDelayedCallback(func() {
		require.Equal(t, conversation.StatusActive, l.conversations()[0].Status, "the last word was the customer's")
		l.env.CancelWorkflow()
	}, time.Hour)
	l.run()
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonCancelled}, l.reasons())
}
