package line

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplySendsTheBytesItIsGiven(t *testing.T) {
	t.Parallel()
	b := setup(t, say(200, `{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b"},{"id":"461230966842064898"}]}`))
	frozen := []json.RawMessage{
		json.RawMessage(`{ "type":"text", "text":"<a> & \u003cb\u003e 会話", "unknownToTheSDK":{"z":1,"a":2} }`),
		json.RawMessage(`{"type":"flex","altText":"x","contents":{"type":"bubble","n":1.50}}`),
	}
	sent, err := b.Reply(t.Context(), "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA", frozen)
	require.NoError(t, err)
	require.Equal(t, Sent{RequestID: "req-1", Messages: []SentMessage{{ID: "461230966842064897", QuoteToken: "IStG5h1Tz7b"}, {ID: "461230966842064898"}}}, sent)

	r := b.last(t)
	require.Equal(t, "POST /v2/bot/message/reply", r.method+" "+r.path)
	require.Equal(t, `{"replyToken":"nHuyWiB7yP5Zw52FIkcQobQuGDXCTA","messages":[`+string(frozen[0])+`,`+string(frozen[1])+`]}`, r.body)
	require.Equal(t, "Bearer "+testToken, r.header.Get("Authorization"))
	require.NotContains(t, r.header, "X-Line-Retry-Key", "LINE refuses one on a reply")
}

func TestPushCarriesItsRetryKey(t *testing.T) {
	t.Parallel()
	b := setup(t, say(200, `{"sentMessages":[{"id":"1"}]}`))
	for range 2 {
		sent, err := b.Push(t.Context(), testUser, testKey, hello())
		require.NoError(t, err)
		require.False(t, sent.Duplicate)
		require.Equal(t, []SentMessage{{ID: "1"}}, sent.Messages)
		require.Equal(t, testKey, b.last(t).header.Get("X-Line-Retry-Key"))
	}
	require.Equal(t, b.seen[0].body, b.seen[1].body, "every attempt carries the same bytes")
}

func TestAPushAcceptedBeforeIsASuccess(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"message":"The retry key is already accepted","sentMessages":[{"id":"461230966842064897"}]}`,
		`not JSON`,
	} {
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Line-Accepted-Request-Id", "req-0")
			say(409, body)(w, r)
		})
		sent, err := b.Push(t.Context(), testUser, testKey, hello())
		require.NoError(t, err)
		require.True(t, sent.Duplicate)
		require.Equal(t, "req-0", sent.AcceptedRequestID)
		require.Equal(t, "req-1", sent.RequestID)
		require.Equal(t, body[0] == '{', len(sent.Messages) == 1)

		_, err = b.Reply(t.Context(), "token", hello())
		require.Equal(t, ClassRefused, ClassOf(err), "replies have no retry key to be a duplicate of")
	}
}

func TestAcceptedIsAcceptedEvenIfTheAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"sentMessages":[{"id":`)
	})
	sent, err := b.Reply(t.Context(), "token", hello())
	require.NoError(t, err)
	require.Empty(t, sent.Messages)
	require.Equal(t, "req-1", sent.RequestID)
}
