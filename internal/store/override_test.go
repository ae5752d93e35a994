package store_test

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func priorityOf(n int64) conversation.Override { return conversation.Override{Priority: &n} }

func skillsOf(needs ...conversation.SkillNeed) conversation.Override {
	return conversation.Override{Skills: &needs}
}

// overrides changes what the desk's conversation asks for.
func (d *desk) overrides(step string, o conversation.Override) error {
	return d.s.Override(d.t.Context(), store.OverrideRequest{ID: step, ConversationID: d.id, ActorID: "agt_sofie", Override: o})
}

// lines lists the outcomes in the routing log that people cause.
func (d *desk) lines(outcome string) (entries []map[string]any) {
	d.t.Helper()
	log, err := d.s.RoutingLog(d.t.Context(), d.id, store.Position{}, 1000)
	require.NoError(d.t, err)
	for _, l := range log {
		if l.Outcome == outcome {
			var entry map[string]any
			require.NoError(d.t, json.Unmarshal([]byte(l.Entry), &entry))
			entries = append(entries, entry)
		}
	}
	return entries
}

func TestASupervisorChangesWhatAWaitingConversationAsksForAndItsOfferIsTakenBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		o := offered(t, s, d.id, anAgent(t, s, "mei").ID)
		change := skillsOf(conversation.SkillNeed{SkillID: "skl_th", Level: 3}, conversation.SkillNeed{SkillID: "skl_ja", Level: 7})
		change.Priority = priorityOf(50).Priority
		for range 2 { // asked again it is the same step
			require.NoError(t, d.overrides("step-1", change))
		}
		over, err := s.Offer(ctx, o.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.OfferRescinded, over.State)
		needs := []conversation.SkillNeed{{SkillID: "skl_ja", Level: 7}, {SkillID: "skl_th", Level: 3}}
		require.EqualValues(t, 50, d.row().Priority)
		require.JSONEq(t, `[{"skill_id":"skl_ja","level":7},{"skill_id":"skl_th","level":3}]`, d.row().Skills)
		requirement, err := s.QueryForTest(ctx, `SELECT requirement FROM conversations WHERE id = $1`, d.id)
		require.NoError(t, err)
		require.Equal(t, routing.Requirement{Units: 1, Skills: needs, Matching: conversation.MatchingExact}.Signature(), requirement)

		lines := d.lines("overridden")
		require.Len(t, lines, 1)
		require.Equal(t, "agt_sofie", lines[0]["actor_id"])
		require.Equal(t, map[string]any{"priority": 0.0, "skills": []any{}, "queue_id": d.row().QueueID}, lines[0]["before"])
		require.Equal(t, 50.0, lines[0]["after"].(map[string]any)["priority"])
		require.Contains(t, eventsOf(t, s, "conversation.routing_changed"), "1 {")

		// What changes nothing leaves the offer alone, and says nothing.
		again := offered(t, s, d.id, anAgent(t, s, "som").ID)
		require.NoError(t, d.overrides("step-2", priorityOf(50)))
		over, err = s.Offer(ctx, again.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.OfferLive, over.State)
		require.Len(t, d.lines("overridden"), 1)
	})
}

func TestOnlyWhatWaitsAndIsRoutedIsOverridden(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		require.NoError(t, s.ExecForTest(t.Context(), `UPDATE conversations SET routed_at = 0 WHERE id = $1`, d.id))
		requireCode(t, conversation.CodeConflict, d.overrides("early", priorityOf(1)))
		require.NoError(t, s.ExecForTest(t.Context(), `UPDATE conversations SET routed_at = 1 WHERE id = $1`, d.id))
		mei := anAgent(t, s, "mei")
		d.pick(mei.ID)
		requireCode(t, conversation.CodeNotAllowedNow, d.overrides("served", priorityOf(1)))
		sofie := conversation.Actor{AgentID: "agt_sofie", Supervisor: true}
		_, err := d.try(store.TransitionRequest{Event: conversation.EventTransferredQueue, Actor: sofie, QueueID: "que_other", Override: &conversation.Override{}})
		requireCode(t, conversation.CodeNotAllowedNow, err)
		require.Equal(t, conversation.OwnerAgent, d.row().Owner, "it is not taken from its agent")
		d.must(store.TransitionRequest{Event: conversation.EventForceClosed})
		requireCode(t, conversation.CodeConversationClosed, d.overrides("closed", priorityOf(1)))
	})
}

func TestAQueueIsChangedTogetherWithTheRest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		before := d.row()
		other, err := s.CreateQueue(t.Context(), store.Origin{}, store.Queue{Name: "Other"})
		require.NoError(t, err)
		o := offered(t, s, d.id, anAgent(t, s, "mei").ID)
		change := priorityOf(9)
		req := store.TransitionRequest{
			ID: "step-1", Event: conversation.EventTransferredQueue, QueueID: other.ID, Override: &change,
			Actor: conversation.Actor{AgentID: "agt_sofie", Supervisor: true}, ActorID: "agt_sofie",
		}
		for range 2 {
			require.Equal(t, other.ID, d.must(req).QueueID)
		}
		require.NoError(t, d.overrides("step-1", change), "the same step by the other way")
		require.EqualValues(t, 9, d.row().Priority)
		require.Equal(t, before.WaitingSince, d.row().WaitingSince, "nobody loses their place by it")
		over, err := s.Offer(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, conversation.OfferRescinded, over.State)
		lines := d.lines("overridden")
		require.Len(t, lines, 1)
		require.Equal(t, before.QueueID, lines[0]["before"].(map[string]any)["queue_id"])
		require.Equal(t, other.ID, lines[0]["after"].(map[string]any)["queue_id"])
	})
}

func TestAnAcceptAndAnOverrideHaveOneWinner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mei := anAgent(t, s, "mei")
		d := newDesk(t, s)
		for n := range int64(10) {
			o := offered(t, s, d.id, mei.ID)
			var accepted, overridden error
			var both sync.WaitGroup
			both.Go(func() {
				_, accepted = s.Transition(t.Context(), store.TransitionRequest{
					ID: conversation.DerivedID(conversation.PrefixStep, "accept", n), ConversationID: d.id, ChannelID: d.plan.Channel.ID, ChatKey: d.chat,
					Event: conversation.EventAccepted, Actor: conversation.Actor{AgentID: mei.ID}, OfferID: o.ID, ParticipantID: mei.ID,
				})
			})
			both.Go(func() {
				overridden = d.overrides(conversation.DerivedID(conversation.PrefixStep, "override", n), priorityOf(n+1))
			})
			both.Wait()
			if accepted == nil {
				requireCode(t, conversation.CodeNotAllowedNow, overridden)
				require.NotEqual(t, n+1, d.row().Priority)
				d.must(store.TransitionRequest{Event: conversation.EventReleased, Actor: conversation.Actor{AgentID: mei.ID}, LeavingAgentID: mei.ID})
				continue
			}
			requireCode(t, conversation.CodeOfferRescinded, accepted)
			require.NoError(t, overridden)
			require.Equal(t, n+1, d.row().Priority)
		}
	})
}

// What a look has decided from before is held against what there is when it
// comes to the conversation's row. (SQLite has one writer: nothing comes between.)
func TestALookOffersNothingByWhatASupervisorHasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]conversation.Override{
		"skills": skillsOf(conversation.SkillNeed{SkillID: "skl_none", Level: 1}), "priority": priorityOf(5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			var meanwhile atomic.Pointer[func()]
			s, _ := storetest.New(t, "postgres", func(o *store.Options) {
				o.Now = c.Now
				o.Observe = func(statement string) {
					if !strings.HasPrefix(statement, "SELECT agent_id FROM agent_states WHERE agent_id") {
						return
					}
					if f := meanwhile.Swap(nil); f != nil { // it has decided, and locks
						(*f)()
					}
				}
			})
			f := newFloor(t, s, c, nil)
			mei, id := f.agent("mei", 3), f.waits("requirement = 'as it was'")
			override := func() {
				assert.NoError(t, s.Override(t.Context(), store.OverrideRequest{ID: "step", ConversationID: id, ActorID: "agt_sofie", Override: change}))
			}
			meanwhile.Store(&override)
			first := f.match()
			require.Nil(t, meanwhile.Load(), "it was changed in the middle of the look")
			require.Zero(t, first.Made)
			require.True(t, first.More, "the next look is at once")
			require.Empty(t, f.offers(mei))
			second := f.match()
			if name == "skills" {
				require.Zero(t, second.Made, "she does not know that")
			} else {
				require.Equal(t, 1, second.Made)
			}
		})
	}
}

func TestAnOfferIsTakenBackOnceForOneRequest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		mei := anAgent(t, s, "mei")
		requireCode(t, conversation.CodeConflict, s.TakeBack(ctx, "step-1", d.id, "agt_sofie"))
		first := offered(t, s, d.id, mei.ID)
		require.NoError(t, s.TakeBack(ctx, "step-1", d.id, "agt_sofie"))
		second := offered(t, s, d.id, mei.ID)
		require.NoError(t, s.TakeBack(ctx, "step-1", d.id, "agt_sofie"), "its answer was lost")
		for id, state := range map[string]conversation.OfferState{first.ID: conversation.OfferRescinded, second.ID: conversation.OfferLive} {
			o, err := s.Offer(ctx, id)
			require.NoError(t, err)
			require.Equal(t, state, o.State)
		}
		lines := d.lines("taken_back")
		require.Len(t, lines, 1)
		require.Equal(t, map[string]any{"actor_id": "agt_sofie", "agent_id": mei.ID, "offer_id": first.ID}, lines[0])
	})
}
