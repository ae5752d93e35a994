package api_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

var assertionKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func asJWK(t *testing.T, key any, id string) string {
	t.Helper()
	doc, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "RS256", Use: "sig"})
	require.NoError(t, err)
	return string(doc)
}

// lineKnows has LINE know the public half of the assertion signing key.
func (b *bundle) lineKnows(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) {
		c.AssertionKeys = []json.RawMessage{json.RawMessage(asJWK(t, assertionKey().Public(), id))}
	}))
}

func (b *bundle) mustRead(t *testing.T, id string) store.Channel {
	t.Helper()
	c, err := b.store.Channel(t.Context(), id)
	require.NoError(t, err)
	return c
}

func TestAChannelMayHaveItsTokensIssued(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.lineKnows(t, "kid-1")
		body := channelBody(b.workstream())
		delete(body, "channel_access_token")
		body["access_token_kind"] = "stateless"
		made := b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
		require.Equal(t, 201, made.Status, "%s", made.Raw)
		require.Equal(t, map[string]any{"kind": "stateless", "state": "accepted", "refused_since": nil, "refused_because": nil, "assertion_key_id": nil, "expires_at": nil},
			made.get(t, "access_token"))
		id := made.text(t, "id")
		path := "/api/v1/channels/" + id
		require.Empty(t, b.mustRead(t, id).Token, "it is nowhere but in memory")

		key := asJWK(t, assertionKey(), "kid-1")
		changed := b.patch(path, map[string]any{"access_token_kind": "v2_1", "assertion_key": key})
		require.Equal(t, 200, changed.Status, "%s", changed.Raw)
		require.Equal(t, "kid-1", changed.text(t, "access_token", "assertion_key_id"))
		expires, err := time.Parse(time.RFC3339, changed.text(t, "access_token", "expires_at"))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(30*24*time.Hour), expires, time.Hour)
		token := b.mustRead(t, id).Token
		require.Equal(t, []string{token}, b.sim.IssuedTokens("1000"))
		for _, answer := range []response{made, changed, b.as(store.RoleAdmin, "GET", path, nil), b.as(store.RoleAdmin, "GET", "/api/v1/audit-log", nil)} {
			for _, hidden := range []string{token, lineSecret, "\"d\"", assertionKey().D.String()} {
				require.NotContains(t, string(answer.Raw), hidden)
			}
		}
		require.NotContains(t, b.log.String(), token)

		changed = b.patch(path, map[string]any{"access_token_kind": "long_lived", "channel_access_token": lineToken})
		require.Equal(t, 200, changed.Status, "%s", changed.Raw)
		now := b.mustRead(t, id)
		require.Equal(t, lineToken, now.Token)
		require.Equal(t, token, now.OldToken, "it is revoked in a while")
		require.False(t, now.RevokeAt.IsZero())
		require.Empty(t, now.AssertionKey)
	})
}

func TestWhatDoesNotGoTogetherIsRefusedByName(t *testing.T) {
	t.Parallel()
	b := setup(t, "sqlite")
	b.lineKnows(t, "kid-1")
	key := asJWK(t, assertionKey(), "")
	with := func(change map[string]any) response {
		body := channelBody(b.workstream())
		delete(body, "channel_access_token")
		for name, value := range change {
			body[name] = value
		}
		return b.as(store.RoleAdmin, "POST", "/api/v1/channels", body)
	}
	for _, c := range []struct {
		change map[string]any
		fields []string
	}{
		{map[string]any{"access_token_kind": "stateless", "channel_access_token": lineToken}, []string{"/channel_access_token"}},
		{map[string]any{"access_token_kind": "stateless", "assertion_key": key, "assertion_key_id": "k"}, []string{"/assertion_key", "/assertion_key_id"}},
		{map[string]any{"channel_access_token": lineToken, "assertion_key": key}, []string{"/assertion_key"}},
		{map[string]any{"access_token_kind": "v2_1"}, []string{"/assertion_key"}},
		{map[string]any{"access_token_kind": "v2_1", "assertion_key": "no key"}, []string{"/assertion_key"}},
		{map[string]any{"access_token_kind": "v2_1", "assertion_key": key}, []string{"/assertion_key_id"}},
		{map[string]any{"access_token_kind": "v3"}, []string{"/access_token_kind"}},
	} {
		requireProblem(t, with(c.change), 400, conversation.CodeInvalid, c.fields...)
	}
	requireProblem(t, with(map[string]any{"access_token_kind": "v2_1", "assertion_key": key, "assertion_key_id": "unknown"}), 422, conversation.CodeLINERefused, "/assertion_key")
	requireProblem(t, with(map[string]any{"access_token_kind": "stateless", "channel_secret": "wrong"}), 422, conversation.CodeLINERefused, "/channel_secret")
	taken := with(map[string]any{"channel_access_token": lineToken})
	require.Equal(t, 201, taken.Status)
	refused := with(map[string]any{"access_token_kind": "v2_1", "assertion_key": key, "assertion_key_id": "kid-1"})
	requireProblem(t, refused, 409, conversation.CodeConflict, refused.pointers()...)
	require.Empty(t, b.sim.IssuedTokens("1000"), "what was issued for nothing is revoked")

	path := "/api/v1/channels/" + taken.text(t, "id")
	require.Equal(t, 200, b.patch(path, map[string]any{"access_token_kind": "stateless"}).Status)
	requireProblem(t, b.patch(path, map[string]any{"channel_access_token": lineToken}), 400, conversation.CodeInvalid, "/channel_access_token")
	requireProblem(t, b.patch(path, map[string]any{"channel_secret": "wrong"}), 422, conversation.CodeLINERefused, "/channel_secret")
}

func TestAGoodTokenRestoresAChannelThatWasHeld(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.channel()
		path := "/api/v1/channels/" + id
		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "fresh" }))
		check := b.as(store.RoleAdmin, "POST", path+"/check", nil)
		require.Equal(t, "token_refused", check.text(t, "steps", 0, "reason"), "%s", check.Raw)
		shown := b.as(store.RoleAdmin, "GET", path, nil)
		require.Equal(t, "refused", shown.text(t, "access_token", "state"))
		require.Contains(t, shown.text(t, "access_token", "refused_because"), "Authentication failed")
		require.NotNil(t, shown.get(t, "access_token", "refused_since"))

		requireProblem(t, b.patch(path, map[string]any{"channel_access_token": "no-better"}), 422, conversation.CodeLINERefused, "/channel_access_token")
		changed := b.patch(path, map[string]any{"channel_access_token": "fresh"})
		require.Equal(t, "accepted", changed.text(t, "access_token", "state"), "%s", changed.Raw)
		require.False(t, b.mustRead(t, id).ResumedAt.IsZero(), "what waited is to be sent")

		// LINE takes the same one again.
		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "other" }))
		b.as(store.RoleAdmin, "POST", path+"/check", nil)
		require.False(t, b.mustRead(t, id).HeldAt.IsZero())
		require.NoError(t, b.sim.ChangeChannel(t.Context(), "1000", func(c *linesim.Channel) { c.AccessToken = "fresh" }))
		b.as(store.RoleAdmin, "POST", path+"/check", nil)
		require.True(t, b.mustRead(t, id).HeldAt.IsZero())
		_, err := b.store.SequenceEvents(t.Context())
		require.NoError(t, err)
		var types []any
		for _, e := range b.as(store.RoleAdmin, "GET", "/api/v1/events?after=0", nil).get(t, "items").([]any) {
			if event := e.(map[string]any); event["subject_id"] == id {
				types = append(types, event["type"])
			}
		}
		require.Equal(t, []any{"channel.token_refused", "channel.token_accepted", "channel.token_refused", "channel.token_accepted"}, types)
		require.Empty(t, b.as(store.RoleAgent, "GET", "/api/v1/events?after=0", nil).get(t, "items"), "agents have nothing to do with it")
	})
}
