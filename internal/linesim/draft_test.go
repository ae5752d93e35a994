package linesim

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDraftsAreDeliveredByWhoeverMadeThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hooks, err := b.Drafts(b.ctx, testChannel, []Draft{{alice, Message{Type: "text", Text: "one"}}, {bob, Message{Type: "text", Text: "二"}}})
	require.NoError(t, err)
	require.Len(t, hooks, 2)
	b.idle()
	require.Empty(t, b.bot.received(), "the simulator delivers none of them")
	d, err := b.PostRaw(b.ctx, testChannel, hooks[1].Body)
	require.NoError(t, err)
	require.True(t, d.Delivered)
	got := b.bot.received()
	require.Equal(t, hooks[1].Signature, got[0].Signature)
	require.Equal(t, hooks[1].WebhookEventID, str(t, got[0].Events[0]["webhookEventId"]))
	require.Equal(t, bob, hooks[1].UserID)
	require.Equal(t, []string{"> 二"}, b.texts(bob))

	b.clock.Advance(19 * time.Minute)
	require.Equal(t, 200, b.reply(hooks[0].ReplyToken, "answer").Status)
	b.clock.Advance(time.Minute + time.Second)
	require.Equal(t, 400, b.reply(hooks[1].ReplyToken, "too late").Status)

	_, err = b.Drafts(b.ctx, testChannel, []Draft{{"U00000000000000000000000000000000", Message{Type: "text", Text: "who?"}}})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestAnObserverSeesWhatLINETook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	var seen []Call
	b.Observe(func(c Call) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, c)
	})
	sent := b.write(alice, "hello")
	b.reply(sent.ReplyToken, "one")
	b.reply(sent.ReplyToken, "two")
	b.Observe(nil)
	b.push(alice, "", "three")
	require.Len(t, seen, 2)
	require.True(t, seen[0].Accepted)
	require.Equal(t, alice, seen[0].To)
	require.Contains(t, string(seen[0].Body), "one")
	require.False(t, seen[1].Accepted)
}
