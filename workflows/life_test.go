package workflows_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"kaiwa/activities"
	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
	"kaiwa/worker"
)

// life is a conversation's workflow in a test with skipped time. Everything
// but Temporal is real: the database, the activities, LINE (the simulator).
type life struct {
	t       *testing.T
	env     *testsuite.TestWorkflowEnvironment
	store   *store.Store
	url     string // of its database
	sim     *linesim.Simulator
	channel store.Channel
	user    string
	chat    string
}

const (
	lineChannel = "1000000001"
	lineToken   = "line-token"
	lineSecret  = "line-secret"
)

// customize changes what a life is set up with.
type customize func(w *store.Workstream, b *store.Bot)

func newLife(t *testing.T, change customize) *life {
	t.Helper()
	ctx := t.Context()
	s, url := storetest.New(t, "sqlite")
	sim, err := linesim.New(ctx, linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	lineServer := httptest.NewServer(sim.Handler())
	t.Cleanup(lineServer.Close)

	queue, err := s.CreateQueue(ctx, store.Origin{}, store.Queue{Name: "Support", Priority: 10})
	require.NoError(t, err)
	b := store.Bot{Name: "Guide", Kind: store.BotScript, Script: bot.DemoDocument()}
	w := store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: queue.ID}
	if change != nil {
		change(&w, &b)
	}
	if b.Kind != "" {
		made, err := s.CreateBot(ctx, store.Origin{}, b)
		require.NoError(t, err)
		w.BotID = made.ID
	}
	w, err = s.CreateWorkstream(ctx, store.Origin{}, w)
	require.NoError(t, err)
	channel, err := s.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: lineChannel, BotUserID: "U" + strings.Repeat("b", 32), WorkstreamID: w.ID, Locale: "en",
		Status: store.ChannelActive, Secrets: []string{lineSecret}, Token: lineToken,
	})
	require.NoError(t, err)

	l := &life{t: t, store: s, url: url, sim: sim, channel: channel, user: "U" + strings.Repeat("1", 32)}
	l.chat = conversation.ChatKey("user", l.user)
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		split, err := line.SplitWebhook(body)
		require.NoError(t, err)
		var events []store.InboxEvent
		for _, e := range split.Events {
			events = append(events, store.InboxEvent{
				WebhookEventID: e.ID, ChatKey: e.ChatKey, Kind: e.Type, SourceType: e.SourceType, SourceID: e.SourceID,
				ReplyToken: e.ReplyToken, LineTime: e.Timestamp, Raw: e.Raw,
			})
		}
		_, err = s.AppendLINEEvents(r.Context(), channel.ID, time.Now(), events)
		require.NoError(t, err)
	}))
	t.Cleanup(webhook.Close)
	require.NoError(t, sim.AddChannel(ctx, linesim.Channel{
		ID: lineChannel, Secret: lineSecret, AccessToken: lineToken, BotUserID: channel.BotUserID, WebhookURL: webhook.URL, WebhookActive: true,
	}))
	require.NoError(t, sim.AddUser(ctx, linesim.User{ID: l.user, DisplayName: "Aoi", Language: "en"}))

	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	l.env = suite.NewTestWorkflowEnvironment()
	l.env.SetTestTimeout(30 * time.Second)
	worker.Register(l.env)
	l.env.RegisterActivity(activities.New(activities.Options{
		Store: s, LINE: line.New(line.Config{APIURL: lineServer.URL, DataAPIURL: lineServer.URL}),
		BotHTTP: http.DefaultClient, Logger: slog.New(slog.DiscardHandler),
	}))
	return l
}

// settled waits until what the customer did is in the inbox.
func (l *life) settled() {
	l.t.Helper()
	require.NoError(l.t, l.sim.WaitIdle(l.t.Context()))
}

func (l *life) write(text string) {
	l.t.Helper()
	_, err := l.sim.SendText(l.t.Context(), lineChannel, l.user, text)
	require.NoError(l.t, err)
	l.settled()
}

// at does something at a time after the start, and wakes the workflow.
func (l *life) at(d time.Duration, do func()) {
	l.env.RegisterDelayedCallback(func() {
		do()
		l.env.SignalWorkflow(conversation.SignalWake, nil)
	}, d)
}

func (l *life) run() {
	l.t.Helper()
	l.env.ExecuteWorkflow(conversation.WorkflowConversation, conversation.WorkflowInput{ChannelID: l.channel.ID, ChatKey: l.chat})
	require.True(l.t, l.env.IsWorkflowCompleted())
}

func (l *life) conversations() []store.Conversation {
	l.t.Helper()
	list, err := l.store.Conversations(l.t.Context(), store.ConversationFilter{}, store.Position{}, 100)
	require.NoError(l.t, err)
	return list
}

// phone is what the customer's phone shows of the account's messages.
func (l *life) phone() []string {
	l.t.Helper()
	chat, err := l.sim.Chat(l.t.Context(), lineChannel, l.user)
	require.NoError(l.t, err)
	var out []string
	for _, m := range chat {
		if m.Direction == "account" {
			out = append(out, m.Text())
		}
	}
	return out
}

func (l *life) reasons() (out []conversation.ClosureReason) {
	for _, c := range l.conversations() {
		out = append(out, c.ClosureReason)
	}
	return out
}

func TestTheBotAnswersAndClosesWhenTheCustomerStaysSilent(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.write("hello")
	started := l.env.Now()
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.NotEmpty(t, l.phone())
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotIdle}, l.reasons())
	require.InDelta(t, (30 * time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
	require.Equal(t, "Aoi", l.conversations()[0].DisplayName)
}

func TestAMessageBeforeTheDeadlineMovesIt(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.write("hello")
	started := l.env.Now()
	l.at(20*time.Minute, func() { l.write("still here") })
	l.run()
	require.InDelta(t, (50 * time.Minute).Seconds(), l.env.Now().Sub(started).Seconds(), 5)
	require.Len(t, l.conversations(), 1)
}

func TestARunWithNothingInTheInboxLeavesNoTrace(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Empty(t, l.conversations())
}

func TestAFollowAloneOpensNoConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	_, err := l.sim.Follow(t.Context(), lineChannel, l.user)
	require.NoError(t, err)
	l.settled()
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Empty(t, l.conversations())
}

func TestTheCustomerAsksForAPersonAndWaitsInTheQueue(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(w *store.Workstream, _ *store.Bot) { w.Settings.AutoClose.OpenSeconds = 3600 })
	l.write("hello")
	l.at(time.Minute, func() { l.write("talk to a person") })
	l.at(2*time.Minute, func() {
		c := l.conversations()[0]
		require.Equal(t, conversation.StatusOpen, c.Status)
		require.Equal(t, conversation.OwnerQueue, c.Owner)
		require.NotEmpty(t, c.QueueID)
		l.write("are you there?")
	})
	before := 0
	l.env.RegisterDelayedCallback(func() { before = len(l.phone()) }, 119*time.Second)
	l.run()
	require.Len(t, l.phone(), before, "the bot says nothing after the handoff")
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonAutoClosed}, l.reasons())
}

func TestWithoutABotTheCustomerIsGreetedAndWaits(t *testing.T) {
	t.Parallel()
	l := newLife(t, func(_ *store.Workstream, b *store.Bot) { b.Kind = "" })
	l.write("hello")
	l.env.RegisterDelayedCallback(func() { l.env.CancelWorkflow() }, time.Minute)
	l.run()
	require.NoError(t, l.env.GetWorkflowError())
	require.Len(t, l.phone(), 2, "a greeting, and that nobody is free")
	require.Contains(t, l.phone()[0], "Aoi")
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonCancelled}, l.reasons())
}

func TestABlockClosesTheConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.write("hello")
	l.at(time.Minute, func() {
		_, err := l.sim.Unfollow(t.Context(), lineChannel, l.user)
		require.NoError(t, err)
		l.settled()
	})
	l.run()
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonCustomerBlocked}, l.reasons())
}

// webhookBot is a bot of one's own, for a life.
func webhookBot(t *testing.T, answer http.HandlerFunc) customize {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return func(w *store.Workstream, b *store.Bot) {
		*b = store.Bot{Name: "Service", Kind: store.BotWebhook, URL: server.URL, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
		w.Settings.Bot.DeadlineSeconds = 1
		w.Settings.AutoClose.OpenSeconds = 60
	}
}

func TestAWebhookBotIsAskedWithEverythingSinceItsLastTurn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked [][]string
	l := newLife(t, webhookBot(t, func(w http.ResponseWriter, r *http.Request) {
		var turn bot.Turn
		if err := json.NewDecoder(r.Body).Decode(&turn); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var texts []string
		for _, m := range turn.Messages {
			texts = append(texts, m.Text)
		}
		mu.Lock()
		asked = append(asked, texts)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"messages":[{"type":"text","text":"answer to `+strings.Join(texts, "+")+`"}],"action":"continue"}`)
	}))
	l.write("one")
	l.at(time.Minute, func() { l.write("two"); l.write("three") })
	l.run()
	require.Equal(t, [][]string{{"one"}, {"two", "three"}}, asked)
	require.Equal(t, []string{"answer to one", "answer to two+three"}, l.phone())
}

func TestABotThatGivesNoUsableAnswerHandsOff(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server learns that its client has gone once it has read the body
			<-r.Context().Done()
		},
		"says garbage": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages": 7`)
		},
		"fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"says two megabytes": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages":[{"type":"text","text":"`+strings.Repeat("x", 2<<20)+`"}]}`)
		},
		"says what LINE cannot show": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages":[{"type":"image","url":"http://insecure.example.com/a.png"}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, webhookBot(t, answer))
			l.write("hello")
			l.run()
			c := l.conversations()[0]
			steps, err := l.store.Timeline(t.Context(), c.ID)
			require.NoError(t, err)
			require.Equal(t, conversation.EventBotFailed, steps[1].Event)
			require.NotEmpty(t, steps[1].Note, "the timeline says why")
			require.Len(t, l.phone(), 1, "the customer is told")
		})
	}
}

func TestWhatArrivesWhileARunClosesIsAnsweredByTheNextConversation(t *testing.T) {
	t.Parallel()
	l := newLife(t, nil)
	l.write("hello")
	// Stored but not signalled: the wake-up was lost.
	l.env.RegisterDelayedCallback(func() { l.write("one more") }, 29*time.Minute)
	l.run()
	require.ErrorContains(t, l.env.GetWorkflowError(), "continue as new")
	require.Equal(t, []conversation.ClosureReason{conversation.ReasonBotIdle}, l.reasons())
}
