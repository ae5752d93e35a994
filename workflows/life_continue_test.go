package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/worker"
)

// echo answers each message with one of its own, and ends on "bye".
func echo(_ *store.Workstream, b *store.Bot) {
	b.Script = []byte(`{
		"version": 1, "default_locale": "en", "start": "first",
		"nodes": {
			"first": {"say": ["welcome"], "goto": "wait"},
			"wait": {"capture": {"into": "heard", "kind": "pattern", "pattern": "m[0-9]+", "goto": "answer"}},
			"answer": {"say": ["heard {$heard}"], "goto": "wait"},
			"bye": {"say": ["goodbye"], "end": true},
			"person": {"handoff": {}}
		},
		"keywords": [{"match": "exact", "words": ["bye"], "goto": "bye"}],
		"handoff": {"node": "person"}
	}`)
}

// activities are the life's own, to be run beside the workflow.
func (l *life) activities() *activities.Activities {
	l.t.Helper()
	lineServer := httptest.NewServer(l.sim.Handler())
	l.t.Cleanup(lineServer.Close)
	return activities.New(activities.Options{
		Store: l.store, LINE: line.New(line.Config{APIURL: lineServer.URL, DataAPIURL: lineServer.URL}),
		BotHTTP: http.DefaultClient, Logger: slog.New(slog.DiscardHandler),
	})
}

// nextRun gives the life a fresh environment for the run that follows, and
// returns what that run begins with.
func (l *life) nextRun() conversation.WorkflowInput {
	l.t.Helper()
	var again *workflow.ContinueAsNewError
	require.True(l.t, errors.As(l.env.GetWorkflowError(), &again), "%v", l.env.GetWorkflowError())
	var in conversation.WorkflowInput
	require.NoError(l.t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	now := l.env.Now()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	l.env = suite.NewTestWorkflowEnvironment()
	l.env.SetTestTimeout(30 * time.Second)
	l.env.SetStartTime(now)
	worker.Register(l.env)
	l.env.RegisterActivity(l.activities())
	return in
}

func TestARunThatIsToldToContinueAsNewFirstDoesWhatItOwes(t *testing.T) {
	t.Parallel()
	l := newLife(t, echo)
	l.env.SetContinueAsNewSuggested(true)
	l.write("m001")
	l.run()
	in := l.nextRun()
	require.Equal(t, []string{"welcome"}, l.phone(), "the answer is sent")
	require.NotNil(t, in.State)
	require.Equal(t, l.conversations()[0].ID, in.State.ConversationID)
	require.Zero(t, in.State.Unanswered)
	require.False(t, in.State.Pending)

	l.at(time.Minute, func() { l.write("m002") })
	l.env.ExecuteWorkflow(conversation.WorkflowConversation, in)
	require.NoError(t, l.env.GetWorkflowError())
	require.Equal(t, []string{"welcome", "heard m002"}, l.phone())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotIdle}, l.reasons(), "one conversation over two runs")
}

// Every run is told to continue as new while a flood goes on: what arrives
// before, during and between the runs is answered once, in order.
func TestAFloodOverManyRunsIsAnsweredOnceInOrder(t *testing.T) {
	t.Parallel()
	const runs, perRun = 10, 50
	l := newLife(t, echo)
	in := conversation.WorkflowInput{ChannelID: l.channel.ID, ChatKey: l.chat}
	var said, answers []string
	say := func() {
		text := fmt.Sprintf("m%03d", len(said))
		l.write(text)
		answer := "heard " + text
		if len(said) == 0 {
			answer = "welcome"
		}
		said, answers = append(said, text), append(answers, answer)
	}
	for run := range runs {
		for range perRun / 2 {
			say() // between the runs, without a wake-up
		}
		for i := range perRun / 2 {
			l.at(time.Duration(i)*100*time.Millisecond, say)
		}
		if run < runs-1 {
			l.env.RegisterDelayedCallback(func() { l.env.SetContinueAsNewSuggested(true); l.env.SignalWorkflow(conversation.SignalWake, nil) },
				time.Duration(perRun/2)*100*time.Millisecond)
		}
		l.env.ExecuteWorkflow(conversation.WorkflowConversation, in)
		if run < runs-1 {
			in = l.nextRun()
		}
	}
	require.NoError(t, l.env.GetWorkflowError())
	require.Len(t, said, runs*perRun)
	require.Equal(t, answers, l.phone())
	conversations := l.conversations()
	require.Len(t, conversations, 1)
	transcript, err := l.store.Messages(t.Context(), conversations[0].ID, store.MessagePosition{}, 2*len(said))
	require.NoError(t, err)
	var inbound []string
	for _, m := range transcript {
		if m.Direction == conversation.Inbound {
			inbound = append(inbound, m.Text)
		}
	}
	require.Equal(t, said, inbound)
}

// lostAttempt ingests as an attempt that died before the bot was asked: what
// it took in is in the conversation, and the workflow does not know.
func (l *life) lostAttempt() {
	l.t.Helper()
	_, err := l.activities().Ingest(l.t.Context(), activities.IngestInput{
		ChannelID: l.channel.ID, ChatKey: l.chat, ConversationID: l.conversations()[0].ID,
	})
	require.NoError(l.t, err)
}

// losesAnAttempt has the answer of the first attempt be lost that takes in a
// message and has the bot answer it in one, and something happen before the second.
func (l *life) losesAnAttempt(meanwhile func()) (lost *bool) {
	acts := l.activities()
	lost = new(bool)
	l.env.OnActivity(acts.Ingest, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.IngestInput) (activities.IngestOutput, error) {
		if in.Turn != nil && !*lost {
			*lost = true
			if _, err := acts.Ingest(ctx, in); err != nil {
				return activities.IngestOutput{}, err
			}
			meanwhile()
		}
		return acts.Ingest(ctx, in)
	})
	return lost
}

func TestWhatArrivesBetweenTwoAttemptsOfATurnIsAnswered(t *testing.T) {
	t.Parallel()
	l := newLife(t, echo)
	lost := l.losesAnAttempt(func() { l.write("m003") })
	l.write("m001")
	l.at(time.Minute, func() { l.write("m002") })
	l.run()
	require.True(t, *lost)
	require.Equal(t, []string{"welcome", "heard m002", "heard m003"}, l.phone())
}

func TestAGoodbyeWhoseAttemptWasLostStillEndsTheConversation(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{"nothing came meanwhile": nil, "something came meanwhile": {"m002", "bye"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, echo)
			lost := l.losesAnAttempt(func() {
				for _, text := range more {
					l.write(text)
				}
			})
			started := l.env.Now()
			l.write("m001")
			l.at(time.Minute, func() { l.write("bye") })
			l.run()
			require.True(t, *lost)
			require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotEnded}, l.reasons())
			require.InDelta(t, time.Minute.Seconds(), l.env.Now().Sub(started).Seconds(), 5)
			phone := []string{"welcome", "goodbye"}
			if more != nil {
				phone = append(phone, "welcome", "goodbye") // the script begins anew
			}
			require.Equal(t, phone, l.phone())
		})
	}
}

func TestAMessageThatWasTakenInByALostAttemptLiftsTheIdleClose(t *testing.T) {
	t.Parallel()
	l := newLife(t, echo)
	l.write("m001")
	started := l.env.Now()
	l.env.RegisterDelayedCallback(func() {
		l.write("m002")
		l.lostAttempt()
	}, 29*time.Minute)
	l.run()
	require.Equal(t, []string{"welcome", "heard m002"}, l.phone()[:2])
	require.InDelta(t, (60 * time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 5, "closed half an hour after the workflow learnt of m002")
	require.Len(t, l.conversations(), 1)
}

func TestWhatABotAnsweredIsSentThoughTheConversationCloses(t *testing.T) {
	t.Parallel()
	l := newLife(t, echo)
	l.write("m001")
	l.env.RegisterDelayedCallback(func() {
		l.write("m002")
		l.lostAttempt()
		l.env.CancelWorkflow()
	}, time.Minute)
	l.run()
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonCancelled}, l.reasons())
	require.Equal(t, []string{"welcome", "heard m002"}, l.phone())
}

// arrivesMeanwhile has the customer write while an activity runs, and the
// workflow take it in.
func (l *life) arrivesMeanwhile(text string) {
	_, err := l.sim.SendText(l.t.Context(), lineChannel, l.user, text)
	require.NoError(l.t, err)
	require.NoError(l.t, l.sim.WaitIdle(l.t.Context()))
	l.env.SignalWorkflow(conversation.SignalWake, nil)
	require.Eventually(l.t, func() bool {
		chats, err := l.store.UnhandledChats(l.t.Context(), time.Now().Add(time.Hour), 1)
		return err == nil && len(chats) == 0
	}, 5*time.Second, time.Millisecond)
}

// sayingGoodbye is a bot that ends whatever it is asked.
func sayingGoodbye(t *testing.T, meanwhile func(asked int)) customize {
	asked := 0
	server := webhookBot(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked++
		meanwhile(asked)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"messages":[{"type":"text","text":"goodbye %d"}],"action":"%s"}`, asked, bot.ActionEnd)
	})
	return func(w *store.Workstream, b *store.Bot) {
		server(w, b)
		w.Settings.Bot.DeadlineSeconds = 10 // far longer than it takes
	}
}

// A bot says goodbye to what it was asked, not to what the customer wrote
// while it thought.
func TestWhatTheCustomerWritesWhileTheBotSaysGoodbyeIsAnswered(t *testing.T) {
	t.Parallel()
	var l *life
	l = newLife(t, sayingGoodbye(t, func(asked int) {
		if asked == 1 {
			l.arrivesMeanwhile("one more thing")
		}
	}))
	l.write("bye")
	l.run()
	require.Equal(t, []string{"goodbye 1", "goodbye 2"}, l.phone())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotEnded}, l.reasons())
}

// What the customer wrote before the bot was reached is part of what it was
// asked: its goodbye is to that too.
func TestAGoodbyeToWhatCameBeforeTheBotWasReachedEndsTheConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, sayingGoodbye(t, func(int) {}))
	acts := l.activities()
	late := false
	l.env.OnActivity(acts.BotTurn, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.TurnInput) (activities.TurnOutput, error) {
		if !late {
			late = true
			l.arrivesMeanwhile("one more thing")
		}
		return acts.BotTurn(ctx, in)
	})
	started := l.env.Now()
	l.write("bye")
	l.run()
	require.Equal(t, []string{"goodbye 1"}, l.phone())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotEnded}, l.reasons())
	require.InDelta(t, 0, l.env.Now().Sub(started).Seconds(), 30)
}
