package linesim

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

// asserter registers an assertion signing key, and returns what signs assertions
// with it.
func (b *testBundle) asserter() func(change map[string]any) string {
	t := b.t
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "kid-1", Algorithm: "RS256", Use: "sig"})
	require.NoError(t, err)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.AssertionKeys = []json.RawMessage{public} }))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "kid-1"}}, nil)
	require.NoError(t, err)
	return func(change map[string]any) string {
		claims := map[string]any{"iss": testChannel, "sub": testChannel, "aud": "https://api.line.me/", "exp": b.clock.Now().Add(time.Minute).Unix(), "token_exp": 60}
		for name, value := range change {
			claims[name] = value
		}
		text, err := jwt.Signed(signer).Claims(claims).Serialize()
		require.NoError(t, err)
		return text
	}
}

func TestAChannelHasThirtyTokensAtMost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	assert := b.asserter()
	issue := func() int {
		form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assert(nil)}}
		return b.call("POST", "/oauth2/v2.1/token", []byte(form.Encode()), "Content-Type", "application/x-www-form-urlencoded", "Authorization", "").Status
	}
	for range 30 {
		require.Equal(t, 200, issue())
	}
	require.Equal(t, 400, issue())
	b.clock.Advance(2 * time.Minute) // they live for one
	require.Equal(t, 200, issue())
}

func TestTokenEndpointsAnswerAsLINEPublishesThem(t *testing.T) {
	t.Parallel()
	doc := published(t, "channel-access-token.yml")
	b := setup(t)
	assert := b.asserter()
	ask := func(method, path string, form url.Values) response {
		if method == "GET" {
			return b.call(method, path+"?"+form.Encode(), nil, "Authorization", "")
		}
		return b.call(method, path, []byte(form.Encode()), "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	}
	holds := func(schema string, status int, r response) map[string]any {
		t.Helper()
		require.Equal(t, status, r.Status, "%s", r.Body)
		var v map[string]any
		require.NoError(t, json.Unmarshal(r.Body, &v))
		require.NoError(t, doc.Components.Schemas[schema].Value.VisitJSON(v), "%s", r.Body)
		return v
	}
	request := func(assertion string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	}

	issued := holds("IssueChannelAccessTokenResponse", 200, ask("POST", "/oauth2/v2.1/token", request(assert(nil))))
	token := issued["access_token"].(string)
	holds("VerifyChannelAccessTokenResponse", 200, ask("GET", "/oauth2/v2.1/verify", url.Values{"access_token": {token}}))
	holds("VerifyChannelAccessTokenResponse", 200, ask("POST", "/v2/oauth/verify", url.Values{"access_token": {testToken}}))
	for name, wrong := range map[string]map[string]any{
		"nobody's": {"iss": "1", "sub": "1"}, "another's": {"sub": "1"}, "to somebody else": {"aud": "https://example.com/"},
		"over": {"exp": b.clock.Now().Add(-time.Second).Unix()}, "too long": {"exp": b.clock.Now().Add(time.Hour).Unix()}, "for too long": {"token_exp": 31 * 24 * 3600},
	} {
		require.Equal(t, 400, ask("POST", "/oauth2/v2.1/token", request(assert(wrong))).Status, name)
	}
	holds("ErrorResponse", 400, ask("POST", "/oauth2/v2.1/token", request("no assertion")))
	holds("ErrorResponse", 400, ask("GET", "/oauth2/v2.1/verify", url.Values{"access_token": {testToken}}))

	revoke := url.Values{"client_id": {testChannel}, "client_secret": {testSecret}, "access_token": {token}}
	require.Equal(t, 200, ask("POST", "/oauth2/v2.1/revoke", revoke).Status)
	require.Equal(t, 400, ask("GET", "/oauth2/v2.1/verify", url.Values{"access_token": {token}}).Status)
	for _, c := range b.Calls(CallFilter{}) {
		require.Empty(t, c.Body, "no secret is kept in the record")
	}
}
