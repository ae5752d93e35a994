package api_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	r := b.as(store.RoleAdmin, "POST", "/api/v1/workstreams", map[string]any{
		"name": "  ", "mode": "pull", "fallback": "x", "bot_id": 7,
		"settings": map[string]any{
			"bot": map[string]any{"deadline_seconds": 0, "idle~time/s": 1}, "context": map[string]any{"a": 1},
			"automated_messages": []any{map[string]any{"text": "x"}},
		},
	})
	requireProblem(t, r, 400, conversation.CodeInvalid, "/bot_id", "/fallback", "/mode", "/name",
		"/settings/automated_messages/0/trigger", "/settings/bot/deadline_seconds", "/settings/bot/idle~0time~1s", "/settings/context/a")
	details := map[string]string{}
	for _, e := range r.Body["errors"].([]any) {
		details[e.(map[string]any)["pointer"].(string)] = e.(map[string]any)["detail"].(string)
	}
	require.Equal(t, map[string]string{
		"/bot_id": "Must be text.", "/fallback": "This field is not known here.", "/mode": "Must be one of: push, pick.", "/name": "Must not be blank.",
		"/settings/automated_messages/0/trigger": "This field is required.", "/settings/bot/deadline_seconds": "Must be at least 1.",
		"/settings/bot/idle~0time~1s": "This field is not known here.", "/settings/context/a": "Must be text.",
	}, details)

	r = b.as(store.RoleAdmin, "POST", "/api/v1/workstreams", map[string]any{"name": "w", "settings": map[string]any{
		"automated_messages": []any{
			map[string]any{"trigger": "greeting", "text": "Hi {nobody}"},
			map[string]any{"trigger": "hello", "text": "Hi"},
			map[string]any{"trigger": "closed", "enabled": true},
			map[string]any{"trigger": "closed", "enabled": false},
		},
		"context": map[string]any{strings.Repeat("n", 101): "x"},
	}})
	requireProblem(t, r, 400, conversation.CodeInvalid, "/settings/automated_messages/0/text", "/settings/automated_messages/1/trigger",
		"/settings/automated_messages/3", "/settings/context/"+strings.Repeat("n", 101))
}

func TestABodyThatIsNoJSONIsRefusedWithoutTheParsersWords(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	for _, body := range []string{"", "{", `{"name":"a"} {}`, `{"name":"a"}x`, "\xff", "{\"name\":\"\xff\"}", "nul", `{"name":"\ud800`} {
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", body), 400, conversation.CodeInvalid)
	}
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `[]`), 400, conversation.CodeInvalid, "")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `{"name":"a\u0000b"}`), 400, conversation.CodeInvalid, "/name")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `{"Name":"a"}`), 400, conversation.CodeInvalid, "/Name", "/name")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `{"name":"a","priority":1e400}`), 400, conversation.CodeInvalid, "/priority")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `{"name":"a","priority":1.5}`), 400, conversation.CodeInvalid, "/priority")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", strings.Repeat("[", 1<<19)), 400, conversation.CodeInvalid)
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", "name=a", header{"Content-Type", "application/x-www-form-urlencoded"}), 415, "unsupported_media_type")
	require.Equal(t, 201, b.as(store.RoleAdmin, "POST", "/api/v1/queues", `{"name":"苦情 ผู้"}`, header{"Content-Type", "application/json; charset=UTF-8"}).Status)
}

func TestABodyOverOneMebibyteIsRefusedHoweverItComes(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	big := `{"name":"` + strings.Repeat("x", 1<<20) + `"}`
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/queues", big), 413, "too_large")
	// A reader of unknown length goes out in chunks.
	req, err := http.NewRequest("POST", b.url+"/api/v1/queues", io.MultiReader(bytes.NewReader([]byte(big))))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+b.tokens[store.RoleAdmin])
	requireProblem(t, b.do(req), 413, "too_large")
}

func TestAQueryIsCheckedLikeABody(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	for query, field := range map[string]string{
		"limit=0": "/limit", "limit=201": "/limit", "limit=x": "/limit", "limit=99999999999999999999": "/limit", "stauts=open": "/stauts",
		"status=shut": "/status", "status=open&status=closed": "/status", "q=%00": "/q", "q=%ff": "/q", "cursor=abc": "/cursor",
	} {
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations?"+query, nil), 400, conversation.CodeInvalid, field)
	}
	requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/conversations?q=%zz", nil), 400, conversation.CodeInvalid)
	r := b.as(store.RoleAgent, "GET", "/api/v1/conversations?status=&queue_id=&agent_id=me&contact_id=&q=&limit=200", nil)
	require.Equal(t, 200, r.Status, "a parameter without a value is none: %s", r.Raw)
	queues := b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "a"})
	require.Equal(t, 201, queues.Status)
	require.Equal(t, 201, b.as(store.RoleAdmin, "POST", "/api/v1/queues", map[string]any{"name": "b"}).Status)
	cursor := b.as(store.RoleAgent, "GET", "/api/v1/queues?limit=1", nil).text(t, "next_cursor")
	requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/agents?cursor="+cursor, nil), 400, conversation.CodeInvalid, "/cursor")
}
