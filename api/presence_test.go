package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestAPresenceOfTheHousesOwnIsSetAndShown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		lunch := b.create("presences", map[string]any{"name": "Lunch", "names": map[string]any{"ja": "昼休み"}, "base": "away"}).text(t, "id")
		me := func() response { return b.as(store.RoleAgent, "GET", "/api/v1/me", nil) }
		r := b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": lunch})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, "away", r.text(t, "presence"))
		require.Equal(t, map[string]any{"id": lunch, "name": "Lunch"}, r.get(t, "custom_presence"))
		require.Equal(t, "set", me().text(t, "agent", "state", "cause"))
		require.Equal(t, "Lunch", me().text(t, "agent", "state", "custom_presence", "name"))
		require.Equal(t, lunch, b.as(store.RoleSupervisor, "GET", "/api/v1/agents/"+b.agents[store.RoleAgent].ID, nil).text(t, "state", "custom_presence", "id"))

		requireProblem(t, b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "prs_none"}), 400, conversation.CodeInvalid, "/presence")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/presences", map[string]any{"name": "x", "base": "lunch", "names": map[string]any{"ja": "x"}}), 400, conversation.CodeInvalid, "/base")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/presences", map[string]any{"name": "x", "base": "away", "names": map[string]any{"jp": "x"}}), 400, conversation.CodeInvalid, "/names/jp")
		path := "/api/v1/presences/" + lunch
		requireProblem(t, b.patch(path, map[string]any{"base": "busy"}), 400, conversation.CodeInvalid, "/base")
		r = b.patch(path, map[string]any{"names": map[string]any{"ja": nil, "th": "พักเที่ยง"}})
		require.Equal(t, map[string]any{"th": "พักเที่ยง"}, r.get(t, "names"))
		require.Equal(t, 204, b.delete("presences/"+lunch).Status)
		require.Nil(t, me().get(t, "agent", "state", "custom_presence"))
		require.Equal(t, "away", me().text(t, "agent", "state", "presence"), "what it stood for")
	})
}

func TestWhatAWorkstreamSaysOfPresenceIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	path := "/api/v1/workstreams/" + b.workstream()
	r := b.as(store.RoleAdmin, "GET", path, nil)
	require.Equal(t, "reroute", r.text(t, "settings", "assignment", "absent"))
	require.Equal(t, "always", r.text(t, "settings", "wrap_up", "blocks"))
	set := func(settings map[string]any) response { return b.patch(path, map[string]any{"settings": settings}) }
	requireProblem(t, set(map[string]any{
		"assignment": map[string]any{"absent": "forget", "absent_after_seconds": 86401, "missed_offers_away": 11, "auto_accept": "yes"},
		"wrap_up":    map[string]any{"for_seconds": 29},
	}), 400, conversation.CodeInvalid, "/settings/assignment/absent", "/settings/assignment/absent_after_seconds", "/settings/assignment/auto_accept",
		"/settings/assignment/missed_offers_away", "/settings/wrap_up/for_seconds")
	requireProblem(t, set(map[string]any{"wrap_up": map[string]any{"blocks": "for_seconds"}}), 400, conversation.CodeInvalid, "/settings/wrap_up/for_seconds")
	requireProblem(t, set(map[string]any{"wrap_up": map[string]any{"for_seconds": 60}}), 400, conversation.CodeInvalid, "/settings/wrap_up/for_seconds")
	r = set(map[string]any{"assignment": map[string]any{"absent": "keep", "auto_accept": true}, "wrap_up": map[string]any{"blocks": "for_seconds", "for_seconds": 60}})
	require.Equal(t, 200, r.Status, "%s", r.Raw)
	require.Equal(t, map[string]any{"blocks": "for_seconds", "for_seconds": float64(60)}, r.get(t, "settings", "wrap_up"))
	r = set(map[string]any{"wrap_up": map[string]any{"blocks": "never", "for_seconds": nil}})
	require.Equal(t, map[string]any{"blocks": "never"}, r.get(t, "settings", "wrap_up"))
	agent := "/api/v1/agents/" + b.agents[store.RoleAgent].ID
	require.Equal(t, true, b.patch(agent, map[string]any{"auto_busy": true}).get(t, "auto_busy"))
	require.Equal(t, 200, b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "available"}).Status)
	r = b.patch(agent, map[string]any{"capacity": 0})
	require.Equal(t, true, r.get(t, "state", "at_capacity"))
	require.Equal(t, []string{"busy", "available"}, []string{r.text(t, "state", "presence"), r.text(t, "state", "chosen_presence")})
}

// An API stops and another takes its place, within the grace time: an agent with
// an open stream is available all the while; one without is offline when the
// grace time is over, once.
func TestWhoHasAStreamOpenStaysWhenAnAPIIsReplaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for _, role := range []store.Role{store.RoleAgent, store.RoleSupervisor} {
			require.Equal(t, 200, b.as(role, "PUT", "/api/v1/me/presence", map[string]any{"presence": "available"}).Status)
		}
		agent, other := b.agents[store.RoleAgent].ID, b.agents[store.RoleSupervisor].ID
		stream := b.stream(b.url, b.tokens[store.RoleAgent], "/api/v1/events/stream?after=latest")
		stream.block()
		stream.close() // the first one is gone, and what it remembered of whom it has seen
		ago := func(d time.Duration) {
			b.sql("UPDATE agent_states SET last_seen_at = $1", time.Now().Add(-d).UnixMicro())
		}
		ago(conversation.PresenceGrace - 20*time.Second)
		_, replaced := b.serve(b.store)
		again := b.stream(replaced, b.tokens[store.RoleAgent], "/api/v1/events/stream?after=latest")
		again.block()
		require.Eventually(t, func() bool {
			st, err := b.store.AgentState(ctx, agent)
			return err == nil && time.Since(time.UnixMicro(st.LastSeen)) < conversation.PresenceGrace/2
		}, 20*time.Second, soon, "the new one says so at once")
		res, err := b.store.Match(ctx, store.MatchRequest{})
		require.NoError(t, err)
		require.Zero(t, res.Silent, "the grace time is not over for anybody")

		b.sql("UPDATE agent_states SET last_seen_at = $1 WHERE agent_id = $2", time.Now().Add(-conversation.PresenceGrace).UnixMicro(), other)
		for _, silent := range []int{1, 0} {
			res, err := b.store.Match(ctx, store.MatchRequest{})
			require.NoError(t, err)
			require.Equal(t, silent, res.Silent)
		}
		for id, presence := range map[string]conversation.Presence{agent: conversation.PresenceAvailable, other: conversation.PresenceOffline} {
			st, err := b.store.AgentState(ctx, id)
			require.NoError(t, err)
			require.Equal(t, presence, st.Presence)
		}
	})
}
