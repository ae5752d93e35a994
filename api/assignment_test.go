package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestACapacityProfileIsGivenToAgentsAndCountedAgainst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		p := b.create("capacity-profiles", map[string]any{"name": "返金", "limit_default": 4})
		id, path := p.text(t, "id"), "/api/v1/capacity-profiles/"+p.text(t, "id")
		require.Equal(t, "immediate", p.text(t, "reset"))
		require.Nil(t, p.get(t, "zone"))
		require.Equal(t, false, p.get(t, "blocks"))
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/capacity-profiles", map[string]any{"name": "返金", "limit_default": 1}), 409, conversation.CodeConflict, "/name")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/capacity-profiles", map[string]any{"name": " ", "limit_default": 0, "reset": "never", "color": "red"}), 400, conversation.CodeInvalid,
			"/color", "/limit_default", "/name", "/reset")
		for _, wrong := range []map[string]any{{"reset": "end_of_day"}, {"reset": "end_of_day", "zone": "Mars/Olympus"}, {"zone": "Asia/Tokyo"}, {"reset": "end_of_day", "zone": "Local"}} {
			requireProblem(t, b.patch(path, wrong), 400, conversation.CodeInvalid, "/zone")
		}
		r := b.patch(path, map[string]any{"reset": "end_of_day", "zone": "Asia/Tokyo", "blocks": true})
		require.Equal(t, "Asia/Tokyo", r.text(t, "zone"))
		require.Equal(t, true, r.get(t, "blocks"))
		require.Equal(t, float64(4), r.get(t, "limit_default"))
		requireProblem(t, b.as(store.RoleAdmin, "PATCH", path, map[string]any{"blocks": false}, header{"If-Match", `"1"`}), 412, conversation.CodeVersionStale)

		agent := "/api/v1/agents/" + b.agents[store.RoleAgent].ID
		require.Empty(t, b.as(store.RoleAgent, "GET", agent, nil).get(t, "capacity_profiles"))
		give := func(list ...any) response {
			return b.patch(agent, map[string]any{"capacity_profiles": append([]any{}, list...)})
		}
		require.Equal(t, []any{map[string]any{"profile_id": id, "limit": float64(4)}}, give(map[string]any{"profile_id": id}).get(t, "capacity_profiles"), "the profile's limit when none is said")
		require.Equal(t, float64(7), give(map[string]any{"profile_id": id, "limit": 7}).get(t, "capacity_profiles", 0, "limit"))
		held := []any{map[string]any{"profile_id": id, "limit": float64(7), "load": float64(0)}}
		require.Equal(t, held, b.as(store.RoleAdmin, "GET", agent, nil).get(t, "state", "capacity_profiles"), "who has never been there")
		require.Equal(t, held, b.as(store.RoleAgent, "PUT", "/api/v1/me/presence", map[string]any{"presence": "available"}).get(t, "capacity_profiles"))
		require.Equal(t, held, b.as(store.RoleAgent, "GET", "/api/v1/me", nil).get(t, "agent", "state", "capacity_profiles"))
		for _, a := range b.as(store.RoleAdmin, "GET", "/api/v1/agents", nil).get(t, "items").([]any) {
			shown, has := a.(map[string]any), []any{}
			if shown["id"] == b.agents[store.RoleAgent].ID {
				has = held
			}
			require.Equal(t, has, shown["state"].(map[string]any)["capacity_profiles"])
		}
		require.Equal(t, float64(7), b.patch(agent, map[string]any{"capacity": 5}).get(t, "capacity_profiles", 0, "limit"), "what is left out stays")
		requireProblem(t, give(map[string]any{"profile_id": id}, map[string]any{"profile_id": id}), 400, conversation.CodeInvalid, "/capacity_profiles/1/profile_id")
		requireProblem(t, give(map[string]any{"profile_id": "cpf_none"}), 400, conversation.CodeInvalid, "/capacity_profiles")
		requireProblem(t, give(map[string]any{"profile_id": id, "limit": 0}), 400, conversation.CodeInvalid, "/capacity_profiles/0/limit")
		requireProblem(t, b.delete("capacity-profiles/"+id), 409, conversation.CodeInUse)
		require.Empty(t, give().get(t, "capacity_profiles"))

		w := "/api/v1/workstreams/" + b.workstream()
		set := func(id any) response {
			return b.patch(w, map[string]any{"settings": map[string]any{"capacity_profile_id": id}})
		}
		requireProblem(t, set("cpf_none"), 400, conversation.CodeInvalid, "/settings/capacity_profile_id")
		require.Equal(t, id, set(id).text(t, "settings", "capacity_profile_id"))
		requireProblem(t, b.delete("capacity-profiles/"+id), 409, conversation.CodeInUse)
		require.NotContains(t, set(nil).get(t, "settings"), "capacity_profile_id")
		rule := func(outputs map[string]any) map[string]any {
			return map[string]any{"name": "what", "kind": "classification", "rules": []any{map[string]any{"condition": "true", "outputs": outputs}}}
		}
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", rule(map[string]any{"capacity_profile_id": "cpf_none"})), 400, conversation.CodeInvalid, "/rules/0/outputs/capacity_profile_id")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", rule(map[string]any{"capacity_profile_id": id, "units": 2})), 400, conversation.CodeInvalid, "/rules/0/outputs/capacity_profile_id")
		made := b.create("rulesets", rule(map[string]any{"capacity_profile_id": id}))
		requireProblem(t, b.delete("capacity-profiles/"+id), 409, conversation.CodeInUse)
		require.Equal(t, 204, b.delete("rulesets/"+made.text(t, "id")).Status)
		require.Equal(t, 204, b.delete("capacity-profiles/"+id).Status)
	})
}

func TestAQueueSaysHowItAssigns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		skill := b.create("skills", map[string]any{"name": "refunds"}).text(t, "id")
		custom := map[string]any{
			"buckets": []any{map[string]any{"condition": `conversation.priority > 9`}},
			"rules": []any{
				map[string]any{"id": "expert", "condition": `"` + skill + `" in agent.skills`, "order_by": []any{map[string]any{"by": "proficiency", "skill_id": skill, "descending": true}}},
				map[string]any{"condition": "true", "after_seconds": 300, "ignore_skills": true},
			},
		}
		q := b.create("queues", map[string]any{"name": "q", "assignment": "custom", "custom": custom})
		require.Equal(t, "custom", q.text(t, "assignment"))
		require.NotEmpty(t, q.text(t, "custom", "buckets", 0, "id"))
		require.Equal(t, "priority", q.text(t, "custom", "buckets", 0, "order"))
		require.Equal(t, "expert", q.text(t, "custom", "rules", 0, "id"))
		require.NotEmpty(t, q.text(t, "custom", "rules", 1, "id"))
		require.Equal(t, float64(300), q.get(t, "custom", "rules", 1, "after_seconds"))
		require.Nil(t, b.create("queues", map[string]any{"name": "r"}).get(t, "custom"))
		path := "/api/v1/queues/" + q.text(t, "id")
		require.Equal(t, q.get(t, "custom"), b.patch(path, map[string]any{"priority": 3}).get(t, "custom"))

		change := func(rule map[string]any) response {
			return b.patch(path, map[string]any{"custom": map[string]any{"rules": []any{rule}}})
		}
		r := change(map[string]any{"condition": "agent.load < 2"})
		requireProblem(t, r, 400, conversation.CodeInvalid, "/custom/rules/0/condition")
		require.Regexp(t, `^Line 1, column 6: `, r.text(t, "errors", 0, "detail"))
		requireProblem(t, change(map[string]any{"condition": "true", "order_by": []any{map[string]any{"by": "proficiency", "skill_id": "skl_none"}}}), 400, conversation.CodeInvalid, "/custom/rules/0/order_by/0/skill_id")
		requireProblem(t, change(map[string]any{"condition": "true", "order_by": []any{map[string]any{"by": "luck"}}}), 400, conversation.CodeInvalid, "/custom/rules/0/order_by/0/by")
		requireProblem(t, b.patch(path, map[string]any{"custom": map[string]any{"rules": []any{}}}), 400, conversation.CodeInvalid, "/custom/rules")
		requireProblem(t, b.patch(path, map[string]any{"custom": nil}), 400, conversation.CodeInvalid, "/custom")
		requireProblem(t, b.patch(path, map[string]any{"assignment": "round_robin"}), 400, conversation.CodeInvalid, "/custom")
		requireProblem(t, b.delete("skills/"+skill), 409, conversation.CodeInUse)
		require.Nil(t, b.patch(path, map[string]any{"assignment": "round_robin", "custom": nil}).get(t, "custom"))
		require.Equal(t, 204, b.delete("skills/"+skill).Status)
	})
}

func TestAContactPrefersAgents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		made := b.as(store.RoleAdmin, "POST", "/api/v1/agents", map[string]any{"name": "Mei", "email": "mei@example.com", "role": "agent"})
		mei, own := made.text(t, "id"), b.agents[store.RoleAgent].ID
		k := b.create("contacts", map[string]any{"name": "Emma", "preferred_agent_ids": []any{mei, own}})
		require.Equal(t, []any{mei, own}, k.get(t, "preferred_agent_ids"))
		require.Empty(t, b.create("contacts", map[string]any{"name": "Aoi"}).get(t, "preferred_agent_ids"))
		path := "/api/v1/contacts/" + k.text(t, "id")
		requireProblem(t, b.patch(path, map[string]any{"preferred_agent_ids": []any{own, own}}), 400, conversation.CodeInvalid, "/preferred_agent_ids/1")
		requireProblem(t, b.patch(path, map[string]any{"preferred_agent_ids": []any{own, "agt_none"}}), 400, conversation.CodeInvalid, "/preferred_agent_ids/1")
		requireProblem(t, b.patch(path, map[string]any{"preferred_agent_ids": []any{"a", "b", "c", "d"}}), 400, conversation.CodeInvalid, "/preferred_agent_ids")
		require.Equal(t, []any{mei, own}, b.patch(path, map[string]any{"company": "x"}).get(t, "preferred_agent_ids"), "what is left out stays")
		require.Equal(t, []any{own, mei}, b.patch(path, map[string]any{"preferred_agent_ids": []any{own, mei}}).get(t, "preferred_agent_ids"), "in order")
		require.Equal(t, 204, b.delete("agents/"+own).Status)
		require.Equal(t, []any{mei}, b.as(store.RoleSupervisor, "GET", path, nil).get(t, "preferred_agent_ids"), "who is no more is taken out")
	})
}
