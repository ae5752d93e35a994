package bot

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/netguard"
)

var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

func webhookTo(t *testing.T, handler http.HandlerFunc) *Webhook {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w, err := NewWebhook(WebhookConfig{URL: server.URL + "/bot?key=private", Secret: secret, HTTPClient: server.Client()})
	require.NoError(t, err)
	return w
}

func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

func TestATurnIsPostedSignedAndAnswered(t *testing.T) {
	t.Parallel()
	turn := Turn{
		ConversationID: "cnv_1", TurnID: "trn_1", Epoch: 7, Locale: "ja",
		Customer: Customer{ID: "prf_1", Name: "花子", Language: "ja"},
		Context:  map[string]string{"order": "1"},
		Messages: []Message{{ID: "msg_1", Direction: conversation.Inbound, Type: "text", Text: "こんにちは"}},
		First:    true,
	}
	type request struct {
		method, body string
		header       http.Header
	}
	got := make(chan request, 1)
	w := webhookTo(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Method, string(body), r.Header}
		answering(`{
			"messages": [
				{"type": "text", "text": "いらっしゃいませ"},
				{"type": "image", "url": "https://example.com/a.png"},
				{"type": "quick_replies", "text": "どうぞ", "quick_replies": [{"label": "はい", "text": "はい"}, {"label": "web", "uri": "https://example.com"}]},
				{"type": "flex", "alt_text": "x", "contents": {"type": "bubble"}, "new_field": 1}
			],
			"context": {"order": null, "count": 3, "name": "花子"},
			"action": "handoff",
			"handoff": {"summary": "s", "queue_id": "que_1", "skills": ["thai", {"name": "billing", "level": 5}]},
			"new_field": {"a": []}
		}`)(w, r)
	})

	reply, err := w.Answer(context.Background(), turn)
	require.NoError(t, err)

	sent := <-got
	require.Equal(t, http.MethodPost, sent.method)
	require.JSONEq(t, `{"conversation_id": "cnv_1", "turn_id": "trn_1", "epoch": 7, "locale": "ja", "first": true,
		"customer": {"id": "prf_1", "name": "花子", "language": "ja"}, "context": {"order": "1"},
		"messages": [{"id": "msg_1", "direction": "inbound", "type": "text", "text": "こんにちは"}]}`, sent.body)
	require.Equal(t, "application/json", sent.header.Get("Content-Type"))
	require.Equal(t, "trn_1", sent.header.Get("webhook-id"))
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify([]byte(sent.body), sent.header))

	require.Equal(t, Reply{
		Messages: []conversation.Content{
			conversation.TextContent("いらっしゃいませ"),
			{Type: "image", URL: "https://example.com/a.png", PreviewURL: "https://example.com/a.png"},
			{Type: "quick_replies", Text: "どうぞ", QuickReplies: []conversation.QuickReply{{Label: "はい", Text: "はい"}, {Label: "web", URI: "https://example.com"}}},
			{Type: "flex", AltText: "x", Contents: json.RawMessage(`{"type":"bubble"}`)},
		},
		Context:    map[string]string{"order": "", "count": "3", "name": "花子"},
		Action:     ActionHandoff,
		Handoff:    &Handoff{Summary: "s", QueueID: "que_1", Skills: []Skill{{"thai", 1}, {"billing", 5}}},
		Understood: true,
	}, reply)
}

func TestABotNeedSayNothing(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"204":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"empty object": answering(`{}`),
		"nulls":        answering(`{"messages": null, "context": null, "action": null, "handoff": null}`),
		"no handoff":   answering(`{"action": "continue", "handoff": {}}`),
	} {
		reply, err := webhookTo(t, handler).Answer(context.Background(), Turn{TurnID: "trn_1"})
		require.NoError(t, err, name)
		require.Empty(t, reply.Messages)
		require.Equal(t, ActionContinue, reply.Action, name)
		require.Nil(t, reply.Handoff)
		require.True(t, reply.Understood)
	}
}

func TestABotMaySayItDidNotUnderstand(t *testing.T) {
	t.Parallel()
	reply, err := webhookTo(t, answering(`{"messages": [{"type": "text", "text": "?"}], "understood": false}`)).Answer(context.Background(), Turn{TurnID: "trn_1"})
	require.NoError(t, err)
	require.False(t, reply.Understood)
}

func TestAnUnusableAnswerIsATypedFailure(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    Error
	}{
		{"500", status(500), Error{Failure: FailureStatus, Status: 500}},
		{"404", status(404), Error{Failure: FailureStatus, Status: 404}},
		{"201", status(201), Error{Failure: FailureStatus, Status: 201}},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		}, Error{Failure: FailureRedirected, Status: 307}},
		{"2 MB", answering(`{"messages": [{"type": "text", "text": "` + strings.Repeat("x", 2<<20) + `"}]}`), Error{Failure: FailureTooLarge}},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "{}")
		}, Error{Failure: FailureContentType}},
		{"no content type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "{}")
		}, Error{Failure: FailureContentType}},
		{"garbage", answering("\x00\x01garbage"), Error{Failure: FailureMalformed}},
		{"empty body", answering(""), Error{Failure: FailureMalformed}},
		{"cut off", answering(`{"messages": [`), Error{Failure: FailureMalformed}},
		{"trailing data", answering(`{} {}`), Error{Failure: FailureMalformed}},
		{"invalid UTF-8", answering("{\"messages\": [{\"type\": \"text\", \"text\": \"\xff\"}]}"), Error{Failure: FailureMalformed}},
		{"deep nesting", answering(`{"x": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), Error{Failure: FailureMalformed}},
		{"connection broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"messages"`)
			panic(http.ErrAbortHandler)
		}, Error{Failure: FailureUnreachable}},
		{"null", answering(`null`), Error{Failure: FailureInvalidAnswer, Pointer: ""}},
		{"array", answering(`[]`), Error{Failure: FailureInvalidAnswer, Pointer: ""}},
		{"messages as object", answering(`{"messages": {}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/messages"}},
		{"21 messages", answering(`{"messages": [` + strings.Repeat(`{"type":"text","text":"x"},`, 20) + `{"type":"text","text":"x"}]}`), Error{Failure: FailureInvalidAnswer, Pointer: "/messages"}},
		{"NUL in a field it does not know", answering(`{"x": {"a\u0000": 1}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/x/a\uFFFD"}},
		{"unknown action", answering(`{"action": "dance"}`), Error{Failure: FailureInvalidAnswer, Pointer: "/action"}},
		{"action as number", answering(`{"action": 1}`), Error{Failure: FailureInvalidAnswer, Pointer: "/action"}},
		{"handoff without its action", answering(`{"handoff": {"summary": "help"}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/handoff"}},
		{"handoff as text", answering(`{"action": "handoff", "handoff": "help"}`), Error{Failure: FailureInvalidAnswer, Pointer: "/handoff"}},
		{"no queue", answering(`{"action": "handoff", "handoff": {"queue_id": "sales"}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/handoff/queue_id"}},
		{"skill level", answering(`{"action": "handoff", "handoff": {"skills": [{"name": "thai", "level": 11}]}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/handoff/skills/0/level"}},
		{"variable as list", answering(`{"context": {"a/b": []}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/context/a~1b"}},
		{"variable too long", answering(`{"context": {"a": "` + strings.Repeat("x", 4001) + `"}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/context/a"}},
		{"name too long", answering(`{"context": {"` + strings.Repeat("x", 101) + `": ""}}`), Error{Failure: FailureInvalidAnswer, Pointer: "/context/" + strings.Repeat("x", 100) + "…"}},
		{"understood as text", answering(`{"understood": "yes"}`), Error{Failure: FailureInvalidAnswer, Pointer: "/understood"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := webhookTo(t, c.handler).Answer(context.Background(), Turn{TurnID: "trn_1"})
			var failure *Error
			require.ErrorAs(t, err, &failure)
			require.Equal(t, c.want.Failure, failure.Failure)
			require.Equal(t, c.want.Failure, FailureOf(err))
			require.Equal(t, c.want.Status, failure.Status)
			require.Equal(t, c.want.Pointer, failure.Pointer)
			require.NotContains(t, err.Error(), "private", "an address may hold a key")
			require.NotContains(t, err.Error(), "127.0.0.1")
		})
	}
}

// One message that is wrong spoils neither the others nor what else the answer
// says.
func TestAMessageThatIsWrongIsToldFromTheOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, message, pointer string }{
		{"text as number", `{"type": "text", "text": 5}`, "/messages/1/text"},
		{"message as text", `"hi"`, "/messages/1"},
		{"unknown type", `{"type": "hologram"}`, "/messages/1/type"},
		{"no type", `{"text": "x"}`, "/messages/1/type"},
		{"blank text", `{"type": "text", "text": " "}`, "/messages/1/text"},
		{"long text", `{"type": "text", "text": "` + strings.Repeat("x", 20_001) + `"}`, "/messages/1/text"},
		{"NUL", `{"type": "text", "text": "a\u0000b"}`, "/messages/1/text"},
		{"image without address", `{"type": "image"}`, "/messages/1/url"},
		{"image by http", `{"type": "image", "url": "http://example.com/a.png"}`, "/messages/1/url"},
		{"14 quick replies", `{"type": "quick_replies", "text": "x", "quick_replies": [` + strings.Repeat(`{"label":"a","text":"b"},`, 13) + `{"label":"a","text":"b"}]}`, "/messages/1/quick_replies"},
		{"long label", `{"type": "quick_replies", "text": "x", "quick_replies": [{"label": "123456789012345678901", "text": "b"}]}`, "/messages/1/quick_replies/0/label"},
		{"button without action", `{"type": "quick_replies", "text": "x", "quick_replies": [{"label": "a"}]}`, "/messages/1/quick_replies/0"},
		{"flex without contents", `{"type": "flex", "alt_text": "x"}`, "/messages/1/contents"},
		{"location without place", `{"type": "location", "title": "x", "address": "y", "latitude": 1}`, "/messages/1/longitude"},
		{"a hundred NULs", `{"type": "text", "text": "x", "y": [` + strings.Repeat(`"\u0000",`, 200) + `1]}`, "/messages/1/y/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := `{"context": {"a": "1"}, "action": "handoff", "messages": [{"type": "text", "text": "one"}, ` + c.message + `, {"type": "text", "text": ""}, {"type": "text", "text": "two"}]}`
			reply, err := webhookTo(t, answering(answer)).Answer(context.Background(), Turn{TurnID: "trn_1"})
			require.NoError(t, err)
			require.Len(t, reply.Messages, 4)
			require.Equal(t, conversation.TextContent("one"), reply.Messages[0])
			require.Equal(t, conversation.TextContent("two"), reply.Messages[3])
			require.Len(t, reply.Wrong, 2)
			require.Equal(t, c.pointer, reply.Wrong[1][0].Pointer)
			require.NotEmpty(t, reply.Wrong[1][0].Detail)
			require.Equal(t, "/messages/2/text", reply.Wrong[2][0].Pointer)
			require.Equal(t, map[string]string{"a": "1"}, reply.Context)
			require.Equal(t, ActionHandoff, reply.Action)
			kept, err := json.Marshal(reply.Messages[1])
			require.NoError(t, err)
			require.NotContains(t, string(kept), `\u0000`, "a database keeps it")
			require.NotContains(t, reply.Messages[1].Text, "\x00")
		})
	}
}

func TestWhatIsOfNoTypeSaysWhatItCan(t *testing.T) {
	t.Parallel()
	reply, err := readAnswer([]byte(`{"messages": [{"type": "hologram", "text": "hello"}, {"type": "event"}, 5]}`))
	require.NoError(t, err)
	require.Equal(t, conversation.Content{Type: line.MessageUnsupported, Text: "hello"}, reply.Messages[0])
	require.Equal(t, `There is no type of message "hologram".`, reply.Wrong[0][0].Detail)
	require.Equal(t, conversation.Content{Type: line.MessageUnsupported}, reply.Messages[1])
	require.Equal(t, conversation.Content{Type: line.MessageUnsupported}, reply.Messages[2])
	require.Equal(t, "/messages/2", reply.Wrong[2][0].Pointer)
}

func TestABotThatHangsMissesItsDeadline(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(http.ResponseWriter){
		"before answering": func(http.ResponseWriter) {},
		"within the answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages":`)
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			w := webhookTo(t, func(w http.ResponseWriter, _ *http.Request) {
				before(w)
				<-release
			})
			t.Cleanup(func() { close(release) }) // before the server is closed
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			_, err := w.Answer(ctx, Turn{TurnID: "trn_1"})
			require.Equal(t, FailureTimeout, FailureOf(err))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestACancelledTurnIsToldFromALateOne(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	w := webhookTo(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	})
	t.Cleanup(func() { close(release) })
	_, err := w.Answer(ctx, Turn{TurnID: "trn_1"})
	require.Equal(t, FailureCancelled, FailureOf(err))
	require.ErrorIs(t, err, context.Canceled)
}

func TestABotNobodyRunsIsUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	w, err := NewWebhook(WebhookConfig{URL: "http://" + address, Secret: secret, HTTPClient: &http.Client{}})
	require.NoError(t, err)
	_, err = w.Answer(context.Background(), Turn{TurnID: "trn_1"})
	require.Equal(t, FailureUnreachable, FailureOf(err))
	require.NotContains(t, err.Error(), address)
}

func TestWhatTheGuardRefusesIsSaidAsSuch(t *testing.T) {
	t.Parallel()
	guarded := netguard.NewClient(netguard.Options{})
	w, err := NewWebhook(WebhookConfig{URL: "https://127.0.0.1/bot", Secret: secret, HTTPClient: guarded})
	require.NoError(t, err)
	_, err = w.Answer(context.Background(), Turn{TurnID: "trn_1"})
	require.Equal(t, FailureAddress, FailureOf(err))

	server := httptest.NewServer(answering(`{"x": "` + strings.Repeat("x", 2000) + `"}`))
	t.Cleanup(server.Close)
	small := netguard.NewClient(netguard.Options{AllowPrivate: true, MaxResponseBytes: 1000})
	w, err = NewWebhook(WebhookConfig{URL: server.URL, Secret: secret, HTTPClient: small})
	require.NoError(t, err)
	_, err = w.Answer(context.Background(), Turn{TurnID: "trn_1"})
	require.Equal(t, FailureTooLarge, FailureOf(err))
}

func TestAWebhookBotThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, secret, pointer string }{
		{"", secret, "/url"},
		{"/bot", secret, "/url"},
		{"ftp://example.com", secret, "/url"},
		{"https://user:pass@example.com", secret, "/url"},
		{"https://example.com/#x", secret, "/url"},
		{"https://example.com/" + strings.Repeat("x", 2000), secret, "/url"},
		{"https://example.com", "", "/secret"},
		{"https://example.com", strings.TrimPrefix(secret, "whsec_"), "/secret"},
		{"https://example.com", "whsec_dG9vIHNob3J0", "/secret"},
		{"https://example.com", "whsec_not base64", "/secret"},
	} {
		_, err := NewWebhook(WebhookConfig{URL: c.url, Secret: c.secret, HTTPClient: &http.Client{}})
		var refused *conversation.Error
		require.ErrorAs(t, err, &refused, c.url)
		require.Equal(t, c.pointer, refused.Fields[0].Pointer)
		if c.secret != "" {
			require.NotContains(t, err.Error(), c.secret)
		}
	}
	_, err := NewWebhook(WebhookConfig{URL: "https://example.com", Secret: secret})
	require.Error(t, err, "without a client nobody guards which addresses are reached")
}
