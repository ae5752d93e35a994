package activities

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

func outcomes(r store.Routing) (out []string) {
	for _, l := range r.Log {
		out = append(out, l.Stage+" "+l.Outcome)
	}
	return out
}

func TestRulesClassifyAConversationAndDecideItsQueue(t *testing.T) {
	t.Parallel()
	high := int64(9)
	known := store.RoutingFacts{
		Conversation: store.Conversation{ID: "cnv_1", Context: `{"order": "A-1"}`, DisplayName: "葵", CreatedAt: 1},
		Latest:       []store.Message{{Type: "text", Text: "こんにちは"}, {Type: "text", Text: "返金してください"}},
		Messages:     2,
		Queues:       map[string]store.QueueFacts{"que_support": {Members: 1}, "que_refunds": {Members: 1}, "que_empty": {}},
		Rulesets: map[string]store.Ruleset{
			"rul_1": {ID: "rul_1", Rules: []routing.Rule{
				{ID: "broken", Condition: `conversation.attributes["none"] == "x"`, Outputs: routing.Outputs{Language: "da"}},
				{ID: "refund", Condition: `message.text.contains("返金") && context["order"] != ""`, Outputs: routing.Outputs{
					Priority: &high, Language: "ja", Attributes: map[string]string{"topic": "refund"}, Skills: []conversation.SkillNeed{{SkillID: "skl_ja", Level: 5}}, Units: 2,
				}},
			}},
			"rul_2": {ID: "rul_2", RouteRules: []routing.RouteRule{
				{ID: "empty", Condition: `true`, QueueID: "que_empty"},
				{ID: "refunds", Condition: `conversation.attributes["topic"] == "refund"`, QueueID: "que_refunds"},
			}},
		},
		Unreadable: []string{"rul_3"},
	}
	plan := store.Plan{Workstream: store.Workstream{FallbackQueueID: "que_support"}}
	plan.Workstream.Settings = store.WorkstreamSettings{ClassificationRulesetIDs: []string{"rul_1", "rul_3"}, RouteRulesetID: "rul_2"}.Defaults()

	r, err := decide(plan, known, time.Now())
	require.NoError(t, err)
	require.Equal(t, "que_refunds", r.QueueID)
	require.Equal(t, high, r.Priority)
	require.EqualValues(t, 2, r.Units)
	require.Equal(t, "ja", r.Language)
	require.Equal(t, []conversation.SkillNeed{{SkillID: "skl_ja", Level: 5}}, r.Skills)
	require.Equal(t, map[string]string{"topic": "refund"}, r.Attributes)
	require.Equal(t, []string{"classification classified", "route rule", "classification ruleset_unreadable"}, outcomes(r))
	for _, l := range r.Log {
		require.True(t, json.Valid(l.Entry))
		require.NotContains(t, string(l.Entry), "返金してください", "the log has no content")
	}
	same, err := decide(plan, known, time.Now())
	require.NoError(t, err)
	require.Equal(t, r.Requirement, same.Requirement)

	known.Conversation.QueueID = "que_support"
	named, err := decide(plan, known, time.Now())
	require.NoError(t, err)
	require.Equal(t, "que_support", named.QueueID, "a queue that somebody named is kept")
	require.Equal(t, high, named.Priority, "and it is classified all the same")

	known.Conversation.QueueID, known.Queues, known.Rulesets = "", nil, nil
	lost, err := decide(plan, known, time.Now())
	require.NoError(t, err)
	require.Empty(t, lost.QueueID)
	require.Equal(t, []string{"classification classified", "route no_queue", "classification ruleset_unreadable"}, outcomes(lost))
}
