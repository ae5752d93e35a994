package api_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestASupervisorChangesPrioritySkillsAndQueueOfWhoWaits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id, offer := b.offer()
		skill, err := b.store.CreateSkill(t.Context(), store.Origin{}, store.Skill{Name: "日本語"})
		require.NoError(t, err)
		path := "/api/v1/conversations/" + id + "/routing"
		requireProblem(t, b.as(store.RoleAgent, "PATCH", path, map[string]any{"priority": 1}), 403, conversation.CodeForbidden)
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{}), 400, conversation.CodeInvalid, "")
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"units": 1}), 400, conversation.CodeInvalid, "/units")
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"priority": 1001}), 400, conversation.CodeInvalid, "/priority")
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"queue_id": "que_none"}), 400, conversation.CodeInvalid, "/queue_id")
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"skills": []any{map[string]any{"skill_id": "skl_none", "level": 3}}}),
			400, conversation.CodeInvalid, "/skills/0/skill_id")

		kicks := b.kicks.n.Load()
		r := b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"priority": 7, "skills": []any{map[string]any{"skill_id": skill.ID, "level": 4}}})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, 7.0, r.get(t, "priority"))
		require.Equal(t, skill.ID, r.text(t, "skills", 0, "skill_id"))
		require.Greater(t, b.kicks.n.Load(), kicks, "the dispatcher looks again")
		requireProblem(t, b.as(store.RoleAgent, "POST", "/api/v1/offers/"+offer+"/accept", nil), 409, conversation.CodeOfferRescinded)
		log := b.as(store.RoleAgent, "GET", "/api/v1/conversations/"+id+"/routing-log", nil)
		last := len(log.get(t, "items").([]any)) - 1
		require.Equal(t, "overridden", log.text(t, "items", last, "outcome"))
		require.Equal(t, "supervisor", log.text(t, "items", last, "entry", "actor_name"))
		require.Equal(t, "日本語", log.text(t, "items", last, "entry", "after", "skills", 0, "skill_name"))

		// A queue is changed by the conversation's workflow, with the rest.
		other := b.queue()
		b.engine.onClose(func(req conversation.ActionRequest) error {
			require.Equal(t, conversation.EventTransferredQueue, req.Event)
			require.Equal(t, int64(8), *req.Override.Priority)
			_, err := b.store.Transition(t.Context(), store.TransitionRequest{
				ID: "step", ConversationID: id, Event: req.Event, Actor: req.Actor, QueueID: req.QueueID, Override: req.Override,
			})
			return err
		})
		r = b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"priority": 8, "queue_id": other})
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, other, r.text(t, "queue_id"))
		require.Equal(t, 8.0, r.get(t, "priority"))

		b.sql("UPDATE conversations SET status = 'active', owner = 'agent' WHERE id = $1", id)
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", path, map[string]any{"priority": 9}), 409, conversation.CodeNotAllowedNow)
		requireProblem(t, b.as(store.RoleSupervisor, "PATCH", "/api/v1/conversations/cnv_none/routing", map[string]any{"priority": 9}), 404, conversation.CodeNotFound)
	})
}

func TestWhatIsDoneWithManyIsDoneWithEachOnItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel, queue := b.channel(), b.queue()
		var ids []any
		for range 3 {
			ids = append(ids, b.queued(channel, queue))
		}
		b.sql("UPDATE conversations SET status = 'closed', owner = 'none', closed_at = 5 WHERE id = $1", ids[1])
		ids = append(ids, "cnv_none")
		const path = "/api/v1/conversations/bulk"
		ask := func(action string, more map[string]any) map[string]any {
			body := map[string]any{"action": action, "conversation_ids": ids}
			for name, value := range more {
				body[name] = value
			}
			return body
		}
		requireProblem(t, b.as(store.RoleAgent, "POST", path, ask("close", nil)), 403, conversation.CodeForbidden)
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, ask("explode", nil)), 400, conversation.CodeInvalid, "/action")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, ask("assign", nil)), 400, conversation.CodeInvalid, "/agent_id")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, ask("close", map[string]any{"agent_id": "agt_1"})), 400, conversation.CodeInvalid, "/agent_id")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, ask("transfer", nil)), 400, conversation.CodeInvalid, "")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, ask("routing", nil)), 400, conversation.CodeInvalid, "")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", path, map[string]any{"action": "close", "conversation_ids": []any{ids[0], ids[0]}}),
			400, conversation.CodeInvalid, "/conversation_ids/1")

		var fails atomic.Bool
		fails.Store(true)
		b.engine.onClose(func(req conversation.ActionRequest) error {
			if req.ConversationID == ids[2] && fails.Load() {
				return conversation.Errorf(conversation.CodeNotAllowedNow, "not now")
			}
			_, err := b.store.Transition(t.Context(), store.TransitionRequest{
				ID: conversation.DerivedID(conversation.PrefixStep, req.ConversationID), ConversationID: req.ConversationID, Event: req.Event, Actor: req.Actor, QueueID: req.QueueID,
				ParticipantID: req.AgentID,
			})
			return err
		})
		agent := b.agents[store.RoleAgent].ID
		r := b.as(store.RoleSupervisor, "POST", path, ask("assign", map[string]any{"agent_id": agent}), key("k"))
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		for i, want := range []struct {
			status float64
			code   any
		}{{200, nil}, {409, "conversation_closed"}, {409, "not_allowed_now"}, {404, "not_found"}} {
			require.Equal(t, ids[i], r.get(t, "items", i, "conversation_id"))
			require.Equal(t, want.status, r.get(t, "items", i, "status"), "%s", r.Raw)
			require.Equal(t, want.code, r.get(t, "items", i, "code"))
		}
		asked, _ := b.engine.requests()
		again := b.as(store.RoleSupervisor, "POST", path, ask("assign", map[string]any{"agent_id": agent}), key("k"))
		require.Equal(t, string(r.Raw), string(again.Raw))
		after, updates := b.engine.requests()
		require.Len(t, after, len(asked), "a request that comes again does nothing again")
		require.NotEqual(t, updates[0], updates[1], "each has a step of its own")

		fails.Store(false)
		routing := b.as(store.RoleSupervisor, "POST", path, ask("routing", map[string]any{"priority": 3}))
		require.Equal(t, 409.0, routing.get(t, "items", 0, "status"), "served by now")
		require.Equal(t, 200.0, routing.get(t, "items", 2, "status"))
		rescinded := b.as(store.RoleSupervisor, "POST", path, ask("rescind", nil))
		require.Equal(t, "conflict", rescinded.get(t, "items", 2, "code"))
		require.Equal(t, "not_found", rescinded.get(t, "items", 3, "code"))
	})
}
