package line_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
)

const (
	simChannel = "2000000001"
	simSecret  = "0123456789abcdef0123456789abcdef"
	simToken   = "simulated-access-token"
)

// simBundle is a simulated LINE with one channel, one friend, and a webhook
// that verifies, splits and hands on what it gets.
type simBundle struct {
	sim    *linesim.Simulator
	api    *line.API
	client *line.Client
	user   string
	events chan line.RawEvent
	clock  *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func simulate(t *testing.T, change func(*linesim.Channel)) *simBundle {
	t.Helper()
	ctx := t.Context()
	b := &simBundle{user: linesim.NewUserID(), events: make(chan line.RawEvent, 16), clock: &clock{now: time.Now()}}
	var err error
	b.sim, err = linesim.New(ctx, linesim.Options{Now: b.clock.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	platform := httptest.NewServer(b.sim.Handler())
	t.Cleanup(platform.Close)
	b.sim.SetPublicURL(platform.URL)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !line.VerifySignature(simSecret, body, r.Header.Get("X-Line-Signature")) {
			t.Errorf("the signature does not verify (%v)", err)
		}
		delivery, err := line.SplitWebhook(body)
		if err != nil {
			t.Errorf("split: %v", err)
		}
		for _, e := range delivery.Events {
			b.events <- e
		}
	}))
	t.Cleanup(hook.Close)
	channel := linesim.Channel{ID: simChannel, Secret: simSecret, AccessToken: simToken, DisplayName: "Shop", WebhookURL: hook.URL + "/hook", WebhookActive: true}
	if change != nil {
		change(&channel)
	}
	require.NoError(t, b.sim.AddChannel(ctx, channel))
	require.NoError(t, b.sim.AddUser(ctx, linesim.User{ID: b.user, DisplayName: "Haruka", Language: "ja"}))
	b.api = line.New(line.Config{APIURL: platform.URL, DataAPIURL: platform.URL})
	b.client = b.api.As(simToken)
	return b
}

// next waits for the next event and reads it.
func (b *simBundle) next(t *testing.T) (line.RawEvent, line.Event) {
	t.Helper()
	select {
	case raw := <-b.events:
		require.Empty(t, raw.Malformed)
		e, err := line.ParseEvent(raw.Raw)
		require.NoError(t, err)
		return raw, e
	case <-t.Context().Done():
		t.Fatal("no event came")
	case <-time.After(20 * time.Second):
		t.Fatal("no event came in 20 s")
	}
	return line.RawEvent{}, line.Event{}
}

func (b *simBundle) write(t *testing.T, text string) line.RawEvent {
	t.Helper()
	_, err := b.sim.SendText(t.Context(), simChannel, b.user, text)
	require.NoError(t, err)
	raw, e := b.next(t)
	require.Equal(t, text, e.Message.Text)
	return raw
}

func render(t *testing.T, contents ...conversation.Content) []json.RawMessage {
	t.Helper()
	out, err := line.Render(contents)
	require.NoError(t, err)
	return out
}

func TestACustomerIsAnsweredByReplyAndByPush(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	ctx := t.Context()
	raw := b.write(t, "靴のサイズを変えたい 👟")
	require.Equal(t, b.user, raw.SourceID)
	require.Equal(t, conversation.ChatKey("user", b.user), raw.ChatKey)

	sent, err := b.client.Reply(ctx, raw.ReplyToken, render(t, conversation.TextContent("one"), conversation.TextContent("two")))
	require.NoError(t, err)
	require.Len(t, sent.Messages, 2)
	require.NotEmpty(t, sent.RequestID)
	require.False(t, sent.Duplicate)

	_, err = b.client.Reply(ctx, raw.ReplyToken, render(t, conversation.TextContent("again")))
	require.Equal(t, line.ClassInvalidReplyToken, line.ClassOf(err), "a token is good once")

	late := b.write(t, "まだですか")
	b.clock.advance(61 * time.Second)
	_, err = b.client.Reply(ctx, late.ReplyToken, render(t, conversation.TextContent("late")))
	require.Equal(t, line.ClassInvalidReplyToken, line.ClassOf(err), "and for a minute")

	key := conversation.RetryKey("bat_1")
	first, err := b.client.Push(ctx, b.user, key, render(t, conversation.TextContent("three")))
	require.NoError(t, err)
	again, err := b.client.Push(ctx, b.user, key, render(t, conversation.TextContent("three")))
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, first.RequestID, again.AcceptedRequestID)
	require.Equal(t, first.Messages, again.Messages)

	chat, err := b.sim.Chat(ctx, simChannel, b.user)
	require.NoError(t, err)
	var texts []string
	for _, m := range chat {
		texts = append(texts, m.Text())
	}
	require.Equal(t, []string{"靴のサイズを変えたい 👟", "one", "two", "まだですか", "three"}, texts)
}

func TestAPushWhoseAnswerWasLostIsNotSentTwice(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	b.write(t, "hello")
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "push", Times: 1})
	require.NoError(t, err)
	messages, key := render(t, conversation.TextContent("once")), conversation.RetryKey("bat_2")
	_, err = b.client.Push(t.Context(), b.user, key, messages)
	var e *line.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, line.ClassNoAnswer, e.Class)
	require.True(t, e.Ambiguous())

	sent, err := b.client.Push(t.Context(), b.user, key, messages)
	require.NoError(t, err)
	require.True(t, sent.Duplicate)
	require.Len(t, sent.Messages, 1)
}

func TestAReplyWhoseAnswerWasLostIsFoundOutByRepeatingIt(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	messages := render(t, conversation.TextContent("once"))
	for fault, want := range map[linesim.FaultKind]line.Class{
		linesim.FaultDropAnswer:  line.ClassInvalidReplyToken, // the first arrived
		linesim.FaultDropRequest: "",                          // the first was lost, the second arrived
	} {
		token := b.write(t, string(fault)).ReplyToken
		_, err := b.sim.Faults(linesim.Fault{Kind: fault, Endpoint: "reply", Times: 1})
		require.NoError(t, err)
		_, err = b.client.Reply(t.Context(), token, messages)
		require.Equal(t, line.ClassNoAnswer, line.ClassOf(err))
		_, err = b.client.Reply(t.Context(), token, messages)
		require.Equal(t, want, line.ClassOf(err))
	}
}

func TestASpentQuotaIsToldFromARateLimit(t *testing.T) {
	t.Parallel()
	b := simulate(t, func(c *linesim.Channel) { c.Quota = 1 })
	ctx := t.Context()
	b.write(t, "hello")
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultRateLimit, Endpoint: "push", Times: 1})
	require.NoError(t, err)
	messages := render(t, conversation.TextContent("x"))

	_, err = b.client.Push(ctx, b.user, conversation.RetryKey("1"), messages)
	class, _, cerr := b.client.Classify429(ctx, err, 1)
	require.NoError(t, cerr)
	require.Equal(t, line.ClassRateLimited, class)

	_, err = b.client.Push(ctx, b.user, conversation.RetryKey("1"), messages)
	require.NoError(t, err)
	q, err := b.client.Quota(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, q.Limit)
	require.EqualValues(t, 1, q.Used)

	_, err = b.client.Push(ctx, b.user, conversation.RetryKey("2"), messages)
	class, _, cerr = b.client.Classify429(ctx, err, 1)
	require.NoError(t, cerr)
	require.Equal(t, line.ClassQuota, class)
}

func TestEveryContentIsTakenByTheSimulator(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	said, err := line.ParseEvent(b.write(t, "hello").Raw)
	require.NoError(t, err)
	for name, c := range everyContent() {
		if c.QuoteToken != "" {
			c.QuoteToken = said.Message.QuoteToken
		}
		_, err := b.client.Push(t.Context(), b.user, conversation.RetryKey(name), render(t, c))
		require.NoError(t, err, name)
	}
}

func TestContentIsFetchedOnceItIsReady(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	ctx := t.Context()
	once := 1
	_, err := b.sim.Send(ctx, simChannel, b.user, linesim.Message{Type: "image", Content: []byte("\xff\xd8\xff picture"), ContentType: "image/jpeg", NotReady: &once})
	require.NoError(t, err)
	_, e := b.next(t)
	require.Equal(t, line.MessageImage, e.Message.Type)

	_, err = b.client.Content(ctx, e.Message.ID)
	require.ErrorIs(t, err, line.ErrNotReady)
	stream, err := b.client.Content(ctx, e.Message.ID)
	require.NoError(t, err)
	body, err := io.ReadAll(stream.Body)
	require.NoError(t, errors.Join(err, stream.Body.Close()))
	require.Equal(t, "\xff\xd8\xff picture", string(body))
	require.Equal(t, "image/jpeg", stream.Type)

	_, err = b.sim.Unsend(ctx, simChannel, b.user, e.Message.ID)
	require.NoError(t, err)
	_, unsent := b.next(t)
	require.Equal(t, e.Message.ID, unsent.UnsendMessageID)
	_, err = b.client.Content(ctx, e.Message.ID)
	require.ErrorIs(t, err, line.ErrGone)

	_, err = b.client.Content(ctx, "999999999999999999")
	require.Equal(t, line.ClassNotFound, line.ClassOf(err))
}

func TestSettingUpAChannel(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	ctx := t.Context()
	info, err := b.client.BotInfo(ctx)
	require.NoError(t, err)
	require.True(t, line.ValidUserID(info.UserID))
	require.Equal(t, "Shop", info.DisplayName)

	before, err := b.client.WebhookEndpoint(ctx)
	require.NoError(t, err)
	require.True(t, before.Active)
	_, err = b.client.SetWebhookEndpoint(ctx, before.URL+"/2")
	require.NoError(t, err)
	after, err := b.client.WebhookEndpoint(ctx)
	require.NoError(t, err)
	require.Equal(t, before.URL+"/2", after.URL)
	test, err := b.client.TestWebhook(ctx, "")
	require.NoError(t, err)
	require.True(t, test.Success)
	require.Equal(t, 200, test.StatusCode)

	token, err := b.api.IssueStatelessToken(ctx, simChannel, simSecret)
	require.NoError(t, err)
	info, err = b.api.As(token.Token).BotInfo(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, info.RequestID)
	_, err = b.api.IssueStatelessToken(ctx, simChannel, "not the secret")
	require.Contains(t, []line.Class{line.ClassRefused, line.ClassUnauthorized}, line.ClassOf(err))
	require.NotContains(t, err.Error(), "not the secret")

	_, err = b.api.As("another-token").BotInfo(ctx)
	require.Equal(t, line.ClassUnauthorized, line.ClassOf(err))
}

func TestWhatACustomerSeesAndShows(t *testing.T) {
	t.Parallel()
	b := simulate(t, func(c *linesim.Channel) { c.ChatMode = "chat" })
	ctx := t.Context()
	_, err := b.sim.SendText(ctx, simChannel, b.user, "hello")
	require.NoError(t, err)
	_, e := b.next(t)

	p, err := b.client.Profile(ctx, b.user)
	require.NoError(t, err)
	require.Equal(t, "Haruka", p.DisplayName)
	require.Equal(t, "ja", p.Language)
	_, err = b.client.StartLoading(ctx, b.user, 20)
	require.NoError(t, err)
	_, err = b.client.MarkAsRead(ctx, e.Message.MarkAsReadToken)
	require.NoError(t, err)
	link, err := b.client.IssueLinkToken(ctx, b.user)
	require.NoError(t, err)
	require.NotEmpty(t, link.Token)

	_, err = b.sim.Unfollow(ctx, simChannel, b.user)
	require.NoError(t, err)
	_, gone := b.next(t)
	require.Equal(t, line.EventUnfollow, gone.Type)
	_, err = b.client.Profile(ctx, b.user)
	require.Equal(t, line.ClassNotFound, line.ClassOf(err))
}

func TestRichMenusAreListedAndShown(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	ctx := t.Context()
	none, err := b.client.RichMenus(ctx)
	require.NoError(t, err)
	require.Empty(t, none)
	area := linesim.RichMenuArea{Action: json.RawMessage(`{"type":"action to come"}`)}
	id, err := b.sim.AddRichMenu(ctx, simChannel, linesim.RichMenu{Name: "served", ChatBarText: "メニュー", Selected: true, Size: linesim.RichMenuSize{Width: 800, Height: 270}, Areas: []linesim.RichMenuArea{area, area}})
	require.NoError(t, err)
	want := line.RichMenu{ID: id, Name: "served", ChatBarText: "メニュー", Selected: true, Width: 800, Height: 270, Areas: 2}
	menus, err := b.client.RichMenus(ctx)
	require.NoError(t, err)
	require.Equal(t, []line.RichMenu{want}, menus)
	menu, err := b.client.RichMenu(ctx, id)
	require.NoError(t, err)
	require.Equal(t, want, menu)
	image, err := b.client.RichMenuImage(ctx, id)
	require.NoError(t, err)
	picture, err := io.ReadAll(image.Body)
	require.NoError(t, err)
	require.NoError(t, image.Body.Close())
	require.Equal(t, "image/png", http.DetectContentType(picture))

	_, err = b.client.LinkRichMenu(ctx, b.user, id)
	require.NoError(t, err)
	shown, err := b.sim.ShownRichMenu(ctx, simChannel, b.user)
	require.NoError(t, err)
	require.Equal(t, id, shown.ID)
	_, err = b.client.UnlinkRichMenu(ctx, b.user)
	require.NoError(t, err)
	shown, err = b.sim.ShownRichMenu(ctx, simChannel, b.user)
	require.NoError(t, err)
	require.Nil(t, shown)

	for _, call := range []func(id string) error{
		func(id string) error { _, err := b.client.RichMenu(ctx, id); return err },
		func(id string) error { _, err := b.client.RichMenuImage(ctx, id); return err },
		func(id string) error { _, err := b.client.LinkRichMenu(ctx, b.user, id); return err },
	} {
		require.Equal(t, line.ClassNotFound, line.ClassOf(call("richmenu-0")))
		require.Equal(t, line.ClassRefused, line.ClassOf(call("richmenu-../../info")))
	}
	_, err = b.client.UnlinkRichMenu(ctx, linesim.NewUserID())
	require.Equal(t, line.ClassRefused, line.ClassOf(err))
}
