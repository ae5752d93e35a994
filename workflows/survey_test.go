package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
	"kaiwa/worker"
)

// surveyed is a life with surveys: conversations and surveys run one beside the
// other, each in an environment of its own, and those that are woken are woken.
type surveyed struct {
	*life
	acts *activities.Activities

	mu      sync.Mutex
	woken   []string // whose surveys
	running map[string]*testsuite.TestWorkflowEnvironment
}

func newSurveyed(t *testing.T, settings survey.Settings) *surveyed {
	t.Helper()
	a := &surveyed{life: newLife(t, nil), running: map[string]*testsuite.TestWorkflowEnvironment{}}
	lineServer := httptest.NewServer(a.sim.Handler())
	t.Cleanup(lineServer.Close)
	a.acts = activities.New(activities.Options{
		Store: a.store, LINE: line.New(line.Config{APIURL: lineServer.URL, DataAPIURL: lineServer.URL}), BotHTTP: http.DefaultClient,
		Logger: slog.New(slog.DiscardHandler), PublicURL: "https://kaiwa.example.com/",
		WakeSurvey: func(_ context.Context, channelID, conversationID string) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.woken = append(a.woken, conversationID)
			return nil
		},
	})
	made, err := a.store.CreateSurvey(t.Context(), store.Origin{}, store.Survey{Name: "After", Settings: settings.Defaults()})
	require.NoError(t, err)
	_, err = a.store.UpdateWorkstream(t.Context(), store.Origin{}, a.channel.WorkstreamID, store.AnyVersion, func(w *store.Workstream) error {
		w.Settings.BotSurveyID = made.ID
		w.Settings.SurveyAfter = survey.Causes()
		return nil
	})
	require.NoError(t, err)
	return a
}

func twoQuestions() survey.Settings {
	return survey.Settings{Questions: []survey.Question{
		{ID: "satisfied", Kind: survey.KindCSAT, Text: map[string]string{"en": "How satisfied are you?"}},
		{ID: "words", Kind: survey.KindText, Optional: true, Text: map[string]string{"en": "What could we do better?"}},
	}}
}

func (a *surveyed) environment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(30 * time.Second)
	worker.Register(env)
	env.RegisterActivity(a.acts)
	return env
}

// converse runs the chat's workflow, as a webhook would start it, and wakes the
// surveys it wakes. Meanwhile things are done.
func (a *surveyed) converse(meanwhile ...func(env *testsuite.TestWorkflowEnvironment)) {
	a.t.Helper()
	env := a.environment()
	for _, do := range meanwhile {
		env.RegisterDelayedCallback(func() {
			do(env)
			env.SignalWorkflow(conversation.SignalWake, nil)
		}, time.Minute)
	}
	env.ExecuteWorkflow(conversation.WorkflowConversation, conversation.WorkflowInput{ChannelID: a.channel.ID, ChatKey: a.chat})
	require.True(a.t, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); workflow.IsContinueAsNewError(errors.Unwrap(err)) {
		a.converse() // it was woken when it had ended
	} else {
		require.NoError(a.t, err)
	}
	a.rouse()
}

// taken are the surveys woken since it was last asked.
func (a *surveyed) taken() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	woken := a.woken
	a.woken = nil
	return woken
}

// rouse signals the surveys that run and were woken.
func (a *surveyed) rouse() {
	for _, id := range a.taken() {
		if env := a.running[id]; env != nil {
			env.SignalWorkflow(conversation.SignalWake, nil)
		} else {
			a.woken = append(a.woken, id) // nobody runs it yet
		}
	}
}

// closed holds a conversation with the bot until it ends, and returns its id.
func (a *surveyed) closed(text string) string {
	a.t.Helper()
	a.write(text)
	a.converse()
	require.NotEmpty(a.t, a.woken, "a survey is to be started")
	woken := a.taken()
	require.Len(a.t, woken, 1)
	return woken[0]
}

// survey runs a survey. Its steps are an hour apart.
func (a *surveyed) survey(id string, steps ...func()) {
	a.t.Helper()
	env := a.environment()
	a.running[id] = env
	for i, step := range steps {
		env.RegisterDelayedCallback(step, time.Duration(i+1)*time.Hour)
	}
	env.ExecuteWorkflow(conversation.WorkflowSurvey, conversation.SurveyInput{ConversationID: id, ChannelID: a.channel.ID})
	require.True(a.t, env.IsWorkflowCompleted())
	require.NoError(a.t, env.GetWorkflowError())
	delete(a.running, id)
}

func (a *surveyed) invitation(id string) store.Invitation {
	a.t.Helper()
	inv, err := a.store.InvitationAfter(a.t.Context(), id)
	require.NoError(a.t, err)
	return inv
}

func (a *surveyed) answers(id string) (out []string) {
	a.t.Helper()
	for _, answer := range a.invitation(id).Answers {
		out = append(out, answer.QuestionID+"="+answer.Value+" "+string(answer.Via))
	}
	return out
}

// tap presses a button the customer's phone has shown, by its label; the last
// one when several say the same.
func (a *surveyed) tap(label string) {
	a.t.Helper()
	chat, err := a.sim.Chat(a.t.Context(), lineChannel, a.user)
	require.NoError(a.t, err)
	slices.Reverse(chat)
	for _, m := range chat {
		var body struct {
			QuickReply struct {
				Items []struct {
					Action struct{ Label, Data, DisplayText string }
				}
			}
		}
		if m.Direction != "account" || json.Unmarshal(m.Body, &body) != nil {
			continue
		}
		for _, item := range body.QuickReply.Items {
			if item.Action.Label == label {
				_, err := a.sim.Postback(a.t.Context(), lineChannel, a.user, item.Action.Data, item.Action.DisplayText, nil)
				require.NoError(a.t, err)
				a.settled()
				return
			}
		}
	}
	require.Fail(a.t, "no such button", label)
}

// latest are the last n messages on the customer's phone, and how they came.
func (a *surveyed) latest(n int) (texts, via []string) {
	a.t.Helper()
	chat, err := a.sim.Chat(a.t.Context(), lineChannel, a.user)
	require.NoError(a.t, err)
	for _, m := range chat {
		if m.Direction == "account" {
			texts, via = append(texts, m.Text()), append(via, m.Via)
		}
	}
	return texts[max(len(texts)-n, 0):], via[max(len(via)-n, 0):]
}

const (
	invites  = "Thank you for contacting us. Would you tell us how it went? It only takes a moment."
	askFirst = "How satisfied are you?\n5 = very satisfied, 1 = very dissatisfied\nTap a button or type the number."
	askMore  = "What could we do better?\nJust write your answer here. Or write “Skip” to leave it out."
	thanks   = "Thank you for your answer. It helps us do better."
)

func TestASurveyFollowsAConversationAndIsAnsweredByButtonsAndByTyping(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	a.survey(id, func() {
		texts, _ := a.latest(2)
		require.Equal(t, []string{invites, askFirst}, texts)
		a.tap("4 Satisfied")
		a.converse()
	}, func() {
		texts, via := a.latest(1)
		require.Equal(t, []string{askMore}, texts)
		require.Equal(t, []string{"reply"}, via, "a tap's token is free")
		a.write("nothing, thank you")
		a.converse()
	})
	texts, via := a.latest(1)
	require.Equal(t, []string{thanks}, texts)
	require.Equal(t, []string{"reply"}, via)
	require.Equal(t, survey.Answered, a.invitation(id).State)
	require.Equal(t, []string{"satisfied=4 button", "words=nothing, thank you typed"}, a.answers(id))
	require.Len(t, a.conversations(), 1, "answers are no conversation")
}

func TestASurveyThatIsNotAnsweredExpiresAndSaysNothing(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	a.survey(id)
	require.Equal(t, survey.Expired, a.invitation(id).State)
	texts, _ := a.latest(2)
	require.Equal(t, []string{invites, askFirst}, texts)

	a.tap("1 Very dissatisfied")
	a.converse()
	require.Equal(t, []string{id}, a.taken(), "a late answer")
	a.survey(id)
	texts, _ = a.latest(2)
	require.Equal(t, []string{askFirst, thanks}, texts, "is thanked for, and nothing follows")
	require.True(t, a.invitation(id).Answers[0].Late)
	a.survey(id)
	again, _ := a.latest(2)
	require.Equal(t, texts, again, "once")
}

func TestAButtonAnswersItsSurveyWhileAnotherConversationGoesOn(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	a.survey(id, func() {
		a.write("something else")
		a.converse(func(*testsuite.TestWorkflowEnvironment) {
			require.NotEqual(t, conversation.StatusClosed, a.conversations()[0].Status, "newest first")
			a.tap("5 Very satisfied")
			a.write("2")
		})
	}, func() {
		texts, _ := a.latest(1)
		require.Equal(t, []string{askMore}, texts)
		a.tap("Skip")
		a.converse()
	})
	require.Len(t, a.conversations(), 2)
	require.Equal(t, []string{"satisfied=5 button", "words= button"}, a.answers(id))
	require.Equal(t, survey.Answered, a.invitation(id).State)
	second := a.conversations()[0].ID
	if second == id {
		second = a.conversations()[1].ID
	}
	require.Equal(t, survey.Open, a.invitation(second).State, "the other conversation has a survey of its own")
	a.survey(second, func() {
		a.tap("3 Neutral")
		a.converse()
	})
	require.Equal(t, []string{"satisfied=3 button"}, a.answers(second))
	require.Len(t, a.answers(id), 2)
}

func TestACustomerWhoBlocksIsAskedNothingMore(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	a.survey(id, func() {
		_, err := a.sim.Unfollow(t.Context(), lineChannel, a.user)
		require.NoError(t, err)
		a.settled()
		a.converse()
	})
	require.Equal(t, survey.Cancelled, a.invitation(id).State)
	texts, _ := a.latest(1)
	require.Equal(t, []string{askFirst}, texts)
}

func TestAnOperatorCancelsASurvey(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	a.survey(id, func() { a.running[id].CancelWorkflow() })
	require.Equal(t, survey.Cancelled, a.invitation(id).State)
}

func TestASurveyByLinkSendsThePageAndThanks(t *testing.T) {
	t.Parallel()
	settings := twoQuestions()
	settings.Mode = survey.ModeLink
	a := newSurveyed(t, settings)
	id := a.closed("hello")
	a.survey(id, func() {
		chat, err := a.sim.Chat(t.Context(), lineChannel, a.user)
		require.NoError(t, err)
		card := string(chat[len(chat)-1].Body)
		require.Contains(t, card, invites)
		link := regexp.MustCompile(`https://kaiwa\.example\.com/survey/([^"\\]+)`).FindStringSubmatch(card)
		require.NotNil(t, link, card)
		invitation, expires, err := survey.ReadToken(a.store.Keys(), link[1])
		require.NoError(t, err)
		require.Equal(t, a.invitation(id).ID, invitation)
		require.WithinDuration(t, a.invitation(id).ExpiresAt, expires, time.Second)
		_, err = a.store.AnswerByLink(t.Context(), invitation, map[string]string{"satisfied": "5"})
		require.NoError(t, err)
		a.running[id].SignalWorkflow(conversation.SignalWake, nil)
	})
	require.Equal(t, survey.Answered, a.invitation(id).State)
	texts, _ := a.latest(1)
	require.Equal(t, []string{thanks}, texts)
}

// The process dies after each step of the start: what runs again finds the same
// one survey, and wakes it.
func TestASurveyStartedTwiceIsOne(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	id := a.closed("hello")
	in := conversation.SurveyInput{ConversationID: id, ChannelID: a.channel.ID}
	first := a.invitation(id)
	for range 2 {
		out, err := a.acts.StartSurvey(t.Context(), in)
		require.NoError(t, err)
		require.True(t, out.Invited)
	}
	require.Equal(t, []string{id, id}, a.taken())
	require.Equal(t, first, a.invitation(id))
	for range 2 {
		step, err := a.acts.AdvanceSurvey(t.Context(), activities.AdvanceSurveyInput{ConversationID: id})
		require.NoError(t, err)
		require.Equal(t, 1, step.Asked)
		require.True(t, step.Pending, "what the first attempt wanted sent is sent")
	}
	a.survey(id)
	texts, _ := a.latest(3)
	require.Equal(t, []string{invites, askFirst}, texts[1:])
	require.NotEqual(t, invites, texts[0], "said once")
}

func TestARunWithoutASurveyLeavesNoTrace(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	a.survey("cnv_none")
	require.Empty(t, a.phone())
}

func TestNoSurveyFollowsAConversationThatIsCancelled(t *testing.T) {
	t.Parallel()
	a := newSurveyed(t, twoQuestions())
	a.write("hello")
	a.converse(func(env *testsuite.TestWorkflowEnvironment) { env.CancelWorkflow() })
	require.Empty(t, a.taken())
	_, err := a.store.InvitationAfter(t.Context(), a.conversations()[0].ID)
	require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))
}
