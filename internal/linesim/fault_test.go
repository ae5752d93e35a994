package linesim

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (b *testBundle) fault(f Fault) {
	b.t.Helper()
	_, err := b.Faults(f)
	require.NoError(b.t, err)
}

func TestADroppedAnswerLeavesTheMessageAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultDropAnswer, Endpoint: "push", Times: 1})
	body := map[string]any{"to": alice, "messages": list([]string{"once"})}
	_, err := b.try("POST", "/v2/bot/message/push", body, "X-Line-Retry-Key", key1)
	require.Error(t, err)
	again := b.call("POST", "/v2/bot/message/push", body, "X-Line-Retry-Key", key1)
	require.Equal(t, 409, again.Status)
	require.Equal(t, []string{"once"}, b.texts(alice))
	calls := b.Calls(CallFilter{Endpoint: "push"})
	require.True(t, calls[0].Accepted)
	require.True(t, calls[0].Unanswered)
	require.Equal(t, calls[0].RequestID, again.Header.Get("x-line-accepted-request-id"))
}

func TestADroppedRequestNeverHappened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultDropRequest, Endpoint: "reply", Times: 1})
	sent := b.write(alice, "hello")
	body := map[string]any{"replyToken": sent.ReplyToken, "messages": list([]string{"hi"})}
	_, err := b.try("POST", "/v2/bot/message/reply", body)
	require.Error(t, err)
	require.Equal(t, 200, b.call("POST", "/v2/bot/message/reply", body).Status)
	require.Equal(t, []string{"> hello", "hi"}, b.texts(alice))
}

func TestAFaultStrikesAfterSkipAndOnlySoOften(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultStatus, Endpoint: "push", Skip: 1, Times: 2, Status: 503, Body: json.RawMessage(`{"message":"down"}`)})
	var got []int
	for range 4 {
		got = append(got, b.push(alice, "", "x").Status)
	}
	require.Equal(t, []int{200, 503, 503, 200}, got)
	require.Len(t, b.texts(alice), 2)
}

func TestAFaultLastsItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultRateLimit, ForMS: 1000})
	require.Equal(t, 429, b.call("GET", "/v2/bot/info", nil).Status)
	b.clock.Advance(time.Second)
	require.Equal(t, 200, b.call("GET", "/v2/bot/info", nil).Status)
}

func TestAnErrorAfterProcessingIsAmbiguous(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultStatus, Endpoint: "push", AfterProcessing: true, Times: 1})
	require.Equal(t, 500, b.push(alice, key1, "x").Status)
	require.Equal(t, 409, b.push(alice, key1, "x").Status)
}

func TestImpossibleFaultsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, f := range []Fault{{Kind: "explode"}, {Kind: FaultDuplicate}, {Kind: FaultSlow, Endpoint: "webhook"}, {Kind: FaultSlow, Endpoint: "nowhere"}} {
		_, err := b.Faults(f)
		require.Error(t, err, "%+v", f)
	}
}

func TestDuplicatesAreNotMarkedAsRedelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultDuplicate, Endpoint: "webhook", Copies: 2, Times: 1})
	sent := b.write(alice, "hello")
	b.idle()
	require.Equal(t, []string{sent.WebhookEventID, sent.WebhookEventID, sent.WebhookEventID}, b.bot.eventIDs(t))
	require.JSONEq(t, `{"isRedelivery":false}`, string(b.bot.received()[2].Events[0]["deliveryContext"]))
}

func TestALostAnswerOfTheBotMeansRedelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultDropAnswer, Endpoint: "webhook", Times: 1})
	sent := b.write(alice, "hello")
	<-b.bot.got
	require.Eventually(t, func() bool {
		b.clock.Advance(time.Second)
		return len(b.bot.received()) == 2
	}, 10*time.Second, time.Millisecond)
	b.idle()
	require.Equal(t, []string{sent.WebhookEventID, sent.WebhookEventID}, b.bot.eventIDs(t))
}

func TestLostEventsNeverArrive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultLose, Endpoint: "webhook", UserID: alice})
	b.write(alice, "lost")
	got := b.write(bob, "found")
	b.idle()
	require.Equal(t, []string{got.WebhookEventID}, b.bot.eventIDs(t))
}

func TestADelayedEventIsOvertaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault(Fault{Kind: FaultDelay, Endpoint: "webhook", DelayMS: 1000, Times: 1})
	first, second := b.write(alice, "first"), b.write(alice, "second")
	<-b.bot.got
	b.clock.Advance(time.Second)
	b.idle()
	require.Equal(t, []string{second.WebhookEventID, first.WebhookEventID}, b.bot.eventIDs(t))
}

func TestHeldEventsAreReleasedInTheAskedOrder(t *testing.T) {
	t.Parallel()
	release := func(t *testing.T, r func(ids []string) ReleaseOptions) (ids, got []string, b *testBundle) {
		b = setup(t)
		b.Hold(testChannel)
		for _, user := range []string{alice, bob, alice, bob} {
			ids = append(ids, b.write(user, "x").WebhookEventID)
		}
		b.idle()
		require.Empty(t, b.bot.received())
		require.Equal(t, ids, b.Held())
		n, err := b.Release(r(ids))
		require.NoError(t, err)
		require.Positive(t, n)
		b.idle()
		return ids, b.bot.eventIDs(t), b
	}
	t.Run("as they happened", func(t *testing.T) {
		t.Parallel()
		ids, got, _ := release(t, func([]string) ReleaseOptions { return ReleaseOptions{} })
		require.Equal(t, ids, got)
	})
	t.Run("reversed", func(t *testing.T) {
		t.Parallel()
		ids, got, _ := release(t, func([]string) ReleaseOptions { return ReleaseOptions{Order: "reverse"} })
		slices.Reverse(ids)
		require.Equal(t, ids, got)
	})
	t.Run("shuffled by a seed", func(t *testing.T) {
		t.Parallel()
		ids, got, _ := release(t, func([]string) ReleaseOptions { return ReleaseOptions{Order: "shuffle", Seed: 3} })
		require.ElementsMatch(t, ids, got)
		require.NotEqual(t, ids, got)
	})
	t.Run("some of them by id, then the rest", func(t *testing.T) {
		t.Parallel()
		ids, got, b := release(t, func(ids []string) ReleaseOptions { return ReleaseOptions{EventIDs: []string{ids[2], ids[0]}} })
		require.Equal(t, []string{ids[2], ids[0]}, got)
		b.ResetFaults()
		b.idle()
		require.Equal(t, []string{ids[2], ids[0], ids[1], ids[3]}, b.bot.eventIDs(t))
	})
	t.Run("several users in one body", func(t *testing.T) {
		t.Parallel()
		ids, got, b := release(t, func([]string) ReleaseOptions { return ReleaseOptions{Batch: -1} })
		require.Equal(t, ids, got)
		require.Len(t, b.bot.received(), 1)
	})
	t.Run("in bodies of three", func(t *testing.T) {
		t.Parallel()
		_, _, b := release(t, func([]string) ReleaseOptions { return ReleaseOptions{Batch: 3} })
		require.Len(t, b.bot.received(), 2)
		require.Len(t, b.bot.received()[0].Events, 3)
	})
}

func TestABotThatIsTooSlowHasNotAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.WebhookTimeout = 50 * time.Millisecond })
	require.NoError(t, b.SetRedelivery(b.ctx, testChannel, false))
	gate := make(chan struct{})
	b.bot.answer(func(int) int { <-gate; return 200 })
	sent := b.write(alice, "hello")
	b.idle()
	close(gate)
	d := b.Deliveries(DeliveryFilter{EventID: sent.WebhookEventID})
	require.Len(t, d, 1)
	require.Zero(t, d[0].Status)
	require.False(t, d[0].Delivered)
	require.NotEmpty(t, d[0].Error)
}
