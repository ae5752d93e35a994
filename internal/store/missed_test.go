package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// misses has a conversation offered to an agent, who lets it run out.
func (f *floor) misses(agentID string) {
	f.t.Helper()
	f.waits()
	f.match()
	f.theOffer(agentID)
	f.c.Advance(10 * time.Second)
	f.match()
}

func (f *floor) state(agentID string) store.AgentState {
	f.t.Helper()
	st, err := f.s.AgentState(f.t.Context(), agentID)
	require.NoError(f.t, err)
	return st
}

func brieflyAway(n int64) func(*store.Assignment) {
	return func(a *store.Assignment) { a.OfferTimeoutSeconds, a.MissedOffersAway, a.MaxOffers = 10, n, 1 }
}

func TestWhoMissesTooManyOffersInARowIsAway(t *testing.T) {
	t.Parallel()
	withFloor(t, brieflyAway(3), func(t *testing.T, f *floor) {
		mei := f.agent("mei", 1)
		f.misses(mei)
		f.misses(mei)
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence)
		f.misses(mei)
		st := f.state(mei)
		require.Equal(t, conversation.PresenceAway, st.Presence)
		require.Equal(t, conversation.PresenceAway, st.Chosen)
		require.Equal(t, store.CauseMissedOffers, st.Cause)
		require.Contains(t, eventsOf(t, f.s, "agent.presence_changed"), `"cause":`)
		count, err := f.s.QueryForTest(t.Context(), `SELECT CAST(count(*) AS TEXT) FROM events WHERE data LIKE '%missed_offers%'`)
		require.NoError(t, err)
		require.Equal(t, "1", count)
		_, err = f.s.SignOfLife(t.Context(), mei)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceAway, f.state(mei).Presence, "until they choose otherwise")
		f.waits()
		require.Zero(t, f.match().Made)

		f.presence(mei, conversation.PresenceAvailable)
		require.Equal(t, store.CauseSet, f.state(mei).Cause)
		f.match()
		f.theOffer(mei)
		f.c.Advance(10 * time.Second)
		f.match()
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence, "choosing a presence begins the count anew")
	})
}

func TestAnOfferThatIsAnsweredBreaksTheRowOfThoseMissed(t *testing.T) {
	t.Parallel()
	withFloor(t, brieflyAway(2), func(t *testing.T, f *floor) {
		mei := f.agent("mei", 5)
		f.misses(mei)
		f.waits()
		f.match()
		_, err := f.s.DeclineOffer(t.Context(), f.theOffer(mei).ID, mei, "")
		require.NoError(t, err)
		f.c.Advance(time.Second)
		f.misses(mei)
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence)
		f.waits()
		f.match()
		require.NoError(t, f.act(t.Context(), f.theOffer(mei), conversation.EventAccepted, mei, "s1"))
		f.c.Advance(time.Second)
		f.misses(mei)
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence)
		f.misses(mei)
		require.Equal(t, conversation.PresenceAway, f.state(mei).Presence)
	})
}

func TestWhereItIsNotAskedForNobodyIsAwayForMissingOffers(t *testing.T) {
	t.Parallel()
	withFloor(t, brieflyAway(0), func(t *testing.T, f *floor) {
		mei := f.agent("mei", 1)
		for range 5 {
			f.misses(mei)
		}
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence)
	})
}

func TestAnOfferThatIsAcceptedForItsAgentIsToldToTheWorkflowUntilItIsOver(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.AutoAccept, a.OfferTimeoutSeconds, a.MissedOffersAway = true, 10, 1 }, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei := f.agent("mei", 5)
		id := f.waits()
		require.NoError(t, f.s.ExecForTest(ctx, `INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ($1, $2, 1, 1)`, f.channel.ID, id))
		res := f.match()
		require.Equal(t, []store.Chat{{ChannelID: f.channel.ID, ChatKey: id}}, res.Chats)
		o := f.theOffer(mei)
		ingested := func() string {
			got, err := f.s.Ingest(ctx, store.IngestRequest{ChannelID: f.channel.ID, ChatKey: id, ConversationID: id, Seen: 1 << 40}, read)
			require.NoError(t, err)
			return got.AutoOffer
		}
		wanted, err := f.s.UnhandledChats(ctx, f.c.Now().Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, res.Chats, wanted)
		require.Equal(t, o.ID, ingested())
		require.Equal(t, o.ID, ingested(), "until it is over")
		require.Contains(t, eventsOf(t, f.s, "offer.created"), `"auto":true`)

		_, err = f.s.RescindOffer(ctx, o.ID, "agt_sofie")
		require.NoError(t, err)
		require.Empty(t, ingested())
		requireCode(t, conversation.CodeOfferRescinded, f.act(ctx, o, conversation.EventAccepted, mei, "s1"))

		f.match()
		o = f.theOffer(mei)
		f.c.Advance(10 * time.Second)
		f.match()
		require.Equal(t, conversation.PresenceAvailable, f.state(mei).Presence, "it was not theirs to miss")
		f.match()
		o = f.theOffer(mei)
		require.NoError(t, f.act(ctx, o, conversation.EventAccepted, mei, "s2"))
		require.NoError(t, f.act(ctx, o, conversation.EventAccepted, mei, "s2"))
		require.Empty(t, ingested())
	})
}

// A supervisor takes an offer back while the workflow, and one that repeats its
// step, accepts it for the agent, and a look finds that its time is over:
// whichever comes first happens, and nothing else.
func TestOfAllThatEndsAnOfferAcceptedForItsAgentOneHappens(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.AutoAccept, a.OfferTimeoutSeconds = true, 10 }, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei := f.agent("mei", 9)
		for range 12 {
			id := f.waits()
			require.NoError(t, f.s.ExecForTest(ctx, `INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ($1, $2, 1, 1)`, f.channel.ID, id))
			f.match()
			o := f.theOfferOf(id, mei)
			f.c.Advance(11 * time.Second) // over, though nobody has looked yet
			f.presence(mei, conversation.PresenceAvailable)
			var accepted [2]error
			var taken error
			var all sync.WaitGroup
			for i := range accepted {
				all.Go(func() { accepted[i] = f.act(ctx, o, conversation.EventAccepted, mei, "auto"+o.ID) })
			}
			all.Go(func() { _, taken = f.s.RescindOffer(ctx, o.ID, "agt_sofie") })
			all.Go(func() { _, err := f.s.Match(ctx, store.MatchRequest{}); noError(t, err) })
			all.Wait()

			state := conversation.OfferState(f.count(`SELECT state FROM offers WHERE id = '` + o.ID + `'`))
			codes := map[conversation.OfferState]conversation.Code{
				conversation.OfferAccepted: conversation.CodeOfferAccepted, conversation.OfferTimedOut: conversation.CodeOfferExpired,
				conversation.OfferRescinded: conversation.CodeOfferRescinded,
			}
			require.Contains(t, codes, state)
			for _, err := range accepted {
				if state == conversation.OfferAccepted {
					require.NoError(t, err)
				} else {
					requireCode(t, codes[state], err)
				}
			}
			if state == conversation.OfferRescinded {
				require.NoError(t, taken)
			} else {
				requireCode(t, codes[state], taken)
			}
			c, err := f.s.Conversation(ctx, id)
			require.NoError(t, err)
			require.Equal(t, state == conversation.OfferAccepted, c.AgentID == mei)
			require.Equal(t, "1", f.count(`SELECT CAST(count(*) AS TEXT) FROM events WHERE subject_id = '`+o.ID+`' AND type <> 'offer.created'`))
			require.NoError(t, f.act(ctx, store.Offer{ConversationID: id, AgentID: c.AgentID}, conversation.EventForceClosed, "agt_boss", "close"+id))
			t.Log(state)
		}
	})
}
