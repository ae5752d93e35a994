package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestACustomPresenceIsTheOneItStandsForUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei := f.agent("mei", 1)
		back, err := f.s.CreateCustomPresence(ctx, admin, store.CustomPresence{
			Name: "Back office", Names: map[string]string{"ja": "事務作業"}, Base: conversation.PresenceAvailable,
		})
		require.NoError(t, err)
		lunch, err := f.s.CreateCustomPresence(ctx, admin, store.CustomPresence{Name: "Lunch", Base: conversation.PresenceAway})
		require.NoError(t, err)

		f.presence(mei, conversation.Presence(lunch.ID))
		st := f.state(mei)
		require.Equal(t, conversation.PresenceAway, st.Presence)
		require.Equal(t, []string{lunch.ID, "Lunch"}, []string{st.CustomID, st.Custom})
		f.waits()
		require.Zero(t, f.match().Made, "offers go by what it stands for")
		f.presence(mei, conversation.Presence(back.ID))
		require.Equal(t, 1, f.match().Made)
		count, err := f.s.QueryForTest(ctx, `SELECT CAST(count(*) AS TEXT) FROM events WHERE data LIKE $1`, fmt.Sprintf(`%%"presence_id":"%s"%%`, back.ID))
		require.NoError(t, err)
		require.Equal(t, "1", count)

		f.c.Advance(conversation.PresenceGrace)
		f.match()
		require.Equal(t, conversation.PresenceOffline, f.state(mei).Presence)
		_, err = f.s.SignOfLife(ctx, mei)
		require.NoError(t, err)
		require.Equal(t, back.ID, f.state(mei).CustomID, "it comes back with them")

		_, err = f.s.UpdateCustomPresence(ctx, admin, back.ID, 1, func(p *store.CustomPresence) error {
			p.Name, p.Base = "Mail", conversation.PresenceOffline
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "Mail", f.state(mei).Custom)
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence, "what it stands for stays")
		require.NoError(t, f.s.DeleteCustomPresence(ctx, admin, back.ID, 2))
		st = f.state(mei)
		require.Equal(t, conversation.PresenceAvailable, st.Presence)
		require.Empty(t, st.CustomID)
		_, err = f.s.SetPresence(ctx, mei, conversation.Presence(back.ID), true)
		requireCode(t, conversation.CodeInvalid, err)
	})
}

func TestWhoHoldsAllTheyCanIsShownBusyWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei, som := f.agent("mei", 2), f.agent("som", 2)
		f.presence(som, conversation.PresenceAway)
		_, err := f.s.UpdateAgent(ctx, admin, mei, store.AnyVersion, func(a *store.Agent) error { a.AutoBusy = true; return nil })
		require.NoError(t, err)
		presence := func() conversation.Presence { return f.state(mei).Shown() }
		for i := range 2 {
			f.waits()
			f.match()
			require.Equal(t, conversation.PresenceAvailable, presence(), "what is on offer may yet be declined")
			require.NoError(t, f.act(ctx, f.theOffer(mei), conversation.EventAccepted, mei, fmt.Sprint("s", i)))
		}
		require.Equal(t, conversation.PresenceBusy, presence())
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Chosen)
		require.Contains(t, f.capacityEvents(), `"presence":"busy"`)
		back, err := f.s.SignOfLife(ctx, mei)
		require.NoError(t, err)
		require.False(t, back)
		require.Equal(t, conversation.PresenceBusy, presence())
		f.presence(mei, conversation.PresenceDoNotDisturb)
		require.Equal(t, conversation.PresenceDoNotDisturb, presence(), "only who would be available is busy")
		f.presence(mei, conversation.PresenceAvailable)

		_, err = f.s.UpdateAgent(ctx, admin, mei, store.AnyVersion, func(a *store.Agent) error { a.Capacity = 3; return nil })
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceAvailable, presence(), "with more capacity there is room")
		_, err = f.s.UpdateAgent(ctx, admin, mei, store.AnyVersion, func(a *store.Agent) error { a.Capacity = 2; return nil })
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceBusy, presence())

		held, err := f.s.QueryForTest(ctx, `SELECT min(id) FROM conversations WHERE agent_id = $1`, mei)
		require.NoError(t, err)
		_, err = f.s.Transition(ctx, store.TransitionRequest{
			ID: "parked", ConversationID: held, ChannelID: f.channel.ID, ChatKey: held, Event: conversation.EventParked, Actor: conversation.Actor{AgentID: mei}, LeavingAgentID: mei,
		})
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceAvailable, presence())
		require.Contains(t, f.capacityEvents(), `"presence":"available"`)
	})
}

// capacityEvents is what the latest event of an agent's capacity says.
func (f *floor) capacityEvents() string {
	f.t.Helper()
	text, err := f.s.QueryForTest(f.t.Context(), `SELECT data FROM events WHERE data LIKE '%"cause":"capacity"%' ORDER BY id DESC LIMIT 1`)
	require.NoError(f.t, err)
	return text
}

func TestWrapUpTakesOfCapacityWhatTheWorkstreamSays(t *testing.T) {
	t.Parallel()
	for _, wrapUp := range []store.WrapUp{{Blocks: store.WrapUpAlways}, {Blocks: store.WrapUpNever}, {Blocks: store.WrapUpForSeconds, ForSeconds: 60}} {
		withFloor(t, nil, func(t *testing.T, f *floor) {
			ctx := t.Context()
			mei := f.agent("mei", 1)
			id := f.waits()
			f.match()
			require.NoError(t, f.act(ctx, f.theOffer(mei), conversation.EventAccepted, mei, "s1"))
			do := func(step string, event conversation.Event) {
				_, err := f.s.Transition(ctx, store.TransitionRequest{
					ID: step, ConversationID: id, ChannelID: f.channel.ID, ChatKey: id, Event: event, Actor: conversation.Actor{AgentID: mei}, LeavingAgentID: mei, WrapUp: wrapUp,
				})
				require.NoError(t, err)
			}
			do("ended", conversation.EventEnded)
			ended := f.c.Now()
			f.waits()
			res := f.match()
			require.Equal(t, wrapUp.Blocks == store.WrapUpNever, res.Made == 1, wrapUp.Blocks)
			if wrapUp.Blocks == store.WrapUpForSeconds {
				require.Equal(t, ended.Add(time.Minute), res.NextAt, "the dispatcher looks when it ends")
				f.c.Advance(59 * time.Second)
				require.Zero(t, f.match().Made)
				f.c.Advance(time.Second)
				require.Equal(t, 1, f.match().Made)
			}
			do("again", conversation.EventCustomerWrote)
			require.EqualValues(t, 1+len(f.offers(mei)), f.state(mei).Load, "who is served again counts again")
		})
	}
}
