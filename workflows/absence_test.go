package workflows_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// sql changes what is stored.
func (l *life) sql(q string, args ...any) {
	l.t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(l.url, "sqlite:")+"?_pragma=busy_timeout(60000)")
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, db.Close()) }()
	_, err = db.Exec(q, args...)
	require.NoError(l.t, err)
}

// isGone has an agent fall silent an hour ago.
func (l *life) isGone(agentID string) {
	l.t.Helper()
	const hour = 3_600_000_000
	l.sql(`UPDATE agent_states SET presence = 'offline', chosen = 'available', last_seen_at = $1 WHERE agent_id = $2`, time.Now().UnixMicro()-hour, agentID)
	l.sql(`UPDATE sessions SET started_at = started_at - $1 WHERE participant_id = $2`, 2*hour, agentID)
}

func TestAConversationWhoseAgentIsGoneWaitsForSomebodyElse(t *testing.T) {
	t.Parallel()
	on := true
	l := newLife(t, func(w *store.Workstream, b *store.Bot) {
		noBot(w, b)
		w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "agent_left", Enabled: &on, Text: "{agent_name} had to go"}}
	})
	mei, som := l.agent("mei"), l.agent("som")
	l.write("hello")
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: conversation.Actor{AgentID: mei.ID}})
	l.at(2*time.Minute, func() { l.isGone(mei.ID) })
	late := l.asks(3*time.Minute, conversation.UpdateEnd, conversation.ActionRequest{Event: conversation.EventEnded, Actor: conversation.Actor{AgentID: mei.ID}})
	l.asks(4*time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: conversation.Actor{AgentID: som.ID}})
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 5*time.Minute)
	l.run()
	require.ErrorContains(t, late.err, "not possible", "who comes too late is told so")
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventAgentLost, conversation.EventPicked, conversation.EventCancelled,
	}, l.events())
	require.Equal(t, som.ID, l.conversations()[0].AgentID)
	require.Contains(t, l.phone(), "mei had to go")
}

func TestAnAgentWhoIsBackWhenTheirConversationIsToGoKeepsIt(t *testing.T) {
	t.Parallel()
	l := newLife(t, noBot)
	mei := l.agent("mei")
	l.write("hello")
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: conversation.Actor{AgentID: mei.ID}})
	l.at(2*time.Minute, func() {
		l.isGone(mei.ID)
		_, err := l.store.SignOfLife(t.Context(), mei.ID)
		require.NoError(t, err)
	})
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 5*time.Minute)
	l.run()
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventPicked, conversation.EventCancelled,
	}, l.events())
}

func TestAnOfferIsAcceptedForItsAgent(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, b *store.Bot) {
		noBot(w, b)
		w.Mode, w.Settings.Assignment.AutoAccept = store.ModePush, true
	})
	mei := l.agent("mei")
	l.write("hello")
	l.at(time.Minute, func() {
		require.NoError(t, l.store.AddMember(t.Context(), store.Origin{}, l.conversations()[0].QueueID, mei.ID))
		_, err := l.store.SetPresence(t.Context(), mei.ID, conversation.PresenceAvailable, true)
		require.NoError(t, err)
		res, err := l.store.Match(t.Context(), store.MatchRequest{})
		require.NoError(t, err)
		require.Len(t, res.Chats, 1)
	})
	l.env.RegisterDelayedCallback(func() {
		require.Equal(t, mei.ID, l.conversations()[0].AgentID)
		l.env.CancelWorkflow()
	}, 2*time.Minute)
	l.run()
	require.Equal(t, []conversation.Event{
		conversation.EventStartedInQueue, conversation.EventRouted, conversation.EventAccepted, conversation.EventCancelled,
	}, l.events())
	steps, err := l.store.Timeline(t.Context(), l.conversations()[0].ID)
	require.NoError(t, err)
	require.Equal(t, mei.ID, steps[2].ActorID, "it counts as done by its agent")
}
