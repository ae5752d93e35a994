package api_test

import (
	"net/url"
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

func TestAQueueSaysWhatItDoesByTimeAndByFullness(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		k := b.create("calendars", map[string]any{"name": "k", "zone": "Asia/Tokyo", "hours": []any{}}).text(t, "id")
		other := b.create("queues", map[string]any{"name": "other"})
		require.Equal(t, map[string]any{"action": "assign"}, other.get(t, "out_of_hours"))
		require.Equal(t, map[string]any{}, other.get(t, "overflow"))
		require.Equal(t, map[string]any{"position": false, "estimate": false, "next_in_line": false, "interval_seconds": float64(300)}, other.get(t, "wait_info"))
		q := b.create("queues", map[string]any{
			"name": "q", "calendar_id": k, "out_of_hours": map[string]any{"action": "transfer", "queue_id": other.text(t, "id")},
			"overflow": map[string]any{"max_waiting": 10, "action": "end"}, "wait_info": map[string]any{"position": true, "interval_seconds": 60},
		})
		path := "/api/v1/queues/" + q.text(t, "id")
		require.Equal(t, q.Body, b.as(store.RoleAgent, "GET", path, nil).Body)
		requireProblem(t, b.delete("queues/"+other.text(t, "id")), 409, conversation.CodeInUse)

		for pointer, change := range map[string]map[string]any{
			"/out_of_hours/queue_id":      {"out_of_hours": map[string]any{"queue_id": nil}},
			"/out_of_hours/action":        {"calendar_id": nil},
			"/out_of_hours/later":         {"out_of_hours": map[string]any{"later": true}},
			"/overflow/queue_id":          {"overflow": map[string]any{"action": "transfer", "queue_id": q.text(t, "id")}},
			"/overflow/max_waiting":       {"overflow": map[string]any{"max_waiting": nil}},
			"/overflow/action":            {"overflow": map[string]any{"action": nil}},
			"/overflow/max_wait_seconds":  {"overflow": map[string]any{"max_wait_seconds": 1}},
			"/wait_info/interval_seconds": {"wait_info": map[string]any{"interval_seconds": 59}},
		} {
			requireProblem(t, b.patch(path, change), 400, conversation.CodeInvalid, pointer)
		}
		r := b.patch(path, map[string]any{"overflow": nil, "out_of_hours": nil, "wait_info": map[string]any{"estimate": true}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, map[string]any{"action": "assign"}, r.get(t, "out_of_hours"))
		require.Equal(t, map[string]any{}, r.get(t, "overflow"))
		require.Equal(t, map[string]any{"position": true, "estimate": true, "next_in_line": false, "interval_seconds": float64(60)}, r.get(t, "wait_info"))
		require.Equal(t, 204, b.delete("queues/"+other.text(t, "id")).Status)
	})
}

func TestAQueueHasMembersACalendarAndAWayOfAssigning(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		k := b.create("calendars", map[string]any{"name": "東京", "zone": "Asia/Tokyo", "hours": []any{map[string]any{"day": "monday", "opens": "22:00", "closes": "06:00"}}})
		require.Empty(t, k.get(t, "holidays"))
		q := b.create("queues", map[string]any{"name": "q", "calendar_id": k.text(t, "id"), "assignment": "round_robin"})
		path := "/api/v1/queues/" + q.text(t, "id")
		require.Equal(t, "highest_capacity", b.create("queues", map[string]any{"name": "r"}).text(t, "assignment"))
		requireProblem(t, b.patch(path, map[string]any{"assignment": "luck"}), 400, conversation.CodeInvalid, "/assignment")
		requireProblem(t, b.patch(path, map[string]any{"calendar_id": "cal_none"}), 400, conversation.CodeInvalid, "/calendar_id")
		requireProblem(t, b.delete("calendars/"+k.text(t, "id")), 409, conversation.CodeInUse)
		r := b.patch(path, map[string]any{"calendar_id": nil, "assignment": "longest_idle"})
		require.Nil(t, r.get(t, "calendar_id"))
		require.Equal(t, "longest_idle", r.text(t, "assignment"))
		require.Equal(t, 204, b.delete("calendars/"+k.text(t, "id")).Status)

		var want []any
		for _, role := range []store.Role{store.RoleAgent, store.RoleSupervisor} {
			member := path + "/members/" + b.agents[role].ID
			require.Equal(t, 204, b.as(store.RoleAdmin, "PUT", member, nil).Status)
			require.Equal(t, 204, b.as(store.RoleAdmin, "PUT", member, nil).Status)
			want = append(want, b.agents[role].ID)
		}
		requireProblem(t, b.as(store.RoleAdmin, "PUT", path+"/members/agt_none", nil), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleAdmin, "PUT", path+"/members/"+b.agents[store.RoleAgent].ID, map[string]any{}), 400, conversation.CodeInvalid)
		first := b.as(store.RoleAgent, "GET", path+"/members?limit=1", nil)
		second := b.as(store.RoleAgent, "GET", path+"/members?limit=1&cursor="+first.text(t, "next_cursor"), nil)
		require.Equal(t, want, []any{first.get(t, "items", 0, "agent_id"), second.get(t, "items", 0, "agent_id")})
		require.Nil(t, second.get(t, "next_cursor"))
		for range 2 {
			require.Equal(t, 204, b.as(store.RoleAdmin, "DELETE", path+"/members/"+b.agents[store.RoleAgent].ID, nil).Status)
		}
		require.Len(t, b.as(store.RoleAgent, "GET", path+"/members", nil).get(t, "items"), 1)
		requireProblem(t, b.as(store.RoleAgent, "GET", "/api/v1/queues/que_none/members", nil), 404, conversation.CodeNotFound)
	})
}

func TestACalendarIsCheckedByField(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/calendars", map[string]any{
		"name": "x", "zone": "Mars/Olympus", "hours": []any{map[string]any{"day": "monday", "opens": "25:00", "closes": "25:00"}}, "holidays": []any{map[string]any{"date": "2026-02-30", "name": "x"}},
	}), 400, conversation.CodeInvalid, "/zone", "/hours/0/opens", "/hours/0/closes", "/holidays/0/date")
	k := b.create("calendars", map[string]any{"name": "x", "zone": "UTC", "hours": []any{}, "holidays": []any{map[string]any{"date": "2026-12-31", "name": "大晦日"}}})
	r := b.patch("/api/v1/calendars/"+k.text(t, "id"), map[string]any{"zone": "Europe/Copenhagen"})
	require.Equal(t, "Europe/Copenhagen", r.text(t, "zone"))
	require.Equal(t, "大晦日", r.text(t, "holidays", 0, "name"))
}

func TestARuleThatDoesNotCompileIsPointedAt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		queue, skill := b.create("queues", map[string]any{"name": "q"}).text(t, "id"), b.create("skills", map[string]any{"name": "k"}).text(t, "id")
		good := map[string]any{"name": "refund", "condition": `message.texts.exists(t, t.contains("返金"))`, "outputs": map[string]any{
			"priority": -5, "language": "ja", "units": 2, "attributes": map[string]any{"topic": "refund"}, "skills": []any{map[string]any{"skill_id": skill, "level": 7}},
		}}
		r := b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", map[string]any{"name": "x", "kind": "classification", "rules": []any{
			good, map[string]any{"condition": "message.text == "}, map[string]any{"condition": "true", "queue_id": queue},
		}})
		requireProblem(t, r, 400, conversation.CodeInvalid, "/rules/2/queue_id", "/rules/1/condition")
		require.Regexp(t, `^Line 1, column \d+: `, r.text(t, "errors", 1, "detail"))
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", map[string]any{"name": "x", "kind": "route", "rules": []any{
			map[string]any{"condition": "true"}, map[string]any{"condition": "true", "queue_id": queue, "outputs": map[string]any{}},
			map[string]any{"condition": "true", "split": []any{map[string]any{"queue_id": queue, "percent": 99}}},
		}}), 400, conversation.CodeInvalid, "/rules/1/outputs", "/rules/0/queue_id", "/rules/2/split")
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", map[string]any{"name": "x", "kind": "route", "rules": []any{
			map[string]any{"condition": "true", "queue_id": "que_none"},
		}}), 400, conversation.CodeInvalid, "/rules/0/queue_id")
		many := make([]any, 101)
		for i := range many {
			many[i] = map[string]any{"condition": "true"}
		}
		requireProblem(t, b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", map[string]any{"name": "x", "kind": "classification", "rules": many}), 400, conversation.CodeInvalid, "/rules")

		made := b.create("rulesets", map[string]any{"name": "what", "kind": "classification", "rules": []any{good, map[string]any{"condition": "false"}}})
		require.NotEmpty(t, made.text(t, "rules", 0, "id"))
		require.NotEqual(t, made.text(t, "rules", 0, "id"), made.text(t, "rules", 1, "id"))
		require.Equal(t, good["condition"], made.text(t, "rules", 0, "condition"))
		require.Equal(t, map[string]any{
			"priority": float64(-5), "language": "ja", "units": float64(2), "attributes": map[string]any{"topic": "refund"}, "skills": []any{map[string]any{"skill_id": skill, "level": float64(7)}},
		}, made.get(t, "rules", 0, "outputs"))
		path := "/api/v1/rulesets/" + made.text(t, "id")
		require.Equal(t, made.get(t, "rules"), b.patch(path, map[string]any{"name": "was"}).get(t, "rules"))
		requireProblem(t, b.patch(path, map[string]any{"kind": "route"}), 400, conversation.CodeInvalid, "/kind")

		route := b.create("rulesets", map[string]any{"name": "where", "kind": "route", "rules": []any{map[string]any{"id": "vip", "condition": `context[?"tier"].orValue("") == "gold"`, "queue_id": queue}}})
		require.Equal(t, "vip", route.text(t, "rules", 0, "id"))
		requireProblem(t, b.delete("queues/"+queue), 409, conversation.CodeInUse)
		w := "/api/v1/workstreams/" + b.workstream()
		set := func(settings map[string]any) response { return b.patch(w, map[string]any{"settings": settings}) }
		d := b.create("dispositions", map[string]any{"name": "解決"}).text(t, "id")
		requireProblem(t, set(map[string]any{"classification_ruleset_ids": []any{made.text(t, "id"), route.text(t, "id")}}), 400, conversation.CodeInvalid, "/settings/classification_ruleset_ids/1")
		requireProblem(t, set(map[string]any{"disposition_ids": []any{d, d}}), 400, conversation.CodeInvalid, "/settings/disposition_ids/1")
		requireProblem(t, set(map[string]any{"disposition_required": true, "capacity_units": 0}), 400, conversation.CodeInvalid, "/settings/capacity_units")
		requireProblem(t, set(map[string]any{"disposition_required": true}), 400, conversation.CodeInvalid, "/settings/disposition_required")
		done := set(map[string]any{
			"classification_ruleset_ids": []any{made.text(t, "id")}, "route_ruleset_id": route.text(t, "id"), "capacity_units": 2, "default_priority": -3,
			"disposition_ids": []any{d}, "disposition_required": true,
		})
		require.Equal(t, 200, done.Status, "%s", done.Raw)
		require.Equal(t, float64(2), done.get(t, "settings", "capacity_units"))
		for _, used := range []string{"rulesets/" + made.text(t, "id"), "rulesets/" + route.text(t, "id"), "dispositions/" + d} {
			requireProblem(t, b.delete(used), 409, conversation.CodeInUse)
		}
		cleared := set(map[string]any{"route_ruleset_id": nil, "classification_ruleset_ids": []any{}})
		require.NotContains(t, cleared.get(t, "settings"), "route_ruleset_id")
		require.Equal(t, 204, b.delete("rulesets/"+route.text(t, "id")).Status)
		require.Equal(t, 204, b.delete("queues/"+queue).Status)
		require.Equal(t, "Solved", b.patch("/api/v1/dispositions/"+d, map[string]any{"name": "Solved"}).text(t, "name"))
	})
}

func TestASurveyIsCheckedByFieldAndUsedByWorkstreams(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		csat := map[string]any{"id": "csat", "kind": "csat", "text": map[string]any{"en": "How was it?", "ja": "いかがでしたか?"}}
		made := b.create("surveys", map[string]any{"name": "after", "questions": []any{csat}})
		require.Equal(t, "line", made.text(t, "mode"))
		require.Equal(t, float64(24*3600), made.get(t, "expires_seconds"))
		path := "/api/v1/surveys/" + made.text(t, "id")
		bad := b.patch(path, map[string]any{"questions": []any{csat, map[string]any{"id": "csat", "kind": "choice", "text": map[string]any{"en": "Which?"}}}})
		requireProblem(t, bad, 400, conversation.CodeInvalid, "/questions/1/id", "/questions/1/text", "/questions/1/choices")
		requireProblem(t, b.patch(path, map[string]any{"expires_seconds": 1209601, "mode": "fax", "questions": []any{}}), 400, conversation.CodeInvalid, "/expires_seconds", "/mode")
		r := b.patch(path, map[string]any{"mode": "link", "expires_seconds": 1209600})
		require.Equal(t, made.get(t, "questions"), r.get(t, "questions"))
		require.Equal(t, "link", r.text(t, "mode"))

		w := "/api/v1/workstreams/" + b.workstream()
		requireProblem(t, b.patch(w, map[string]any{"settings": map[string]any{"survey_id": "svy_none", "survey_after": []any{"spam"}}}), 400, conversation.CodeInvalid, "/settings/survey_after/0")
		requireProblem(t, b.patch(w, map[string]any{"settings": map[string]any{"survey_id": "svy_none"}}), 400, conversation.CodeInvalid, "/settings/survey_id")
		set := b.patch(w, map[string]any{"settings": map[string]any{"survey_id": made.text(t, "id"), "survey_after": []any{"agent", "system"}}})
		require.Equal(t, made.text(t, "id"), set.text(t, "settings", "survey_id"))
		requireProblem(t, b.delete("surveys/"+made.text(t, "id")), 409, conversation.CodeInUse)
		require.Equal(t, 200, b.patch(w, map[string]any{"settings": map[string]any{"survey_id": nil}}).Status)
		require.Equal(t, 204, b.delete("surveys/"+made.text(t, "id")).Status)
	})
}

func TestContactsAreFoundAndTheAuditLogHasNothingOfThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		aoi := b.create("contacts", map[string]any{"name": "佐藤 葵", "email": "Aoi@example.com", "phone": "+81 90 1234 5678", "customer_number": "K-100%"})
		emma := b.create("contacts", map[string]any{"name": "Emma Jensen", "company": "Jensen ApS"})
		require.Nil(t, emma.get(t, "email"))
		found := func(q string) (ids []any) {
			t.Helper()
			for _, item := range b.as(store.RoleAgent, "GET", "/api/v1/contacts?q="+url.QueryEscape(q), nil).get(t, "items").([]any) {
				ids = append(ids, item.(map[string]any)["id"])
			}
			return ids
		}
		for _, q := range []string{"葵", "aoi@EXAMPLE", "1234", "k-100%"} {
			require.Equal(t, []any{aoi.get(t, "id")}, found(q), q)
		}
		require.Equal(t, []any{emma.get(t, "id")}, found("jensen"))
		require.Equal(t, []any{aoi.get(t, "id"), emma.get(t, "id")}, found(""))
		require.Empty(t, found("%%"), "a wildcard is an ordinary character")
		first := b.as(store.RoleAgent, "GET", "/api/v1/contacts?q=e&limit=1", nil)
		require.Equal(t, aoi.get(t, "id"), first.get(t, "items", 0, "id"))
		require.Equal(t, emma.get(t, "id"), b.as(store.RoleAgent, "GET", "/api/v1/contacts?q=e&limit=1&cursor="+first.text(t, "next_cursor"), nil).get(t, "items", 0, "id"))

		path := "/api/v1/contacts/" + aoi.text(t, "id")
		r := b.as(store.RoleAgent, "PATCH", path, map[string]any{"email": nil, "company": "葵商店"}, header{"If-Match", `"1"`})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Nil(t, r.get(t, "email"))
		require.Equal(t, "葵商店", r.text(t, "company"))
		requireProblem(t, b.patch(path, map[string]any{"name": nil, "email": "nobody"}), 400, conversation.CodeInvalid, "/email", "/name")
		log := string(b.as(store.RoleAdmin, "GET", "/api/v1/audit-log", nil).Raw)
		require.Contains(t, log, aoi.text(t, "id"))
		for _, personal := range []string{"葵", "Aoi@", "1234 5678", "K-100", "Jensen"} {
			require.NotContains(t, log, personal)
		}

		talk := b.conversation(b.channel(), "open", "queue")
		b.sql(`UPDATE social_profiles SET contact_id = $1 WHERE id = $2`, aoi.text(t, "id"), talk)
		requireProblem(t, b.delete("contacts/"+aoi.text(t, "id")), 409, conversation.CodeInUse)
		require.Equal(t, 204, b.delete("contacts/"+emma.text(t, "id")).Status)
	})
}

func TestAChangeOfWhatMatchingGoesByIsLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	q, w := "/api/v1/queues/"+b.create("queues", map[string]any{"name": "q"}).text(t, "id"), "/api/v1/workstreams/"+b.workstream()
	agent := b.agents[store.RoleAgent].ID
	for name, change := range map[string]func() response{
		"a member comes": func() response { return b.as(store.RoleAdmin, "PUT", q+"/members/"+agent, nil) },
		"a member goes":  func() response { return b.as(store.RoleAdmin, "DELETE", q+"/members/"+agent, nil) },
		"capacity":       func() response { return b.patch("/api/v1/agents/"+agent, map[string]any{"capacity": 9}) },
		"assignment":     func() response { return b.patch(q, map[string]any{"assignment": "round_robin"}) },
		"a workstream":   func() response { return b.patch(w, map[string]any{"settings": map[string]any{"capacity_units": 2}}) },
	} {
		before := b.kicks.n.Load()
		require.Less(t, change().Status, 300, name)
		require.Equal(t, before+1, b.kicks.n.Load(), name)
	}
	before := b.kicks.n.Load()
	requireProblem(t, b.as(store.RoleAdmin, "PUT", q+"/members/agt_none", nil), 404, conversation.CodeNotFound)
	require.Equal(t, before, b.kicks.n.Load(), "nothing has changed")
}
