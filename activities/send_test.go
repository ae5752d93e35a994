package activities_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"kaiwa/activities"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// world is a store and a LINE on one clock, which only tests move.
type world struct {
	t       testing.TB
	store   *store.Store
	sim     *linesim.Simulator
	channel store.Channel
	now     atomic.Int64 // Unix microseconds
	crashAt atomic.Int64 // the statement the process dies before, counted down; 0 is none
	line    *wire
	bare    *line.API    // LINE, past the wire
	url     string       // of the database
	blobs   *blob.Bucket // nil without files
	db      *sqlx.DB     // the same, past the store
}

const (
	lineChannel = "1000000001"
	lineToken   = "line-token"
	lineSecret  = "line-secret"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, "sqlite")
}

func newWorldOn(t testing.TB, dialect string) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t}
	w.now.Store(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).UnixMicro())
	w.store, w.url = storetest.New(t, dialect, func(o *store.Options) {
		o.Now = w.Now
		o.Observe = func(string) {
			if w.crashAt.Load() > 0 && w.crashAt.Add(-1) == 0 {
				panic("the process dies here")
			}
		}
	})
	driver, dsn := "postgres", w.url
	if path, ok := strings.CutPrefix(w.url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(60000)"
	}
	var err error
	w.db, err = sqlx.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.db.Close()) })
	w.sim, err = linesim.New(ctx, linesim.Options{Now: w.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.sim.Close()) })
	simulator := httptest.NewServer(w.sim.Handler())
	t.Cleanup(simulator.Close)
	w.line = &wire{}
	w.bare = line.New(line.Config{APIURL: simulator.URL, DataAPIURL: simulator.URL, HTTPClient: &http.Client{Transport: w.line, Timeout: 10 * time.Second}})

	workstream, err := w.store.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush})
	require.NoError(t, err)
	w.channel, err = w.store.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: lineChannel, BotUserID: "U" + strings.Repeat("b", 32), WorkstreamID: workstream.ID, Locale: "en",
		Status: store.ChannelActive, Secrets: []string{lineSecret}, Token: lineToken,
	})
	require.NoError(t, err)
	webhook := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(webhook.Close)
	require.NoError(t, w.sim.AddChannel(ctx, linesim.Channel{
		ID: lineChannel, Secret: lineSecret, AccessToken: lineToken, BotUserID: w.channel.BotUserID, WebhookURL: webhook.URL, WebhookActive: true,
	}))
	return w
}

func (w *world) Now() time.Time { return time.UnixMicro(w.now.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.now.Add(d.Microseconds()) }

// receive stores a webhook's events, as the API does.
func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	split, err := line.SplitWebhook(body)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	var events []store.InboxEvent
	for _, e := range split.Events {
		events = append(events, store.InboxEvent{
			WebhookEventID: e.ID, ChatKey: e.ChatKey, Kind: e.Type, SourceType: e.SourceType, SourceID: e.SourceID,
			ReplyToken: e.ReplyToken, LineTime: e.Timestamp, Redelivery: e.Redelivery, Raw: e.Raw,
		})
	}
	if _, err := w.store.AppendLINEEvents(r.Context(), w.channel.ID, w.Now(), events); err != nil {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (w *world) faults(faults ...linesim.Fault) {
	w.t.Helper()
	_, err := w.sim.Faults(faults...)
	require.NoError(w.t, err)
}

// activities are those of one worker process.
func (w *world) activities() *activities.Activities {
	return activities.New(w.options(nil))
}

func (w *world) options(inbox activities.Notifier) activities.Options {
	return activities.Options{
		Store: w.store, LINE: w.bare, Blobs: w.blobs, BotHTTP: http.DefaultClient, Inbox: inbox, Logger: slog.New(slog.DiscardHandler), Now: w.Now, PublicURL: "https://kaiwa.example.com",
	}
}

// wire carries the calls to LINE; a test may stand in between.
type wire struct {
	mu      sync.Mutex
	between func(*http.Request, func() (*http.Response, error)) (*http.Response, error)
}

func (x *wire) stand(between func(*http.Request, func() (*http.Response, error)) (*http.Response, error)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.between = between
}

func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	x.mu.Lock()
	between := x.between
	x.mu.Unlock()
	carry := func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) }
	if between == nil {
		return carry()
	}
	return between(r, carry)
}

// chat is a customer with an open conversation.
type chat struct {
	*world
	acts  *activities.Activities
	user  string
	group string // whose conversation it is; "" for the user's
	size  int    // how many it reaches
	id    string // of the conversation
	said  int
}

// newChat opens a conversation by a message of a new customer, now.
func (w *world) newChat() *chat {
	w.t.Helper()
	c := &chat{world: w, acts: w.activities(), user: linesim.NewUserID(), size: 1}
	require.NoError(w.t, w.sim.AddUser(w.t.Context(), linesim.User{ID: c.user, DisplayName: "Aoi"}))
	return c.opened()
}

// newGroup opens a conversation of a new group of n by a message of one of them,
// now.
func (w *world) newGroup(n int) *chat {
	w.t.Helper()
	c := &chat{world: w, acts: w.activities(), group: "C" + linesim.NewUserID()[1:]}
	c.user = c.joins(n)[0]
	return c.opened()
}

// joins has n more users be in the group.
func (c *chat) joins(n int) (users []string) {
	c.t.Helper()
	for range n {
		user := linesim.NewUserID()
		require.NoError(c.t, c.sim.AddUser(c.t.Context(), linesim.User{ID: user, DisplayName: "Aoi"}))
		users = append(users, user)
	}
	act := c.sim.MembersJoin
	if c.id == "" {
		act = c.sim.Invite
	}
	_, err := act(c.t.Context(), lineChannel, c.group, users...)
	require.NoError(c.t, err)
	require.NoError(c.t, c.sim.WaitIdle(c.t.Context()))
	c.size += n
	return users
}

func (c *chat) opened() *chat {
	w := c.world
	w.t.Helper()
	c.writes()
	res, err := w.store.Ingest(w.t.Context(), store.IngestRequest{ChannelID: w.channel.ID, ChatKey: c.key(), Plan: c.plan()}, inGroup)
	require.NoError(w.t, err)
	c.id = res.ConversationID
	return c
}

// place is LINE's id of the user or group.
func (c *chat) place() string { return cmp.Or(c.group, c.user) }

func (c *chat) key() string {
	if c.group != "" {
		return conversation.ChatKey("group", c.group)
	}
	return conversation.ChatKey("user", c.user)
}

// ingests takes in what has happened in the chat.
func (c *chat) ingests() {
	c.t.Helper()
	_, err := c.store.Ingest(c.t.Context(), store.IngestRequest{ChannelID: c.channel.ID, ChatKey: c.key(), ConversationID: c.id, Plan: c.plan()}, inGroup)
	require.NoError(c.t, err)
}

// inGroup reads events as one who serves groups: what is written, and who joins.
func inGroup(e store.LINEEvent) store.Item {
	event, err := line.ParseEvent(e.Raw)
	if err != nil || event.Message == nil {
		return store.Item{Kind: store.ItemFact, Line: store.EventLine{Type: store.MessageEvent, Event: event.Type, Members: event.Members}}
	}
	return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "hello"}}
}

func (w *world) plan() *store.Plan {
	w.t.Helper()
	plan, err := w.store.Plan(w.t.Context(), w.channel.ID)
	require.NoError(w.t, err)
	return &plan
}

// writes has the customer write: a reply token arrives.
func (c *chat) writes() {
	c.t.Helper()
	_, err := c.sim.Send(c.t.Context(), lineChannel, c.user, linesim.Message{Type: "text", Text: "hello", GroupID: c.group})
	require.NoError(c.t, err)
	require.NoError(c.t, c.sim.WaitIdle(c.t.Context()))
}

// says stores n numbered messages for the customer, of a bot.
func (c *chat) says(n int) { c.t.Helper(); c.saysAs(conversation.SenderBot, n) }

// saysAs does the same for somebody else.
func (c *chat) saysAs(kind conversation.SenderKind, n int) {
	c.t.Helper()
	contents := make([]conversation.Content, n)
	for i := range contents {
		contents[i] = conversation.TextContent(fmt.Sprintf("m%03d", c.said+i))
	}
	c.announces(kind, contents...)
}

func (c *chat) saysContent(contents ...conversation.Content) {
	c.t.Helper()
	c.announces(conversation.SenderBot, contents...)
}

func (c *chat) announces(kind conversation.SenderKind, contents ...conversation.Content) {
	c.t.Helper()
	var drafts []store.Draft
	for _, content := range contents {
		drafts = append(drafts, store.Draft{SenderKind: kind, Content: content})
	}
	_, err := c.store.Announce(c.t.Context(), c.id, fmt.Sprint(c.id, c.said), drafts)
	require.NoError(c.t, err)
	c.said += len(contents)
}

// send runs the activity once, as a worker does.
func (c *chat) send() (activities.SendOutput, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(c.acts)
	var out activities.SendOutput
	value, err := env.ExecuteActivity(c.acts.Send, activities.SendInput{ConversationID: c.id})
	if err != nil {
		return out, err
	}
	return out, value.Get(&out)
}

// empty runs the activity until the lane is empty, as Temporal does: after a
// failure again, when its wait is over. It returns the failures.
func (c *chat) empty() []error {
	c.t.Helper()
	var failures []error
	for range 500 {
		out, err := c.send()
		if err == nil && out.HeldUntil > 0 {
			c.pass(time.UnixMilli(out.HeldUntil).Sub(c.Now()))
			continue
		}
		if err == nil && !out.More {
			return failures
		}
		if err == nil {
			continue
		}
		failures = append(failures, err)
		var app *temporal.ApplicationError
		switch {
		case errors.As(err, &app) && app.NonRetryable():
			require.NoError(c.t, err)
		case errors.As(err, &app) && app.NextRetryDelay() > 0:
			c.pass(app.NextRetryDelay())
		default:
			c.pass(time.Second)
		}
	}
	require.Fail(c.t, "the lane is never empty")
	return nil
}

// messages are the transcript's to the customer.
func (c *chat) messages() (out []store.Message) {
	c.t.Helper()
	list, err := c.store.Messages(c.t.Context(), c.id, store.MessagePosition{}, 10_000)
	require.NoError(c.t, err)
	for _, m := range list {
		if m.Direction == conversation.Outbound {
			out = append(out, m)
		}
	}
	return out
}

// states are the messages' states, in order, each said once for a run of them.
func (c *chat) states() (out []conversation.MessageState) {
	c.t.Helper()
	for _, m := range c.messages() {
		out = append(out, m.State)
	}
	return slices.Compact(out)
}

// phone is what the customer got, in order.
func (c *chat) phone() (out []linesim.ChatMessage) {
	c.t.Helper()
	list, err := c.sim.Chat(c.t.Context(), lineChannel, c.place())
	require.NoError(c.t, err)
	for _, m := range list {
		if m.Direction == "account" {
			out = append(out, m)
		}
	}
	return out
}

func (c *chat) reads() (out []string) {
	c.t.Helper()
	for _, m := range c.phone() {
		out = append(out, m.Text())
	}
	return out
}

// calls are LINE's records of sends to the customer, whatever came of them.
func (c *chat) calls(endpoint string) []linesim.Call {
	return c.sim.Calls(linesim.CallFilter{Endpoint: endpoint})
}

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("m%03d", i))
	}
	return out
}

var accepted = []conversation.MessageState{conversation.MessageAccepted}

// acceptedOnce asserts that all n messages were taken by LINE once, in order,
// and that the transcript says so.
func (c *chat) acceptedOnce(n int) {
	c.t.Helper()
	require.Equal(c.t, numbered(0, n), c.reads())
	require.Equal(c.t, accepted, c.states())
}

func TestWhatIsReadyTogetherGoesInCallsOfFive(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	c.says(7)
	out, err := c.send()
	require.NoError(t, err)
	require.Equal(t, activities.SendOutput{Accepted: 2}, out)
	c.acceptedOnce(7)

	reply, push := c.calls("reply"), c.calls("push")
	require.Len(t, reply, 1)
	require.Len(t, push, 1, "a token is good for one call")
	require.Empty(t, reply[0].RetryKey)
	phone := c.phone()
	for i, m := range c.messages() {
		call, via := reply[0], "reply"
		if i >= 5 {
			call, via = push[0], "push"
		}
		require.Equal(t, via, m.Via)
		require.Equal(t, call.RequestID, m.LINERequestID)
		require.Equal(t, phone[i].ID, m.LINEMessageID)
	}
	require.Equal(t, conversation.RetryKey(c.messages()[5].BatchID), push[0].RetryKey)
}

func TestAFreshTokenIsRepliedToAndAnOldOneIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for age, via := range map[time.Duration]string{
		0: "reply", 25 * time.Second: "reply", 25*time.Second + time.Microsecond: "push", time.Hour: "push",
	} {
		c := w.newChat()
		c.pass(age)
		c.says(1)
		require.Empty(t, c.empty())
		require.Equal(t, via, c.messages()[0].Via, "%s after the webhook", age)
	}
}

func TestARefusedBatchFailsAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(`{"message":"LINE does not like it"}`)})
	c.says(6)
	require.Empty(t, c.empty())
	require.Equal(t, []conversation.MessageState{conversation.MessageFailed, conversation.MessageAccepted}, c.states())
	require.Equal(t, "line_refused", c.messages()[0].Failure)
	require.Equal(t, "LINE does not like it", c.messages()[0].FailureDetail)
	require.Equal(t, numbered(5, 6), c.reads())
}

func TestAMessageLINERefusesDoesNotTakeOthersWithIt(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	// LINE's own validation refuses the third; ours lets it through.
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(
		`{"message":"The request body has 1 error(s)","details":[{"message":"Must be a valid URI","property":"messages[2].text"}]}`)})
	c.says(5)
	require.Empty(t, c.empty())
	require.Equal(t, []string{"m000", "m001", "m003", "m004"}, c.reads())
	messages := c.messages()
	require.Equal(t, conversation.MessageFailed, messages[2].State)
	require.Contains(t, messages[2].FailureDetail, "Must be a valid URI")
	require.Equal(t, "reply", messages[3].Via, "LINE sent nothing, so the token was still good")
}

// LINE checks Flex Messages one by one, after all else, and names the first that
// is wrong in its message alone; of some templates it says no more than that.
func TestAMessageLINENamesAsAWholeDoesNotTakeOthersWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := conversation.Content{Type: conversation.ContentFlex, AltText: "wrong", Contents: json.RawMessage(
		`{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"a","weight":"heavy"}]}}`)}
	text := conversation.TextContent

	c := w.newChat()
	c.saysContent(text("one"), wrong, text("two"), wrong, text("three"))
	require.Empty(t, c.empty())
	require.Equal(t, []string{"one", "two", "three"}, c.reads())
	for _, m := range c.messages() {
		if m.Type != conversation.ContentFlex {
			require.Equal(t, conversation.MessageAccepted, m.State)
			require.Equal(t, "reply", m.Via)
			continue
		}
		require.Equal(t, conversation.MessageFailed, m.State)
		require.Equal(t, "line_refused", m.Failure)
		require.Contains(t, m.FailureDetail, "/body/contents/0/weight")
	}

	c = w.newChat()
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 400, Body: json.RawMessage(
		`{"message":"A message (messages[1])\u00a0in the request body is invalid"}`)})
	c.saysContent(text("one"), text("two"), text("three"))
	require.Empty(t, c.empty())
	require.Equal(t, []string{"one", "three"}, c.reads())
}

func TestARateLimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, old := range []bool{false, true} {
		c := w.newChat()
		if old {
			c.pass(time.Minute)
		}
		c.faults(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: map[bool]string{false: "reply", true: "push"}[old], Times: 3})
		c.says(2)
		require.Len(t, c.empty(), 3)
		c.acceptedOnce(2)
	}
}

func TestWhoeverAsksToBeLeftAloneIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for asked, want := range map[string]time.Duration{"20": 20 * time.Second, "65535": store.AutomatedBudget, "0": 500 * time.Millisecond} {
		c := w.newChat()
		c.pass(time.Minute)
		c.says(1)
		c.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/push") {
				return carry()
			}
			res, err := answer(503, "busy")(r, carry)
			res.Header.Set("Retry-After", asked)
			return res, err
		})
		_, err := c.send()
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, want, app.NextRetryDelay(), asked)
		c.line.stand(nil)
		require.Empty(t, c.empty())
		c.acceptedOnce(1)
	}
}

func TestASpentQuotaFailsTheMessageWithThatReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	require.NoError(t, w.sim.ChangeChannel(t.Context(), lineChannel, func(l *linesim.Channel) { l.Quota = 1 }))
	c.pass(time.Minute)
	c.says(6) // two pushes
	require.Empty(t, c.empty())
	require.Equal(t, []conversation.MessageState{conversation.MessageAccepted, conversation.MessageFailed}, c.states())
	require.Equal(t, "line_quota", c.messages()[5].Failure)
	c.writes()
	c.says(1)
	require.Empty(t, c.empty())
	require.Equal(t, conversation.MessageAccepted, c.messages()[6].State, "replies are free")
}

// What a worker that died was answered, the quota tells: LINE knows the retry key
// of a push that it took.
func TestASpentQuotaTellsWhatBecameOfAnAttemptInDoubt(t *testing.T) {
	t.Parallel()
	for fault, state := range map[linesim.FaultKind]conversation.MessageState{
		linesim.FaultDropRequest: conversation.MessageFailed, linesim.FaultDropAnswer: conversation.MessageAccepted,
	} {
		w := newWorld(t)
		c := w.newChat()
		c.pass(time.Minute)
		c.says(1)
		require.Empty(t, c.empty())
		c.faults(linesim.Fault{Kind: fault, Endpoint: "push", Times: 1})
		c.says(1)
		_, err := c.send()
		require.Error(t, err)
		require.NoError(t, w.sim.ChangeChannel(t.Context(), lineChannel, func(l *linesim.Channel) { l.Quota = 1 }))
		c.empty()
		require.Equal(t, state, c.messages()[1].State)
		if state == conversation.MessageFailed {
			require.Equal(t, "line_quota", c.messages()[1].Failure)
		}
	}
}

// LINE reserves messages while another delivery runs, and calls the quota spent
// when it is not; and it may call it a rate when it is the quota.
func TestTheQuotaItselfTellsWhatA429Means(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for said, fault := range map[string]linesim.Fault{
		"monthly limit": {Kind: linesim.FaultStatus, Endpoint: "push", Times: 1, Status: 429, Body: json.RawMessage(`{"message":"You have reached your monthly limit."}`)},
		"same user":     {Kind: linesim.FaultStatus, Endpoint: "push", Times: 1, Status: 429, Body: json.RawMessage(`{"message":"Too many messages to the same user."}`)},
	} {
		c := w.newChat()
		c.pass(time.Minute)
		c.faults(fault)
		c.says(1)
		require.Len(t, c.empty(), 1, said)
		c.acceptedOnce(1)
	}
	c := w.newChat()
	require.NoError(t, w.sim.ChangeChannel(t.Context(), lineChannel, func(l *linesim.Channel) { l.Quota = 2 }))
	c.pass(time.Minute)
	c.faults(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: "push"})
	c.says(1)
	require.Empty(t, c.empty())
	require.Equal(t, "line_quota", c.messages()[0].Failure)
}

func TestServerErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, endpoint := range []string{"reply", "push"} {
		for _, processed := range []bool{false, true} {
			c := w.newChat()
			if endpoint == "push" {
				c.pass(time.Minute)
			}
			c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: endpoint, Times: 2, AfterProcessing: processed})
			c.says(3)
			c.empty()
			c.acceptedOnce(3)
		}
	}
}

// The database goes away while LINE is asked, and comes back: LINE's answer is
// written down then, because nobody else knows it.
func TestLINEsAnswerIsWrittenWhenTheDatabaseIsBack(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, "postgres")
	c := w.newChat()
	c.says(1)
	at, err := url.Parse(w.url)
	require.NoError(t, err)
	name := strings.TrimPrefix(at.Path, "/")
	at.Path = "/postgres"
	admin, err := sqlx.Open("postgres", at.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	let := func(in bool) {
		_, err := admin.Exec(fmt.Sprintf("ALTER DATABASE %s WITH ALLOW_CONNECTIONS %t", name, in))
		require.NoError(t, err)
	}
	var back sync.WaitGroup
	w.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		answer, err := carry()
		let(false)
		_, cut := admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		require.NoError(t, cut)
		refused := w.store.Ping(t.Context())
		require.Error(t, refused, "it is away")
		back.Go(func() { time.Sleep(500 * time.Millisecond); let(true) })
		return answer, err
	})
	out, err := c.send()
	back.Wait()
	require.NoError(t, err)
	require.Equal(t, activities.SendOutput{Accepted: 1}, out)
	require.Equal(t, conversation.MessageAccepted, c.messages()[0].State)
	require.Len(t, w.sim.Calls(linesim.CallFilter{Endpoint: "reply"}), 1)
}

func TestAReplyWithoutAnAnswerIsAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []linesim.FaultKind{linesim.FaultDropAnswer, linesim.FaultDropRequest} {
		c := w.newChat()
		w.sim.ForgetCalls()
		c.faults(linesim.Fault{Kind: kind, Endpoint: "reply", Times: 1})
		c.says(2)
		out, err := c.send()
		require.NoError(t, err)
		require.Equal(t, activities.SendOutput{Accepted: 1}, out)
		c.acceptedOnce(2)
		require.Len(t, c.calls("reply"), 2)
		require.Empty(t, c.calls("push"))
	}
}

// What a workflow waits for within its task is done in a moment, or left to the
// form of the activity that may take its time.
func TestWithinAWorkflowsTaskLINEIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	quick := func(a *activities.Activities, c *chat) activities.SendOutput {
		t.Helper()
		out, err := a.Send(t.Context(), activities.SendInput{ConversationID: c.id, Quick: true})
		require.NoError(t, err)
		return out
	}
	t.Run("LINE is quick", func(t *testing.T) {
		c := w.newChat()
		c.says(2)
		require.Equal(t, activities.SendOutput{Accepted: 1}, quick(w.activities(), c))
		c.acceptedOnce(2)
	})
	t.Run("a reply is in doubt", func(t *testing.T) {
		c := w.newChat()
		w.sim.ForgetCalls()
		c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, AfterProcessing: true})
		c.says(2)
		require.Equal(t, activities.SendOutput{Accepted: 1}, quick(w.activities(), c), "asked again at once, though LINE seems slow now")
		c.acceptedOnce(2)
		require.Len(t, c.calls("reply"), 2)
	})
	t.Run("LINE hangs", func(t *testing.T) {
		c := w.newChat()
		a := w.activities()
		c.faults(linesim.Fault{Kind: linesim.FaultSlow, Endpoint: "reply", DelayMS: 6000, Times: 2})
		c.says(2)
		begun := time.Now()
		_, err := a.Send(t.Context(), activities.SendInput{ConversationID: c.id, Quick: true})
		require.Error(t, err, "the second call, too")
		require.Less(t, time.Since(begun), 5*time.Second, "no call is waited for as long as LINE takes")
		other := w.newChat()
		w.sim.ForgetCalls()
		other.says(1)
		require.Equal(t, activities.SendOutput{More: true}, quick(a, other), "nobody waits for it any more")
		require.Empty(t, other.calls("reply"))
		other.empty()
		other.acceptedOnce(1)
		c.empty()
		c.acceptedOnce(2)
	})
	t.Run("LINE is to be left alone", func(t *testing.T) {
		c := w.newChat()
		w.sim.ForgetCalls()
		c.says(1)
		a := w.activities()
		_, err := a.Send(t.Context(), activities.SendInput{ConversationID: c.id, NotBefore: w.Now().Add(700 * time.Millisecond).UnixMilli()})
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.InDelta(t, 700, app.NextRetryDelay().Milliseconds(), 2)
		require.Empty(t, c.calls("reply"))
		c.pass(time.Second)
		_, err = a.Send(t.Context(), activities.SendInput{ConversationID: c.id, NotBefore: 1})
		require.NoError(t, err)
		c.acceptedOnce(1)
	})
}

func TestAPushWithoutAnAnswerIsRepeatedWithItsRetryKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []linesim.FaultKind{linesim.FaultDropAnswer, linesim.FaultDropRequest} {
		c := w.newChat()
		c.pass(time.Minute)
		w.sim.ForgetCalls()
		c.faults(linesim.Fault{Kind: kind, Endpoint: "push", Times: 1})
		c.says(2)
		_, err := c.send()
		require.Error(t, err)
		c.says(2) // must not join the batch whose key is used
		c.empty()
		c.acceptedOnce(4)
		calls := c.calls("push")
		require.Len(t, calls, 3)
		require.Equal(t, calls[0].RetryKey, calls[1].RetryKey)
		require.Equal(t, string(calls[0].Body), string(calls[1].Body))
		require.NotEqual(t, calls[0].RetryKey, calls[2].RetryKey)
		phone := c.phone()
		for i, m := range c.messages() {
			require.Equal(t, phone[i].ID, m.LINEMessageID, "a 409 tells the ids as well")
			require.Equal(t, phone[i].RequestID, m.LINERequestID, "of the call that LINE took")
		}
	}
}

func TestATokenThatIsRefusedAtOnceIsReplacedByAPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	used := c.sim.Deliveries(linesim.DeliveryFilter{Limit: 1})[0]
	split, err := line.SplitWebhook([]byte(used.Body))
	require.NoError(t, err)
	_, err = w.bare.As(lineToken).Reply(t.Context(), split.Events[0].ReplyToken, []json.RawMessage{json.RawMessage(`{"type":"text","text":"somebody else's"}`)})
	require.NoError(t, err)
	c.says(2)
	require.Empty(t, c.empty())
	require.Equal(t, []string{"somebody else's", "m000", "m001"}, c.reads())
	for _, m := range c.messages() {
		require.Equal(t, conversation.MessageAccepted, m.State)
		require.Equal(t, "push", m.Via)
	}
}

func TestAnAmbiguousReplyWhoseTokenDiedIsUncertain(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	c.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply"})
	c.says(1)
	_, err := c.send()
	require.Error(t, err)
	c.pass(50 * time.Second)
	c.sim.ResetFaults()
	c.says(1)
	require.Empty(t, c.empty())
	require.Equal(t, []conversation.MessageState{conversation.MessageUncertain, conversation.MessageAccepted}, c.states())
	require.Equal(t, "line_no_answer", c.messages()[0].Failure)
	require.NotEmpty(t, c.messages()[0].FailureDetail)
	require.Equal(t, numbered(0, 2), c.reads(), "it is not sent again")
}

func TestARefusalAfterAnAttemptInDoubtSaysNothingOfThatOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, endpoint := range []string{"reply", "push"} {
		c := w.newChat()
		if endpoint == "push" {
			c.pass(time.Minute)
		}
		c.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: endpoint, Times: 1},
			linesim.Fault{Kind: linesim.FaultStatus, Endpoint: endpoint, Skip: 1, Times: 1, Status: 403, Body: json.RawMessage(`{"message":"The plan ended"}`)})
		c.says(1)
		c.empty()
		require.Equal(t, []conversation.MessageState{conversation.MessageUncertain}, c.states())
		require.Equal(t, numbered(0, 1), c.reads())
		require.Equal(t, "The plan ended", c.messages()[0].FailureDetail)
	}
}

func TestALINEThatStaysAwayEndsWithTheBudget(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		age   time.Duration // of the token
		fault func(*http.Request, func() (*http.Response, error)) (*http.Response, error)
		want  conversation.MessageState
		why   string
	}{
		"a push LINE clearly did not take": {time.Minute, answer(429, `{"message":"The API rate limit has been exceeded. Try again later."}`), conversation.MessageFailed, "out_of_time"},
		"a push LINE may have taken":       {time.Minute, answer(503, ``), conversation.MessageUncertain, "out_of_time"},
		"a reply, then a push":             {0, answer(429, `{"message":"The API rate limit has been exceeded. Try again later."}`), conversation.MessageFailed, "out_of_time"},
		"a reply LINE may have taken":      {0, answer(503, ``), conversation.MessageUncertain, "line_no_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).newChat()
			c.pass(tc.age)
			c.says(1)
			began := c.Now()
			c.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
				if !strings.Contains(r.URL.Path, "/message/quota") {
					return tc.fault(r, carry)
				}
				return carry()
			})
			require.NotEmpty(t, c.empty())
			took := c.Now().Sub(began)
			require.Equal(t, []conversation.MessageState{tc.want}, c.states())
			require.Equal(t, tc.why, c.messages()[0].Failure)
			require.NotEmpty(t, c.messages()[0].FailureDetail)
			require.LessOrEqual(t, took, store.AutomatedBudget+time.Second)
			require.GreaterOrEqual(t, took, 45*time.Second)

			c.line.stand(nil)
			c.says(1)
			require.Empty(t, c.empty())
			require.Equal(t, numbered(1, 2), c.reads(), "the lane has moved on")
		})
	}
}

// answer is a LINE, or something before it, that says always the same.
func answer(status int, body string) func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
	return func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
}

func TestATimeOfOurOwnAbsenceIsNotLINEs(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	c.pass(time.Minute)
	c.says(1)
	b, err := c.store.NextBatch(t.Context(), c.id, line.Render) // and the process dies before the call
	require.NoError(t, err)
	require.Equal(t, "push", b.Kind)
	c.pass(2 * time.Hour)
	require.Empty(t, c.empty())
	c.acceptedOnce(1)
}

func TestAPushInDoubtIsNotRepeatedAfterLINEForgotItsRetryKey(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	c.pass(time.Minute)
	c.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "push", Times: 1})
	c.says(1)
	_, err := c.send()
	require.Error(t, err)
	_, err = c.store.NextBatch(t.Context(), c.id, line.Render) // an attempt that died
	require.NoError(t, err)
	c.pass(24 * time.Hour)
	require.Empty(t, c.empty())
	require.Equal(t, numbered(0, 1), c.reads())
	require.Equal(t, []conversation.MessageState{conversation.MessageUncertain}, c.states())
}

func TestADeathBetweenLINEsAnswerAndOurWriteDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, age := range []time.Duration{0, time.Minute} {
		c := w.newChat()
		c.pass(age)
		c.says(3)
		// The first statement after LINE's answer is the one that would record it.
		c.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			res, err := carry()
			c.crashAt.Store(1)
			c.line.stand(nil)
			return res, err
		})
		failures := c.empty()
		require.Len(t, failures, 1)
		require.ErrorContains(t, failures[0], "the process dies here")
		c.acceptedOnce(3)
	}
}

// A first run of the activity hangs in its call until Temporal has given up on
// it and a second has asked LINE. Then its own call goes out, and it hears and
// writes LINE's answer before the second one writes its own.
func TestAnAttemptThatHangsAndIsReplacedDeliversOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, age := range []time.Duration{0, time.Minute} {
		c := w.newChat()
		c.pass(age)
		c.says(2)
		hanging, replaced, written := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var calls atomic.Int64
		c.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
			switch calls.Add(1) {
			case 1:
				close(hanging)
				<-replaced
				return carry()
			case 2:
				res, err := carry()
				close(replaced)
				<-written
				return res, err
			}
			return carry()
		})
		go func() {
			defer close(written)
			_, _ = c.send() // what it says, nobody hears any more
		}()
		<-hanging
		c.empty()
		<-written
		c.acceptedOnce(2)
		c.line.stand(nil)
		c.says(1)
		require.Empty(t, c.empty())
		c.acceptedOnce(3)
	}
}

func TestAMessageThatCannotBeRenderedFailsAlone(t *testing.T) {
	t.Parallel()
	c := newWorld(t).newChat()
	bad := conversation.Content{Type: conversation.ContentImage, URL: "ftp://nowhere"}
	c.saysContent(conversation.TextContent("one"), bad, conversation.TextContent("two"), bad, bad, bad, bad, bad, bad, conversation.TextContent("three"))
	require.Empty(t, c.empty())
	require.Equal(t, []string{"one", "two", "three"}, c.reads())
	for _, m := range c.messages() {
		if m.Type == conversation.ContentImage {
			require.Equal(t, conversation.MessageFailed, m.State)
			require.Equal(t, "unsendable", m.Failure)
			require.Contains(t, m.FailureDetail, "url")
			continue
		}
		require.Equal(t, conversation.MessageAccepted, m.State)
	}
}

// LINE tells of a video that was watched only where it has an id to tell it by,
// and takes none in a group.
func TestAVideoIsSentWithAnIDOfItsMessageToOneCustomer(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		film := conversation.Content{Type: conversation.ContentVideo, URL: "https://example.com/a.mp4", PreviewURL: "https://example.com/a.jpg"}
		w.does(func(c *store.Channel) { c.GroupChats = store.GroupsServed })
		one, group := w.newChat(), w.newGroup(2)
		for _, c := range []*chat{one, group} {
			c.saysContent(film, film)
			require.Empty(t, c.empty())
			require.Len(t, c.reads(), 2)
		}
		said := one.messages()
		replies := w.sim.Calls(linesim.CallFilter{Endpoint: "reply"})
		require.Len(t, replies, 2)
		tracking := func(of linesim.Call) (ids []string) {
			var body struct{ Messages []struct{ TrackingID string } }
			require.NoError(t, json.Unmarshal(of.Body, &body))
			for _, m := range body.Messages {
				ids = append(ids, m.TrackingID)
			}
			return ids
		}
		require.Equal(t, []string{conversation.TrackingID(said[0].ID), conversation.TrackingID(said[1].ID)}, tracking(replies[0]))
		require.Equal(t, []string{"", ""}, tracking(replies[1]))
	})
}

// What may happen to one call.
var fates = map[string]func(endpoint string) *linesim.Fault{
	"accepted": func(string) *linesim.Fault { return nil },
	"refused": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, Status: 400, Body: json.RawMessage(`{"message":"no"}`)}
	},
	"first bad": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, Status: 400, Body: json.RawMessage(`{"message":"no","details":[{"message":"bad","property":"messages[0].text"}]}`)}
	},
	"forbidden": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, Status: 403}
	},
	"limited": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: e, Times: 1}
	},
	"failed": func(e string) *linesim.Fault { return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1} },
	"taken, 500": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, AfterProcessing: true}
	},
	"no answer": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: e, Times: 1}
	},
	"same user": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, Status: 429, Body: json.RawMessage(`{"message":"You have sent too many messages to the same user."}`)}
	},
	"reserved": func(e string) *linesim.Fault { // by another delivery, says LINE's reference
		return &linesim.Fault{Kind: linesim.FaultStatus, Endpoint: e, Times: 1, Status: 429, Body: json.RawMessage(`{"message":"You have reached your monthly limit."}`)}
	},
	"no request": func(e string) *linesim.Fault {
		return &linesim.Fault{Kind: linesim.FaultDropRequest, Endpoint: e, Times: 1}
	},
}

// Whatever LINE does and whenever the process dies: LINE has every message at
// most once and in order, the transcript says the truth of it, and nothing was
// pushed while a reply was to be had.
func TestTheTranscriptSaysWhatLINETook(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, dialect)
			w.sending(store.Sending{HoldSeconds: 20, WhenSpent: store.SpentHold})
			names := slices.Sorted(maps.Keys(fates))
			rapid.Check(t, func(r *rapid.T) {
				c := w.newChat()
				if rapid.Bool().Draw(r, "group") {
					c = w.newGroup(3)
				}
				c.anySequence(r, names)
			})
		})
	}
}

// sending has the workstream spend LINE's paid messages so.
func (w *world) sending(how store.Sending) {
	w.t.Helper()
	row, err := w.store.Workstream(w.t.Context(), w.channel.WorkstreamID)
	require.NoError(w.t, err)
	_, err = w.store.UpdateWorkstream(w.t.Context(), store.Origin{}, row.ID, row.Version, func(row *store.Workstream) error {
		row.Settings.Sending = how
		return nil
	})
	require.NoError(w.t, err)
}

// quota is what LINE lets the channel push in a month; 0 is any number.
func (w *world) quota(n int) {
	w.t.Helper()
	require.NoError(w.t, w.sim.ChangeChannel(w.t.Context(), lineChannel, func(l *linesim.Channel) { l.Quota = n }))
}

func (c *chat) anySequence(r *rapid.T, names []string) {
	w := c.world
	w.crashAt.Store(0)
	counted := int64(0) // paid messages, by LINE
	var queue []string
	w.line.stand(func(req *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		endpoint := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
		if (endpoint == "reply" || endpoint == "push") && len(queue) > 0 {
			fate := fates[queue[0]](endpoint)
			// LINE looks at the retry key before it counts.
			known := queue[0] == "reserved" && c.taken(req.Header.Get("X-Line-Retry-Key"))
			queue = queue[1:]
			if fate != nil && !known {
				w.faults(*fate)
			}
		}
		key := req.Header.Get("X-Line-Retry-Key")
		known := c.taken(key)
		answer, err := carry()
		if !known && c.taken(key) {
			counted += int64(c.size)
		}
		return answer, err
	})
	before := map[string]conversation.MessageState{}
	r.Repeat(map[string]func(*rapid.T){
		"says": func(r *rapid.T) {
			if c.said < 60 {
				kinds := []conversation.SenderKind{conversation.SenderBot, conversation.SenderAgent, conversation.SenderSystem}
				c.saysAs(rapid.SampledFrom(kinds).Draw(r, "who"), rapid.IntRange(1, 7).Draw(r, "n"))
			}
		},
		"customer writes": func(*rapid.T) { c.writes() },
		"somebody joins": func(*rapid.T) {
			var under int
			require.NoError(w.t, w.db.GetContext(w.t.Context(), &under, `SELECT count(*) FROM batches WHERE conversation_id = $1 AND state = 'frozen'`, c.id))
			if c.group != "" && under == 0 {
				c.joins(1)
				c.ingests()
			}
		},
		"time passes": func(r *rapid.T) {
			c.pass(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 26 * time.Second, time.Minute, 25 * time.Hour}).Draw(r, "d"))
		},
		"LINE will": func(r *rapid.T) {
			queue = append(queue, rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(r, "fates")...)
		},
		"the quota is": func(r *rapid.T) { c.quota(rapid.SampledFrom([]int{0, 1, 2, 5, 12}).Draw(r, "quota")) },
		"sends":        func(*rapid.T) { _, _ = c.send() }, // an error is LINE's, and tried again
		"sends and dies": func(r *rapid.T) {
			w.crashAt.Store(int64(rapid.IntRange(1, 20).Draw(r, "statement")))
			_, _ = c.send()
			w.crashAt.Store(0)
		},
		"": func(r *rapid.T) {
			c.pass(time.Millisecond) // so that what comes first is earlier
			for _, m := range c.messages() {
				if was, known := before[m.ID]; known && was != conversation.MessagePending && was != m.State {
					r.Fatalf("message %s went from %s to %s", m.Text, was, m.State)
				}
				before[m.ID] = m.State
			}
		},
	})
	queue = nil
	c.quota(0)
	c.empty()
	got := c.reads()
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		r.Fatalf("LINE got %v", got)
	}
	doubt := false
	for _, m := range c.messages() {
		taken := slices.Contains(got, m.Text)
		switch m.State {
		case conversation.MessageAccepted:
			if !taken {
				r.Fatalf("%s is recorded accepted, and LINE does not have it", m.Text)
			}
		case conversation.MessageFailed:
			if taken {
				r.Fatalf("%s is recorded failed, and LINE has it", m.Text)
			}
		case conversation.MessageUncertain:
			doubt = true
		default:
			r.Fatalf("%s is %s in the end", m.Text, m.State)
		}
	}
	if n := c.wasted(); n > 0 {
		r.Fatalf("%d pushes while a fresh reply token was at hand", n)
	}
	charged := int64(0)
	for _, m := range c.messages() {
		charged += m.Charged
	}
	if !doubt && charged != counted {
		r.Fatalf("%d paid messages are recorded, and LINE has counted %d", charged, counted)
	}
}

// taken tells whether LINE has accepted a push with a retry key.
func (c *chat) taken(retryKey string) bool {
	return retryKey != "" && slices.ContainsFunc(c.calls("push"), func(call linesim.Call) bool { return call.Accepted && call.RetryKey == retryKey })
}

// wasted counts the chat's pushes that were decided while it had a reply token
// with life enough that LINE had not taken, whatever Kaiwa has noted of it. One of
// which nobody knows whether LINE has is not at hand.
func (c *chat) wasted() (n int) {
	c.t.Helper()
	used := map[string]time.Time{}
	for _, call := range c.calls("reply") {
		var said struct{ ReplyToken string }
		require.NoError(c.t, json.Unmarshal(call.Body, &said))
		if call.Accepted {
			used[said.ReplyToken] = call.At
		}
	}
	var rows []struct {
		Decided int64  `db:"created_at"`
		Token   string `db:"reply_token"`
	}
	require.NoError(c.t, c.db.SelectContext(c.t.Context(), &rows, `SELECT p.created_at, e.reply_token FROM batches p
		JOIN line_events e ON e.channel_id = $1 AND e.chat_key = $2 AND e.reply_token <> ''
		WHERE p.conversation_id = $3 AND p.kind = 'push' AND e.received_at BETWEEN p.created_at - $4 AND p.created_at
			AND NOT EXISTS (SELECT 1 FROM batches doubtful WHERE doubtful.id = e.token_batch AND doubtful.state = 'uncertain')`,
		c.channel.ID, c.key(), c.id, store.ReplyWindow.Microseconds()))
	for _, r := range rows {
		if at, was := used[r.Token]; !was || at.UnixMicro() > r.Decided {
			n++
		}
	}
	return n
}
