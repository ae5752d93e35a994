package activities_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func eachWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			f(t, newWorldOn(t, dialect))
		})
	}
}

// lineTakes has LINE take another long-lived token, and none before.
func (w *world) lineTakes(token string) {
	w.t.Helper()
	require.NoError(w.t, w.sim.ChangeChannel(w.t.Context(), lineChannel, func(c *linesim.Channel) { c.AccessToken = token }))
}

// isGiven gives the channel another token, as the API does.
func (w *world) isGiven(change func(*store.Channel)) store.Channel {
	w.t.Helper()
	c, err := w.store.UpdateChannel(w.t.Context(), store.Origin{}, w.channel.ID, store.AnyVersion, func(c *store.Channel) error { change(c); return nil })
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.RestoreChannel(w.t.Context(), c))
	return c
}

func (w *world) read() store.Channel {
	w.t.Helper()
	c, err := w.store.Channel(w.t.Context(), w.channel.ID)
	require.NoError(w.t, err)
	return c
}

// told are the events of the channel, in order.
func (w *world) told() (types []string) {
	w.t.Helper()
	_, err := w.store.SequenceEvents(w.t.Context())
	require.NoError(w.t, err)
	list, err := w.store.Events(w.t.Context(), 0, 1000, "")
	require.NoError(w.t, err)
	for _, e := range list {
		if e.SubjectID == w.channel.ID {
			types = append(types, e.Type)
		}
	}
	return types
}

func (c *chat) tends() {
	c.t.Helper()
	require.NoError(c.t, c.acts.TendChannelsOnce(c.t.Context()))
}

// isRestored asserts that the channel is no longer held a minute later, and that
// n messages that waited were sent.
func (c *chat) isRestored(n int) {
	c.t.Helper()
	c.pass(time.Minute)
	c.tends()
	c.tends()
	require.True(c.t, c.read().HeldAt.IsZero())
	require.Empty(c.t, c.empty())
	c.acceptedOnce(n)
}

func (c *chat) closes() {
	c.t.Helper()
	_, err := c.store.Transition(c.t.Context(), store.TransitionRequest{
		ID: "tsn_close_" + c.id, ConversationID: c.id, ChannelID: c.channel.ID, ChatKey: c.key(), Event: conversation.EventAutoClosed, Seen: 1 << 40,
	})
	require.NoError(c.t, err)
}

func TestWhatWaitsForAGoodTokenIsSentInOrderOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newChat()
		w.lineTakes("good")
		c.says(2)
		require.Empty(t, c.empty())
		require.Equal(t, []conversation.MessageState{conversation.MessagePending}, c.states())
		held := w.read()
		require.Equal(t, w.Now(), held.HeldAt)
		require.Contains(t, held.HeldBecause, "Authentication failed")
		require.Equal(t, w.channel.Version, held.Version, "nobody has changed its configuration")

		// However long it takes, and whoever looks: LINE is left alone.
		calls := len(w.sim.Calls(linesim.CallFilter{}))
		for range 3 {
			c.pass(7 * time.Hour)
			c.says(3)
			require.Empty(t, c.empty())
		}
		require.Len(t, w.sim.Calls(linesim.CallFilter{}), calls)

		w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
		c.acts = w.activities() // another process, without a plan of before
		c.tends()
		require.Empty(t, c.empty())
		c.acceptedOnce(11)
		require.Equal(t, []string{"channel.token_refused", "channel.token_accepted"}, w.told())
		require.Zero(t, w.read().TendAt, "there is nothing to look after any more")
	})
}

func TestATokenReplacedWhileMessagesAreSentLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	c.says(1)
	require.Empty(t, c.empty()) // the plan is known from here on
	w.lineTakes("fresh")
	w.isGiven(func(c *store.Channel) { c.Replace("fresh", time.Time{}, w.Now()) })
	c.says(7)
	require.Empty(t, c.empty())
	c.acceptedOnce(8)
	require.Empty(t, w.told(), "nothing was refused that anybody has to know of")
	require.True(t, w.read().HeldAt.IsZero())
}

func TestOneStrangeRefusalHoldsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, age := range []time.Duration{0, time.Hour} {
		c := w.newChat()
		c.pass(age)
		c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: map[bool]string{true: "reply", false: "push"}[age == 0], Times: 1, Status: 401})
		c.says(2)
		c.empty()
		c.acceptedOnce(2)
	}
	require.Empty(t, w.told())
}

func TestOneEndpointThatGoesOnRefusingEndsTheMessagesTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	c.pass(time.Hour)
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "push", Status: 401})
	c.says(1)
	require.NotEmpty(t, c.empty())
	require.Equal(t, []conversation.MessageState{conversation.MessageFailed}, c.states())
	require.True(t, w.read().HeldAt.IsZero())
}

func TestAChannelThatMayNotIsNotHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "reply", Times: 1, Status: 403, Body: json.RawMessage(`{"message":"Not permitted."}`)})
	c.says(1)
	require.Empty(t, c.empty())
	require.Equal(t, "line_unauthorized", c.messages()[0].Failure)
	require.Equal(t, "Not permitted.", c.messages()[0].FailureDetail)
	require.True(t, w.read().HeldAt.IsZero())
}

func TestATokenThatLINETakesAgainRestoresItsChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newChat()
	w.lineTakes("another")
	c.says(1)
	require.Empty(t, c.empty())
	c.tends()
	require.False(t, w.read().HeldAt.IsZero())
	w.lineTakes(lineToken)
	c.tends()
	require.False(t, w.read().HeldAt.IsZero(), "LINE is asked once a minute")
	c.isRestored(1)
}

// What was closed meanwhile has no workflow any more, and the next conversation
// of the chat may have begun.
func TestWhatAClosedConversationHadToSayIsSaidFirst(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		c := w.newChat()
		w.lineTakes("good")
		c.says(2)
		require.Empty(t, c.empty())
		c.closes()
		c.pass(time.Hour)
		c.writes()
		plan, err := w.store.Plan(t.Context(), w.channel.ID)
		require.NoError(t, err)
		res, err := w.store.Ingest(t.Context(), store.IngestRequest{ChannelID: w.channel.ID, ChatKey: c.key(), Plan: &plan, Left: c.id}, func(store.LINEEvent) store.Item {
			return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "text", Text: "again"}}
		})
		require.NoError(t, err)
		require.NotEqual(t, c.id, res.ConversationID)
		closed := c.id
		c.id = res.ConversationID
		c.says(1) // m002
		require.Empty(t, c.empty())
		list, err := w.store.UnsaidConversations(t.Context(), w.Now(), 10)
		require.NoError(t, err)
		require.Empty(t, list, "it is known why they wait")

		w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
		c.acts = w.activities()
		c.tends()
		require.Equal(t, numbered(0, 2), c.reads())
		chats, err := w.store.UnhandledChats(t.Context(), w.Now().Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, []store.Chat{{ChannelID: w.channel.ID, ChatKey: c.key()}}, chats, "the open one is its workflow's")
		require.Empty(t, c.empty())
		require.Equal(t, numbered(0, 3), c.reads())
		c.id = closed
		require.Equal(t, accepted, c.states())
	})
}

func TestALINEThatIsInTroubleWhenAChannelIsRestoredCostsNoMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, other := w.newChat(), w.newChat()
	w.lineTakes("good")
	for _, each := range []*chat{c, other} {
		each.says(1)
		require.Empty(t, each.empty())
		each.closes()
	}
	w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
	c.acts = w.activities()
	c.pass(time.Minute)
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "push", Times: 1})
	c.tends()
	require.ElementsMatch(t, []int{0, 1}, []int{len(c.reads()), len(other.reads())}, "one chat does not wait for the other")
	c.pass(2 * time.Second)
	c.tends()
	c.acceptedOnce(1)
	other.acceptedOnce(1)
	c.pass(2 * time.Second)
	c.tends()
	require.True(t, w.read().ResumedAt.IsZero())
}

func TestWhoeverDiesWhileAChannelIsRestoredLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for at := int64(1); ; at++ {
		w := newWorld(t)
		c := w.newChat()
		w.lineTakes("good")
		dies := func(step func()) (died bool) {
			w.crashAt.Store(at)
			defer func() {
				died = recover() != nil
				w.crashAt.Store(0)
			}()
			step()
			return false
		}
		c.pass(time.Minute) // pushes, which LINE takes once whoever asks
		c.says(2)
		died := dies(func() { _, _ = c.acts.Send(t.Context(), activities.SendInput{ConversationID: c.id}) })
		c.acts = w.activities()
		require.Empty(t, c.empty())
		c.closes()
		w.isGiven(func(c *store.Channel) { c.Replace("good", time.Time{}, w.Now()) })
		if !died {
			c.acts = w.activities()
			died = dies(func() { _ = c.acts.TendChannelsOnce(t.Context()) })
		}
		c.acts = w.activities()
		c.pass(time.Minute)
		c.tends()
		c.pass(time.Minute)
		c.tends()
		c.acceptedOnce(2)
		require.Equal(t, []string{"channel.token_refused", "channel.token_accepted"}, w.told())
		if !died {
			require.Greater(t, at, int64(10))
			return
		}
	}
}

var assertionKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func asJWK(t testing.TB, key any) string {
	t.Helper()
	doc, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "kid-1", Algorithm: "RS256", Use: "sig"})
	require.NoError(t, err)
	return string(doc)
}

// asserts has the channel speak by a key.
func (w *world) asserts() {
	w.t.Helper()
	require.NoError(w.t, w.sim.ChangeChannel(w.t.Context(), lineChannel, func(c *linesim.Channel) {
		c.AssertionKeys = []json.RawMessage{json.RawMessage(asJWK(w.t, assertionKey().Public()))}
	}))
	w.isGiven(func(c *store.Channel) {
		c.TokenKind, c.AssertionKey, c.AssertionKeyID = store.TokenAsserted, asJWK(w.t, assertionKey()), "kid-1"
		c.Replace("", time.Time{}, w.Now())
	})
	w.lineTakes("")
}

func TestATokenIsRenewedBeforeItsEndAndTheOldOneRevoked(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.asserts()
		c := w.newChat()
		c.tends()
		one := w.read()
		require.NotEmpty(t, one.Token)
		require.Equal(t, w.Now().Add(30*24*time.Hour), one.TokenExpiresAt)
		c.tends()
		require.Equal(t, one.Token, w.read().Token)
		require.Equal(t, one.TokenExpiresAt.Add(-7*24*time.Hour), w.read().TendAt)
		c.says(1)
		require.Empty(t, c.empty())

		c.pass(23 * 24 * time.Hour)
		c.tends()
		two := w.read()
		require.NotEqual(t, one.Token, two.Token)
		c.tends()
		require.ElementsMatch(t, []string{one.Token, two.Token}, w.sim.IssuedTokens(lineChannel), "calls by the old one may be under way")
		c.says(1)
		require.Empty(t, c.empty(), "also where the old one is known")
		c.pass(10 * time.Minute)
		c.tends()
		require.Equal(t, []string{two.Token}, w.sim.IssuedTokens(lineChannel))
		require.Empty(t, w.read().OldToken)
		c.says(1)
		require.Empty(t, c.empty())
		c.acceptedOnce(3)
		require.Equal(t, one.Version, w.read().Version, "nobody has changed its configuration")
	})
}

func TestARevokedTokenIsReplacedByItselfWhereKaiwaIssuesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asserts()
	c := w.newChat()
	c.tends()
	require.NoError(t, w.sim.RevokeToken(w.read().Token))
	c.says(2)
	require.Empty(t, c.empty())
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "token_v2_1", Times: 1})
	c.tends()
	require.False(t, w.read().HeldAt.IsZero(), "LINE issues none")
	c.isRestored(2)
	require.Equal(t, []string{"channel.token_refused", "channel.token_accepted"}, w.told())
}

// A channel has 30 tokens v2.1 at most, and LINE issues it no other then.
func TestALINEThatRefusesEveryTokenIsNotAskedForMoreAndMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asserts()
	c := w.newChat()
	c.tends()
	for _, endpoint := range []string{"reply", "push", "bot_info"} {
		c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: endpoint, Status: 401})
	}
	c.says(1)
	most := 0
	for range 200 { // fifty minutes
		c.empty()
		c.tends()
		c.pass(15 * time.Second)
		most = max(most, len(w.sim.IssuedTokens(lineChannel)))
	}
	require.LessOrEqual(t, most, 3)
	require.False(t, w.read().HeldAt.IsZero())
	w.sim.ResetFaults()
	c.isRestored(1)
}

func TestATokenThatLINETakesAgainServesWhereItIssuesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asserts()
	c := w.newChat()
	c.tends()
	c.pass(time.Hour)
	token := w.read().Token
	for _, endpoint := range []string{"reply", "push", "bot_info", "token_v2_1"} {
		c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: endpoint, Status: map[bool]int{true: 400, false: 401}[endpoint == "token_v2_1"]})
	}
	c.says(1)
	c.empty()
	c.tends()
	require.False(t, w.read().HeldAt.IsZero())
	w.sim.ResetFaults()
	c.faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "token_v2_1", Status: 400})
	c.isRestored(1)
	require.Equal(t, token, w.read().Token)
}

func TestAStatelessTokenThatIsRefusedIsReplacedOnTheSpot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.isGiven(func(c *store.Channel) { c.TokenKind = store.TokenStateless; c.Replace("", time.Time{}, w.Now()) })
	w.lineTakes("")
	used := ""
	w.line.stand(func(r *http.Request, carry func() (*http.Response, error)) (*http.Response, error) {
		if token := r.Header.Get("Authorization"); token != "" {
			used = token[len("Bearer "):]
		}
		return carry()
	})
	c := w.newChat()
	c.says(1)
	require.Empty(t, c.empty())
	c.pass(time.Minute)
	require.NoError(t, w.sim.RevokeToken(used))
	c.says(2)
	require.Empty(t, c.empty())
	c.acceptedOnce(3)
	require.Len(t, w.sim.Calls(linesim.CallFilter{Endpoint: "token"}), 2)
	require.Empty(t, w.told())

	// The secret is reissued at LINE: there is none to be had.
	require.NoError(t, w.sim.ChangeChannel(t.Context(), lineChannel, func(c *linesim.Channel) { c.Secret = "reissued" }))
	c.pass(time.Hour)
	c.says(1)
	require.Empty(t, c.empty())
	require.False(t, w.read().HeldAt.IsZero())
	w.isGiven(func(c *store.Channel) { c.RotateSecret("reissued", w.Now()); c.TendAt = w.Now() })
	c.tends()
	require.Empty(t, c.empty())
	c.acceptedOnce(4)
}

func TestWhileLINEIssuesNoStatelessTokenMessagesAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.isGiven(func(c *store.Channel) { c.TokenKind = store.TokenStateless; c.Replace("", time.Time{}, w.Now()) })
	c := w.newChat()
	c.faults(linesim.Fault{Kind: linesim.FaultDropRequest, Endpoint: "token", Times: 3})
	c.says(2)
	require.NotEmpty(t, c.empty())
	c.acceptedOnce(2)
	require.True(t, w.read().HeldAt.IsZero())
}
