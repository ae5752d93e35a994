package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// anAgent makes an agent who may be given work.
func anAgent(t *testing.T, s *store.Store, name string, skills ...store.AgentSkill) store.Agent {
	t.Helper()
	a, err := s.CreateAgent(t.Context(), admin, store.Agent{
		Name: name, Email: name + "@example.test", Role: store.RoleAgent, Locale: "en", Capacity: store.DefaultCapacity, Skills: skills,
	})
	require.NoError(t, err)
	return a
}

// offered puts a live offer of a waiting conversation into the database.
func offered(t *testing.T, s *store.Store, conversationID, agentID string) store.OfferForTest {
	t.Helper()
	o := store.OfferForTest{ID: conversation.NewID(conversation.PrefixOffer), ConversationID: conversationID, AgentID: agentID, QueueID: "que_1"}
	require.NoError(t, s.ExecForTest(t.Context(), `INSERT INTO offers (id, conversation_id, agent_id, queue_id, epoch, units, state, created_at, expires_at)
		VALUES ($1, $2, $3, $4, 1, 1, 'live', 1, 9000000000000000)`, o.ID, o.ConversationID, o.AgentID, o.QueueID))
	return o
}

func eventsOf(t *testing.T, s *store.Store, kind string) string {
	t.Helper()
	text, err := s.QueryForTest(t.Context(), `SELECT CAST(count(*) AS TEXT) || ' ' || COALESCE(max(data), '') FROM events WHERE type = $1`, kind)
	require.NoError(t, err)
	return text
}

func TestAnOfferIsAcceptedOnceByTheOneItWasMadeTo(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := t.Context()
		mei, som := anAgent(t, s, "mei"), anAgent(t, s, "som")
		o := offered(t, s, live(t, s, aChannel(t, s, "1")), mei.ID)

		theirs := o
		theirs.AgentID = som.ID
		requireCode(t, conversation.CodeNotFound, s.AcceptForTest(ctx, theirs))
		elsewhere := o
		elsewhere.ConversationID = live(t, s, aChannel(t, s, "2"))
		requireCode(t, conversation.CodeNotFound, s.AcceptForTest(ctx, elsewhere))

		var won, late atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				switch err := s.AcceptForTest(ctx, o); conversation.CodeOf(err) {
				case conversation.CodeOfferAccepted:
					late.Add(1)
				default:
					if err == nil {
						won.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, won.Load())
		require.EqualValues(t, 7, late.Load())
		require.Equal(t, fmt.Sprintf(`1 {"agent_id":%q,"offer_id":%q,"queue_id":"que_1"}`, mei.ID, o.ID), eventsOf(t, s, "offer.accepted"))
	})
}

func TestAnOfferThatIsOverSaysWhy(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := t.Context()
		mei, channel := anAgent(t, s, "mei"), aChannel(t, s, "1")
		for state, code := range map[conversation.OfferState]conversation.Code{
			conversation.OfferTimedOut: conversation.CodeOfferExpired, conversation.OfferDeclined: conversation.CodeOfferDeclined,
			conversation.OfferRescinded: conversation.CodeOfferRescinded,
		} {
			o := offered(t, s, live(t, s, channel), mei.ID)
			require.NoError(t, s.EndOfferForTest(ctx, o.ConversationID, state, "taken"))
			require.NoError(t, s.EndOfferForTest(ctx, o.ConversationID, conversation.OfferRescinded, "again"), "nothing is live any more")
			requireCode(t, code, s.AcceptForTest(ctx, o))
			require.Contains(t, eventsOf(t, s, "offer."+string(state)), "1 ")
		}
	})
}

func TestAgentsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := t.Context()
		mei, som := anAgent(t, s, "mei"), anAgent(t, s, "som")
		var inside, most atomic.Int64
		var all sync.WaitGroup
		for i := range 16 {
			ids := []string{mei.ID, som.ID, "agt_gone", ""}
			if i%2 == 0 {
				ids = []string{som.ID, mei.ID}
			}
			all.Go(func() {
				err := s.LockAgentsForTest(ctx, func() {
					most.Store(max(most.Load(), inside.Add(1)))
					inside.Add(-1)
				}, ids...)
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, most.Load(), "two held the same agents")
		require.NoError(t, s.LockAgentsForTest(ctx, func() {}))
	})
}
