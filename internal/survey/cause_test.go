package survey_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

func TestASurveyFollowsOnlyTheEndsItIsMeantFor(t *testing.T) {
	t.Parallel()
	both := survey.Policy{AgentSurveyID: "svy_people", BotSurveyID: "svy_bots"}
	system := both
	system.After = []survey.Cause{survey.AfterSystem}
	onlyPeople := survey.Policy{AgentSurveyID: "svy_people"}
	for _, c := range []struct {
		policy  survey.Policy
		reason  conversation.ClosureReason
		agentID string
		botID   string
		want    string
	}{
		{both, conversation.ReasonAgentEnded, "agt_1", "bot_1", "svy_people"},
		{both, conversation.ReasonBotEnded, "", "bot_1", "svy_bots"},
		{both, conversation.ReasonBotIdle, "agt_1", "bot_1", "svy_bots"},
		{both, conversation.ReasonAutoClosed, "agt_1", "bot_1", ""},
		{onlyPeople, conversation.ReasonBotEnded, "", "bot_1", ""},
		{system, conversation.ReasonAutoClosed, "agt_1", "bot_1", "svy_people"},
		{system, conversation.ReasonTimeoutRule, "", "bot_1", "svy_bots"},
		{system, conversation.ReasonOverflow, "", "", ""},
		{system, conversation.ReasonAgentEnded, "agt_1", "", ""},
	} {
		require.Equal(t, c.want, c.policy.Choose(c.reason, c.agentID, c.botID), "%+v", c)
	}
	everything := both
	everything.After = survey.Causes()
	for _, reason := range []conversation.ClosureReason{
		conversation.ReasonCustomerBlocked, conversation.ReasonConsentRefused, conversation.ReasonChannelDeleted,
		conversation.ReasonCancelled, conversation.ReasonForceClosed, "",
	} {
		require.Empty(t, everything.Choose(reason, "agt_1", "bot_1"), reason)
	}
	require.False(t, survey.Policy{}.On())
	require.True(t, onlyPeople.On())
}
