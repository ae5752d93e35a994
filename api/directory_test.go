package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// create creates a resource and returns the answer.
func (b *bundle) create(path string, body map[string]any) response {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/"+path, body)
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	require.Equal(b.t, `"1"`, r.Header.Get("Etag"))
	read := b.as(store.RoleAdmin, "GET", "/api/v1/"+path+"/"+r.text(b.t, "id"), nil)
	require.Equal(b.t, r.Body, read.Body)
	list := b.as(store.RoleAdmin, "GET", "/api/v1/"+path+"?limit=200", nil)
	require.Contains(b.t, list.get(b.t, "items"), any(r.Body))
	return r
}

func (b *bundle) delete(path string) response {
	b.t.Helper()
	return b.as(store.RoleAdmin, "DELETE", "/api/v1/"+path, nil, header{"If-Match", "*"})
}

func TestAnAgentHasCapacityAndSkills(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		thai, refunds := b.create("skills", map[string]any{"name": "ภาษาไทย"}).text(t, "id"), b.create("skills", map[string]any{"name": "返金"}).text(t, "id")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/skills", map[string]any{"name": "返金"}), 409, conversation.CodeConflict, "/name")
		made := b.create("agents", map[string]any{"name": "Mali", "email": "mali@example.com", "role": "agent", "skills": []any{map[string]any{"skill_id": thai, "level": 9}}})
		require.Equal(t, float64(3), made.get(t, "capacity"))
		path := "/api/v1/agents/" + made.text(t, "id")

		r := b.patch(path, map[string]any{"capacity": 0})
		require.Equal(t, float64(0), r.get(t, "capacity"))
		require.Equal(t, thai, r.text(t, "skills", 0, "skill_id"), "what is left out stays")
		r = b.patch(path, map[string]any{"capacity": 5, "skills": []any{map[string]any{"skill_id": refunds, "level": 1}}})
		require.Equal(t, float64(5), r.get(t, "capacity"))
		require.Equal(t, []any{map[string]any{"skill_id": refunds, "level": float64(1)}}, r.get(t, "skills"))

		requireProblem(t, b.patch(path, map[string]any{"capacity": 101, "skills": []any{map[string]any{"skill_id": thai, "level": 11}, map[string]any{"level": 1}}}), 400, conversation.CodeInvalid,
			"/capacity", "/skills/0/level", "/skills/1/skill_id")
		requireProblem(t, b.patch(path, map[string]any{"skills": []any{map[string]any{"skill_id": thai, "level": 1}, map[string]any{"skill_id": thai, "level": 2}}}), 400, conversation.CodeInvalid, "/skills/1/skill_id")
		requireProblem(t, b.patch(path, map[string]any{"skills": []any{map[string]any{"skill_id": "skl_none", "level": 1}}}), 400, conversation.CodeInvalid, "/skills")

		requireProblem(t, b.delete("skills/"+refunds), 409, conversation.CodeInUse)
		require.Empty(t, b.patch(path, map[string]any{"skills": []any{}}).get(t, "skills"))
		require.Equal(t, 204, b.delete("skills/"+refunds).Status)
		require.Equal(t, "Thai", b.patch("/api/v1/skills/"+thai, map[string]any{"name": "Thai"}).text(t, "name"))
	})
}

func TestWhoAsksSeesTheirOwnSkills(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	k := b.create("skills", map[string]any{"name": "Danish"}).text(t, "id")
	require.Equal(t, 200, b.patch("/api/v1/agents/"+b.agents[store.RoleAgent].ID, map[string]any{"skills": []any{map[string]any{"skill_id": k, "level": 3}}}).Status)
	require.Equal(t, k, b.as(store.RoleAgent, "GET", "/api/v1/me", nil).text(t, "agent", "skills", 0, "skill_id"))
}
