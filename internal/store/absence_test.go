package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// watch is a desk at which an agent serves, who may leave.
type watch struct {
	*desk
	c   *clock
	mei string
}

func withWatch(t *testing.T, change func(*store.Assignment), f func(t *testing.T, w *watch)) {
	t.Helper()
	withClock(t, func(t *testing.T, s *store.Store, c *clock) {
		w := &watch{desk: newDesk(t, s), c: c, mei: anAgent(t, s, "mei").ID}
		require.NoError(t, s.AddMember(t.Context(), admin, w.plan.Workstream.FallbackQueueID, w.mei))
		w.settings(change)
		w.is(conversation.PresenceAvailable)
		c.Advance(time.Second)
		w.pick(w.mei)
		f(t, w)
	})
}

func (w *watch) settings(change func(*store.Assignment)) {
	w.t.Helper()
	if change == nil {
		return
	}
	ws, err := w.s.UpdateWorkstream(w.t.Context(), admin, w.plan.Workstream.ID, store.AnyVersion, func(ws *store.Workstream) error {
		change(&ws.Settings.Assignment)
		return nil
	})
	require.NoError(w.t, err)
	w.plan.Workstream = ws
}

func (w *watch) is(p conversation.Presence) {
	w.t.Helper()
	_, err := w.s.SetPresence(w.t.Context(), w.mei, p, true)
	require.NoError(w.t, err)
}

func (w *watch) look() store.MatchResult {
	w.t.Helper()
	res, err := w.s.Match(w.t.Context(), store.MatchRequest{})
	require.NoError(w.t, err)
	return res
}

// ingested is what the workflow learns when it looks.
func (w *watch) ingested() store.IngestResult {
	w.t.Helper()
	res, err := w.s.Ingest(w.t.Context(), w.request(w.id, 1<<40), read)
	require.NoError(w.t, err)
	return res
}

// lose does the step that takes the conversation from an agent who is gone.
func (w *watch) lose(id string) (store.TransitionResult, error) {
	return w.try(store.TransitionRequest{
		ID: id, Event: conversation.EventAgentLost, LeavingAgentID: w.mei, QueueID: w.plan.Workstream.FallbackQueueID, Absence: w.plan.Workstream.Settings.Assignment.Absence(),
	})
}

func (w *watch) firstWaited() string {
	w.t.Helper()
	at, err := w.s.QueryForTest(w.t.Context(), `SELECT CAST(first_waited_at AS TEXT) FROM conversations`)
	require.NoError(w.t, err)
	return at
}

func (w *watch) theChat() store.Chat {
	return store.Chat{ChannelID: w.plan.Channel.ID, ChatKey: w.chat}
}

func TestTheConversationOfAnAgentWhoGoesSilentGoesToOthersOnce(t *testing.T) {
	t.Parallel()
	withWatch(t, nil, func(t *testing.T, w *watch) {
		first := w.firstWaited()
		w.c.Advance(conversation.PresenceGrace - 2*time.Second)
		require.Empty(t, w.look().Chats)
		require.False(t, w.ingested().Lost)
		_, err := w.lose("early")
		requireCode(t, conversation.CodeConflict, err)

		w.c.Advance(2 * time.Second)
		res := w.look()
		require.Equal(t, 1, res.Silent)
		require.Equal(t, []store.Chat{w.theChat()}, res.Chats)
		require.Equal(t, 1, res.Absent)
		require.Equal(t, conversation.OwnerAgent, w.row().Owner, "its workflow moves it, nobody else")
		wanted, err := w.s.UnhandledChats(t.Context(), w.c.Now().Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, res.Chats, wanted, "a wake-up that is lost is repeated")
		require.Empty(t, w.look().Chats, "once for a while")
		require.True(t, w.ingested().Lost)
		require.True(t, w.ingested().Lost, "until it has moved")

		for range 2 { // the answer was lost
			moved, err := w.lose("lost")
			require.NoError(t, err)
			require.Equal(t, conversation.OwnerQueue, moved.Owner)
			require.True(t, moved.Routed)
			require.Equal(t, w.plan.Workstream.FallbackQueueID, moved.QueueID)
		}
		require.False(t, w.ingested().Lost)
		c := w.row()
		require.Equal(t, first, w.firstWaited(), "who waited before keeps their place")
		session, err := w.s.QueryForTest(t.Context(), `SELECT closure_reason FROM sessions WHERE kind = 'agent' AND ended_at > 0`)
		require.NoError(t, err)
		require.Equal(t, string(conversation.ReasonAgentLost), session)
		line, err := w.s.QueryForTest(t.Context(), `SELECT entry FROM routing_log WHERE outcome = 'agent_lost'`)
		require.NoError(t, err)
		require.JSONEq(t, fmt.Sprintf(`{"from": {"owner": "agent", "agent_id": %q}, "to": {"owner": "queue", "queue_id": %q}}`, w.mei, c.QueueID), line)
		w.c.Advance(11 * time.Second)
		require.Zero(t, w.look().Absent, "she holds nothing more")
	})
}

func TestTheWorkstreamSaysHowLongAConversationStaysWithAnAgentWhoIsGone(t *testing.T) {
	t.Parallel()
	withWatch(t, func(a *store.Assignment) { a.AbsentAfterSeconds = 3600 }, func(t *testing.T, w *watch) {
		w.c.Advance(conversation.PresenceGrace)
		res := w.look()
		require.Equal(t, 1, res.Silent)
		require.Empty(t, res.Chats)
		require.Equal(t, 1, res.Absent, "the dispatcher goes on")
		require.False(t, w.ingested().Lost)
		w.c.Advance(time.Hour - 2*time.Second)
		require.Empty(t, w.look().Chats)
		w.c.Advance(2 * time.Second)
		require.Len(t, w.look().Chats, 1)
		require.True(t, w.ingested().Lost)
	})
	withWatch(t, func(a *store.Assignment) { a.Absent = store.AbsentKeep }, func(t *testing.T, w *watch) {
		w.c.Advance(24 * time.Hour)
		require.Empty(t, w.look().Chats)
		require.False(t, w.ingested().Lost)
		_, err := w.lose("kept")
		requireCode(t, conversation.CodeConflict, err)

		w.settings(func(a *store.Assignment) { a.Absent = store.AbsentReroute })
		w.c.Advance(10 * time.Minute)
		require.Len(t, w.look().Chats, 1, "a workstream may think better of it")
	})
}

func TestWhoSetsOfflineWhileServingHasTheGraceToComeBack(t *testing.T) {
	t.Parallel()
	withWatch(t, nil, func(t *testing.T, w *watch) {
		w.c.Advance(time.Hour)
		w.is(conversation.PresenceOffline)
		res := w.look()
		require.Empty(t, res.Chats)
		require.Equal(t, w.c.Now().Add(conversation.PresenceGrace).UnixMicro(), res.NextAt.UnixMicro())
		w.c.Advance(conversation.PresenceGrace)
		_, err := w.s.SignOfLife(t.Context(), w.mei)
		require.NoError(t, err)
		require.Len(t, w.look().Chats, 1, "a sign of life is not what they set")

		w.is(conversation.PresenceBusy)
		require.False(t, w.ingested().Lost)
		_, err = w.lose("back")
		requireCode(t, conversation.CodeConflict, err)
		require.Equal(t, w.mei, w.row().AgentID, "who is back keeps it")
	})
}

func TestWhoIsGivenAConversationThoughTheyAreOfflineKeepsItWhileTheyWork(t *testing.T) {
	t.Parallel()
	withWatch(t, nil, func(t *testing.T, w *watch) {
		ctx := t.Context()
		som := anAgent(t, w.s, "som").ID
		w.look() // settles that som holds nothing
		w.c.Advance(time.Minute)
		w.must(store.TransitionRequest{
			Event: conversation.EventAssigned, ParticipantID: som, LeavingAgentID: w.mei, Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true},
		})
		for range 10 {
			w.c.Advance(time.Minute)
			_, err := w.s.SignOfLife(ctx, som)
			require.NoError(t, err)
			require.Empty(t, w.look().Chats)
			require.False(t, w.ingested().Lost)
		}
		w.c.Advance(conversation.PresenceGrace)
		require.Len(t, w.look().Chats, 1, "nobody is there to serve it")
		require.True(t, w.ingested().Lost)
	})
}

func TestWhatAnAgentFinishesOrHasParkedStaysWhenTheyAreGone(t *testing.T) {
	t.Parallel()
	for event, phase := range map[conversation.Event]conversation.Phase{conversation.EventEnded: conversation.PhaseWrapUp, conversation.EventParked: conversation.PhaseWaiting} {
		withWatch(t, nil, func(t *testing.T, w *watch) {
			w.must(store.TransitionRequest{Event: event, Actor: conversation.Actor{AgentID: w.mei}, LeavingAgentID: w.mei})
			w.c.Advance(time.Hour)
			require.Empty(t, w.look().Chats)
			require.False(t, w.ingested().Lost)
			_, err := w.lose("")
			requireCode(t, conversation.CodeNotAllowedNow, err)
			c := w.row()
			require.Equal(t, phase, conversation.Phase{Status: c.Status, Owner: c.Owner})
		})
	}
}

// An agent who comes back, writes or passes the conversation on in the moment in
// which it is taken from them wins or is refused, and it is held by one.
func TestAnAgentWhoComesBackInThatMomentKeepsTheConversationOrLosesIt(t *testing.T) {
	t.Parallel()
	withWatch(t, nil, func(t *testing.T, w *watch) {
		ctx, by := t.Context(), conversation.Actor{AgentID: w.mei}
		kept, taken := 0, 0
		for round := range 12 {
			w.is(conversation.PresenceAvailable)
			if w.row().Owner == conversation.OwnerQueue {
				w.pick(w.mei)
			}
			w.c.Advance(conversation.PresenceGrace + time.Second)
			require.Equal(t, 1, w.look().Silent)
			var lost, back, said, released error
			var all sync.WaitGroup
			all.Go(func() { _, lost = w.lose(fmt.Sprint("lost", round)) })
			all.Go(func() { _, _, said = w.s.Say(ctx, say(fmt.Sprint("said", round), w.id, by, "still here")) })
			switch round % 2 {
			case 0:
				all.Go(func() { _, back = w.s.SignOfLife(ctx, w.mei) })
			case 1:
				all.Go(func() {
					_, released = w.s.Transition(ctx, store.TransitionRequest{
						ID: fmt.Sprint("released", round), ConversationID: w.id, ChannelID: w.plan.Channel.ID, ChatKey: w.chat, Event: conversation.EventReleased, Actor: by, LeavingAgentID: w.mei,
					})
				})
			}
			all.Wait()
			require.NoError(t, back)
			c := w.row()
			sessions, err := w.s.QueryForTest(ctx, `SELECT CAST(count(*) AS TEXT) FROM sessions WHERE ended_at = 0`)
			require.NoError(t, err)
			if c.Owner == conversation.OwnerAgent {
				kept++
				requireCode(t, conversation.CodeConflict, lost)
				require.NoError(t, said)
				require.Equal(t, "1", sessions)
				continue
			}
			taken++
			require.Equal(t, conversation.OwnerQueue, c.Owner)
			require.Equal(t, "0", sessions)
			if said != nil {
				requireCode(t, conversation.CodeNotAllowedNow, said)
			}
			if round%2 == 1 {
				require.NotEqual(t, lost == nil, released == nil, "one of them moved it: %v, %v", lost, released)
			}
		}
		t.Logf("kept %d times, taken %d times", kept, taken)
	})
}
