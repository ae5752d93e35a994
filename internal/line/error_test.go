package line

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatARefusalMeans(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status               int
		body                 string
		class                Class
		code                 string
		retryable, ambiguous bool
	}{
		"reply token":        {400, `{"message":"Invalid reply token"}`, ClassInvalidReplyToken, "line_invalid_reply_token", false, false},
		"bad request":        {400, `{"message":"The request body has 2 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"}]}`, ClassRefused, "line_refused", false, false},
		"token":              {401, `{"message":"Authentication failed"}`, ClassUnauthorized, "line_unauthorized", false, false},
		"plan":               {403, `{"message":"Access to this API is not available for your account"}`, ClassUnauthorized, "line_unauthorized", false, false},
		"nobody":             {404, `{"message":"Not found"}`, ClassNotFound, "line_not_found", false, false},
		"gone":               {410, ``, ClassGone, "line_gone", false, false},
		"too large":          {413, ``, ClassRefused, "line_refused", false, false},
		"rate":               {429, `{"message":"The API rate limit has been exceeded. Try again later."}`, ClassRateLimited, "line_rate_limited", true, false},
		"quota":              {429, `{"message":"You have reached your monthly limit."}`, ClassQuota, "line_quota", false, false},
		"one user":           {429, `{"message":"You have sent too many messages to the same user"}`, ClassTooManyToUser, "line_too_many_to_user", true, false},
		"429 of a proxy":     {429, `<html>slow down`, ClassRateLimited, "line_rate_limited", true, false},
		"redirect":           {302, ``, ClassRefused, "line_refused", false, false},
		"server":             {500, `{"message":"The error occurred"}`, ClassServer, "line_server", true, true},
		"page of a gateway":  {502, `<html>` + testToken, ClassServer, "line_server", true, true},
		"larger than sense":  {500, strings.Repeat("x", maxAnswer+10), ClassServer, "line_server", true, true},
		"another shape":      {400, `{"message":{"text":"no"}}`, ClassRefused, "line_refused", false, false},
		"the token endpoint": {400, `{"error":"invalid_client","error_description":"no such client"}`, ClassRefused, "line_refused", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, say(tc.status, tc.body))
			_, err := b.Push(t.Context(), testUser, testKey, hello())
			e := asError(t, err)
			require.Equal(t, tc.class, e.Class)
			require.Equal(t, tc.status, e.Status)
			require.Equal(t, tc.code, e.Code())
			require.Equal(t, tc.retryable, e.Retryable())
			require.Equal(t, tc.ambiguous, e.Ambiguous())
			require.Equal(t, "req-1", e.RequestID)
			require.NotContains(t, err.Error(), testToken)
			require.NotContains(t, err.Error(), "<html>")
			require.Less(t, len(err.Error()), 1000)

			// The endpoints behind the SDK say the same.
			_, err = b.BotInfo(t.Context())
			e = asError(t, err)
			require.Equal(t, tc.class, e.Class)
			require.Equal(t, "req-2", e.RequestID)
			require.NotContains(t, err.Error(), testToken)
			require.NotContains(t, err.Error(), "<html>")
		})
	}
}

func TestLINEsWordsAreKeptWithinBounds(t *testing.T) {
	t.Parallel()
	details := strings.TrimSuffix(strings.Repeat(`{"message":"May not be empty","property":"messages[0].text"},`, 30), ",")
	b := setup(t, say(400, `{"message":"`+strings.Repeat("会", 1000)+`\u0000","details":[`+details+`]}`))
	_, err := b.Reply(t.Context(), "token", hello())
	e := asError(t, err)
	require.LessOrEqual(t, len(e.Message), maxMessageBytes)
	require.Equal(t, strings.Repeat("会", maxMessageBytes/3), e.Message)
	require.Len(t, e.Details, maxDetails)
	require.Equal(t, Detail{"May not be empty", "messages[0].text"}, e.Details[0])
}

func TestNoAnswerIsAmbiguousUnlessNothingWasSent(t *testing.T) {
	t.Parallel()
	t.Run("hung up", func(t *testing.T) {
		t.Parallel()
		_, err := setup(t, hangUp).Reply(t.Context(), "token", hello())
		e := asError(t, err)
		require.Equal(t, ClassNoAnswer, e.Class)
		require.True(t, e.Ambiguous())
		require.True(t, e.Retryable())
		require.NotContains(t, err.Error(), "/v2/bot")
	})
	t.Run("out of time", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Reply(ctx, "token", hello())
		require.Equal(t, ClassNoAnswer, asError(t, err).Class)
		require.True(t, asError(t, err).Ambiguous())
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		api := New(Config{APIURL: "http://" + l.Addr().String()})
		_, err = api.As(testToken).Reply(t.Context(), "token", hello())
		e := asError(t, err)
		require.Equal(t, ClassNoAnswer, e.Class)
		require.False(t, e.Ambiguous(), "without a connection LINE cannot have taken it")
		require.True(t, e.Retryable())
		_, err = api.As(testToken).Profile(t.Context(), testUser)
		require.Equal(t, ClassNoAnswer, ClassOf(err))
	})
}

func TestErrorStrings(t *testing.T) {
	t.Parallel()
	e := &Error{Class: ClassRefused, Status: 400, Message: "no", Details: []Detail{{"empty", "messages[0].text"}}, RequestID: "r1"}
	require.Equal(t, "line_refused (400): no [messages[0].text: empty] request r1", e.Error())
	e = &Error{Class: ClassNoAnswer, Err: io.EOF}
	require.Equal(t, "line_no_answer: EOF", e.Error())
	require.ErrorIs(t, e, io.EOF)
	require.Empty(t, ClassOf(io.EOF))
	require.Empty(t, ClassOf(nil))
}
