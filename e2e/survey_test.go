package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// asksAfterwards creates a survey over the API and has it follow conversations
// that agents end.
func (k *kaiwa) asksAfterwards(mode string) {
	k.t.Helper()
	words := func(en string) map[string]string { return map[string]string{"en": en} }
	res, made := k.call("POST", "/surveys", map[string]any{"name": "After", "mode": mode, "expires_seconds": 3600, "questions": []map[string]any{
		{"id": "satisfied", "kind": "csat", "text": words("Satisfied?")},
		{"id": "words", "kind": "text", "text": words("Why?")},
		{"id": "recommend", "kind": "nps", "text": words("Recommend?"), "optional": true},
	}}, nil)
	require.Equal(k.t, http.StatusCreated, res.StatusCode, made)
	k.arrange(func(w *store.Workstream, b *store.Bot) {
		picked(w, b)
		w.Settings.SurveyID = made["id"].(string)
		w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "survey_invitation", Text: "please"}, {Trigger: "survey_thanks", Text: "thank you"}}
	})
}

// served has an agent serve a conversation and end it.
func (c customer) served(a agent) (conversationID string) {
	c.k.t.Helper()
	id := c.asksForAPerson()
	a.does("pick", id, nil)
	status, said := a.says(id, "here you are")
	require.Less(c.k.t, status, 300, said)
	a.does("end", id, nil)
	a.does("wrap-up", id, nil)
	return id
}

// latest waits until the last message on the phone begins with a text.
func (c customer) latest(text string) {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		all := c.reads()
		return len(all) > 0 && strings.HasPrefix(all[len(all)-1], text)
	}, "the customer reads %q", text)
}

// presses taps the button of a label, wherever in the chat it is.
func (c customer) presses(label string) {
	c.k.t.Helper()
	chat, err := c.k.Sim.Chat(c.k.t.Context(), dev.SimChannelID, c.id)
	require.NoError(c.k.t, err)
	for i := len(chat) - 1; i >= 0; i-- {
		var body struct {
			QuickReply struct {
				Items []struct {
					Action struct{ Label, Data, DisplayText string } `json:"action"`
				} `json:"items"`
			} `json:"quickReply"`
		}
		if json.Unmarshal(chat[i].Body, &body) != nil {
			continue
		}
		for _, item := range body.QuickReply.Items {
			if item.Action.Label == label {
				_, err := c.k.Sim.Postback(c.k.t.Context(), dev.SimChannelID, c.id, item.Action.Data, item.Action.DisplayText, nil)
				require.NoError(c.k.t, err)
				return
			}
		}
	}
	require.Fail(c.k.t, "no such button", label)
}

// surveyIsOver waits until the survey after a conversation has its state and
// its workflow has ended.
func (k *kaiwa) surveyIsOver(conversationID, state string) {
	k.t.Helper()
	k.eventually(func() bool {
		_, survey := k.call("GET", "/conversations/"+conversationID+"/survey", nil, nil)
		d, err := k.Temporal.DescribeWorkflowExecution(k.t.Context(), conversation.SurveyWorkflowID(conversationID), "")
		return survey["state"] == state && err == nil && d.WorkflowExecutionInfo.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	}, "the survey is %s", state)
}

func TestASurveyIsAnsweredInTheChatWhileTheCustomerTalksOn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.asksAfterwards("line")
		kenta := k.as("kaiwa-dev-kenta")
		emma := k.newCustomer("Emma")
		id := emma.served(kenta)
		emma.latest("Satisfied?")
		require.Equal(t, "please", emma.reads()[len(emma.reads())-2])
		emma.presses("4 Satisfied")
		emma.latest("Why?")
		emma.writes("m-because of the parcel")
		emma.latest("Recommend?")
		require.Len(t, emma.conversations(), 1, "answers begin no conversation")

		// The customer begins another conversation, and the button of the survey
		// still answers the survey.
		emma.writes("hello")
		emma.latest("welcome")
		emma.presses("9")
		emma.latest("thank you")
		k.surveyIsOver(id, "answered")
		emma.writes("b1")
		emma.latest("heard b1")
		require.Len(t, emma.conversations(), 2)
		require.Equal(t, []string{"person please", "hello", "b1"}, emma.inbound())
		require.Equal(t, conversation.StatusActive, emma.conversations()[1].Status)

		_, survey := k.call("GET", "/conversations/"+id+"/survey", nil, nil)
		require.Equal(t, kenta.id, survey["agent_id"])
		answers := survey["answers"].([]any)
		require.Len(t, answers, 3)
		for i, want := range []map[string]any{{"value": "4", "score": 4.0, "via": "button"}, {"value": "m-because of the parcel", "score": nil, "via": "typed"}, {"value": "9", "score": 9.0, "via": "button"}} {
			for name, value := range want {
				require.Equal(t, value, answers[i].(map[string]any)[name], name)
			}
		}
		_, list := k.call("GET", "/survey-invitations?agent_id="+kenta.id, nil, nil)
		require.Len(t, list["items"], 1)
		k.eventually(func() bool {
			_, page := k.call("GET", "/events?after=0&limit=200", nil, nil)
			raw, err := json.Marshal(page)
			require.NoError(t, err)
			require.NotContains(t, string(raw), "because of")
			return strings.Contains(string(raw), "survey.completed")
		}, "the events are numbered")
		for _, e := range k.history(conversation.SurveyWorkflowID(id)) {
			require.NotContains(t, e.String(), "because of", "histories hold no content")
			require.NotContains(t, e.String(), "Satisfied?")
		}
		for _, m := range emma.transcript() {
			if m.Automated == "survey_thanks" {
				require.Equal(t, "reply", m.Via, "a tap's token is free")
			}
		}
	})
}

func TestASurveyIsAnsweredOnItsPage(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.asksAfterwards("link")
		emma := k.newCustomer("Emma")
		id := emma.served(k.as("kaiwa-dev-kenta"))
		link := ""
		k.eventually(func() bool {
			chat, err := k.Sim.Chat(t.Context(), dev.SimChannelID, emma.id)
			require.NoError(t, err)
			link = regexp.MustCompile(regexp.QuoteMeta(k.APIURL) + `/survey/[\w.-]+`).FindString(string(chat[len(chat)-1].Body))
			return link != ""
		}, "the customer has the link")
		page, err := http.Get(link)
		require.NoError(t, err)
		require.NoError(t, page.Body.Close())
		require.Equal(t, http.StatusOK, page.StatusCode)
		sent, err := http.PostForm(link, url.Values{"satisfied": {"1"}, "words": {"late"}})
		require.NoError(t, err)
		require.NoError(t, sent.Body.Close())
		require.Equal(t, http.StatusOK, sent.StatusCode)
		emma.latest("thank you")
		k.surveyIsOver(id, "answered")
		sent, err = http.PostForm(link, url.Values{"satisfied": {"5"}, "words": {"again"}})
		require.NoError(t, err)
		require.NoError(t, sent.Body.Close())
		require.Equal(t, http.StatusConflict, sent.StatusCode)
		emma.writes("5")
		emma.latest("welcome")
	})
}

// A survey whose wake-up got lost with its process is woken by the relay: also
// one that never began.
func TestALostWakeUpOfASurveyIsRepeated(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		k := start(t, dialect)
		k.asksAfterwards("line")
		emma := k.newCustomer("Emma")
		id := emma.served(k.as("kaiwa-dev-kenta"))
		emma.latest("Satisfied?")
		inv, err := k.Store.InvitationAfter(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, k.Temporal.TerminateWorkflow(t.Context(), conversation.SurveyWorkflowID(id), "", "test"))
		// Answered behind everybody's back, as by a process that dies then.
		_, err = k.Store.AnswerByLink(t.Context(), inv.ID, map[string]string{"satisfied": "5", "words": "x", "recommend": ""})
		require.NoError(t, err)
		emma.latest("thank you")
		k.surveyIsOver(id, "answered")
	})
}
