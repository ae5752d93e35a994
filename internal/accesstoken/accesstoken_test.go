package accesstoken_test

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// bundle is a keeper before a LINE whose clock the test moves.
type bundle struct {
	*accesstoken.Keeper
	t   *testing.T
	sim *linesim.Simulator
	mu  sync.Mutex
	now time.Time
}

func (b *bundle) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bundle) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
	var err error
	b.sim, err = linesim.New(t.Context(), linesim.Options{Now: b.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	s := httptest.NewServer(b.sim.Handler())
	t.Cleanup(s.Close)
	require.NoError(t, b.sim.AddChannel(t.Context(), linesim.Channel{ID: "1000", Secret: "secret", AccessToken: "long"}))
	b.Keeper = accesstoken.New(line.New(line.Config{APIURL: s.URL}), b.Now)
	return b
}

func stateless(secret string) store.Channel {
	return store.Channel{ID: "chn_1", LINEChannelID: "1000", TokenKind: store.TokenStateless, Secrets: []string{secret}}
}

func (b *bundle) token(c store.Channel) string {
	b.t.Helper()
	client, token, err := b.As(b.t.Context(), c)
	require.NoError(b.t, err)
	_, err = client.BotInfo(b.t.Context())
	require.NoError(b.t, err)
	return token
}

func (b *bundle) issued() int {
	return len(b.sim.Calls(linesim.CallFilter{Endpoint: "token"}))
}

func TestAllWhoWantATokenAtOnceShareOneCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, _, err := b.As(t.Context(), stateless("secret")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, b.issued())
	b.pass(10 * time.Minute)
	b.token(stateless("secret"))
	require.Equal(t, 1, b.issued(), "it still serves")
}

func TestATokenIsReplacedBeforeItsEndWhileItServes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.token(stateless("secret"))
	b.pass(13 * time.Minute)
	require.Equal(t, one, b.token(stateless("secret")), "nobody waits for the next one")
	require.Eventually(t, func() bool { return b.token(stateless("secret")) != one }, 20*time.Second, time.Millisecond)
	require.Equal(t, 2, b.issued())

	b.pass(16 * time.Minute)
	require.NotEmpty(t, b.token(stateless("secret")), "long after its end")
	require.Equal(t, 3, b.issued())
}

func TestWhileNoneIsIssuedTheOldOneServesAndLINEIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.token(stateless("secret"))
	b.pass(13 * time.Minute)
	_, err := b.sim.Faults(linesim.Fault{Kind: linesim.FaultStatus, Endpoint: "token"})
	require.NoError(t, err)
	require.Equal(t, one, b.token(stateless("secret")))
	require.Eventually(t, func() bool { return b.issued() == 2 }, 20*time.Second, time.Millisecond)
	for range 20 {
		require.Equal(t, one, b.token(stateless("secret")))
	}
	require.LessOrEqual(t, b.issued(), 3, "one may have begun before the failure was known")
	b.pass(3 * time.Minute)
	_, _, err = b.As(t.Context(), stateless("secret"))
	require.Equal(t, line.ClassServer, line.ClassOf(err))
	var e *line.Error
	require.ErrorAs(t, err, &e)
	require.False(t, e.Ambiguous(), "LINE was not sent anything")
}

func TestAChangedSecretIsUsedAtOnceAndAWrongOneIsARefusedToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.token(stateless("secret"))
	require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.Secret = "rotated" }))
	require.NotEqual(t, one, b.token(stateless("rotated")))
	_, _, err := b.As(t.Context(), stateless("wrong"))
	var e *line.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.RefusesToken())
	require.NotContains(t, err.Error(), "wrong")
	_, _, err = b.As(t.Context(), store.Channel{ID: "chn_1", LINEChannelID: "1000", TokenKind: store.TokenStateless})
	require.ErrorAs(t, err, &e)
	require.True(t, e.RefusesToken())
}

func TestATokenThatLINERefusesIsReplacedUnlessItIsNew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := stateless("secret")
	one := b.token(c)
	require.False(t, b.Another(c, one), "a new one would fare no better")
	b.pass(time.Minute)
	require.NoError(t, b.sim.RevokeToken(one))
	require.True(t, b.Another(c, one))
	two := b.token(c)
	require.NotEqual(t, one, two)
	require.True(t, b.Another(c, one), "it is replaced already")
	require.Equal(t, two, b.token(c))
	require.False(t, b.Another(c, ""), "LINE issues none")
	require.False(t, b.Another(store.Channel{ID: "chn_2", Token: "long"}, "long"), "LINE's console issues those")
}

func TestAStoredTokenIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "long", b.token(store.Channel{ID: "chn_2", TokenKind: store.TokenLongLived, Token: "long"}))
	require.Zero(t, b.issued())
}
