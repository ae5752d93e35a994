package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// queued puts a conversation into a queue that the agent works, ready to be
// offered.
func (b *bundle) queued(channel, queue string) string {
	b.t.Helper()
	id := b.conversation(channel, "open", "queue")
	b.sql("UPDATE conversations SET queue_id = $1, routed_at = 1, waiting_since = 1, first_waited_at = 1, summary = 'wants a refund' WHERE id = $2", queue, id)
	return id
}

// offer has a conversation offered to the agent, who is available.
func (b *bundle) offer() (conversationID, offerID string) {
	b.t.Helper()
	ctx := b.t.Context()
	channel, queue := b.channel(), b.queue()
	require.NoError(b.t, b.store.AddMember(ctx, store.Origin{}, queue, b.agents[store.RoleAgent].ID))
	require.Equal(b.t, 200, b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "available"}).Status)
	id := b.queued(channel, queue)
	b.message(id, 1, "返品したいです")
	res, err := b.store.Match(ctx, store.MatchRequest{})
	require.NoError(b.t, err)
	require.Equal(b.t, 1, res.Made)
	return id, b.as(store.RoleAgent, "GET", "/api/v1/me/offers", nil).text(b.t, "items", 0, "id")
}

func TestAnOfferShowsWhatTheAgentNeedsToDecide(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id, _ := b.offer()
		b.sql("INSERT INTO skills (id, name, version, created_at, updated_at) VALUES ('skl_1', 'Returns', 1, 1, 1)")
		b.sql(`UPDATE conversations SET skills = '[{"skill_id":"skl_1","level":3}]' WHERE id = $1`, id)
		r := b.as(store.RoleAgent, "GET", "/api/v1/me/offers", nil)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, id, r.text(t, "items", 0, "conversation_id"))
		require.Equal(t, "返品したいです", r.text(t, "items", 0, "messages", 0, "text"))
		require.Equal(t, "wants a refund", r.text(t, "items", 0, "summary"))
		require.Nil(t, r.get(t, "items", 0, "customer", "contact"))
		require.Equal(t, float64(0), r.get(t, "items", 0, "customer", "earlier_conversations"))
		require.Equal(t, "Returns", r.text(t, "items", 0, "skills", 0, "name"))
		require.NotEmpty(t, r.text(t, "items", 0, "queue", "name"))
		expires, err := time.Parse(time.RFC3339, r.text(t, "items", 0, "expires_at"))
		require.NoError(t, err)
		now, err := time.Parse(time.RFC3339, r.text(t, "server_time"))
		require.NoError(t, err)
		require.True(t, expires.After(now))
		require.Empty(t, b.as(store.RoleSupervisor, "GET", "/api/v1/me/offers", nil).get(t, "items"))
	})
}

func TestAnOfferIsAcceptedThroughTheConversationAndAskedAgainAnswersTheSame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id, offer := b.offer()
		agent := b.agents[store.RoleAgent].ID
		path := "/api/v1/offers/" + offer + "/accept"
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, nil), 404, conversation.CodeNotFound)
		b.engine.onClose(func(req conversation.ActionRequest) error {
			require.Equal(t, conversation.EventAccepted, req.Event)
			require.Equal(t, offer, req.OfferID)
			require.Equal(t, agent, req.Actor.AgentID)
			_, err := b.store.Transition(t.Context(), store.TransitionRequest{
				ID: "step", ConversationID: id, Event: req.Event, Actor: req.Actor, OfferID: req.OfferID, ParticipantID: agent,
			})
			return err
		})
		for range 2 {
			r := b.as(store.RoleAgent, "POST", path, nil)
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			require.Equal(t, agent, r.text(t, "agent_id"))
		}
		asked, _ := b.engine.requests()
		require.Len(t, asked, 1, "what is done is not asked for again")
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/offers/"+offer+"/decline", map[string]any{}), 409, conversation.CodeOfferAccepted)
		me := b.as(store.RoleAgent, "GET", "/api/v1/me", nil)
		require.Equal(t, float64(1), me.get(t, "agent", "state", "load"))
		b.sql("UPDATE conversations SET agent_id = 'agt_other' WHERE id = $1", id)
		requireProblem(t, b.as(store.RoleAgent, "POST", path, nil), 409, conversation.CodeOfferAccepted)
	})
}

func TestAnOfferThatIsOverIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		_, offer := b.offer()
		b.engine.onClose(func(conversation.ActionRequest) error { // moved on in the meantime
			_, err := b.store.RescindOffer(t.Context(), offer, "agt_sofie")
			require.NoError(t, err)
			return conversation.Errorf(conversation.CodeNotAllowedNow, "not now")
		})
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/offers/"+offer+"/accept", nil), 409, conversation.CodeOfferRescinded)
		for state, code := range map[string]conversation.Code{"declined": conversation.CodeOfferDeclined, "timed_out": conversation.CodeOfferExpired} {
			b.sql("UPDATE offers SET state = $1 WHERE id = $2", state, offer)
			requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/offers/"+offer+"/accept", nil), 409, code)
		}
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/offers/ofr_none/accept", nil), 404, conversation.CodeNotFound)
	})
}

func TestADeclineFreesTheConversationForTheNextAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id, offer := b.offer()
		path := "/api/v1/offers/" + offer
		requireProblem(t, b.as(store.RoleAgent, "POST", path+"/decline", map[string]any{"reason": string(make([]rune, 201))}), 400, conversation.CodeInvalid, "/reason")
		requireProblem(t, b.as(store.RoleAgent, "POST", path+"/rescind", nil), 403, conversation.CodeForbidden)
		kicks := b.kicks.n.Load()
		for range 2 {
			r := b.as(store.RoleAgent, "POST", path+"/decline", map[string]any{"reason": "お昼休みです"})
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			require.Equal(t, "declined", r.text(t, "state"))
		}
		require.Greater(t, b.kicks.n.Load(), kicks)
		log := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/routing-log", nil)
		require.Equal(t, 200, log.Status, "%s", log.Raw)
		require.Equal(t, "offered", log.text(t, "items", 0, "outcome"))
		require.Equal(t, "agent", log.text(t, "items", 0, "entry", "agent_name"))
		require.Equal(t, "only_one", log.text(t, "items", 0, "entry", "why"))
		require.Equal(t, "chosen", log.text(t, "items", 0, "entry", "agents", 0, "reason"))
		require.Equal(t, "agent", log.text(t, "items", 0, "entry", "agents", 0, "agent_name"))
		require.Equal(t, "declined", log.text(t, "items", 1, "outcome"))
		require.NotContains(t, string(log.Raw), "お昼休み")
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/cnv_none/routing-log", nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path+"/rescind", nil), 409, conversation.CodeOfferDeclined)
	})
}

func TestPresenceIsSetByOneselfAndByASupervisor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		agent := b.agents[store.RoleAgent].ID
		require.Equal(t, "offline", b.as(store.RoleSupervisor, "GET", "/api/v1/agents/"+agent, nil).text(t, "state", "presence"))
		kicks := b.kicks.n.Load()
		r := b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "available"})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, "available", r.text(t, "presence"))
		require.Equal(t, float64(3), r.get(t, "capacity"))
		require.Greater(t, b.kicks.n.Load(), kicks)
		requireProblem(t, b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "here"}), 400, conversation.CodeInvalid, "/presence")

		path := "/api/v1/agents/" + agent + "/presence"
		requireProblem(t, b.as(store.RoleAgent, "PUT", path, map[string]any{"presence": "away"}), 403, conversation.CodeForbidden)
		require.Equal(t, "away", b.as(store.RoleSupervisor, "PUT", path, map[string]any{"presence": "away"}).text(t, "presence"))
		requireProblem(t, b.as(store.RoleSupervisor, "PUT", "/api/v1/agents/agt_none/presence", map[string]any{"presence": "away"}), 404, conversation.CodeNotFound)
		list := b.as(store.RoleSupervisor, "GET", "/api/v1/agents", nil)
		require.Equal(t, "away", list.text(t, "items", 0, "state", "presence"))
		require.Equal(t, "away", b.as(store.RoleAgent, "GET", "/api/v1/me", nil).text(t, "agent", "state", "chosen_presence"))
	})
}

// Whatever an agent does is a sign of life; who was taken for gone is back.
func TestAnyCallBringsBackWhoWasTakenForGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		agent := b.agents[store.RoleAgent].ID
		_, err := b.store.SetPresence(t.Context(), agent, conversation.PresenceAvailable, true)
		require.NoError(t, err)
		b.sql("UPDATE agent_states SET presence = 'offline', last_seen_at = 1 WHERE agent_id = $1", agent)
		kicks := b.kicks.n.Load()
		require.Equal(t, "available", b.as(store.RoleAgent, "GET", "/api/v1/me", nil).text(t, "agent", "state", "presence"))
		require.Greater(t, b.kicks.n.Load(), kicks)
		b.sql("UPDATE agent_states SET last_seen_at = 1 WHERE agent_id = $1", agent)
		b.as(store.RoleAgent, "GET", "/api/v1/me", nil)
		st, err := b.store.AgentState(t.Context(), agent)
		require.NoError(t, err)
		require.EqualValues(t, 1, st.LastSeen, "written twice a minute at most")
	})
}
