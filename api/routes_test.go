package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Every route is asked by nobody, by an agent, a supervisor and an
// administrator, each for something that does not exist and with nothing in
// the body: whoever may gets anything but 401 and 403.
func TestEveryRouteTakesExactlyTheRolesOfItsPermission(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Dialects()[0])
	table := map[string]store.Role{}
	for _, r := range api.Routes() {
		table[r.Method+" "+r.Path] = r.Role
	}
	for path, item := range spec().Paths.Map() {
		for method := range item.Operations() {
			needs, ok := table[method+" "+path]
			require.True(t, ok, "%s %s of openapi.yaml is not in the route table", method, path)
			delete(table, method+" "+path)
			target := strings.NewReplacer("{id}", "agt_none", "{agent_id}", "agt_none", "{channel_id}", "chn_none").Replace(path)
			for _, role := range []store.Role{"", store.RoleAgent, store.RoleSupervisor, store.RoleAdmin} {
				r := b.as(role, method, target, nil, header{"Last-Event-ID", "999"})
				switch {
				case needs == "":
					require.NotContains(t, []int{401, 403}, r.Status, "%s %s by %q", method, path, role)
				case role == "":
					requireProblem(t, r, 401, conversation.CodeUnauthenticated)
					require.Contains(t, r.Header.Get("Www-Authenticate"), "Bearer")
				case role.Includes(needs):
					require.NotContains(t, []int{401, 403, 500}, r.Status, "%s %s by %q: %s", method, path, role, r.Raw)
				default:
					requireProblem(t, r, 403, conversation.CodeForbidden)
				}
			}
		}
	}
	require.Empty(t, table, "routes that are not in openapi.yaml")
}

func TestATokenOfNarrowerScopeDoesOnlyThat(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		issued := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAdmin].ID+"/tokens",
			map[string]any{"name": "reporting", "scope": []string{"conversations.read"}})
		require.Equal(t, 201, issued.Status, "%s", issued.Raw)
		token := issued.text(t, "token")
		require.Equal(t, 200, b.send(b.url, token, "GET", "/api/v1/conversations", nil).Status)
		requireProblem(t, b.send(b.url, token, "GET", "/api/v1/channels", nil), 403, conversation.CodeForbidden)
		me := b.send(b.url, token, "GET", "/api/v1/me", nil)
		require.Equal(t, []any{"self", "conversations.read"}, me.get(t, "permissions"))
		require.Equal(t, "admin", me.text(t, "role"))

		lesser := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAdmin].ID+"/tokens", map[string]any{"name": "as agent", "role": "agent"})
		requireProblem(t, b.send(b.url, lesser.text(t, "token"), "GET", "/api/v1/channels", nil), 403, conversation.CodeForbidden)
		refused := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAgent].ID+"/tokens",
			map[string]any{"name": "too much", "role": "admin", "scope": []string{"audit.read"}, "expires_at": "2020-01-01T00:00:00Z"})
		requireProblem(t, refused, 400, conversation.CodeInvalid, "/role", "/expires_at")
	})
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		issued := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAgent].ID+"/tokens", map[string]any{"name": "x"})
		token, id := issued.text(t, "token"), issued.text(t, "id")
		require.Equal(t, 200, b.send(b.url, token, "GET", "/api/v1/me", nil).Status)
		require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", "/api/v1/tokens/"+id, nil).Status)
		requireProblem(t, b.send(b.url, token, "GET", "/api/v1/me", nil), 401, conversation.CodeUnauthenticated)
		list := b.as(store.RoleAdmin, "GET", "/api/v1/tokens?agent_id="+b.agents[store.RoleAgent].ID, nil)
		require.NotContains(t, string(list.Raw), token)
		require.NotNil(t, list.get(t, "items", 1, "revoked_at"))
		require.NotNil(t, list.get(t, "items", 1, "last_used_at"))
		require.NotContains(t, b.log.String(), token, "tokens are not logged")
	})
}

func TestATokenThatAsksTooMuchWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite", func(c *api.Config) { c.TokenRate, c.TokenBurst = 0.01, 3 })
	for range 3 {
		require.Equal(t, 200, b.as(store.RoleAgent, "GET", "/api/v1/me", nil).Status)
	}
	r := b.as(store.RoleAgent, "GET", "/api/v1/me", nil)
	requireProblem(t, r, 429, "rate_limited")
	require.Regexp(t, `^[1-9]\d*$`, r.Header.Get("Retry-After"))
	require.Equal(t, 200, b.as(store.RoleAdmin, "GET", "/api/v1/me", nil).Status, "another token has a bucket of its own")
}

func TestWhatIsNotThereAndWhatIsNotAllowedAreProblemsToo(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	for _, path := range []string{"/", "/nothing", "/api/v1/nothing", "/api/v1/queues/", "/webhooks/line", "/webhooks/line/x%00y", "/webhooks/line/..%2f"} {
		method := "GET"
		if strings.HasPrefix(path, "/webhooks/line/") {
			method = "POST"
		}
		requireProblem(t, b.as(store.RoleAdmin, method, path, nil), 404, conversation.CodeNotFound)
	}
	for _, path := range []string{"/api/v1/queues/%00", "/api/v1/queues/%ff", "/api/v1/queues/a%2Fb", "/api/v1/queues/que_none"} {
		requireProblem(t, b.as(store.RoleAdmin, "GET", path, nil), 404, conversation.CodeNotFound)
	}
	r := b.as(store.RoleAdmin, "PUT", "/api/v1/queues", nil)
	requireProblem(t, r, 405, "method_not_allowed")
	require.Contains(t, r.Header.Get("Allow"), "POST")
	requireProblem(t, b.as(store.RoleAdmin, "DELETE", "/healthz", nil), 405, "method_not_allowed")
}

func TestARequestIDComesBackAndABadOneIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	r := b.as("", "GET", "/healthz", nil, header{"X-Request-Id", "abc-123"})
	require.Equal(t, "abc-123", r.Header.Get("X-Request-Id"))
	for _, bad := range []string{"a b", "x\ty", strings.Repeat("x", 65), `"quoted"`} {
		require.Regexp(t, `^req_[0-9a-z]+$`, b.as("", "GET", "/healthz", nil, header{"X-Request-Id", bad}).Header.Get("X-Request-Id"))
	}
}
