package api_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

func TestASurveyAndItsAnswersAreReadAndListed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		first := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()}, "ja")
		second := b.survey(survey.Settings{Mode: survey.ModeLink, Questions: everyKind()[:1]}, "en")
		require.Equal(t, http.StatusOK, b.browse(http.MethodPost, first.path(), url.Values{
			"satisfied": {"5"}, "recommend": {"0"}, "effort": {"7"}, "topic": {"bill"},
		}).status)

		r := b.as(store.RoleAgent, http.MethodGet, "/api/v1/conversations/"+first.invitation.ConversationID+"/survey", nil)
		require.Equal(t, http.StatusOK, r.Status)
		require.Equal(t, "ja", r.text(t, "locale"))
		require.Equal(t, first.agentID, r.text(t, "agent_id"))
		require.Nil(t, r.get(t, "bot_id"))
		require.Nil(t, r.get(t, "ended_at"), "its workflow has not seen it")
		require.Equal(t, "5", r.text(t, "answers", 0, "value"))
		require.EqualValues(t, 5, r.get(t, "answers", 0, "score"))
		require.EqualValues(t, 0, r.get(t, "answers", 1, "score"), "zero is a score")
		require.Equal(t, "bill", r.text(t, "answers", 3, "value"))
		require.Nil(t, r.get(t, "answers", 3, "score"))
		require.Nil(t, r.get(t, "answers", 4, "value"), "it was left out")
		require.Equal(t, "link", r.text(t, "answers", 4, "via"))

		list := func(query string) (ids []string, next any) {
			r := b.as(store.RoleSupervisor, http.MethodGet, "/api/v1/survey-invitations?"+query, nil)
			require.Equal(t, http.StatusOK, r.Status, "%s", r.Raw)
			for i := range r.get(t, "items").([]any) {
				ids = append(ids, r.text(t, "items", i, "id"))
			}
			return ids, r.get(t, "next_cursor")
		}
		all, next := list("agent_id=" + first.agentID + "&state=open")
		require.Equal(t, []string{first.invitation.ID, second.invitation.ID}, all)
		require.Nil(t, next)
		one, next := list("limit=1")
		require.Equal(t, all[:1], one)
		rest, next := list("limit=1&cursor=" + next.(string))
		require.Equal(t, all[1:], rest)
		require.Nil(t, next)
		only, _ := list("survey_id=" + second.surveyID)
		require.Equal(t, all[1:], only)
		none, _ := list("agent_id=agt_none")
		require.Empty(t, none)

		require.Equal(t, http.StatusForbidden, b.as(store.RoleAgent, http.MethodGet, "/api/v1/survey-invitations", nil).Status)
		require.Equal(t, http.StatusBadRequest, b.as(store.RoleSupervisor, http.MethodGet, "/api/v1/survey-invitations?state=lost", nil).Status)
		without := b.conversation(first.invitation.ChannelID, "open", "queue")
		require.Equal(t, http.StatusNotFound, b.as(store.RoleAgent, http.MethodGet, "/api/v1/conversations/"+without+"/survey", nil).Status)
		require.Equal(t, http.StatusNotFound, b.as(store.RoleAgent, http.MethodGet, "/api/v1/conversations/cnv_none/survey", nil).Status)
	})
}
