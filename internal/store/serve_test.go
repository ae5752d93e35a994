package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// desk is a conversation that people serve.
type desk struct {
	*talk
	id    string
	steps int
}

// newDesk has a customer ask for a person, and the conversation wait in a queue.
func newDesk(t *testing.T, s *store.Store) *desk {
	t.Helper()
	k := newTalk(t, s)
	k.receive(k.event("d1", "message", "a person, please"))
	d := &desk{talk: k, id: k.ingest("", 0).ConversationID}
	d.must(store.TransitionRequest{Event: conversation.EventCustomerAsked})
	d.must(store.TransitionRequest{Event: conversation.EventRouted, Routing: &store.Routing{
		QueueID: k.plan.Workstream.FallbackQueueID, Matching: conversation.MatchingExact, Units: 1,
	}})
	return d
}

// try carries out a step as a new one.
func (d *desk) try(req store.TransitionRequest) (store.TransitionResult, error) {
	d.steps++
	if req.ID == "" {
		req.ID = conversation.DerivedID(conversation.PrefixStep, d.id, d.steps)
	}
	req.ConversationID, req.ChannelID, req.ChatKey = d.id, d.plan.Channel.ID, d.chat
	req.Seen, req.Deadline = 1<<40, time.Now().Add(3*time.Second)
	return d.s.Transition(d.t.Context(), req)
}

func (d *desk) must(req store.TransitionRequest) store.TransitionResult {
	d.t.Helper()
	res, err := d.try(req)
	require.NoError(d.t, err)
	return res
}

func (d *desk) row() store.Conversation {
	d.t.Helper()
	c, err := d.s.Conversation(d.t.Context(), d.id)
	require.NoError(d.t, err)
	return c
}

func (d *desk) pick(agentID string) store.TransitionResult {
	d.t.Helper()
	return d.must(store.TransitionRequest{Event: conversation.EventPicked, ParticipantID: agentID, Actor: conversation.Actor{AgentID: agentID}})
}

func say(cause, conversationID string, by conversation.Actor, texts ...string) store.SayRequest {
	req := store.SayRequest{Cause: cause, ConversationID: conversationID, Actor: by}
	for _, text := range texts {
		req.Drafts = append(req.Drafts, store.Draft{SenderKind: conversation.SenderAgent, SenderID: by.AgentID, Content: conversation.TextContent(text)})
	}
	return req
}

func TestWhatAnAgentWritesIsStoredOnceAndTheWorkflowIsWantedUntilItHasLooked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		mei := anAgent(t, s, "mei")
		by := conversation.Actor{AgentID: mei.ID}
		_, _, err := s.Say(ctx, say("too early", d.id, by, "hello"))
		requireCode(t, conversation.CodeNotAllowedNow, err)
		d.pick(mei.ID)
		_, _, err = s.Say(ctx, say("not mine", d.id, conversation.Actor{AgentID: "agt_other"}, "hello"))
		requireCode(t, conversation.CodeNotAssignedToYou, err)
		wanted := func() []store.Chat {
			chats, err := s.UnhandledChats(ctx, time.Now().Add(time.Hour), 10)
			require.NoError(t, err)
			return chats
		}
		require.Empty(t, wanted(), "what was refused wants nothing")

		first, _, err := s.Say(ctx, say("hello", d.id, by, "hello", "how can I help?"))
		require.NoError(t, err)
		again, _, err := s.Say(ctx, say("hello", d.id, by, "hello", "how can I help?"))
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Len(t, first, 2)
		require.Equal(t, conversation.MessagePending, first[0].State)
		require.Equal(t, []string{"a person, please", "hello", "how can I help?"}, d.texts(d.id))
		require.Equal(t, []store.Chat{{ChannelID: d.plan.Channel.ID, ChatKey: d.chat}}, wanted())

		req := d.request(d.id, 1<<40)
		req.Epoch = d.row().Epoch
		res, err := s.Ingest(ctx, req, read)
		require.NoError(t, err)
		require.True(t, res.Pending, "the lane has something to do")
		require.Equal(t, mei.ID, res.AgentID)
		require.Empty(t, wanted())

		d.must(store.TransitionRequest{Event: conversation.EventForceClosed})
		_, _, err = s.Say(ctx, say("too late", d.id, by, "one more thing"))
		requireCode(t, conversation.CodeConversationClosed, err)
	})
}

func TestACloseTellsOfMessagesTheWorkflowDoesNotKnow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		d.pick(mei.ID)
		_, _, err := s.Say(t.Context(), say("bye", d.id, conversation.Actor{AgentID: mei.ID}, "goodbye"))
		require.NoError(t, err)
		require.True(t, d.must(store.TransitionRequest{Event: conversation.EventForceClosed}).Pending)
	})
}

func TestNotesAreStoredOnceInEveryPhase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		for _, phase := range []string{"queued", "closed"} {
			for range 2 {
				m, err := s.Note(t.Context(), store.NoteRequest{Cause: phase, ConversationID: d.id, SenderID: "agt_1", SenderName: "Mei", Text: phase})
				require.NoError(t, err)
				require.Equal(t, conversation.Internal, m.Direction)
				require.Equal(t, conversation.MessageAccepted, m.State)
			}
			if phase == "queued" {
				require.False(t, d.must(store.TransitionRequest{Event: conversation.EventForceClosed}).Pending, "a note is not sent")
			}
		}
		require.Equal(t, []string{"a person, please", "queued", "closed"}, d.texts(d.id))
	})
}

func TestWhoComesBackWaitsWhereTheyWaitedForTheAgentTheyHad(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		first := d.row()
		require.NotZero(t, first.WaitingSince)
		d.pick(mei.ID)
		require.Zero(t, d.row().WaitingSince)
		by := conversation.Actor{AgentID: mei.ID}
		d.must(store.TransitionRequest{Event: conversation.EventParked, Actor: by, LeavingAgentID: mei.ID})
		require.Equal(t, conversation.OwnerNone, d.row().Owner)

		until := time.Now().Add(time.Minute)
		res := d.must(store.TransitionRequest{Event: conversation.EventCustomerWrote, Keep: store.Affinity{On: true, Until: until}})
		require.Equal(t, conversation.OwnerQueue, res.Owner)
		require.True(t, res.Routed, "its queue is known")
		require.Equal(t, first.QueueID, res.QueueID)
		preferred, err := s.QueryForTest(t.Context(), `SELECT preferred_agent_id || ' ' || preferred_until || ' ' || (first_waited_at < waiting_since) FROM conversations`)
		require.NoError(t, err)
		require.Contains(t, []string{fmt.Sprintf("%s %d true", mei.ID, until.UnixMicro()), fmt.Sprintf("%s %d 1", mei.ID, until.UnixMicro())}, preferred)

		d.pick(mei.ID)
		require.Equal(t, first.QueueID, d.must(store.TransitionRequest{Event: conversation.EventReleased, Actor: by, LeavingAgentID: mei.ID}).QueueID)
		idle, err := s.QueryForTest(t.Context(), `SELECT CAST(idle_since > 0 AS TEXT) || preferred_agent_id FROM agent_states, conversations`)
		require.NoError(t, err)
		require.Contains(t, []string{"true", "1"}, idle, "idle from now on, and who released it is not preferred")
	})
}

func TestACustomerWhoWritesInWrapUpHasTheSameAgentInTheSameSession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		by := conversation.Actor{AgentID: mei.ID}
		d.pick(mei.ID)
		d.must(store.TransitionRequest{Event: conversation.EventEnded, Actor: by, LeavingAgentID: mei.ID})
		res := d.must(store.TransitionRequest{Event: conversation.EventCustomerWrote})
		require.Equal(t, conversation.PhaseServed, conversation.Phase{Status: res.Status, Owner: res.Owner})
		require.Equal(t, mei.ID, res.AgentID)
		open, err := s.QueryForTest(t.Context(), `SELECT CAST(count(*) AS TEXT) FROM sessions WHERE kind = 'agent'`)
		require.NoError(t, err)
		require.Equal(t, "1", open)

		d.must(store.TransitionRequest{Event: conversation.EventEnded, Actor: by})
		res = d.must(store.TransitionRequest{Event: conversation.EventWrapUpDone, Actor: by, DispositionID: "dsp_1"})
		require.Equal(t, conversation.ReasonAgentEnded, res.Reason)
		chosen, err := s.QueryForTest(t.Context(), `SELECT disposition_id FROM conversations`)
		require.NoError(t, err)
		require.Equal(t, "dsp_1", chosen)
	})
}

func TestABotThatIsSentAConversationBeginsWithWhatComesNext(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newDesk(t, s)
		mei := anAgent(t, s, "mei")
		d.pick(mei.ID)
		res := d.must(store.TransitionRequest{
			Event: conversation.EventTransferredBot, ParticipantID: d.plan.Bot.ID, LeavingAgentID: mei.ID, Actor: conversation.Actor{AgentID: mei.ID},
		})
		require.Equal(t, conversation.OwnerBot, res.Owner)
		turn := store.TurnRequest{ID: "trn_1", ConversationID: d.id, Epoch: res.Epoch}
		asked, err := s.LoadTurn(t.Context(), turn)
		require.NoError(t, err)
		require.Empty(t, asked.Messages, "people have answered these")
		d.receive(d.event("d2", "message", "hello bot"))
		d.ingest(d.id, 1)
		asked, err = s.LoadTurn(t.Context(), turn)
		require.NoError(t, err)
		require.Len(t, asked.Messages, 1)
		require.Equal(t, "hello bot", asked.Messages[0].Text)
	})
}

func TestWhatMovesAWaitingConversationRescindsItsOffer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mei, som := anAgent(t, s, "mei"), anAgent(t, s, "som")
		d := newDesk(t, s)
		o := offered(t, s, d.id, mei.ID)
		d.pick(som.ID)
		accept := store.TransitionRequest{Event: conversation.EventAccepted, OfferID: o.ID, ParticipantID: mei.ID, Actor: conversation.Actor{AgentID: mei.ID}}
		_, err := d.try(accept)
		requireCode(t, conversation.CodeOfferRescinded, err)
		require.Equal(t, som.ID, d.row().AgentID)
	})
}

func TestAnAcceptedOfferGivesTheConversationToItsAgentOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mei := anAgent(t, s, "mei")
		d := newDesk(t, s)
		o := offered(t, s, d.id, mei.ID)
		accept := store.TransitionRequest{ID: "tsn_accept", Event: conversation.EventAccepted, OfferID: o.ID, ParticipantID: mei.ID, Actor: conversation.Actor{AgentID: mei.ID}}
		first := d.must(accept)
		require.Equal(t, mei.ID, first.AgentID)
		require.Equal(t, first.Epoch, d.must(accept).Epoch, "the same step again")
		accept.ID = ""
		_, err := d.try(accept)
		requireCode(t, conversation.CodeOfferAccepted, err)
	})
}

func TestContextVariablesAreSetAndRemovedWithinTheirLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		require.NoError(t, s.SetContext(ctx, d.id, map[string]string{"注文番号": "A-1", "old": "x"}, nil))
		require.NoError(t, s.SetContext(ctx, d.id, map[string]string{"注文番号": "A-2"}, []string{"old"}))
		require.JSONEq(t, `{"注文番号": "A-2"}`, d.row().Context)
		many := map[string]string{}
		for i := range store.MaxVariables {
			many[fmt.Sprint("v", i)] = "x"
		}
		requireCode(t, conversation.CodeInvalid, s.SetContext(ctx, d.id, many, nil))
		requireCode(t, conversation.CodeInvalid, s.SetContext(ctx, d.id, map[string]string{"": "x"}, nil))
		require.JSONEq(t, `{"注文番号": "A-2"}`, d.row().Context)
	})
}

func TestAContactIsOfThisConversationAndOfThoseTheCustomerBeginsLater(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		requireCode(t, conversation.CodeInvalid, s.LinkContact(ctx, d.id, "cnt_none"))
		require.NoError(t, s.ExecForTest(ctx, `INSERT INTO contacts (id, name, version, created_at, updated_at) VALUES ('cnt_1', 'Aoi', 1, 1, 1)`))
		require.NoError(t, s.LinkContact(ctx, d.id, "cnt_1"))
		require.Equal(t, "cnt_1", d.row().ContactID)
		d.must(store.TransitionRequest{Event: conversation.EventForceClosed})
		d.receive(d.event("d9", "message", "me again"))
		next := d.ingest("", 0)
		require.NotEqual(t, d.id, next.ConversationID)
		c, err := s.Conversation(ctx, next.ConversationID)
		require.NoError(t, err)
		require.Equal(t, "cnt_1", c.ContactID)
	})
}
