package line

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// assertionLife is how long an assertion is good for: LINE takes 30 minutes
	// at most, and clocks differ.
	assertionLife = 10 * time.Minute
	// assertionKeyBits is the size LINE wants of an assertion signing key.
	assertionKeyBits = 2048
)

// AssertionKey is the private half of an assertion signing key, which proves to
// LINE that its holder may have tokens issued for a channel. The public half is
// registered in LINE's console. Its text forms show nothing of it.
//
// Source: https://developers.line.biz/en/docs/messaging-api/generate-json-web-token/
type AssertionKey struct {
	id  string
	key *rsa.PrivateKey
}

// ID is the key's id (kid), which LINE's console shows; it is no secret.
func (k AssertionKey) ID() string { return k.id }

// String keeps the key out of what is printed.
func (k AssertionKey) String() string { return "assertion key " + k.id }

// GoString is String.
func (k AssertionKey) GoString() string { return k.String() }

// What is wrong with an assertion signing key. None shows anything of it.
var (
	ErrKeyForm = errors.New("must be a private RSA key, as a JSON Web Key or in PEM form")
	ErrKeySize = errors.New("must be an RSA key of 2048 bits, as LINE wants it")
	ErrKeyID   = errors.New("is missing: LINE's console shows it as the kid of the assertion signing key")
)

// ParseAssertionKey reads a private key: a JSON Web Key (RFC 7517), or PEM with
// PKCS #8 or PKCS #1 in it. id is the id that LINE gave the key; it may be empty
// when the JSON Web Key says it. The error is ErrKeyForm, ErrKeySize or ErrKeyID.
func ParseAssertionKey(text, id string) (AssertionKey, error) {
	key, said := readPrivateKey([]byte(strings.TrimSpace(text)))
	switch {
	case key == nil || key.Validate() != nil:
		return AssertionKey{}, ErrKeyForm
	case key.N.BitLen() != assertionKeyBits:
		return AssertionKey{}, ErrKeySize
	}
	if id == "" {
		id = said
	}
	if id == "" || !validToken(id) {
		return AssertionKey{}, ErrKeyID
	}
	return AssertionKey{id, key}, nil
}

// readPrivateKey returns nil when there is none.
func readPrivateKey(text []byte) (_ *rsa.PrivateKey, id string) {
	if bytes.HasPrefix(text, []byte("{")) {
		var k jose.JSONWebKey
		if json.Unmarshal(text, &k) != nil {
			return nil, ""
		}
		key, _ := k.Key.(*rsa.PrivateKey)
		return key, k.KeyID
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ""
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, ""
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, ""
	}
	key, _ := parsed.(*rsa.PrivateKey)
	return key, ""
}

// assert makes the assertion that asks for a token of a channel that lives so
// long.
func (k AssertionKey) assert(channelID string, now time.Time, life time.Duration) (string, error) {
	if k.key == nil {
		return "", ErrKeyForm
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": channelID, "sub": channelID, "aud": DefaultAPIURL + "/",
		"exp": now.Add(assertionLife).Unix(), "token_exp": int64(life / time.Second),
	}).Serialize()
}
