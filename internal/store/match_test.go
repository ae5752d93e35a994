package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// floor is a queue with people, and conversations that wait in it.
type floor struct {
	t       *testing.T
	s       *store.Store
	c       *clock
	channel store.Channel
	stream  store.Workstream
	queue   store.Queue
	n       int
}

func newFloor(t *testing.T, s *store.Store, c *clock, change func(*store.Assignment)) *floor {
	t.Helper()
	ctx := t.Context()
	f := &floor{t: t, s: s, c: c}
	var err error
	f.queue, err = s.CreateQueue(ctx, admin, store.Queue{Name: "Support", Priority: 10})
	require.NoError(t, err)
	w := store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: f.queue.ID}
	if change != nil {
		change(&w.Settings.Assignment)
	}
	f.stream, err = s.CreateWorkstream(ctx, admin, w)
	require.NoError(t, err)
	f.channel, err = s.CreateChannel(ctx, admin, store.Channel{
		Name: "Shop", LINEChannelID: "1", BotUserID: "U1", WorkstreamID: f.stream.ID, Locale: "en", Status: store.ChannelActive, Secrets: []string{"s"}, Token: "t",
	})
	require.NoError(t, err)
	return f
}

// agent makes a member of the queue who is available.
func (f *floor) agent(name string, capacity int64) string {
	f.t.Helper()
	a, err := f.s.CreateAgent(f.t.Context(), admin, store.Agent{Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: capacity})
	require.NoError(f.t, err)
	require.NoError(f.t, f.s.ExecForTest(f.t.Context(), `INSERT INTO queue_members (queue_id, agent_id, created_at) VALUES ($1, $2, 1)`, f.queue.ID, a.ID))
	f.presence(a.ID, conversation.PresenceAvailable)
	return a.ID
}

func (f *floor) presence(agentID string, p conversation.Presence) {
	f.t.Helper()
	_, err := f.s.SetPresence(f.t.Context(), agentID, p, true)
	require.NoError(f.t, err)
}

// waits puts a conversation into the queue, the later the younger.
func (f *floor) waits(columns ...string) string {
	f.t.Helper()
	f.n++
	id := fmt.Sprintf("cnv_%06d", f.n)
	now := f.now()
	require.NoError(f.t, f.s.ExecForTest(f.t.Context(), `INSERT INTO conversations
		(id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, routed_at, waiting_since, first_waited_at, created_at, updated_at)
		VALUES ($1, $2, $1, $3, 'open', 'queue', 1, $4, $5, $6, $6, $5, $5)`, id, f.channel.ID, f.stream.ID, f.queue.ID, now, now+int64(f.n)))
	for _, set := range columns {
		require.NoError(f.t, f.s.ExecForTest(f.t.Context(), `UPDATE conversations SET `+set+` WHERE id = $1`, id))
	}
	return id
}

func (f *floor) now() int64 { return f.c.Now().UnixMicro() }

func (f *floor) match() store.MatchResult {
	f.t.Helper()
	res, err := f.s.Match(f.t.Context(), store.MatchRequest{})
	require.NoError(f.t, err)
	return res
}

// offers tells who is offered what: "conversation agent".
func (f *floor) offers(agents ...string) (list []string) {
	f.t.Helper()
	for _, a := range agents {
		offers, err := f.s.LiveOffers(f.t.Context(), a)
		require.NoError(f.t, err)
		for _, o := range offers {
			list = append(list, o.ConversationID+" "+a)
		}
	}
	return list
}

func (f *floor) theOffer(agentID string) store.Offer {
	f.t.Helper()
	offers, err := f.s.LiveOffers(f.t.Context(), agentID)
	require.NoError(f.t, err)
	require.Len(f.t, offers, 1)
	return offers[0]
}

// act does a step of the life table the way the activity does.
func (f *floor) act(ctx context.Context, o store.Offer, event conversation.Event, agentID, step string) error {
	req := store.TransitionRequest{
		ID: step, ConversationID: o.ConversationID, ChannelID: f.channel.ID, ChatKey: o.ConversationID, Event: event, OfferID: o.ID,
		Actor: conversation.Actor{AgentID: agentID, Supervisor: event != conversation.EventAccepted}, ParticipantID: agentID, LeavingAgentID: o.AgentID,
	}
	if event == conversation.EventAccepted {
		req.LeavingAgentID = ""
	}
	_, err := f.s.Transition(ctx, req)
	return err
}

// log is a conversation's routing log, as outcomes.
func (f *floor) log(id string) (out []string) {
	f.t.Helper()
	lines, err := f.s.RoutingLog(f.t.Context(), id, store.Position{}, 1000)
	require.NoError(f.t, err)
	for _, l := range lines {
		out = append(out, l.Outcome)
	}
	return out
}

func withFloor(t *testing.T, change func(*store.Assignment), f func(t *testing.T, f *floor)) {
	t.Helper()
	withClock(t, func(t *testing.T, s *store.Store, c *clock) { f(t, newFloor(t, s, c, change)) })
}

func TestWhoWaitsLongestIsOfferedFirstAndTheLogSaysWhy(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		first, second := f.waits(), f.waits()
		require.Zero(t, f.match().Made)
		require.Equal(t, []string{"no_agent"}, f.log(first), "the head of its kind speaks for the others")

		f.c.Advance(time.Second)
		mei := f.agent("mei", 1)
		res := f.match()
		require.Equal(t, 1, res.Made)
		require.Equal(t, []string{first + " " + mei}, f.offers(mei))
		require.Equal(t, f.c.Now().Add(2*time.Minute), f.at(f.theOffer(mei).ExpiresAt))
		require.Empty(t, res.Chats, "nobody is told who was found")
		require.Equal(t, 1, res.Waiting)
		require.Equal(t, 1, res.Offered)
		require.Equal(t, f.at(f.theOffer(mei).ExpiresAt), res.NextAt)
		require.Equal(t, []string{"no_agent", "offered"}, f.log(first))
		require.Contains(t, eventsOf(t, f.s, "offer.created"), mei)
		require.Equal(t, []string{"no_agent"}, f.log(second), "now it is the head, and this look says so")
		require.False(t, res.More)

		again := f.match()
		require.Zero(t, again.Made)
		require.Empty(t, again.Chats)
		require.Equal(t, []string{"no_agent"}, f.log(second), "a verdict that stays is not written again")
	})
}

func (f *floor) at(us int64) time.Time { return time.UnixMicro(us).UTC() }

func TestCapacityCountsWhatIsHeldAndWhatIsOnOffer(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		mei := f.agent("mei", 3)
		heavy := f.waits(`units = 2`)
		f.match()
		require.Equal(t, []string{heavy + " " + mei}, f.offers(mei))
		f.waits(`units = 2`)
		require.Zero(t, f.match().Made, "one unit is left")
		light := f.waits(`requirement = 'light'`)
		require.Equal(t, 1, f.match().Made, "what cannot be placed blocks nothing behind it")
		require.Contains(t, f.offers(mei), light+" "+mei)

		require.NoError(t, f.act(t.Context(), f.theOfferOf(heavy, mei), conversation.EventAccepted, mei, "s1"))
		st, err := f.s.AgentState(t.Context(), mei)
		require.NoError(t, err)
		require.EqualValues(t, 3, st.Load, "an accepted offer counts once")
	})
}

func (f *floor) theOfferOf(conversationID, agentID string) store.Offer {
	f.t.Helper()
	offers, err := f.s.LiveOffers(f.t.Context(), agentID)
	require.NoError(f.t, err)
	i := slices.IndexFunc(offers, func(o store.Offer) bool { return o.ConversationID == conversationID })
	require.GreaterOrEqual(f.t, i, 0)
	return offers[i]
}

func TestWhoLetsAnOfferPassIsAskedAgainOnlyAfterTheOthersAndNeverTooOften(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.MaxOffers, a.OfferTimeoutSeconds = 2, 10 }, func(t *testing.T, f *floor) {
		mei, som := f.agent("mei", 5), f.agent("som", 5)
		id := f.waits()
		var asked []string
		for i := range 6 {
			f.match()
			offers := f.offers(mei, som)
			if len(offers) == 0 {
				break
			}
			require.Len(t, offers, 1)
			agent := strings.Fields(offers[0])[1]
			asked = append(asked, agent)
			o := f.theOffer(agent)
			if i%2 == 0 {
				_, err := f.s.DeclineOffer(t.Context(), o.ID, agent, "I am at lunch")
				require.NoError(t, err)
				_, err = f.s.DeclineOffer(t.Context(), o.ID, agent, "again")
				require.NoError(t, err, "the same answer twice is one")
				continue
			}
			f.c.Advance(10 * time.Second)
		}
		require.Len(t, asked, 4)
		require.NotEqual(t, asked[0], asked[1])
		require.NotEqual(t, asked[2], asked[3])
		require.Equal(t, "no_agent", f.log(id)[len(f.log(id))-1])
		dump, err := f.s.QueryForTest(t.Context(), `SELECT COALESCE((SELECT max(data) FROM events WHERE data LIKE '%lunch%'), '') || COALESCE((SELECT max(entry) FROM routing_log WHERE entry LIKE '%lunch%'), '')`)
		require.NoError(t, err)
		require.Empty(t, dump, "what the agent says stays in the offer's row")
		reason, err := f.s.QueryForTest(t.Context(), `SELECT max(reason) FROM offers WHERE state = 'declined'`)
		require.NoError(t, err)
		require.Equal(t, "I am at lunch", reason)

		// Younger ones that nobody has refused are not behind it.
		fresh := f.waits()
		f.match()
		require.Len(t, f.offers(mei, som), 1)
		require.Contains(t, f.offers(mei, som)[0], fresh)
	})
}

func TestAcceptDeclineAndTimeOutOfOneOfferHaveOneWinner(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.OfferTimeoutSeconds = 10 }, func(t *testing.T, f *floor) {
		mei, som := f.agent("mei", 9), f.agent("som", 0)
		for round := range 8 {
			id := f.waits()
			f.match()
			o := f.theOfferOf(id, mei)
			f.c.Advance(11 * time.Second) // over, though nobody has looked yet
			f.presence(mei, conversation.PresenceAvailable)
			var accepted, assigned, declined error
			var all sync.WaitGroup
			all.Go(func() { accepted = f.act(t.Context(), o, conversation.EventAccepted, mei, "a"+id) })
			if round%2 == 0 {
				all.Go(func() { assigned = f.act(t.Context(), o, conversation.EventAssigned, som, "b"+id) })
			} else {
				assigned = conversation.Errorf(conversation.CodeConflict, "not tried")
			}
			all.Go(func() { _, declined = f.s.DeclineOffer(t.Context(), o.ID, mei, "") })
			all.Go(func() { _, err := f.s.Match(t.Context(), store.MatchRequest{}); noError(t, err) })
			all.Wait()

			state, err := f.s.QueryForTest(t.Context(), `SELECT state FROM offers WHERE id = $1`, o.ID)
			require.NoError(t, err)
			if accepted == nil {
				require.Equal(t, "accepted", state)
				require.Error(t, declined)
			} else {
				require.Contains(t, []conversation.Code{conversation.CodeOfferDeclined, conversation.CodeOfferExpired, conversation.CodeOfferRescinded}, conversation.CodeOf(accepted), "%v", accepted)
				require.NotEqual(t, "accepted", state)
			}
			require.Equal(t, state == "declined", declined == nil, "%s %v", state, declined)
			c, err := f.s.Conversation(t.Context(), id)
			require.NoError(t, err)
			switch {
			case accepted == nil && assigned == nil:
				require.Equal(t, som, c.AgentID, "assigned after it was accepted")
			case accepted == nil:
				require.Equal(t, mei, c.AgentID)
			case assigned == nil:
				require.Equal(t, som, c.AgentID)
			default:
				require.Equal(t, conversation.OwnerQueue, c.Owner)
			}
			if c.Owner == conversation.OwnerQueue {
				_ = f.act(t.Context(), o, conversation.EventForceClosed, som, "c"+id)
			}
		}
	})
}

func noError(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

func TestAnAgentWhoGoesSilentIsOfflineAndTheirOffersGoToOthers(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.OfferTimeoutSeconds = 3600 }, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei := f.agent("mei", 1)
		id := f.waits()
		f.match()
		o := f.theOffer(mei)
		som := f.agent("som", 1)
		f.c.Advance(conversation.PresenceGrace - time.Second)
		back, err := f.s.SignOfLife(ctx, som)
		require.NoError(t, err)
		require.False(t, back)
		require.Zero(t, f.match().Silent)
		f.c.Advance(time.Second)
		res := f.match()
		require.Equal(t, 1, res.Silent)
		require.Equal(t, 1, res.Ended)
		require.Equal(t, []string{id + " " + som}, f.offers(mei, som))
		requireCode(t, conversation.CodeOfferRescinded, f.act(ctx, o, conversation.EventAccepted, mei, "s1"))
		st, err := f.s.AgentState(ctx, mei)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceOffline, st.Presence)
		require.Equal(t, conversation.PresenceAvailable, st.Chosen)
		require.Contains(t, eventsOf(t, f.s, "agent.presence_changed"), `"cause":`)

		back, err = f.s.SignOfLife(ctx, mei)
		require.NoError(t, err)
		require.True(t, back)
		back, err = f.s.SignOfLife(ctx, mei)
		require.NoError(t, err)
		require.False(t, back)
		st, err = f.s.AgentState(ctx, mei)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceAvailable, st.Presence)
		f.waits()
		f.match()
		require.Len(t, f.offers(mei), 1, "an offer that was taken back is not held against them")

		f.presence(mei, conversation.PresenceOffline)
		f.match()
		require.Empty(t, f.offers(mei), "who leaves has no offers")
		_, err = f.s.SignOfLife(ctx, mei)
		require.NoError(t, err)
		st, err = f.s.AgentState(ctx, mei)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceOffline, st.Presence, "as they chose")
	})
}

func TestASupervisorSetsAPresenceThatHoldsOnceTheAgentIsThere(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := t.Context()
		mei := anAgent(t, s, "mei")
		st, err := s.SetPresence(ctx, mei.ID, conversation.PresenceAvailable, false)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceOffline, st.Presence)
		back, err := s.SignOfLife(ctx, mei.ID)
		require.NoError(t, err)
		require.True(t, back)
		st, err = s.SetPresence(ctx, mei.ID, conversation.PresenceBusy, false)
		require.NoError(t, err)
		require.Equal(t, conversation.PresenceBusy, st.Presence)
		_, err = s.SetPresence(ctx, "agt_none", conversation.PresenceBusy, false)
		requireCode(t, conversation.CodeNotFound, err)
	})
}

func TestWhoServedLastIsOfferedItFirst(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		mei, som := f.agent("mei", 1), f.agent("som", 5)
		f.presence(mei, conversation.PresenceAway)
		until := f.c.Now().Add(2 * time.Minute)
		id := f.waits(fmt.Sprintf(`preferred_agent_id = '%s', preferred_until = %d`, mei, until.UnixMicro()))
		res := f.match()
		require.Zero(t, res.Made)
		require.Equal(t, until, res.NextAt)
		require.Equal(t, []string{"waits_for_preferred"}, f.log(id))
		f.presence(mei, conversation.PresenceAvailable)
		f.waits()
		require.NoError(t, f.s.ExecForTest(t.Context(), `UPDATE agents SET capacity = 0 WHERE id = $1`, mei))
		f.match()
		require.Equal(t, []string{id + " " + mei}, f.offers(mei), "capacity does not count")
		_, err := f.s.DeclineOffer(t.Context(), f.theOffer(mei).ID, mei, "")
		require.NoError(t, err)
		f.match()
		require.Contains(t, f.offers(som), id+" "+som)
	})
	withFloor(t, func(a *store.Assignment) { a.Affinity = store.AffinityOff }, func(t *testing.T, f *floor) {
		mei, som := f.agent("mei", 1), f.agent("som", 1)
		f.presence(mei, conversation.PresenceAway)
		id := f.waits(fmt.Sprintf(`preferred_agent_id = '%s'`, mei))
		f.match()
		require.Equal(t, []string{id + " " + som}, f.offers(mei, som))
	})
}

// Who waits without end for the agent they had does so as long as the workstream
// wants that; when it only prefers them by now, it is anyone's.
func TestAWaitWithoutEndForWhoServedLastEndsWhenTheyAreRequiredNoMore(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.Affinity = store.AffinityRequire }, func(t *testing.T, f *floor) {
		mei, som := f.agent("mei", 1), f.agent("som", 1)
		f.presence(mei, conversation.PresenceAway)
		id := f.waits(fmt.Sprintf(`preferred_agent_id = '%s'`, mei))
		require.Zero(t, f.match().Made)
		_, err := f.s.UpdateWorkstream(t.Context(), admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error {
			w.Settings.Assignment.Affinity = store.AffinityPrefer
			return nil
		})
		require.NoError(t, err)
		f.match()
		require.Equal(t, []string{id + " " + som}, f.offers(som))
	})
}

// A conversation that waits anew, or in another queue, is told anew why nobody
// has it, and is looked at with the others again.
func TestEachWaitExplainsItself(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei := f.agent("mei", 1)
		id := f.waits(`units = 2`)
		f.match()
		require.Equal(t, []string{"no_agent"}, f.log(id))
		f.c.Advance(time.Second)
		o := store.Offer{ConversationID: id}
		require.NoError(t, f.act(ctx, o, conversation.EventAssigned, mei, "assign"))
		require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET refused = TRUE`))
		f.c.Advance(time.Second)
		require.NoError(t, f.act(ctx, store.Offer{ConversationID: id, AgentID: mei}, conversation.EventReleased, mei, "release"))
		require.Equal(t, "0", f.count(`SELECT CAST(count(*) AS TEXT) FROM conversations WHERE refused`), "nobody has let it pass since")
		f.c.Advance(time.Second)
		f.match()
		require.Equal(t, []string{"no_agent", "assigned", "released", "no_agent"}, f.log(id))

		other, err := f.s.CreateQueue(ctx, admin, store.Queue{Name: "other"})
		require.NoError(t, err)
		require.NoError(t, f.s.AddMember(ctx, admin, other.ID, mei))
		f.c.Advance(time.Second)
		_, err = f.s.Transition(ctx, store.TransitionRequest{
			ID: "move", ConversationID: id, ChannelID: f.channel.ID, ChatKey: id, Event: conversation.EventTransferredQueue, QueueID: other.ID,
			Actor: conversation.Actor{AgentID: "agt_boss", Supervisor: true},
		})
		require.NoError(t, err)
		f.c.Advance(time.Second)
		f.match()
		require.Equal(t, []string{"no_agent", "assigned", "released", "no_agent", "transferred_to_queue", "no_agent"}, f.log(id))
	})
}

func TestWhatIsPickedWhatIsNotRoutedAndWhatNobodyMayHaveIsNotOffered(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.Presences = []conversation.Presence{conversation.PresenceBusy} }, func(t *testing.T, f *floor) {
		mei := f.agent("mei", 5)
		f.waits(`routed_at = 0`)
		f.waits(`owner = 'agent', status = 'active'`)
		f.waits(`queue_id = ''`)
		ours := f.waits()
		require.Zero(t, f.match().Made)
		f.presence(mei, conversation.PresenceBusy)
		f.match()
		require.Equal(t, []string{ours + " " + mei}, f.offers(mei))
		_, err := f.s.UpdateWorkstream(t.Context(), admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error { w.Mode = store.ModePick; return nil })
		require.NoError(t, err)
		f.waits()
		require.Zero(t, f.match().Made)
	})
}

func TestALateMatchChangesNothing(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		mei := f.agent("mei", 5)
		f.waits()
		_, err := f.s.Match(t.Context(), store.MatchRequest{Deadline: f.c.Now().Add(-time.Second)})
		requireCode(t, conversation.CodeLate, err)
		require.Empty(t, f.offers(mei))
	})
}

func TestASupervisorTakesAnOfferBack(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		mei := f.agent("mei", 5)
		f.waits()
		f.match()
		o := f.theOffer(mei)
		_, err := f.s.DeclineOffer(t.Context(), o.ID, "agt_other", "")
		requireCode(t, conversation.CodeNotFound, err)
		for range 2 {
			got, err := f.s.RescindOffer(t.Context(), o.ID, "agt_sofie")
			require.NoError(t, err)
			require.Equal(t, conversation.OfferRescinded, got.State)
		}
		_, err = f.s.DeclineOffer(t.Context(), o.ID, mei, "")
		requireCode(t, conversation.CodeOfferRescinded, err)
		_, err = f.s.RescindOffer(t.Context(), "ofr_none", "agt_sofie")
		requireCode(t, conversation.CodeNotFound, err)
	})
}

// However many wait, a look costs the same statements, and takes no more of
// each kind than there is room for.
func TestALookCostsTheSameHoweverManyWait(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			cost := map[int]int64{}
			for _, waiting := range []int{20, 2000} {
				c := newClock()
				s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
				f := newFloor(t, s, c, nil)
				for i := range 10 {
					f.agent(fmt.Sprint("agent", i), 1)
				}
				f.crowd(waiting)
				before := s.Statements()
				started := time.Now()
				require.Equal(t, 10, f.match().Made)
				cost[waiting] = s.Statements() - before
				t.Logf("%d waiting: %d statements, %s", waiting, cost[waiting], time.Since(started))
			}
			require.Equal(t, cost[20], cost[2000])
			require.LessOrEqual(t, cost[20], int64(25))
		})
	}
}

// crowd puts many conversations of two kinds into the queue.
func (f *floor) crowd(n int) {
	f.t.Helper()
	now := f.now()
	require.NoError(f.t, f.s.ExecForTest(f.t.Context(), `INSERT INTO conversations
		(id, channel_id, chat_key, workstream_id, status, owner, epoch, queue_id, routed_at, waiting_since, first_waited_at, created_at, updated_at, requirement)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < `+fmt.Sprint(n)+`)
		SELECT 'cnv_crowd' || i, '`+f.channel.ID+`', 'crowd' || i, '`+f.stream.ID+`', 'open', 'queue', 1, '`+f.queue.ID+`', `+fmt.Sprint(now)+`, `+fmt.Sprint(now)+` + i, `+fmt.Sprint(now)+` + i, `+fmt.Sprint(now)+`, `+fmt.Sprint(now)+`,
			CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM n`))
}

// Whatever happens at once, nobody has more than they have capacity for, a
// conversation is on offer to one and held by one, and nothing is forgotten.
func TestUnderConcurrentWorkCapacityHolds(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.OfferTimeoutSeconds = 10 }, func(t *testing.T, f *floor) {
		ctx := t.Context()
		var agents []string
		for i := range 6 {
			agents = append(agents, f.agent(fmt.Sprint("agent", i), int64(1+i%3)))
		}
		f.crowd(120)
		var exceeded []string
		check := func() {
			over, err := f.s.QueryForTest(ctx, `SELECT COALESCE(max(a.id || ' has ' || x.load || ' of ' || a.capacity), '') FROM agents a JOIN (
				SELECT agent_id, SUM(units) AS load FROM (
					SELECT agent_id, units FROM conversations WHERE owner = 'agent' UNION ALL
					SELECT agent_id, units FROM offers WHERE state = 'live') AS work GROUP BY agent_id) AS x ON x.agent_id = a.id
				WHERE x.load > a.capacity`)
			if err != nil {
				t.Error(err)
			}
			if over != "" {
				exceeded = append(exceeded, over)
			}
		}
		var all, watch sync.WaitGroup
		done := make(chan struct{})
		watch.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					check()
				}
			}
		})
		expected := map[conversation.Code]bool{
			"": true, conversation.CodeOfferAccepted: true, conversation.CodeOfferDeclined: true, conversation.CodeOfferExpired: true, conversation.CodeOfferRescinded: true,
			conversation.CodeConversationClosed: true, conversation.CodeNotAllowedNow: true, conversation.CodeNotAssignedToYou: true,
		}
		for w := range 20 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 7))
				for step := range 10 {
					agent := agents[random.IntN(len(agents))]
					id := fmt.Sprint("step", w, "-", step)
					offers, err := f.s.LiveOffers(ctx, agent)
					if err != nil {
						t.Error(err)
						return
					}
					switch what := random.IntN(10); {
					case what < 4 || len(offers) == 0:
						_, err = f.s.Match(ctx, store.MatchRequest{})
					case what < 7:
						err = f.act(ctx, offers[0], conversation.EventAccepted, agent, id)
					case what < 8:
						_, err = f.s.DeclineOffer(ctx, offers[0].ID, agent, "no")
					case what < 9:
						err = f.act(ctx, offers[0], conversation.EventForceClosed, agent, id)
					default:
						f.c.Advance(3 * time.Second)
						_, err = f.s.SignOfLife(ctx, agent)
					}
					if err != nil && !expected[conversation.CodeOf(err)] || err != nil && conversation.CodeOf(err) == "" {
						t.Errorf("%s: %v", id, err)
					}
				}
			})
		}
		all.Wait()
		close(done)
		watch.Wait()
		check()
		require.Empty(t, exceeded)
		twice, err := f.s.QueryForTest(ctx, `SELECT COALESCE(max(conversation_id), '') FROM offers o WHERE state = 'live'
			AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = o.conversation_id AND c.owner = 'queue')`)
		require.NoError(t, err)
		require.Empty(t, twice, "on offer, though it does not wait")
	})
}

// However many wait for somebody who is not there, whoever comes behind them is
// reached, look by look.
func TestThoseLookedAtOneByOneAreAllReached(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.Affinity = store.AffinityRequire }, func(t *testing.T, f *floor) {
		mei, away := f.agent("mei", 1), f.agent("away", 9)
		f.presence(away, conversation.PresenceAway)
		f.crowd(1100)
		require.NoError(t, f.s.ExecForTest(t.Context(), `UPDATE conversations SET preferred_agent_id = $1`, away))
		last := f.waits(`refused = TRUE`)
		require.NoError(t, f.s.ExecForTest(t.Context(), `UPDATE conversations SET id = 'cnv_zzz' WHERE id = $1`, last))
		looks, after := 0, ""
		for len(f.offers(mei)) == 0 {
			require.Less(t, looks, 3)
			res, err := f.s.Match(t.Context(), store.MatchRequest{After: after})
			require.NoError(t, err)
			if after = res.After; after != "" {
				require.True(t, res.More, "there is room, and more to look at")
			}
			looks++
		}
		require.Equal(t, 3, looks)
		require.Equal(t, []string{"cnv_zzz " + mei}, f.offers(mei))
		require.Empty(t, after, "it begins with the first again")
	})
}

func TestTheRoutingLogNamesItsReasons(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		mei := f.agent("mei", 0)
		id := f.waits()
		f.match()
		lines, err := f.s.RoutingLog(t.Context(), id, store.Position{}, 1000)
		require.NoError(t, err)
		require.Len(t, lines, 1)
		var entry struct {
			Counts map[string]int `json:"counts"`
			Agents []struct {
				AgentID string `json:"agent_id"`
				Reason  string `json:"reason"`
			} `json:"agents"`
		}
		require.NoError(t, json.Unmarshal([]byte(lines[0].Entry), &entry))
		require.Equal(t, map[string]int{"capacity": 1}, entry.Counts)
		require.Equal(t, mei, entry.Agents[0].AgentID)
		require.Equal(t, store.StageAssignment, lines[0].Stage)
	})
}

// Where customers hear who was found, the workflow of whoever is offered is
// wanted: in the same transaction, so that it is repeated when the wake-up is
// lost.
func TestWhoeverHearsWhoWasFoundIsWanted(t *testing.T) {
	t.Parallel()
	on := true
	announces := []store.AutomatedMessage{{Trigger: "agent_assigned", Enabled: &on}}
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		f.agent("mei", 9)
		wanted := func() []store.Chat {
			f.c.Advance(time.Second)
			chats, err := f.s.UnhandledChats(ctx, f.c.Now(), 10)
			require.NoError(t, err)
			return chats
		}
		chat := func(id string) store.Chat {
			require.NoError(t, f.s.ExecForTest(ctx, `INSERT INTO chats (channel_id, chat_key, tick, created_at) VALUES ($1, $2, 1, 1)`, f.channel.ID, id))
			return store.Chat{ChannelID: f.channel.ID, ChatKey: id}
		}
		chat(f.waits())
		require.Empty(t, f.match().Chats)
		require.Empty(t, wanted())

		_, err := f.s.UpdateWorkstream(ctx, admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error { w.Settings.AutomatedMessages = announces; return nil })
		require.NoError(t, err)
		told := chat(f.waits())
		require.Equal(t, []store.Chat{told}, f.match().Chats)
		require.Equal(t, []store.Chat{told}, wanted())

		off := false
		_, err = f.s.UpdateChannel(ctx, admin, f.channel.ID, store.AnyVersion, func(c *store.Channel) error {
			c.AutomatedMessages = []store.AutomatedMessage{{Trigger: "agent_assigned", Enabled: &off}}
			return nil
		})
		require.NoError(t, err)
		chat(f.waits())
		res := f.match()
		require.Equal(t, 1, res.Made)
		require.Empty(t, res.Chats, "the channel wins")
	})
}

func TestTheFirstLookAfterAClassificationIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		id := newDesk(t, s).id
		for i, line := range [][3]string{
			{"c1", store.StageClassification, "rules_matched"}, {"r1", store.StageRoute, "rule"},
			{"x", store.StageAssignment, "overridden"}, {"a1", store.StageAssignment, "no_agent"}, {"a2", store.StageAssignment, "offered"},
			{"c2", store.StageClassification, "no_rule_matched"}, {"r2", store.StageRoute, "fallback"}, {"p", store.StageAssignment, "picked"},
			{"c3", store.StageClassification, "rules_matched"}, {"a3", store.StageAssignment, "offered"}, {"y", store.StageAssignment, "taken_back"},
		} {
			require.NoError(t, s.ExecForTest(t.Context(), `INSERT INTO routing_log (id, conversation_id, epoch, stage, outcome, entry, created_at) VALUES ($1, $2, 1, $3, $4, '{}', $5)`,
				line[0], id, line[1], line[2], int64(i)))
		}
		for classification, want := range map[string]string{"": "a3", "c1": "a1", "c2": "", "c3": "a3", "none": ""} {
			found, ok, err := s.FirstLook(t.Context(), id, classification)
			require.NoError(t, err)
			require.Equal(t, want, found.ID, classification)
			require.Equal(t, want != "", ok, classification)
		}
		_, ok, err := s.FirstLook(t.Context(), "cnv_none", "")
		require.NoError(t, err)
		require.False(t, ok)
	})
}
