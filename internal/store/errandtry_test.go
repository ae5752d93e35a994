package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// errander is a chat in which the customer has asked for the card of linking.
type errander struct {
	*talk
	now   *atomic.Int64
	asked int
}

// eachErrander runs f on every database, with a clock that the test moves.
func eachErrander(t *testing.T, f func(t *testing.T, e *errander)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			e := &errander{now: &atomic.Int64{}}
			e.now.Store(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).UnixMicro())
			s, _ := storetest.New(t, dialect, func(o *store.Options) {
				o.Now = func() time.Time { return time.UnixMicro(e.now.Load()) }
			})
			e.talk = newTalk(t, s)
			f(t, e)
		})
	}
}

func (e *errander) pass(d time.Duration) { e.now.Add(d.Microseconds()) }

// asks has the customer tap the button, once more.
func (e *errander) asks() store.Errand {
	e.t.Helper()
	e.asked++
	tap := e.event("tap"+string(rune('a'+e.asked)), "tap", string(accountlink.TapLink))
	tap.LineTime = time.UnixMicro(e.now.Load())
	_, err := e.s.AppendLINEEvents(e.t.Context(), e.plan.Channel.ID, time.UnixMicro(e.now.Load()), []store.InboxEvent{tap})
	require.NoError(e.t, err)
	require.True(e.t, e.takes(store.IngestResult{}).Errands)
	due, err := e.s.NextErrand(e.t.Context(), e.plan.Channel.ID, e.chat)
	require.NoError(e.t, err)
	return *due
}

func (e *errander) try(errand store.Errand) store.ErrandTry {
	e.t.Helper()
	try, err := e.s.TryErrand(e.t.Context(), e.plan.Channel.ID, errand, &store.Sending{})
	require.NoError(e.t, err)
	return try
}

func (e *errander) notTaken(errand store.Errand, try store.ErrandTry, useless bool) {
	e.t.Helper()
	require.NoError(e.t, e.s.ErrandNotTaken(e.t.Context(), e.plan.Channel.ID, errand, try, useless))
}

// What LINE clearly did not take leaves no doubt, so that the next attempt is free
// to go another way; what nobody knows the end of goes the same way or none.
func TestHowAnErrandIsSaidFollowsFromWhatIsKnownOfItsAttempts(t *testing.T) {
	t.Parallel()
	const late = 51 * time.Second
	for name, c := range map[string]struct {
		play func(e *errander, errand store.Errand)
		want store.ErrandTry
	}{
		"the first":                     {func(*errander, store.Errand) {}, store.ErrandTry{Number: 1, ReplyToken: "token-tapb"}},
		"after one in doubt":            {func(e *errander, n store.Errand) { e.try(n) }, store.ErrandTry{Number: 2, ReplyToken: "token-tapb", Doubt: true}},
		"too late after one in doubt":   {func(e *errander, n store.Errand) { e.try(n); e.pass(late) }, store.ErrandTry{Number: 2, Doubt: true, Unsaid: store.UnsaidDoubt}},
		"after one that was not taken":  {func(e *errander, n store.Errand) { e.notTaken(n, e.try(n), false) }, store.ErrandTry{Number: 2, ReplyToken: "token-tapb"}},
		"late after it":                 {func(e *errander, n store.Errand) { e.notTaken(n, e.try(n), false); e.pass(late) }, store.ErrandTry{Number: 2}},
		"after a token that is no good": {func(e *errander, n store.Errand) { e.notTaken(n, e.try(n), true) }, store.ErrandTry{Number: 2}},
		"late":                          {func(e *errander, _ store.Errand) { e.pass(late) }, store.ErrandTry{Number: 1}},
		"a push in doubt":               {func(e *errander, n store.Errand) { e.pass(late); e.try(n); e.pass(22 * time.Hour) }, store.ErrandTry{Number: 2, Doubt: true}},
		"when its key is over":          {func(e *errander, n store.Errand) { e.pass(late); e.try(n); e.pass(23 * time.Hour) }, store.ErrandTry{Number: 2, Doubt: true, Unsaid: store.UnsaidDoubt}},
		"a push that was not taken": {func(e *errander, n store.Errand) {
			e.pass(late)
			e.notTaken(n, e.try(n), false)
			e.pass(23 * time.Hour)
		}, store.ErrandTry{Number: 2}},
		"a refusal after one in doubt":   {func(e *errander, n store.Errand) { e.try(n); e.notTaken(n, e.try(n), false); e.pass(late) }, store.ErrandTry{Number: 3, Doubt: true, Unsaid: store.UnsaidDoubt}},
		"a refusal that was superseded":  {func(e *errander, n store.Errand) { one := e.try(n); e.try(n); e.notTaken(n, one, false); e.pass(late) }, store.ErrandTry{Number: 3, Doubt: true, Unsaid: store.UnsaidDoubt}},
		"a push, and its token is fresh": {func(e *errander, n store.Errand) { e.pass(late); e.try(n); e.pass(-late) }, store.ErrandTry{Number: 2, Doubt: true}},
		"when it is done": {func(e *errander, n store.Errand) {
			require.NoError(e.t, e.s.FinishErrand(e.t.Context(), e.plan.Channel.ID, e.chat, n, store.ErrandDone, ""))
		}, store.ErrandTry{Unsaid: store.UnsaidOver}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachErrander(t, func(t *testing.T, e *errander) {
				errand := e.asks()
				c.play(e, errand)
				got := e.try(errand)
				got.ReceivedAt = time.Time{}
				require.Equal(t, c.want, got)
			})
		})
	}
}

// What is said in the conversation is said nowhere else, and what may have been
// said elsewhere not in the conversation; the event's token is the conversation's.
func TestAnErrandIsSaidInTheConversationOrBesideIt(t *testing.T) {
	t.Parallel()
	eachErrander(t, func(t *testing.T, e *errander) {
		chat := store.Chat{ChannelID: e.plan.Channel.ID, ChatKey: e.chat}
		drafts := []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.TextContent("the card")}}
		say := func(errand store.Errand) bool {
			t.Helper()
			said, err := e.s.SayErrand(t.Context(), chat, errand, drafts)
			require.NoError(t, err)
			return said
		}
		beside := e.asks()
		require.False(t, say(beside), "none is open")
		e.try(beside)
		e.receive(e.event("hello", "message", "hello"))
		res := e.takes(store.IngestResult{})
		require.NotEmpty(t, res.ConversationID)
		require.False(t, say(beside), "LINE may have it")
		require.NoError(t, e.s.FinishErrand(t.Context(), chat.ChannelID, chat.ChatKey, beside, store.ErrandDone, ""))
		require.False(t, say(beside), "it is over")

		within := e.asks()
		require.True(t, say(within))
		require.True(t, say(within), "whoever asks again")
		require.Equal(t, store.UnsaidOver, e.try(within).Unsaid)
		require.Equal(t, "1", e.value(`SELECT count(*) FROM messages WHERE text = 'the card'`))
		require.Equal(t, "1", e.value(`SELECT count(*) FROM line_events WHERE webhook_event_id LIKE '%tapc' AND token_batch = ''`), "for its answer")
	})
}

// A notice is an automated message: what is left for agents is left to them.
func TestAnErrandIsNotPushedFromWhatIsLeftForAgents(t *testing.T) {
	t.Parallel()
	eachErrander(t, func(t *testing.T, e *errander) {
		errand := e.asks()
		e.pass(time.Minute)
		now := time.UnixMicro(e.now.Load())
		_, err := e.s.SaveQuota(t.Context(), e.plan.Channel.ID, 200, 190, now)
		require.NoError(t, err)
		try, err := e.s.TryErrand(t.Context(), e.plan.Channel.ID, errand, &store.Sending{ReserveForAgents: 10})
		require.NoError(t, err)
		require.Equal(t, store.UnsaidReserved, try.Unsaid)
		try, err = e.s.TryErrand(t.Context(), e.plan.Channel.ID, errand, &store.Sending{ReserveForAgents: 9})
		require.NoError(t, err)
		require.Equal(t, store.ErrandTry{Number: 1}, try)
	})
}
