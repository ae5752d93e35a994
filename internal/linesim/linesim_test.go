package linesim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	testChannel = "1656000001"
	testSecret  = "8c570fa6dd201bb328f1c1eac23a96d8"
	testToken   = "long-lived-token"
	alice       = "U0123456789abcdef0123456789abcdef"
	bob         = "Ufedcba9876543210fedcba9876543210"
)

// clock is a clock the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bot is a webhook server that keeps what it got.
type bot struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []webhookBody
	status func(n int) int // by delivery, counting from 1; nil is 200
	got    chan struct{}
}

type webhookBody struct {
	Raw         []byte
	Signature   string
	Destination string                       `json:"destination"`
	Events      []map[string]json.RawMessage `json:"events"`
}

func newBot(t *testing.T) *bot {
	t.Helper()
	b := &bot{got: make(chan struct{}, 10000)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		body := webhookBody{Raw: raw, Signature: r.Header.Get("X-Line-Signature")}
		if json.Unmarshal(raw, &body) != nil {
			body.Destination = ""
		}
		b.mu.Lock()
		b.bodies = append(b.bodies, body)
		status := http.StatusOK
		if b.status != nil {
			status = b.status(len(b.bodies))
		}
		b.mu.Unlock()
		w.WriteHeader(status)
		b.got <- struct{}{}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bot) answer(status func(n int) int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
}

func (b *bot) received() []webhookBody {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]webhookBody(nil), b.bodies...)
}

// eventIDs lists the received events in order of arrival.
func (b *bot) eventIDs(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, body := range b.received() {
		for _, e := range body.Events {
			ids = append(ids, str(t, e["webhookEventId"]))
		}
	}
	return ids
}

func str(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var s string
	require.NoError(t, json.Unmarshal(raw, &s))
	return s
}

type testBundle struct {
	*Simulator
	t     *testing.T
	ctx   context.Context
	clock *clock
	bot   *bot
	api   *httptest.Server
}

func setup(t *testing.T, change ...func(*Options)) *testBundle {
	t.Helper()
	b := &testBundle{t: t, ctx: t.Context(), clock: &clock{now: time.Date(2025, 6, 1, 3, 0, 0, 0, time.UTC)}, bot: newBot(t)}
	o := Options{Now: b.clock.Now}
	for _, c := range change {
		c(&o)
	}
	b.start(o)
	require.NoError(t, b.AddChannel(b.ctx, Channel{
		ID: testChannel, Secret: testSecret, AccessToken: testToken, DisplayName: "Sakura Store", ChatMode: "chat", WebhookURL: b.bot.URL, WebhookActive: true,
	}))
	require.NoError(t, b.AddUser(b.ctx, User{ID: alice, DisplayName: "Alice", Language: "en"}))
	require.NoError(t, b.AddUser(b.ctx, User{ID: bob, DisplayName: "ボブ", Language: "ja"}))
	return b
}

// start opens a simulator and serves it; a second call stands for a restart.
func (b *testBundle) start(o Options) {
	b.t.Helper()
	s, err := New(b.ctx, o)
	require.NoError(b.t, err)
	b.Simulator = s
	b.api = httptest.NewServer(s.Handler())
	api := b.api
	b.t.Cleanup(func() {
		api.Close()
		require.NoError(b.t, s.Close())
	})
}

func (b *testBundle) idle() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	require.NoError(b.t, b.WaitIdle(ctx))
}

func (b *testBundle) write(user, text string) Sent {
	b.t.Helper()
	sent, err := b.SendText(b.ctx, testChannel, user, text)
	require.NoError(b.t, err)
	return sent
}

// texts is what the phone shows, the customer's lines with "> " before them.
func (b *testBundle) texts(user string) []string {
	b.t.Helper()
	chat, err := b.Chat(b.ctx, testChannel, user)
	require.NoError(b.t, err)
	var out []string
	for _, m := range chat {
		prefix := ""
		if m.Direction == "customer" {
			prefix = "> "
		}
		out = append(out, prefix+m.Text())
	}
	return out
}

type response struct {
	Status int
	Header http.Header
	Body   []byte
}

func (r response) message(t *testing.T) string {
	t.Helper()
	var e apiError
	require.NoError(t, json.Unmarshal(r.Body, &e), "%s", r.Body)
	return e.Message
}

func (r response) sent(t *testing.T) []sentMessage {
	t.Helper()
	var e apiError
	require.NoError(t, json.Unmarshal(r.Body, &e), "%s", r.Body)
	return e.SentMessages
}

func (b *testBundle) try(method, path string, body any, header ...string) (response, error) {
	b.t.Helper()
	raw, isRaw := body.([]byte)
	if !isRaw && body != nil {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(b.t, err)
	}
	req, err := http.NewRequestWithContext(b.ctx, method, b.api.URL+path, bytes.NewReader(raw))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return response{}, err
	}
	got, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return response{res.StatusCode, res.Header, got}, nil
}

func (b *testBundle) call(method, path string, body any, header ...string) response {
	b.t.Helper()
	r, err := b.try(method, path, body, header...)
	require.NoError(b.t, err)
	return r
}

func text(s string) map[string]any { return map[string]any{"type": "text", "text": s} }

func (b *testBundle) reply(token string, texts ...string) response {
	b.t.Helper()
	return b.call("POST", "/v2/bot/message/reply", map[string]any{"replyToken": token, "messages": list(texts)})
}

func (b *testBundle) push(to, key string, texts ...string) response {
	b.t.Helper()
	var header []string
	if key != "" {
		header = []string{"X-Line-Retry-Key", key}
	}
	return b.call("POST", "/v2/bot/message/push", map[string]any{"to": to, "messages": list(texts)}, header...)
}

func list(texts []string) []any {
	out := []any{}
	for _, s := range texts {
		out = append(out, text(s))
	}
	return out
}

const key1 = "123e4567-e89b-12d3-a456-426614174000"

func TestEndpointsAreTheRoutes(t *testing.T) {
	t.Parallel()
	var names []string
	for _, ep := range endpoints {
		names = append(names, ep.name)
	}
	require.Equal(t, names, Endpoints())
}

func TestSignatureIsLINEsOwnVector(t *testing.T) {
	t.Parallel()
	require.Equal(t, "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=",
		Signature(testSecret, []byte(`{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}`)))
}

func TestACustomersMessageReachesTheWebhookSigned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.write(alice, "hello")
	b.idle()

	got := b.bot.received()
	require.Len(t, got, 1)
	require.Equal(t, Signature(testSecret, got[0].Raw), got[0].Signature)
	require.Equal(t, b.Channels()[0].BotUserID, got[0].Destination)
	e := got[0].Events[0]
	require.Equal(t, "message", str(t, e["type"]))
	require.Equal(t, sent.WebhookEventID, str(t, e["webhookEventId"]))
	require.Equal(t, sent.ReplyToken, str(t, e["replyToken"]))
	require.Len(t, sent.WebhookEventID, 26)
	require.JSONEq(t, `{"isRedelivery":false}`, string(e["deliveryContext"]))
	require.JSONEq(t, fmt.Sprintf(`{"type":"user","userId":%q}`, alice), string(e["source"]))
	var m map[string]any
	require.NoError(t, json.Unmarshal(e["message"], &m))
	require.Equal(t, "hello", m["text"])
	require.Equal(t, sent.MessageID, m["id"])
	require.NotEmpty(t, m["quoteToken"])
	require.NotEmpty(t, m["markAsReadToken"])
}

func TestEventsOfOneUserArriveInOrderWithRisingTimes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	var last int64
	for i := range 50 {
		sent := b.write(alice, fmt.Sprint(i))
		require.Greater(t, sent.Timestamp, last)
		last = sent.Timestamp
		want = append(want, sent.WebhookEventID)
	}
	b.idle()
	require.Equal(t, want, b.bot.eventIDs(t))
}

func TestAReplyTokenWorksOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.write(alice, "hello")
	first := b.reply(sent.ReplyToken, "one", "two")
	require.Equal(t, 200, first.Status, "%s", first.Body)
	require.NotEmpty(t, first.Header.Get("x-line-request-id"))
	receipts := first.sent(t)
	require.Len(t, receipts, 2)
	require.NotEmpty(t, receipts[0].QuoteToken)

	second := b.reply(sent.ReplyToken, "again")
	require.Equal(t, 400, second.Status)
	require.Equal(t, "Invalid reply token", second.message(t))
	require.Equal(t, []string{"> hello", "one", "two"}, b.texts(alice))

	chat, err := b.Chat(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.Equal(t, receipts[0].ID, chat[1].ID)
	require.Equal(t, "reply", chat[1].Via)
	require.Equal(t, first.Header.Get("x-line-request-id"), chat[1].RequestID)
}

func TestAReplyTokenExpiresAMinuteAfterReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fresh, late := b.write(alice, "a"), b.write(alice, "b")
	b.idle()
	b.clock.Advance(time.Minute)
	require.Equal(t, 200, b.reply(fresh.ReplyToken, "in time").Status)
	b.clock.Advance(time.Second)
	r := b.reply(late.ReplyToken, "too late")
	require.Equal(t, 400, r.Status)
	require.Equal(t, "Invalid reply token", r.message(t))
}

func TestARefusedReplyLeavesItsTokenUsable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.write(alice, "hello")
	require.Equal(t, 400, b.reply(sent.ReplyToken, "").Status)
	require.Equal(t, 200, b.reply(sent.ReplyToken, "ok").Status)
}

func TestRedeliveryRenewsAReplyTokenUpToTwentyMinutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.write(alice, "hello")
	b.idle()
	b.clock.Advance(5 * time.Minute)
	require.Equal(t, 400, b.reply(sent.ReplyToken, "late").Status)
	require.NoError(t, b.Redeliver(b.ctx, testChannel, sent.WebhookEventID))
	b.idle()
	again := b.bot.received()[1].Events[0]
	require.JSONEq(t, `{"isRedelivery":true}`, string(again["deliveryContext"]))
	require.Equal(t, sent.WebhookEventID, str(t, again["webhookEventId"]))
	require.Equal(t, fmt.Sprint(sent.Timestamp), string(again["timestamp"]))
	require.Equal(t, 200, b.reply(sent.ReplyToken, "in time").Status)
	require.NoError(t, b.Redeliver(b.ctx, testChannel, sent.WebhookEventID))
	b.idle()
	require.Equal(t, 400, b.reply(sent.ReplyToken, "used").Status)

	old := b.write(alice, "old")
	b.idle()
	b.clock.Advance(20*time.Minute + time.Second)
	require.NoError(t, b.Redeliver(b.ctx, testChannel, old.WebhookEventID))
	b.idle()
	require.Equal(t, 400, b.reply(old.ReplyToken, "past twenty minutes").Status)
}

func TestAnUnacceptedWebhookIsRedeliveredUntilA2xx(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.bot.answer(func(n int) int {
		if n < 3 {
			return 503
		}
		return 200
	})
	sent := b.write(alice, "hello")
	<-b.bot.got
	for range 2 {
		require.Eventually(t, func() bool {
			b.clock.Advance(time.Second)
			select {
			case <-b.bot.got:
				return true
			default:
				return false
			}
		}, 10*time.Second, time.Millisecond)
	}
	b.idle()
	d := b.Deliveries(DeliveryFilter{EventID: sent.WebhookEventID})
	require.Len(t, d, 3)
	require.Equal(t, []int{503, 503, 200}, []int{d[0].Status, d[1].Status, d[2].Status})
	require.Equal(t, []bool{false, true, true}, []bool{d[0].Redelivery, d[1].Redelivery, d[2].Redelivery})
	require.Equal(t, []int{1, 2, 3}, []int{d[0].Attempt, d[1].Attempt, d[2].Attempt})
}

func TestWithRedeliveryOffAFailedWebhookIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.SetRedelivery(b.ctx, testChannel, false))
	b.bot.answer(func(int) int { return 500 })
	b.write(alice, "hello")
	b.idle()
	require.Len(t, b.bot.received(), 1)
	st, err := b.State(b.ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"failed": 1}, st.Events)
}

func TestARetryKeyIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.push(alice, key1, "one")
	require.Equal(t, 200, first.Status, "%s", first.Body)
	again := b.push(alice, strings.ToUpper(key1), "one")
	require.Equal(t, 409, again.Status)
	require.Equal(t, first.Header.Get("x-line-request-id"), again.Header.Get("x-line-accepted-request-id"))
	require.NotEqual(t, first.Header.Get("x-line-request-id"), again.Header.Get("x-line-request-id"))
	require.Equal(t, first.sent(t), again.sent(t))

	other := b.push(alice, key1, "another text")
	require.Equal(t, 409, other.Status)
	calls := b.Calls(CallFilter{Endpoint: "push"})
	require.Equal(t, []bool{true, false, false}, []bool{calls[0].Accepted, calls[1].Accepted, calls[2].Accepted})
	require.False(t, calls[1].OtherBody)
	require.True(t, calls[2].OtherBody)
	require.Equal(t, []string{"one"}, b.texts(alice))

	b.clock.Advance(24*time.Hour + time.Second)
	require.Equal(t, 200, b.push(alice, key1, "a day later").Status)
}

func TestARetryKeyOnReplyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.write(alice, "hello")
	body := map[string]any{"replyToken": sent.ReplyToken, "messages": list([]string{"hi"})}
	require.Equal(t, 400, b.call("POST", "/v2/bot/message/reply", body, "X-Line-Retry-Key", key1).Status)
	require.Equal(t, 200, b.call("POST", "/v2/bot/message/reply", body).Status)
}

func TestAMalformedRetryKeyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, key := range []string{"1", "not-a-uuid", strings.ReplaceAll(key1, "-", ""), "{" + key1 + "}"} {
		require.Equal(t, 400, b.push(alice, key, "one").Status, key)
	}
	require.Empty(t, b.texts(alice))
}

func TestARefusedPushDoesNotSpendItsRetryKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, 400, b.push(alice, key1, "").Status)
	require.Equal(t, 200, b.push(alice, key1, "fixed").Status)
}

func TestTokensOfNobodyAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("GET", "/v2/bot/info", nil, "Authorization", "Bearer wrong")
	require.Equal(t, 401, r.Status)
	require.Contains(t, r.message(t), "Authentication failed")
	require.NotEmpty(t, r.Header.Get("x-line-request-id"))
	require.Equal(t, 401, b.call("GET", "/v2/bot/info", nil, "Authorization", "").Status)
}

func TestWhatIsNotSimulatedIsNotFoundAndRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("POST", "/v2/bot/richmenu/batch", map[string]any{})
	require.Equal(t, 404, r.Status)
	require.Equal(t, "Not found", r.message(t))
	require.Equal(t, "/v2/bot/richmenu/batch", b.Calls(CallFilter{Endpoint: "unknown"})[0].Path)
}

func TestAStatelessTokenLastsFifteenMinutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form := []byte("grant_type=client_credentials&client_id=" + testChannel + "&client_secret=" + testSecret)
	r := b.call("POST", "/oauth2/v3/token", form, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	require.Equal(t, 200, r.Status, "%s", r.Body)
	var issued struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	require.NoError(t, json.Unmarshal(r.Body, &issued))
	require.Equal(t, 899, issued.Expires)
	require.Equal(t, 200, b.call("GET", "/v2/bot/info", nil, "Authorization", "Bearer "+issued.Token).Status)
	b.clock.Advance(15*time.Minute + time.Second)
	require.Equal(t, 401, b.call("GET", "/v2/bot/info", nil, "Authorization", "Bearer "+issued.Token).Status)

	wrong := b.call("POST", "/oauth2/v3/token", []byte("grant_type=client_credentials&client_id="+testChannel+"&client_secret=no"))
	require.Equal(t, 400, wrong.Status)
}

func TestBlockedUsersGetNothingAndNobodyIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Unfollow(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.Equal(t, 404, b.call("GET", "/v2/bot/profile/"+alice, nil).Status)
	r := b.push(alice, "", "can you hear me")
	require.Equal(t, 200, r.Status)
	require.Len(t, r.sent(t), 1)
	require.Empty(t, b.texts(alice))
	used, err := b.Consumption(b.ctx, testChannel)
	require.NoError(t, err)
	require.Zero(t, used.Pushes)
	_, err = b.SendText(b.ctx, testChannel, alice, "hi")
	require.ErrorIs(t, err, ErrBlocked)

	back, err := b.Follow(b.ctx, testChannel, alice)
	require.NoError(t, err)
	b.idle()
	bodies := b.bot.received()
	require.JSONEq(t, `{"isUnblocked":true}`, string(bodies[1].Events[0]["follow"]))
	require.Equal(t, 200, b.reply(back.ReplyToken, "welcome back").Status)
	require.Equal(t, []string{"welcome back"}, b.texts(alice))
	require.Equal(t, 200, b.call("GET", "/v2/bot/profile/"+alice, nil).Status)
}

func TestPushToNobodyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.push("U"+strings.Repeat("0", 32), "", "hi")
	require.Equal(t, 400, r.Status)
	require.Equal(t, "Failed to send messages", r.message(t))
	r = b.push("somebody", "", "hi")
	require.Equal(t, "The property, 'to', in the request body is invalid (line: -, column: -)", r.message(t))
}

func TestRepliesAreFreeAndPushesCountUpToTheQuota(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.Quota = 2 }))
	require.Equal(t, 200, b.push(alice, "", "1", "two bubbles are one message").Status)
	require.Equal(t, 200, b.push(bob, "", "2").Status)
	r := b.push(alice, key1, "3")
	require.Equal(t, 429, r.Status)
	require.Equal(t, "You have reached your monthly limit.", r.message(t))
	sent := b.write(alice, "hello")
	require.Equal(t, 200, b.reply(sent.ReplyToken, "free").Status)
	require.JSONEq(t, `{"type":"limited","value":2}`, string(b.call("GET", "/v2/bot/message/quota", nil).Body))
	require.JSONEq(t, `{"totalUsage":2}`, string(b.call("GET", "/v2/bot/message/quota/consumption", nil).Body))

	b.clock.Advance(31 * 24 * time.Hour)
	require.Equal(t, 200, b.push(alice, key1, "a new month").Status)
}

func TestMulticastCountsEveryRecipient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call("POST", "/v2/bot/message/multicast", map[string]any{"to": []string{alice, bob, alice}, "messages": list([]string{"news"})}, "X-Line-Retry-Key", key1)
	require.Equal(t, 200, r.Status, "%s", r.Body)
	require.Equal(t, []string{"news"}, b.texts(alice))
	require.Equal(t, []string{"news"}, b.texts(bob))
	used, err := b.Consumption(b.ctx, testChannel)
	require.NoError(t, err)
	require.Equal(t, 2, used.Pushes)
}

func TestAboveTheRateLimitCallsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.RatePerSecond = 2 }))
	require.Equal(t, 200, b.push(alice, "", "1").Status)
	require.Equal(t, 200, b.push(alice, "", "2").Status)
	r := b.push(alice, "", "3")
	require.Equal(t, 429, r.Status)
	require.Equal(t, "The API rate limit has been exceeded. Try again later.", r.message(t))
	b.clock.Advance(time.Second)
	require.Equal(t, 200, b.push(alice, "", "3").Status)
}

func TestContentIsNotReadyAtFirstAndGoneAfterUnsend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent, err := b.Send(b.ctx, testChannel, alice, Message{Type: "video", Content: []byte("film"), DurationMS: 1500})
	require.NoError(t, err)
	path := "/v2/bot/message/" + sent.MessageID + "/content"
	require.Equal(t, 202, b.call("GET", path, nil).Status)
	require.JSONEq(t, `{"status":"processing"}`, string(b.call("GET", path+"/transcoding", nil).Body))
	require.JSONEq(t, `{"status":"succeeded"}`, string(b.call("GET", path+"/transcoding", nil).Body))
	r := b.call("GET", path, nil)
	require.Equal(t, 200, r.Status)
	require.Equal(t, "film", string(r.Body))
	require.Equal(t, "video/mp4", r.Header.Get("Content-Type"))
	require.Equal(t, "image/jpeg", b.call("GET", path+"/preview", nil).Header.Get("Content-Type"))

	_, err = b.Unsend(b.ctx, testChannel, alice, sent.MessageID)
	require.NoError(t, err)
	require.Equal(t, 410, b.call("GET", path, nil).Status)
	require.Equal(t, 404, b.call("GET", "/v2/bot/message/1/content", nil).Status)
	chat, err := b.Chat(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.True(t, chat[0].Unsent)
	require.JSONEq(t, `{}`, string(chat[0].Body))
	b.idle()
	require.JSONEq(t, fmt.Sprintf(`{"messageId":%q}`, sent.MessageID), string(b.bot.received()[1].Events[0]["unsend"]))
}

func TestAFailedTranscodingSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	none := 0
	sent, err := b.Send(b.ctx, testChannel, alice, Message{Type: "audio", Content: []byte("x"), NotReady: &none, TranscodingFails: true})
	require.NoError(t, err)
	path := "/v2/bot/message/" + sent.MessageID + "/content"
	require.JSONEq(t, `{"status":"failed"}`, string(b.call("GET", path+"/transcoding", nil).Body))
	require.Equal(t, 404, b.call("GET", path, nil).Status)
}

func TestMarkingAsReadReadsEverythingBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write(alice, "one")
	b.write(alice, "two")
	b.idle()
	var m struct {
		Token string `json:"markAsReadToken"`
	}
	require.NoError(t, json.Unmarshal(b.bot.received()[1].Events[0]["message"], &m))
	require.Equal(t, 200, b.call("POST", "/v2/bot/chat/markAsRead", map[string]any{"markAsReadToken": m.Token}).Status)
	require.Equal(t, 400, b.call("POST", "/v2/bot/chat/markAsRead", map[string]any{"markAsReadToken": "x"}).Status)
	chat, err := b.Chat(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.True(t, chat[0].Read)
	require.True(t, chat[1].Read)
}

func TestWhileChatIsOffMessagesAreReadAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for mode, read := range map[string]bool{"bot": true, "chat": false} {
		require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.ChatMode = mode }))
		b.write(alice, mode)
		b.idle()
		chat, err := b.Chat(b.ctx, testChannel, alice)
		require.NoError(t, err)
		require.Equal(t, read, chat[len(chat)-1].Read, mode)
	}
}

func TestLoadingTakesFiveToSixtySecondsInFives(t *testing.T) {
	t.Parallel()
	b := setup(t)
	start := func(seconds any) int {
		return b.call("POST", "/v2/bot/chat/loading/start", map[string]any{"chatId": alice, "loadingSeconds": seconds}).Status
	}
	require.Equal(t, 202, start(5))
	require.Equal(t, 202, start(60))
	require.Equal(t, 202, start(nil))
	require.Equal(t, 400, start(4))
	require.Equal(t, 400, start(7))
	require.Equal(t, 400, start(65))
	require.Equal(t, 400, b.call("POST", "/v2/bot/chat/loading/start", map[string]any{"chatId": "nobody"}).Status)
	require.Equal(t, 400, b.call("POST", "/v2/bot/chat/loading/start", map[string]any{"chatId": "C" + alice[1:]}).Status)
}

func TestTheWebhookCanBeSetAndTested(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := func(u string) int {
		return b.call("PUT", "/v2/bot/channel/webhook/endpoint", map[string]any{"endpoint": u}).Status
	}
	require.Equal(t, 400, set("http://example.com/hook"), "plain http beyond this machine")
	require.Equal(t, 400, set("https://example.com/"+strings.Repeat("x", 500)))
	require.Equal(t, 200, set(b.bot.URL+"/hook"))
	require.JSONEq(t, fmt.Sprintf(`{"endpoint":%q,"active":true}`, b.bot.URL+"/hook"), string(b.call("GET", "/v2/bot/channel/webhook/endpoint", nil).Body))

	var result struct {
		Success    bool   `json:"success"`
		StatusCode int    `json:"statusCode"`
		Reason     string `json:"reason"`
	}
	test := func(body any) {
		r := b.call("POST", "/v2/bot/channel/webhook/test", body)
		require.Equal(t, 200, r.Status, "%s", r.Body)
		require.NoError(t, json.Unmarshal(r.Body, &result))
	}
	test(nil)
	require.True(t, result.Success)
	require.Equal(t, 200, result.StatusCode)
	ping := b.bot.received()[0]
	require.Empty(t, ping.Events)
	require.Equal(t, Signature(testSecret, ping.Raw), ping.Signature)

	b.bot.answer(func(int) int { return 401 })
	test(map[string]any{})
	require.False(t, result.Success)
	require.Equal(t, 401, result.StatusCode)
	require.Equal(t, "ERROR_STATUS_CODE", result.Reason)
	test(map[string]any{"endpoint": "http://127.0.0.1:1/"})
	require.Equal(t, "COULD_NOT_CONNECT", result.Reason)
	require.Zero(t, result.StatusCode)
}

func TestWithTheWebhookOffEventsAreLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.WebhookActive = false }))
	b.write(alice, "hello")
	b.idle()
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.WebhookActive = true }))
	b.write(alice, "anybody?")
	b.idle()
	require.Len(t, b.bot.received(), 1)
}

func TestALinkTokenLinksOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var issued struct {
		Token string `json:"linkToken"`
	}
	require.NoError(t, json.Unmarshal(b.call("POST", "/v2/bot/user/"+alice+"/linkToken", nil).Body, &issued))
	path := "/dialog/bot/accountLink?nonce=0123456789abcdef&linkToken=" + issued.Token
	require.Equal(t, 200, b.call("GET", path, nil).Status)
	require.Equal(t, 400, b.call("GET", path, nil).Status)
	b.idle()
	require.JSONEq(t, `{"result":"ok","nonce":"0123456789abcdef"}`, string(b.bot.received()[0].Events[0]["link"]))
}

func TestOnlyFriendsLinkTheirAccounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, 404, b.call("POST", "/v2/bot/user/U"+strings.Repeat("0", 32)+"/linkToken", nil).Status, "nobody")
	var issued struct {
		Token string `json:"linkToken"`
	}
	require.NoError(t, json.Unmarshal(b.call("POST", "/v2/bot/user/"+alice+"/linkToken", nil).Body, &issued))
	_, err := b.Unfollow(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.Equal(t, 404, b.call("POST", "/v2/bot/user/"+alice+"/linkToken", nil).Status, "who blocks the account")
	require.Equal(t, 403, b.call("GET", "/dialog/bot/accountLink?nonce=0123456789abcdef&linkToken="+issued.Token, nil).Status)
	require.Equal(t, 400, b.call("GET", "/dialog/bot/accountLink?nonce=short&linkToken="+issued.Token, nil).Status)
	b.idle()
	last := b.bot.received()[len(b.bot.received())-1].Events[0]
	require.JSONEq(t, `{"result":"failed","nonce":"0123456789abcdef"}`, string(last["link"]))
	require.NotContains(t, last, "source")
	require.NotContains(t, last, "replyToken")
}

func TestALinkTokenIsGoodForTenMinutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var issued struct {
		Token string `json:"linkToken"`
	}
	require.NoError(t, json.Unmarshal(b.call("POST", "/v2/bot/user/"+alice+"/linkToken", nil).Body, &issued))
	b.clock.Advance(linkTokenLife + time.Second)
	require.Equal(t, 400, b.call("GET", "/dialog/bot/accountLink?nonce=0123456789abcdef&linkToken="+issued.Token, nil).Status)
}

func TestGroupsHaveMembersAndTakePushes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	group := "C" + strings.Repeat("a", 32)
	_, err := b.Send(b.ctx, testChannel, alice, Message{Type: "text", Text: "hello all", GroupID: group})
	require.NoError(t, err)
	b.idle()
	require.JSONEq(t, fmt.Sprintf(`{"type":"group","groupId":%q,"userId":%q}`, group, alice), string(b.bot.received()[0].Events[0]["source"]))
	require.Equal(t, 200, b.call("GET", "/v2/bot/group/"+group+"/member/"+alice, nil).Status)
	require.Equal(t, 404, b.call("GET", "/v2/bot/group/"+group+"/member/"+bob, nil).Status)
	require.Equal(t, 200, b.push(group, "", "hello group").Status)
	require.Equal(t, []string{"> hello all", "hello group"}, b.texts(group))
}

func TestRawEventsAreCompletedAndDelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent, err := b.Raw(b.ctx, testChannel, json.RawMessage(`{"type":"beacon","beacon":{"hwid":"d41d8cd98f","type":"enter"},"source":{"type":"user","userId":"`+alice+`"},"brandNew":[1]}`))
	require.NoError(t, err)
	b.idle()
	e := b.bot.received()[0].Events[0]
	require.JSONEq(t, `[1]`, string(e["brandNew"]))
	require.Equal(t, sent.ReplyToken, str(t, e["replyToken"]))
	require.Equal(t, 200, b.reply(sent.ReplyToken, "welcome to the shop").Status)
	_, err = b.Raw(b.ctx, testChannel, json.RawMessage(`[]`))
	require.Error(t, err)
	d, err := b.PostRaw(b.ctx, testChannel, []byte(`{"destination":`))
	require.NoError(t, err)
	require.Equal(t, 200, d.Status)
}

func TestARestartRemembersEverything(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "line.db")
	var o Options
	b := setup(t, func(opts *Options) {
		opts.Path = file
		o = *opts
	})
	used, open := b.write(alice, "one"), b.write(alice, "two")
	b.idle()
	require.Equal(t, 200, b.reply(used.ReplyToken, "answer").Status)
	pushed := b.push(alice, key1, "pushed")
	require.Equal(t, 200, pushed.Status)
	_, err := b.Unfollow(b.ctx, testChannel, bob)
	require.NoError(t, err)
	picture, err := b.Send(b.ctx, testChannel, alice, Message{Type: "image", Content: []byte("\x89PNG\r\n\x1a\n")})
	require.NoError(t, err)
	b.idle()
	b.bot.answer(func(int) int { return 503 })
	undelivered := b.write(alice, "three")
	require.Eventually(t, func() bool { return len(b.Deliveries(DeliveryFilter{EventID: undelivered.WebhookEventID})) == 1 }, 10*time.Second, time.Millisecond)
	b.Hold(testChannel)
	held := b.write(alice, "four")

	b.api.Close()
	require.NoError(t, b.Simulator.Close())
	before := len(b.bot.received())
	b.bot.answer(nil)
	s, err := New(b.ctx, o)
	require.NoError(t, err)
	b.Simulator = s
	b.api = httptest.NewServer(s.Handler())
	t.Cleanup(b.api.Close)
	t.Cleanup(func() { _ = s.Close() })
	b.clock.Advance(2 * time.Second)
	b.idle()

	require.Equal(t, []string{"> one", "> two", "answer", "pushed", "> ", "> three", "> four"}, b.texts(alice))
	require.Equal(t, 400, b.reply(used.ReplyToken, "again").Status)
	require.Equal(t, 200, b.reply(open.ReplyToken, "first").Status)
	again := b.push(alice, key1, "pushed")
	require.Equal(t, 409, again.Status)
	require.Equal(t, pushed.sent(t), again.sent(t))
	require.Equal(t, pushed.Header.Get("x-line-request-id"), again.Header.Get("x-line-accepted-request-id"))
	require.Equal(t, 404, b.call("GET", "/v2/bot/profile/"+bob, nil).Status)
	require.Equal(t, 200, b.call("GET", "/v2/bot/message/"+picture.MessageID+"/content", nil).Status)
	require.JSONEq(t, `{"totalUsage":1}`, string(b.call("GET", "/v2/bot/message/quota/consumption", nil).Body))

	late := map[string]bool{}
	for _, body := range b.bot.received()[before:] {
		for _, e := range body.Events {
			late[str(t, e["webhookEventId"])] = strings.Contains(string(e["deliveryContext"]), "true")
		}
	}
	require.Equal(t, map[string]bool{undelivered.WebhookEventID: true, held.WebhookEventID: false}, late)
}
