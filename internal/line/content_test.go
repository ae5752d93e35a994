package line

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContent(t *testing.T) {
	t.Parallel()
	picture := bytes.Repeat([]byte{0xFF, 0xD8}, maxAnswer)
	status := http.StatusOK
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = w.Write(picture)
		}
	})
	for what, download := range map[string]func(context.Context, string) (ContentStream, error){"content": b.Content, "content/preview": b.Preview} {
		s, err := download(t.Context(), "588112233445566700")
		require.NoError(t, err)
		got, err := io.ReadAll(s.Body)
		require.NoError(t, err)
		require.NoError(t, s.Body.Close())
		require.True(t, bytes.Equal(picture, got), "content is not bounded as answers are")
		require.Equal(t, "image/jpeg", s.Type)
		require.NotEmpty(t, s.RequestID)
		require.Equal(t, "/v2/bot/message/588112233445566700/"+what, b.last(t).path)
	}

	status = http.StatusAccepted
	_, err := b.Content(t.Context(), "1")
	require.ErrorIs(t, err, ErrNotReady)
	require.True(t, asError(t, err).Retryable())
	require.False(t, asError(t, err).Ambiguous())

	status = http.StatusGone
	_, err = b.Content(t.Context(), "1")
	require.ErrorIs(t, err, ErrGone)
	require.NotErrorIs(t, err, ErrNotReady)

	status = http.StatusNotFound
	_, err = b.Content(t.Context(), "1")
	require.Equal(t, ClassNotFound, ClassOf(err))
}

func TestContentThatFallsShortIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	s, err := b.Content(t.Context(), "1")
	require.NoError(t, err)
	require.EqualValues(t, 100, s.Length)
	_, err = io.ReadAll(s.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, s.Body.Close())

	_, err = setup(t, hangUp).Content(t.Context(), "1")
	require.Equal(t, ClassNoAnswer, ClassOf(err))
}
