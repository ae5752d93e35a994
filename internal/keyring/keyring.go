// Package keyring encrypts the secrets Kaiwa keeps at rest, and signs what it
// hands out. A ring has several keys so that one can be replaced without a
// moment in which old values cannot be read: the first key encrypts and signs,
// every key decrypts and verifies.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the size of a key in bytes (AES-256).
const KeySize = 32

// Ring is a set of named keys. It is safe for concurrent use.
type Ring struct {
	current string
	keys    map[string]cipher.AEAD
	signing map[string][]byte // derived from the keys, so that one use of a key says nothing about the other
}

// Parse reads "id:base64(32 bytes)[,…]"; the first key is the current one.
// Errors name the key at fault, never its value.
func Parse(s string) (*Ring, error) {
	r := &Ring{keys: map[string]cipher.AEAD{}, signing: map[string][]byte{}}
	for _, part := range strings.Split(s, ",") {
		id, value, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || id == "" || strings.ContainsAny(id, "$ ") {
			return nil, errors.New("a key must be written id:base64")
		}
		key, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(key) != KeySize {
			return nil, fmt.Errorf("key %q is not the base64 of %d bytes", id, KeySize)
		}
		if _, dup := r.keys[id]; dup {
			return nil, fmt.Errorf("key %q is there twice", id)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		if r.current == "" {
			r.current = id
		}
		r.keys[id] = aead
		if r.signing[id], err = hkdf.Key(sha256.New, key, nil, "kaiwa signing", KeySize); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Generate makes a setting with one new random key, for Parse.
func Generate(id string) (string, error) {
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		return "", err
	}
	return id + ":" + base64.StdEncoding.EncodeToString(key), nil
}

// Seal encrypts plain for one place, named by context (say "channel/ID/secret"),
// and returns text that starts with the key's id. Opening it for another place
// fails, so that a value copied to another row is of no use.
func (r *Ring) Seal(plain, context string) (string, error) {
	aead := r.keys[r.current]
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	sealed := aead.Seal(nonce, nonce, []byte(plain), []byte(context))
	return r.current + "$" + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal made for the same context. The error says when the
// key is not in the ring; it never shows a value.
func (r *Ring) Open(sealed, context string) (string, error) {
	id, value, ok := strings.Cut(sealed, "$")
	if !ok {
		return "", errors.New("not a sealed value")
	}
	aead, ok := r.keys[id]
	if !ok {
		return "", fmt.Errorf("key %q is not in the key ring", id)
	}
	raw, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil || len(raw) < aead.NonceSize() {
		return "", errors.New("the sealed value is damaged")
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(context))
	if err != nil {
		return "", errors.New("the sealed value is damaged or belongs elsewhere")
	}
	return string(plain), nil
}

// Sign returns an HMAC-SHA256 (RFC 2104) of message for one purpose, named by
// context, as URL-safe text.
func (r *Ring) Sign(message, context string) string {
	return base64.RawURLEncoding.EncodeToString(sum(r.signing[r.current], message, context))
}

// Verify tells whether Sign made signature for the same message and context,
// with any key of the ring.
func (r *Ring) Verify(message, context, signature string) bool {
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	for _, key := range r.signing {
		if hmac.Equal(given, sum(key, message, context)) {
			return true
		}
	}
	return false
}

// sum separates context and message by their lengths, which no text can imitate.
func sum(key []byte, message, context string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%d:%s%s", len(context), context, message)
	return mac.Sum(nil)
}
