package api_test

import (
	"database/sql"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/api"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// service creates a ruleset whose secret is shown in the answer alone.
func (b *bundle) service(body map[string]any) response {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", body)
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	return r
}

func TestAServiceClassifiesInThePlaceOfRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		skill := b.create("skills", map[string]any{"name": "k"}).text(t, "id")
		intents := []any{map[string]any{"name": "返金", "description": "wants money back", "outputs": map[string]any{
			"priority": 5.0, "skills": []any{map[string]any{"skill_id": skill, "level": 3.0}},
		}}, map[string]any{"name": "other", "outputs": map[string]any{}}}
		made := b.service(map[string]any{"name": "s", "kind": "service", "service": map[string]any{
			"kind": "http", "url": "https://classify.example/v1", "intents": intents,
		}})
		require.Equal(t, "service", made.text(t, "kind"))
		require.Equal(t, []any{}, made.get(t, "rules"))
		require.Equal(t, intents, made.get(t, "service", "intents"))
		require.Equal(t, float64(3000), made.get(t, "service", "deadline_ms"))
		require.Equal(t, 0.6, made.get(t, "service", "min_confidence"))
		require.Equal(t, float64(3600), made.get(t, "service", "cache_seconds"))
		path := "/api/v1/rulesets/" + made.text(t, "id")

		changed := b.patch(path, map[string]any{"name": "was", "service": map[string]any{"min_confidence": 0, "cache_seconds": 0, "deadline_ms": 500}})
		require.Equal(t, 200, changed.Status, "%s", changed.Raw)
		require.Equal(t, float64(0), changed.get(t, "service", "min_confidence"))
		require.Equal(t, float64(0), changed.get(t, "service", "cache_seconds"))
		require.Equal(t, intents, changed.get(t, "service", "intents"), "what is left out stays")
		require.Equal(t, float64(2), changed.get(t, "version"))
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", path, map[string]any{"name": "x"}), 428, conversation.CodeVersionRequired)
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", path, map[string]any{"name": "x"}, header{"If-Match", `"1"`}), 412, conversation.CodeVersionStale)

		requireProblem(t, b.delete("skills/"+skill), 409, conversation.CodeInUse)
		rules := b.create("rulesets", map[string]any{"name": "r", "kind": "classification", "rules": []any{map[string]any{"condition": "true"}}})
		w := "/api/v1/workstreams/" + b.workstream()
		set := b.patch(w, map[string]any{"settings": map[string]any{"classification_ruleset_ids": []any{rules.text(t, "id"), made.text(t, "id")}}})
		require.Equal(t, 200, set.Status, "%s", set.Raw)
		requireProblem(t, b.patch(w, map[string]any{"settings": map[string]any{"route_ruleset_id": made.text(t, "id")}}), 400, conversation.CodeInvalid, "/settings/route_ruleset_id")
		requireProblem(t, b.delete("rulesets/"+made.text(t, "id")), 409, conversation.CodeInUse)
	})
}

func TestAServicesSecretsAreNeverShownAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.service(map[string]any{"name": "s", "kind": "service", "service": map[string]any{"kind": "http", "url": "https://classify.example"}})
		secret := made.text(t, "service", "secret")
		require.Regexp(t, `^whsec_`, secret)
		path := "/api/v1/rulesets/" + made.text(t, "id")
		own := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
		for _, r := range []response{
			b.as(store.RoleAdmin, "GET", path, nil), b.patch(path, map[string]any{"name": "c"}), b.patch(path, map[string]any{"service": map[string]any{"secret": own}}),
		} {
			require.Equal(t, 200, r.Status, "%s", r.Raw)
			require.NotContains(t, string(r.Raw), "whsec_")
		}
		kept, err := b.store.Ruleset(t.Context(), made.text(t, "id"))
		require.NoError(t, err)
		require.Equal(t, own, kept.Secret)
		fresh := b.patch(path, map[string]any{"service": map[string]any{"secret": nil}}).text(t, "service", "secret")
		require.NotEqual(t, own, fresh)

		key := "sk-very-private"
		model := b.create("rulesets", map[string]any{"name": "m", "kind": "service", "service": map[string]any{
			"kind": "openai", "url": "https://models.example/v1", "model": "small", "api_key": key,
		}})
		path = "/api/v1/rulesets/" + model.text(t, "id")
		for _, r := range []response{model, b.as(store.RoleAdmin, "GET", path, nil), b.patch(path, map[string]any{"service": map[string]any{"model": "large"}}), b.as(store.RoleAdmin, "GET", "/api/v1/rulesets", nil)} {
			require.NotContains(t, string(r.Raw), key)
			require.NotContains(t, string(r.Raw), "api_key")
		}
		kept, err = b.store.Ruleset(t.Context(), model.text(t, "id"))
		require.NoError(t, err)
		require.Equal(t, key, kept.Secret)
		require.Equal(t, "large", kept.Service.Model)
		log := string(b.as(store.RoleAdmin, "GET", "/api/v1/audit-log", nil).Raw)
		for _, s := range []string{secret, own, fresh, key} {
			require.NotContains(t, log, s)
			require.NotContains(t, b.log.String(), s)
			b.query(func(rows *sql.Rows) {
				var row string
				require.NoError(t, rows.Scan(&row))
				require.NotContains(t, row, s, "it is encrypted at rest")
			}, `SELECT secret || service FROM rulesets`)
		}
	})
}

func TestAServiceIsCheckedByFieldWhenItIsSaved(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	post := func(body map[string]any) response { return b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", body) }
	service := func(s map[string]any) response {
		return post(map[string]any{"name": "s", "kind": "service", "service": s})
	}
	requireProblem(t, post(map[string]any{"name": "s", "kind": "service"}), 400, conversation.CodeInvalid, "/service")
	requireProblem(t, post(map[string]any{"name": "s", "kind": "classification"}), 400, conversation.CodeInvalid, "/rules")
	requireProblem(t, post(map[string]any{"name": "s", "kind": "classification", "rules": []any{}, "service": map[string]any{"kind": "http", "url": "https://x.example"}}), 400, conversation.CodeInvalid, "/service")
	requireProblem(t, post(map[string]any{"name": "s", "kind": "service", "rules": []any{map[string]any{"condition": "true"}}, "service": map[string]any{"kind": "http", "url": "https://x.example"}}), 400, conversation.CodeInvalid, "/rules")
	requireProblem(t, service(map[string]any{"kind": "http", "url": "https://x.example", "api_key": "k", "model": "m", "instructions": "i"}), 400, conversation.CodeInvalid, "/service/model", "/service/instructions", "/service/api_key")
	requireProblem(t, service(map[string]any{"kind": "openai", "url": "https://x.example", "secret": "whsec_x"}), 400, conversation.CodeInvalid, "/service/model", "/service/secret")
	requireProblem(t, service(map[string]any{"kind": "http", "url": "https://x.example", "secret": "whsec_short"}), 400, conversation.CodeInvalid, "/service/secret")
	requireProblem(t, service(map[string]any{"kind": "http", "url": "https://x.example", "deadline_ms": 100, "min_confidence": 2, "cache_seconds": -1, "secrets": 1}), 400, conversation.CodeInvalid,
		"/service/cache_seconds", "/service/deadline_ms", "/service/min_confidence", "/service/secrets")
	requireProblem(t, service(map[string]any{"kind": "http", "url": "https://x.example", "intents": []any{
		map[string]any{"name": "a", "outputs": map[string]any{"skills": []any{map[string]any{"skill_id": "skl_none", "level": 1}}}}, map[string]any{"name": "b"},
	}}), 400, conversation.CodeInvalid, "/service/intents/0/outputs/skills/0/skill_id")
	requireProblem(t, service(map[string]any{"kind": "http", "url": "https://x.example", "intents": []any{map[string]any{"name": "a"}, map[string]any{"name": "a"}}}),
		400, conversation.CodeInvalid, "/service/intents/1/name")
	for _, url := range []string{"http://x.example", "https://127.0.0.1/x", "https://169.254.169.254", "https://user:pw@x.example", "nonsense", "https://x.example/" + strings.Repeat("x", 1990)} {
		requireProblem(t, service(map[string]any{"kind": "http", "url": url}), 400, conversation.CodeInvalid, "/service/url")
	}
	_, open := b.serve(b.store, func(c *api.Config) { c.AllowPrivateAddresses = true })
	r := b.send(open, b.tokens[store.RoleAdmin], "POST", "/api/v1/rulesets", map[string]any{"name": "s", "kind": "service", "service": map[string]any{"kind": "http", "url": "http://127.0.0.1:9000"}})
	require.Equal(t, 201, r.Status, "%s", r.Raw)
	requireProblem(t, b.patch("/api/v1/rulesets/"+r.text(t, "id"), map[string]any{"service": map[string]any{"kind": "openai"}}), 400, conversation.CodeInvalid, "/service/kind")
}
