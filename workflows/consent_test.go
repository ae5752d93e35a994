package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// withConsent requires the customer's consent.
func withConsent(w *store.Workstream, _ *store.Bot) {
	w.Settings.Privacy = store.Privacy{Consent: true, Version: "v1"}
}

// button is a quick reply as the phone shows it.
type button struct {
	Action struct {
		Type        string `json:"type"`
		Label       string `json:"label"`
		Data        string `json:"data"`
		DisplayText string `json:"displayText"`
	} `json:"action"`
}

// buttons are the quick replies under the last message, if it is the account's.
func (l *life) buttons() []button {
	l.t.Helper()
	chat, err := l.sim.Chat(l.t.Context(), lineChannel, l.user)
	require.NoError(l.t, err)
	var body struct {
		QuickReply struct {
			Items []button `json:"items"`
		} `json:"quickReply"`
	}
	if last := chat[len(chat)-1]; last.Direction == "account" {
		require.NoError(l.t, json.Unmarshal(last.Body, &body))
	}
	return body.QuickReply.Items
}

// tap taps the quick reply at a place.
func (l *life) tap(i int) {
	l.t.Helper()
	items := l.buttons()
	require.Greater(l.t, len(items), i, "there are buttons under the last message")
	require.Equal(l.t, "postback", items[i].Action.Type)
	_, err := l.sim.Postback(l.t.Context(), lineChannel, l.user, items[i].Action.Data, items[i].Action.DisplayText, nil)
	require.NoError(l.t, err)
	l.settled()
}

// inbound is what the transcript has of the customer.
func (l *life) inbound() (out []string) {
	l.t.Helper()
	for _, c := range l.conversations() {
		list, err := l.store.Messages(l.t.Context(), c.ID, store.MessagePosition{}, 100)
		require.NoError(l.t, err)
		for _, m := range list {
			if m.Direction == conversation.Inbound {
				out = append(out, m.Text)
			}
		}
	}
	return out
}

func TestTheBotAnswersAfterTheYesWhatWasWrittenBefore(t *testing.T) {
	t.Parallel()
	l := newLife(t, withConsent)
	l.write("opening hours")
	said := 0
	l.at(time.Minute, func() {
		require.Len(t, l.phone(), 2, "the notice and the question, and nothing of the bot")
		require.Contains(t, l.phone()[1], "“yes” or “no”")
		require.Len(t, l.buttons(), 2)
		require.Empty(t, l.inbound())
		l.write("are you there?")
	})
	l.at(2*time.Minute, func() {
		require.Len(t, l.phone(), 3, "the question again, without the notice")
		require.Equal(t, l.phone()[1], l.phone()[2])
		require.Empty(t, l.inbound())
		l.tap(0)
	})
	l.at(3*time.Minute, func() {
		said = len(l.phone())
		require.Greater(t, said, 3, "the bot has answered")
		require.Equal(t, []string{"opening hours", "are you there?"}, l.inbound())
	})
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Len(t, l.phone(), said)
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotIdle}, l.reasons())
}

func TestATypedYesWithoutABotLeadsToTheGreetingAndTheQueue(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, b *store.Bot) {
		withConsent(w, b)
		w.Settings.Privacy.Notice = true
		b.Kind = ""
	})
	l.write("hello")
	l.at(time.Minute, func() {
		require.Len(t, l.phone(), 2)
		l.write("はい")
	})
	l.at(2*time.Minute, func() {
		require.Contains(t, l.phone()[2], "Hello Aoi")
		require.NotContains(t, l.phone()[2:], l.phone()[0], "the notice does not come twice")
		c := l.conversations()[0]
		require.Equal(t, conversation.PhaseQueued, conversation.Phase{Status: c.Status, Owner: c.Owner})
		require.Equal(t, []string{"hello"}, l.inbound())
	})
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 3*time.Minute)
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
}

func TestANoEndsPolitelyAndTheNextMessageIsAskedAgain(t *testing.T) {
	t.Parallel()
	l := newLife(t, withConsent)
	l.write("hello")
	l.at(time.Minute, func() { l.tap(1) })
	l.run()
	require.ErrorContains(t, l.env.GetWorkflowError(), "continue as new")
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonConsentRefused}, l.reasons())
	require.Len(t, l.phone(), 3)
	require.Contains(t, l.phone()[2], "deleted what you wrote")
	require.Empty(t, l.inbound())
}

func TestAnUnansweredQuestionClosesWhenNothingHappens(t *testing.T) {
	t.Parallel()
	l := newLife(t, withConsent)
	l.write("hello")
	started := l.env.Now()
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonAutoClosed}, l.reasons())
	require.InDelta(t, (30 * 24 * time.Hour).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
	require.Len(t, l.phone(), 2)
	require.Empty(t, l.inbound())
}

func TestTheNoticeGoesBeforeTheBotInOneCall(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, _ *store.Bot) {
		w.Settings.Privacy = store.Privacy{Notice: true, Version: "v1"}
		w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "privacy_notice", Text: "of the workstream"}}
	})
	_, err := l.store.UpdateChannel(t.Context(), store.Origin{}, l.channel.ID, l.channel.Version, func(c *store.Channel) error {
		c.AutomatedMessages = []store.AutomatedMessage{{Trigger: "privacy_notice", Text: "of the channel, {customer_name}"}, {Trigger: "privacy_notice", Locale: "ja", Text: "日本語"}}
		return nil
	})
	require.NoError(t, err)
	l.write("hello")
	l.run()
	require.Greater(t, len(l.phone()), 1)
	require.Equal(t, "of the channel, Aoi", l.phone()[0])
	replies := l.sim.Calls(linesim.CallFilter{Endpoint: "reply"})
	require.Len(t, replies, 1)
	require.Len(t, l.conversations(), 1)
}

func TestWhatCannotBeShownIsToldOncePerBurst(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(_ *store.Workstream, b *store.Bot) { b.Kind = "" })
	strange := func() {
		_, err := l.sim.Raw(t.Context(), lineChannel, json.RawMessage(`{"type":"message","source":{"type":"user","userId":"`+l.user+`"},"message":{"type":"hologram","id":"900000000000000001"}}`))
		require.NoError(t, err)
	}
	told := func() (n int) {
		for _, text := range l.phone() {
			if strings.Contains(text, "can't see this kind of message") {
				n++
			}
		}
		return n
	}
	l.write("hello")
	l.at(time.Minute, func() {
		require.Zero(t, told())
		strange()
		strange()
		l.settled()
	})
	l.at(2*time.Minute, func() {
		require.Equal(t, 1, told())
		strange()
		l.settled()
	})
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 3*time.Minute)
	l.run()
	require.Equal(t, 2, told())
}

// A worker that dies between the commit of a step and the end of its task runs
// the step again. Here every step is run twice.
func TestAnAnswerWhoseAttemptWasLostCountsOnce(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][]string{"はい": {"welcome", "heard m002"}, "いいえ": {"That's fine."}} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, func(w *store.Workstream, b *store.Bot) {
				withConsent(w, b)
				echo(w, b)
				w.Settings.AutomatedMessages = []store.AutomatedMessage{
					{Trigger: "privacy_notice", Text: "notice"}, {Trigger: "consent_question", Text: "agree?"}, {Trigger: "consent_refused", Text: "That's fine."},
				}
			})
			acts := l.activities()
			l.env.OnActivity(acts.Ingest, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.IngestInput) (activities.IngestOutput, error) {
				if _, err := acts.Ingest(ctx, in); err != nil {
					return activities.IngestOutput{}, err
				}
				return acts.Ingest(ctx, in)
			})
			l.env.OnActivity(acts.AskConsent, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.AskConsentInput) (activities.AnnounceOutput, error) {
				if _, err := acts.AskConsent(ctx, in); err != nil {
					return activities.AnnounceOutput{}, err
				}
				return acts.AskConsent(ctx, in)
			})
			l.env.OnActivity(acts.Announce, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.AnnounceInput) (activities.AnnounceOutput, error) {
				if _, err := acts.Announce(ctx, in); err != nil {
					return activities.AnnounceOutput{}, err
				}
				return acts.Announce(ctx, in)
			})
			l.write("m001")
			l.at(time.Minute, func() { l.write("m002") })
			l.at(2*time.Minute, func() { l.write(answer) })
			l.run()
			require.Equal(t, append([]string{"notice", "agree?", "agree?"}, want...), l.phone())
			require.Len(t, l.conversations(), 1)
		})
	}
}

func TestARunThatGoesOnWhileConsentIsAwaitedKnowsWhatIsHeld(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, b *store.Bot) {
		withConsent(w, b)
		echo(w, b)
		yes := true
		w.Settings.AutomatedMessages = []store.AutomatedMessage{{Trigger: "greeting", Text: "greeting", Enabled: &yes}}
	})
	l.env.SetContinueAsNewSuggested(true)
	l.write("m001")
	l.run()
	require.Len(t, l.phone(), 2)
	in := l.nextRun()
	l.at(time.Minute, func() { l.tap(0) })
	l.env.ExecuteWorkflow(conversation.WorkflowConversation, in)
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []string{"greeting", "welcome"}, l.phone()[2:])
}

func TestAnAutomatedMessageKnowsTheAgentItIsAbout(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, b *store.Bot) {
		noBot(w, b)
		yes := true
		w.Settings.AutomatedMessages = []store.AutomatedMessage{
			{Trigger: "agent_joined", Text: "here: {agent_name}", Enabled: &yes}, {Trigger: "agent_left", Text: "gone: {agent_name}", Enabled: &yes},
		}
	})
	by := conversation.Actor{AgentID: l.agent("mei").ID}
	l.write("hello")
	l.asks(time.Minute, conversation.UpdatePick, conversation.ActionRequest{Event: conversation.EventPicked, Actor: by})
	l.asks(2*time.Minute, conversation.UpdateRelease, conversation.ActionRequest{Event: conversation.EventReleased, Actor: by})
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, 3*time.Minute)
	l.run()
	phone := l.phone()
	require.Contains(t, phone, "here: mei")
	require.Contains(t, phone, "gone: mei")
}
