package line_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func jwk(t *testing.T, key any, id string) string {
	t.Helper()
	doc, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "RS256", Use: "sig"})
	require.NoError(t, err)
	return string(doc)
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestATokenIsIssuedByAKeyInWhateverForm(t *testing.T) {
	t.Parallel()
	key := signingKey()
	b := simulate(t, func(c *linesim.Channel) {
		c.AssertionKeys = []json.RawMessage{json.RawMessage(jwk(t, key.Public(), "kid-1"))}
	})
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	for name, form := range map[string]struct{ text, id string }{
		"jwk with its id": {jwk(t, key, "kid-1"), ""}, "jwk without": {jwk(t, key, ""), "kid-1"}, "id given twice": {jwk(t, key, "other"), "kid-1"},
		"pkcs 8": {pkcs8(t, key), "kid-1"}, "pkcs 1": {"\n" + pkcs1 + "\n", "kid-1"},
	} {
		k, err := line.ParseAssertionKey(form.text, form.id)
		require.NoError(t, err, name)
		require.Equal(t, "kid-1", k.ID(), name)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", k, k, k), key.D.String()[:20])
		token, err := b.api.IssueAssertedToken(t.Context(), simChannel, k, b.clock.Now())
		require.NoError(t, err, name)
		require.NotEmpty(t, token.KeyID)
		require.Equal(t, line.AssertedTokenLife, token.ExpiresIn)
		_, err = b.api.As(token.Token).BotInfo(t.Context())
		require.NoError(t, err, name)
	}
}

func TestAKeyThatLINEWouldNotTakeIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text, id string
		want     error
	}{
		"nothing": {"", "k", line.ErrKeyForm}, "no key": {"hello", "k", line.ErrKeyForm}, "half a document": {`{"kty":"RSA"`, "k", line.ErrKeyForm},
		"the public half": {jwk(t, signingKey().Public(), "k"), "", line.ErrKeyForm}, "another kind": {pkcs8(t, other), "k", line.ErrKeyForm},
		"too small": {pkcs8(t, small), "k", line.ErrKeySize}, "no id": {pkcs8(t, signingKey()), "", line.ErrKeyID}, "a broken id": {pkcs8(t, signingKey()), "a b", line.ErrKeyID},
	} {
		_, err := line.ParseAssertionKey(c.text, c.id)
		require.Equal(t, c.want, err, name)
	}
}

func TestATokenEndsWhenItIsRevokedAndWhenItIsOld(t *testing.T) {
	t.Parallel()
	b := simulate(t, func(c *linesim.Channel) {
		c.AssertionKeys = []json.RawMessage{json.RawMessage(jwk(t, signingKey().Public(), "kid-1"))}
	})
	ctx := t.Context()
	key, err := line.ParseAssertionKey(jwk(t, signingKey(), "kid-1"), "")
	require.NoError(t, err)
	issue := func() string {
		token, err := b.api.IssueAssertedToken(ctx, simChannel, key, b.clock.Now())
		require.NoError(t, err)
		return token.Token
	}
	works := func(token string) bool {
		_, err := b.api.As(token).BotInfo(ctx)
		return err == nil
	}
	one, two := issue(), issue()
	require.Equal(t, line.ClassRefused, line.ClassOf(b.api.RevokeAssertedToken(ctx, simChannel, "wrong", one)))
	require.NoError(t, b.api.RevokeAssertedToken(ctx, simChannel, simSecret, one))
	require.NoError(t, b.api.RevokeAssertedToken(ctx, simChannel, simSecret, one), "again is no failure")
	require.False(t, works(one))
	require.True(t, works(two))
	b.clock.advance(line.AssertedTokenLife + time.Second)
	require.False(t, works(two))

	wrong, err := line.ParseAssertionKey(jwk(t, signingKey(), "unknown"), "")
	require.NoError(t, err)
	_, err = b.api.IssueAssertedToken(ctx, simChannel, wrong, b.clock.Now())
	require.Equal(t, line.ClassRefused, line.ClassOf(err))
	_, err = b.api.IssueAssertedToken(ctx, simChannel, key, b.clock.Now().Add(-time.Hour))
	require.Equal(t, line.ClassRefused, line.ClassOf(err), "an assertion of an hour ago")
	for range 30 {
		issue()
	}
	_, err = b.api.IssueAssertedToken(ctx, simChannel, key, b.clock.Now())
	require.Equal(t, line.ClassRefused, line.ClassOf(err), "LINE has 30 at once")
}

func TestWhoseTokenItIs(t *testing.T) {
	t.Parallel()
	b := simulate(t, nil)
	id, err := b.api.TokenChannel(t.Context(), simToken, true)
	require.NoError(t, err)
	require.Equal(t, simChannel, id)
	stateless, err := b.api.IssueStatelessToken(t.Context(), simChannel, simSecret)
	require.NoError(t, err)
	id, err = b.api.TokenChannel(t.Context(), stateless.Token, false)
	require.NoError(t, err)
	require.Equal(t, simChannel, id)
	for _, longLived := range []bool{true, false} {
		_, err = b.api.TokenChannel(t.Context(), "nobody's", longLived)
		require.Equal(t, line.ClassRefused, line.ClassOf(err))
	}
}
