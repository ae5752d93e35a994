package api_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/decide"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

const dryRun = "/api/v1/routing/dry-run"

// ruled makes rules for the workstream of a channel: refunds go to a queue.
func (b *bundle) ruled(channel, queue string) (ruleset string) {
	b.t.Helper()
	r := b.as(store.RoleAdmin, "POST", "/api/v1/rulesets", map[string]any{"name": "where", "kind": "route", "rules": []any{
		map[string]any{"id": "refunds", "name": "Refunds", "condition": `message.texts.exists(t, t.contains("返金")) && context[?"plan"].orValue("") != "free"`, "queue_id": queue},
	}})
	require.Equal(b.t, 201, r.Status, "%s", r.Raw)
	c, err := b.store.Channel(b.t.Context(), channel)
	require.NoError(b.t, err)
	_, err = b.store.UpdateWorkstream(b.t.Context(), store.Origin{}, c.WorkstreamID, store.AnyVersion, func(w *store.Workstream) error {
		w.Settings.RouteRulesetID = r.text(b.t, "id")
		return nil
	})
	require.NoError(b.t, err)
	return r.text(b.t, "id")
}

// routed has a conversation routed as its workflow does.
func (b *bundle) routed(id string) {
	b.t.Helper()
	ctx := b.t.Context()
	c, err := b.store.Conversation(ctx, id)
	require.NoError(b.t, err)
	plan, err := b.store.Plan(ctx, c.ChannelID)
	require.NoError(b.t, err)
	facts, err := b.store.RoutingFacts(ctx, id)
	require.NoError(b.t, err)
	facts.Channel, facts.Now = routing.ChannelFacts{ID: plan.Channel.ID, Name: plan.Channel.Name, Locale: plan.Channel.Locale}, time.Now()
	found, _, err := decide.Decider{Reader: b.store, Logger: slog.New(slog.DiscardHandler)}.Decide(ctx, plan, facts)
	require.NoError(b.t, err)
	_, err = b.store.Transition(ctx, store.TransitionRequest{ID: "tsn_" + id, ConversationID: id, Event: conversation.EventRouted, Routing: found})
	require.NoError(b.t, err)
}

func TestADryRunOfAConversationIsWhatItsRoutingLogHas(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel, queue := b.channel(), b.queue()
		require.NoError(t, b.store.AddMember(t.Context(), store.Origin{}, queue, b.agents[store.RoleAgent].ID))
		b.ruled(channel, queue)
		id := b.conversation(channel, "open", "queue")
		b.message(id, 1, "返金してください")
		b.message(id, 2, "急いで")

		present := b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation_id": id})
		require.Equal(t, 200, present.Status, "%s", present.Raw)
		require.Equal(t, "present", present.text(t, "facts"))
		require.Equal(t, queue, present.text(t, "items", 1, "entry", "queue_id"))
		log := b.as(store.RoleSupervisor, "GET", "/api/v1/conversations/"+id+"/routing-log", nil)
		require.Empty(t, log.get(t, "items"), "nothing was decided by asking")

		b.routed(id)
		nobody := b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation_id": id})
		require.Nil(t, nobody.get(t, "recorded_assignment"), "nobody has looked yet")
		_, err := b.store.SetPresence(t.Context(), b.agents[store.RoleAgent].ID, conversation.PresenceAvailable, true)
		require.NoError(t, err)
		_, err = b.store.Match(t.Context(), store.MatchRequest{})
		require.NoError(t, err)
		require.NoError(t, b.store.RemoveMember(t.Context(), store.Origin{}, queue, b.agents[store.RoleAgent].ID))
		require.NoError(t, b.store.SetContext(t.Context(), id, map[string]string{"plan": "free"}, nil))
		log = b.as(store.RoleSupervisor, "GET", "/api/v1/conversations/"+id+"/routing-log", nil)
		require.NotContains(t, string(log.Raw), "message_ids")
		for _, at := range []map[string]any{{}, {"at": log.text(t, "items", 0, "id")}} {
			at["conversation_id"] = id
			recorded := b.as(store.RoleSupervisor, "POST", dryRun, at)
			require.Equal(t, 200, recorded.Status, "%s", recorded.Raw)
			require.Equal(t, "recorded", recorded.text(t, "facts"))
			for i := range 2 {
				for _, field := range []string{"stage", "outcome", "entry"} {
					require.Equal(t, log.get(t, "items", i, field), recorded.get(t, "items", i, field))
				}
			}
			require.Equal(t, "no_agent", recorded.text(t, "items", 2, "outcome"), "as of now nobody works the queue")
			require.NotNil(t, recorded.get(t, "assignment_as_of"))
			require.Equal(t, "offered", recorded.text(t, "recorded_assignment", "outcome"), "and as it was then somebody did")
			require.Equal(t, log.get(t, "items", 2), recorded.get(t, "recorded_assignment"))
			require.NotContains(t, string(recorded.Raw), "返金")
		}
		requireProblem(t, b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation_id": id, "at": log.text(t, "items", 1, "id")}), 404, conversation.CodeNotFound)
		requireProblem(t, b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation_id": "cnv_none"}), 404, conversation.CodeNotFound)
	})
}

func TestADescribedConversationIsTriedWithAProposedConfiguration(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		channel, queue, other := b.channel(), b.queue(), b.queue()
		ruleset := b.ruled(channel, queue)
		described := map[string]any{
			"channel_id": channel, "texts": []any{"こんにちは", "返金してください"}, "context": map[string]any{"plan": "gold"}, "now": "2026-01-05T09:00:00+09:00",
			"customer": map[string]any{"language": "ja"}, "bot": map[string]any{"escalated": true},
		}
		ask := func(proposed map[string]any) response {
			body := map[string]any{"conversation": described}
			if proposed != nil {
				body["proposed"] = proposed
			}
			return b.as(store.RoleSupervisor, "POST", dryRun, body)
		}
		r := ask(nil)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, "described", r.text(t, "facts"))
		require.Equal(t, "2026-01-05T00:00:00.000Z", r.text(t, "now"))
		require.Equal(t, "skipped", r.text(t, "items", 1, "entry", "rules", 0, "verdict"), "nobody works the queue")
		r = ask(map[string]any{"queues": []any{map[string]any{"id": queue, "members": 2}}})
		require.Equal(t, queue, r.text(t, "items", 1, "entry", "queue_id"), "%s", r.Raw)

		rule := map[string]any{"id": "r", "condition": `bot.escalated && now.getHours("Asia/Tokyo") == 9 && customer.language == "ja"`, "queue_id": other}
		proposal := map[string]any{
			"rulesets":   []any{map[string]any{"id": "rul_new", "name": "new", "kind": "route", "rules": []any{rule}}},
			"workstream": map[string]any{"settings": map[string]any{"route_ruleset_id": "rul_new", "default_priority": 7}}, "queues": []any{map[string]any{"id": other, "members": 1}},
		}
		r = ask(proposal)
		require.Equal(t, 200, r.Status, "%s", r.Raw)
		require.Equal(t, 7.0, r.get(t, "items", 0, "entry", "priority"))
		require.Equal(t, other, r.text(t, "items", 1, "entry", "queue_id"))
		w, err := b.store.Channel(t.Context(), channel)
		require.NoError(t, err)
		saved, err := b.store.Workstream(t.Context(), w.WorkstreamID)
		require.NoError(t, err)
		require.Equal(t, ruleset, saved.Settings.RouteRulesetID, "nothing was saved")
		require.Zero(t, saved.Settings.DefaultPriority)

		rule["condition"] = "message.text = 1"
		requireProblem(t, ask(proposal), 400, conversation.CodeInvalid, "/proposed/rulesets/0/rules/0/condition")
		rule["condition"], rule["queue_id"] = "true", "que_none"
		requireProblem(t, ask(proposal), 400, conversation.CodeInvalid, "/proposed/rulesets/0/rules/0/queue_id")
		requireProblem(t, ask(map[string]any{"workstream": map[string]any{"settings": map[string]any{"route_ruleset_id": "rul_none"}}}),
			400, conversation.CodeInvalid, "/proposed/workstream/settings/route_ruleset_id")
		requireProblem(t, ask(map[string]any{"queues": []any{map[string]any{"id": "que_none", "members": 1}}}), 400, conversation.CodeInvalid, "/proposed/queues/0/id")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{}), 400, conversation.CodeInvalid, "")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation": map[string]any{"texts": []any{}}}), 400, conversation.CodeInvalid, "/conversation")
		requireProblem(t, b.as(store.RoleSupervisor, "POST", dryRun, map[string]any{"conversation": map[string]any{"workstream_id": "wst_none"}}),
			400, conversation.CodeInvalid, "/conversation/workstream_id")
	})
}

func TestADryRunNeedsTheConfigurationAndTheConversationOnlyOfOneThatThereIs(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	channel := b.channel()
	id := b.conversation(channel, "open", "queue")
	requireProblem(t, b.as(store.RoleAgent, "POST", dryRun, map[string]any{"conversation_id": id}), 403, conversation.CodeForbidden)
	issued := b.as(store.RoleAdmin, "POST", "/api/v1/agents/"+b.agents[store.RoleAdmin].ID+"/tokens", map[string]any{"name": "rules", "scope": []string{"configuration.read"}})
	require.Equal(t, 201, issued.Status, "%s", issued.Raw)
	token := issued.text(t, "token")
	requireProblem(t, b.send(b.url, token, "POST", dryRun, map[string]any{"conversation_id": id}), 403, conversation.CodeForbidden)
	require.Equal(t, 200, b.send(b.url, token, "POST", dryRun, map[string]any{"conversation": map[string]any{"channel_id": channel}}).Status)
}
