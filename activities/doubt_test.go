package activities_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store/storetest"
)

// asking has another worker look for replies in doubt while f runs.
func (w *world) asking(f func()) {
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		activities.AskAboutReplies(ctx, w.activities())
	}()
	f()
	stop()
	<-done
}

// decided waits until nothing of the conversation is under way.
func (c *chat) decided(state conversation.MessageState) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.messages()[0].State != conversation.MessagePending }, 20*time.Second, 20*time.Millisecond)
	for _, m := range c.messages() {
		require.Equal(c.t, state, m.State)
	}
}

// The worker dies between LINE's answer and its record, or LINE does not answer,
// and the conversation's workflow does not come back in time.
func TestAReplyInDoubtIsAskedAboutByAnotherWorker(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		for _, arrived := range []bool{true, false} {
			t.Run(fmt.Sprint(dialect, " arrived ", arrived), func(t *testing.T) {
				t.Parallel()
				w := newWorldOn(t, dialect)
				c := w.newChat()
				c.says(2)
				c.line.stand(func(_ *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
					c.line.stand(nil)
					defer c.crashAt.Store(1)
					if !arrived {
						return nil, io.ErrUnexpectedEOF
					}
					return carry()
				})
				_, err := c.send()
				require.ErrorContains(t, err, "the process dies here")
				w.asking(func() {
					c.pass(12 * time.Second)
					c.decided(conversation.MessageAccepted)
				})
				c.acceptedOnce(2)
				require.Empty(t, c.calls("push"))
				require.Empty(t, c.empty(), "the lane goes on")
			})
		}
	}
}

func TestAReplyInDoubtIsAskedAboutUntilLINEAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	w.faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: "reply", Times: 1}, linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Skip: 1, Times: 2, Status: 500})
	c.says(1)
	_, err := c.send() // asks twice
	require.Error(t, err)
	w.asking(func() {
		c.pass(12 * time.Second)
		require.Eventually(t, func() bool { return len(c.calls("reply")) == 3 }, 20*time.Second, 20*time.Millisecond)
		c.pass(12 * time.Second)
		c.decided(conversation.MessageAccepted)
	})
	require.Len(t, c.calls("reply"), 4)
	c.acceptedOnce(1)
}
