package line

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	testToken = "secret-channel-access-token"
	testKey   = "123e4567-e89b-12d3-a456-426614174000"
)

// testBundle is a client and the server that plays LINE for it.
type testBundle struct {
	*Client
	api  *API
	mu   sync.Mutex
	seen []seenRequest
}

type seenRequest struct {
	method, path string
	header       http.Header
	body         string
}

func (b *testBundle) last(t *testing.T) seenRequest {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.seen)
	return b.seen[len(b.seen)-1]
}

// setup starts a LINE that answers every request with answer.
func setup(t *testing.T, answer http.HandlerFunc) *testBundle {
	t.Helper()
	b := &testBundle{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		b.mu.Lock()
		b.seen = append(b.seen, seenRequest{r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body)})
		w.Header().Set("X-Line-Request-Id", fmt.Sprintf("req-%d", len(b.seen)))
		b.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	b.api = New(Config{APIURL: s.URL + "/", DataAPIURL: s.URL})
	b.Client = b.api.As(testToken)
	t.Cleanup(b.api.calls.CloseIdleConnections)
	return b
}

func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func hello() []json.RawMessage {
	return []json.RawMessage{json.RawMessage(`{"type":"text","text":"hello"}`)}
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestWhatIsWrongAnywayIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("was sent") })
	ctx := t.Context()
	six := append(hello(), append(append(hello(), hello()...), append(hello(), append(hello(), hello()...)...)...)...)
	big := []json.RawMessage{json.RawMessage(`{"type":"text","text":"` + strings.Repeat("x", maxRequest) + `"}`)}
	for name, call := range map[string]func() error{
		"reply without token":     func() error { _, err := b.Reply(ctx, "", hello()); return err },
		"reply with a line break": func() error { _, err := b.Reply(ctx, "a\nb", hello()); return err },
		"reply of nothing":        func() error { _, err := b.Reply(ctx, "token", nil); return err },
		"reply of six":            func() error { _, err := b.Reply(ctx, "token", six); return err },
		"reply of no JSON":        func() error { _, err := b.Reply(ctx, "token", []json.RawMessage{[]byte(`{`)}); return err },
		"reply of two in one":     func() error { _, err := b.Reply(ctx, "token", []json.RawMessage{[]byte(`{},{}`)}); return err },
		"reply of a list":         func() error { _, err := b.Reply(ctx, "token", []json.RawMessage{[]byte(`[]`)}); return err },
		"reply too large":         func() error { _, err := b.Reply(ctx, "token", big); return err },
		"push to nobody":          func() error { _, err := b.Push(ctx, "U1", testKey, hello()); return err },
		"push without key":        func() error { _, err := b.Push(ctx, testUser, "", hello()); return err },
		"push with another key":   func() error { _, err := b.Push(ctx, testUser, "bat_1", hello()); return err },
		"profile of a path":       func() error { _, err := b.Profile(ctx, "../info"); return err },
		"profile of a group":      func() error { _, err := b.Profile(ctx, testGroup); return err },
		"member of a user":        func() error { _, err := b.MemberProfile(ctx, testUser, testUser); return err },
		"count of a user":         func() error { _, err := b.CountMembers(ctx, testUser); return err },
		"member that is a path":   func() error { _, err := b.MemberProfile(ctx, testGroup, "x/y"); return err },
		"content of a path":       func() error { _, err := b.Content(ctx, "1/../2"); return err },
		"preview of nothing":      func() error { _, err := b.Preview(ctx, ""); return err },
		"transcoding of a word":   func() error { _, err := b.Transcoding(ctx, "one"); return err },
		"loading in a group":      func() error { _, err := b.StartLoading(ctx, testGroup, 5); return err },
		"reading without token":   func() error { _, err := b.MarkAsRead(ctx, ""); return err },
		"link token for nobody":   func() error { _, err := b.IssueLinkToken(ctx, ""); return err },
		"webhook without TLS":     func() error { _, err := b.SetWebhookEndpoint(ctx, "http://example.com/"); return err },
		"webhook too long": func() error {
			_, err := b.SetWebhookEndpoint(ctx, "https://example.com/"+strings.Repeat("x", 500))
			return err
		},
		"test of no URL":            func() error { _, err := b.TestWebhook(ctx, "nowhere"); return err },
		"token without secret":      func() error { _, err := b.api.IssueStatelessToken(ctx, "1", ""); return err },
		"an address that is no URL": func() error { _, err := New(Config{APIURL: ":"}).As("t").Reply(ctx, "token", hello()); return err },
		"likewise, with the SDK":    func() error { _, err := New(Config{APIURL: ":"}).As("t").BotInfo(ctx); return err },
	} {
		e := asError(t, call())
		require.Equal(t, ClassRefused, e.Class, name)
		require.False(t, e.Ambiguous() || e.Retryable(), name)
		require.NotEmpty(t, e.Message, name)
	}
	for _, token := range []string{"", "a b", "a\nb", "会話"} {
		c := b.api.As(token)
		_, err := c.Reply(ctx, "token", hello())
		require.Equal(t, ClassUnauthorized, ClassOf(err))
		require.False(t, asError(t, err).Ambiguous())
		_, err = c.BotInfo(ctx)
		require.Equal(t, ClassUnauthorized, ClassOf(err))
		_, err = c.Content(ctx, "1")
		require.Equal(t, ClassUnauthorized, ClassOf(err))
		_, err = c.Transcoding(ctx, "1")
		require.Equal(t, ClassUnauthorized, ClassOf(err))
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, ok := map[string]string{
			"GET /v2/bot/profile/" + testUser:                        `{"displayName":"Haruka\u0000","userId":"` + testUser + `","language":"ja","pictureUrl":"https://p.example.com/1","statusMessage":"hi","new":1}`,
			"GET /v2/bot/group/" + testGroup + "/member/" + testUser: `{"displayName":"Haruka","userId":"` + testUser + `"}`,
			"GET /v2/bot/room/" + testRoom + "/member/" + testUser:   `{"displayName":"Haruka","userId":"` + testUser + `"}`,
			"GET /v2/bot/info":                             `{"userId":"` + testUser + `","basicId":"@216ru","displayName":"Shop","chatMode":"bot","markAsReadMode":"auto"}`,
			"GET /v2/bot/channel/webhook/endpoint":         `{"endpoint":"https://example.com/hook","active":true}`,
			"PUT /v2/bot/channel/webhook/endpoint":         `{}`,
			"POST /v2/bot/channel/webhook/test":            `{"success":false,"timestamp":"2026-11-22T05:38:20.031Z","statusCode":404,"reason":"ERROR_STATUS_CODE","detail":"404"}`,
			"POST /v2/bot/user/" + testUser + "/linkToken": `{"linkToken":"NMZTNuVrPTqlr2IF8Bnymkb7rXfYv5EY"}`,
			"POST /v2/bot/chat/markAsRead":                 `{}`,
			"POST /v2/bot/chat/loading/start":              ``,
			"GET /v2/bot/message/17/content/transcoding":   `{"status":"processing"}`,
			"POST /oauth2/v3/token":                        `{"token_type":"Bearer","access_token":"ey.short.lived","expires_in":900}`,
		}[r.Method+" "+r.URL.Path]
		if !ok {
			t.Errorf("unexpected %s %s", r.Method, r.URL)
		}
		if strings.HasSuffix(r.URL.Path, "loading/start") {
			w.WriteHeader(202)
		}
		_, _ = io.WriteString(w, body)
	})
	ctx := t.Context()

	p, err := b.Profile(ctx, testUser)
	require.NoError(t, err)
	require.Equal(t, Profile{RequestID: "req-1", UserID: testUser, DisplayName: "Haruka", PictureURL: "https://p.example.com/1", StatusMessage: "hi", Language: "ja"}, p)
	require.Equal(t, "Bearer "+testToken, b.last(t).header.Get("Authorization"))

	for i, chat := range []string{testGroup, testRoom} {
		p, err = b.MemberProfile(ctx, chat, testUser)
		require.NoError(t, err)
		require.Equal(t, Profile{RequestID: fmt.Sprintf("req-%d", i+2), UserID: testUser, DisplayName: "Haruka"}, p)
	}

	info, err := b.BotInfo(ctx)
	require.NoError(t, err)
	require.Equal(t, BotInfo{RequestID: "req-4", UserID: testUser, BasicID: "@216ru", DisplayName: "Shop", ChatMode: "bot", MarkAsRead: "auto"}, info)

	hook, err := b.WebhookEndpoint(ctx)
	require.NoError(t, err)
	require.Equal(t, WebhookEndpoint{RequestID: "req-5", URL: "https://example.com/hook", Active: true}, hook)

	id, err := b.SetWebhookEndpoint(ctx, "https://example.com/hook?a=1&b=2")
	require.NoError(t, err)
	require.Equal(t, "req-6", id)
	require.JSONEq(t, `{"endpoint":"https://example.com/hook?a=1&b=2"}`, b.last(t).body)

	test, err := b.TestWebhook(ctx, "")
	require.NoError(t, err)
	require.Equal(t, WebhookTest{RequestID: "req-7", Timestamp: time.Date(2026, 11, 22, 5, 38, 20, 31e6, time.UTC), StatusCode: 404, Reason: "ERROR_STATUS_CODE", Detail: "404"}, test)

	link, err := b.IssueLinkToken(ctx, testUser)
	require.NoError(t, err)
	require.Equal(t, LinkToken{RequestID: "req-8", Token: "NMZTNuVrPTqlr2IF8Bnymkb7rXfYv5EY"}, link)

	id, err = b.MarkAsRead(ctx, "nz0x74mZT2mRn")
	require.NoError(t, err)
	require.Equal(t, "req-9", id)
	require.JSONEq(t, `{"markAsReadToken":"nz0x74mZT2mRn"}`, b.last(t).body)

	for given, want := range map[int]int{-1: 5, 0: 5, 5: 5, 6: 10, 10: 10, 59: 60, 600: 60} {
		_, err = b.StartLoading(ctx, testUser, given)
		require.NoError(t, err, "202 without a body is a success")
		require.JSONEq(t, fmt.Sprintf(`{"chatId":"%s","loadingSeconds":%d}`, testUser, want), b.last(t).body)
	}

	tr, err := b.Transcoding(ctx, "17")
	require.NoError(t, err)
	require.Equal(t, TranscodingProcessing, tr.Status)

	token, err := b.api.IssueStatelessToken(ctx, "1234567890", "s&cret")
	require.NoError(t, err)
	require.Equal(t, "ey.short.lived", token.Token)
	require.Equal(t, 15*time.Minute, token.ExpiresIn)
	require.Equal(t, "client_id=1234567890&client_secret=s%26cret&grant_type=client_credentials", b.last(t).body)
	require.Empty(t, b.last(t).header.Get("Authorization"))
}

func TestAnAnswerThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", `[]`, strings.Repeat(" ", maxAnswer) + `{}`} {
		b := setup(t, say(200, body))
		_, err := b.Profile(t.Context(), testUser)
		e := asError(t, err)
		require.Equal(t, ClassServer, e.Class)
		require.Equal(t, "req-1", e.RequestID)
		require.NotContains(t, err.Error(), "html")
	}
}

func TestAContextThatEndsSpoilsNoOtherCall(t *testing.T) {
	t.Parallel()
	b := setup(t, say(200, `{"userId":"`+testUser+`","displayName":"x"}`))
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Profile(dead, testUser)
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Profile(t.Context(), testUser)
	require.NoError(t, err)
}

func TestChannelsShareAnAPIButNotTheirTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"displayName":%q}`, r.Header.Get("Authorization"))
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			token := fmt.Sprintf("token-%d", i)
			p, err := b.api.As(token).Profile(t.Context(), testUser)
			if err != nil || p.DisplayName != "Bearer "+token {
				t.Errorf("%s: %q, %v", token, p.DisplayName, err)
			}
		})
	}
	wg.Wait()
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was followed") }))
	t.Cleanup(elsewhere.Close)
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := b.Push(t.Context(), testUser, testKey, hello())
	require.Equal(t, ClassRefused, ClassOf(err))
	_, err = b.BotInfo(t.Context())
	require.Equal(t, ClassRefused, ClassOf(err))
	_, err = b.Content(t.Context(), "1")
	require.Equal(t, ClassRefused, ClassOf(err))
}

func TestTheDefaultsAreLINEsHostsAndBounded(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	require.Equal(t, "https://api.line.me", a.apiURL)
	require.Equal(t, "https://api-data.line.me", a.dataURL)
	require.Equal(t, 10*time.Second, a.calls.Timeout)
	require.Zero(t, a.downloads.Timeout)
	require.Equal(t, 10*time.Second, a.downloads.Transport.(*http.Transport).ResponseHeaderTimeout)

	own := &http.Client{Timeout: time.Second}
	New(Config{HTTPClient: own})
	require.Nil(t, own.CheckRedirect, "the caller's client is left as it is")
}
