package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// readable puts a message of the customer into the database that can be marked as
// read.
func (b *bundle) readable(conversationID string, at int64, token string) (id string) {
	b.t.Helper()
	id = conversation.NewID(conversation.PrefixMessage)
	b.sql(`INSERT INTO messages (id, conversation_id, channel_id, occurred_at, direction, sender_kind, type, text, payload, state, created_at, read_token)
		VALUES ($1, $2, 'chn_any', $3, 'inbound', 'customer', 'text', 'which?', $4, 'accepted', $3, $5)`,
		id, conversationID, at, `{"markAsReadToken":"of-old","quoteToken":"q","quotedMessageId":"7"}`, token)
	return id
}

// servedChat is a conversation with a customer of LINE's simulator that the agent
// has.
func (b *bundle) servedChat() string {
	b.t.Helper()
	id := b.live()
	b.sql(`INSERT INTO chats (channel_id, chat_key, tick, created_at) SELECT channel_id, chat_key, 1, 1 FROM conversations WHERE id = $1`, id)
	require.NoError(b.t, b.sim.AddUser(b.t.Context(), linesim.User{ID: someUser, DisplayName: "山田"}))
	return id
}

func (b *bundle) asked(endpoint string) int {
	return len(b.sim.Calls(linesim.CallFilter{Endpoint: endpoint}))
}

func TestOnlyTheAgentWhoServesTypesAndReads(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.servedChat()
		m := b.readable(id, 10, "read-me")
		typing, read := "/api/v1/conversations/"+id+"/typing", "/api/v1/conversations/"+id+"/read"
		upTo := map[string]any{"message_id": m}
		for _, role := range []store.Role{store.RoleSupervisor, store.RoleAdmin} {
			requireProblem(t, b.as(role, "POST", typing, nil), 409, conversation.CodeNotAssignedToYou)
			requireProblem(t, b.as(role, "POST", read, upTo), 409, conversation.CodeNotAssignedToYou)
		}
		require.Zero(t, b.asked("loading"))
		require.Equal(t, 204, b.as(store.RoleAgent, "POST", typing, nil).Status)
		require.Equal(t, 204, b.as(store.RoleAgent, "POST", typing, nil).Status)
		require.Equal(t, 1, b.asked("loading"))
		_, other := b.serve(b.store)
		require.Equal(t, 204, b.send(other, b.tokens[store.RoleAgent], "POST", typing, nil).Status)
		require.Equal(t, 1, b.asked("loading"), "another process knows, too")

		require.Equal(t, float64(1), b.as(store.RoleAgent, "GET", "/api/v1/conversations", nil).get(t, "items", 0, "unread"))
		requireProblem(t, b.as(store.RoleAgent, "POST", read, map[string]any{"message_id": "msg_none"}), 400, conversation.CodeInvalid, "/message_id")
		requireProblem(t, b.as(store.RoleAgent, "POST", read, map[string]any{"message": m}), 400, conversation.CodeInvalid, "/message", "/message_id")
		require.Equal(t, 204, b.as(store.RoleAgent, "POST", read, upTo).Status)
		require.Equal(t, float64(0), b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id, nil).get(t, "unread"))
		require.Equal(t, float64(0), b.as(store.RoleAgent, "GET", "/api/v1/conversations", nil).get(t, "items", 0, "unread"))
		require.Zero(t, b.asked("mark_as_read"), "the workstream does not want it")
		events, err := b.store.SequenceEvents(t.Context())
		require.NoError(t, err)
		require.NotZero(t, events)
		said := false
		for _, e := range b.as(store.RoleAgent, "GET", "/api/v1/events", nil).get(t, "items").([]any) {
			e := e.(map[string]any)
			if e["type"] == "conversation.read" {
				require.Equal(t, m, e["subject_id"])
				require.Equal(t, b.agents[store.RoleAgent].ID, e["data"].(map[string]any)["agent_id"])
				said = true
			}
		}
		require.True(t, said)

		b.sql(`UPDATE conversations SET status = 'open', owner = 'queue', agent_id = '' WHERE id = $1`, id)
		requireProblem(t, b.as(store.RoleAgent, "POST", typing, nil), 409, conversation.CodeNotAllowedNow)
		b.sql(`UPDATE conversations SET status = 'closed', owner = 'none' WHERE id = $1`, id)
		requireProblem(t, b.as(store.RoleAgent, "POST", typing, nil), 409, conversation.CodeConversationClosed)
		requireProblem(t, b.as(store.RoleAgent, "POST", read, upTo), 409, conversation.CodeConversationClosed)
		require.NotContains(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id, nil).Body, "unread")
		require.Equal(t, 404, b.as(store.RoleAgent, "POST", "/api/v1/conversations/cnv_none/typing", nil).Status)
	})
}

func TestTheTokensOfAMessageLeaveNowhere(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.servedChat()
	b.patch("/api/v1/workstreams/"+b.as(store.RoleAdmin, "GET", "/api/v1/workstreams", nil).text(t, "items", 0, "id"),
		map[string]any{"settings": map[string]any{"courtesies": map[string]any{"mark_as_read": "agent_reads"}}})
	m := b.readable(id, 10, "a-read-token")
	require.Equal(t, 204, b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/read", map[string]any{"message_id": m}).Status)
	require.Equal(t, 1, b.asked("mark_as_read"))
	quoting := b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/messages", map[string]any{"type": "text", "text": "yes", "quote_message_id": m})
	require.Contains(t, []int{201, 202}, quoting.Status, "%s", quoting.Raw)
	list := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/messages", nil)
	require.Equal(t, map[string]any{"quotedMessageId": "7"}, list.get(t, "items", 0, "payload"))
	for _, shown := range []string{string(quoting.Raw), string(list.Raw), b.log.String()} {
		for _, token := range []string{"a-read-token", "of-old", "quoteToken", "quote_token"} {
			require.NotContains(t, shown, token)
		}
	}
}

// A slow LINE keeps nobody from typing or reading.
func TestALINEThatDoesNotAnswerKeepsNobodyWaitingForLong(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	id := b.servedChat()
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultSlow, Endpoint: "loading", DelayMS: 8_000})
	require.NoError(t, err)
	begun := time.Now()
	require.Equal(t, 204, b.as(store.RoleAgent, "POST", "/api/v1/conversations/"+id+"/typing", nil).Status)
	require.Less(t, time.Since(begun), 7*time.Second)
}

func TestCourtesiesAreSettingsOfAWorkstream(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	path := "/api/v1/workstreams/" + b.workstream()
	set := func(c map[string]any) response {
		return b.patch(path, map[string]any{"settings": map[string]any{"courtesies": c}})
	}
	require.NotContains(t, b.as(store.RoleAdmin, "GET", path, nil).get(t, "settings"), "courtesies", "nothing is set")
	all := map[string]any{"typing": "bot", "mark_as_read": "agent_reads", "profile_seconds": 3600.0}
	require.Equal(t, all, set(all).get(t, "settings", "courtesies"))
	require.Equal(t, "never", set(map[string]any{"typing": "never"}).text(t, "settings", "courtesies", "typing"))
	require.Equal(t, "agent_reads", b.as(store.RoleAdmin, "GET", path, nil).text(t, "settings", "courtesies", "mark_as_read"), "what is left out stays")
	for field, wrong := range map[string]any{"typing": "sometimes", "mark_as_read": true, "profile_seconds": 59, "reads": 1} {
		r := set(map[string]any{field: wrong})
		requireProblem(t, r, 400, conversation.CodeInvalid, "/settings/courtesies/"+field)
		require.False(t, strings.Contains(string(r.Raw), "schema"), "%s", r.Raw)
	}
}
