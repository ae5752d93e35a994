package accountlink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
)

// Path is where the pages of account linking are, before the token.
const Path = "/link/"

// DefaultAccessURL is where LINE's account link dialog is.
const DefaultAccessURL = "https://access.line.me"

const (
	// TokenLife is how long the link in a message opens the page. The message
	// stays in the chat for ever; who comes later asks for another one there.
	TokenLife = 30 * 24 * time.Hour
	// SignInTime is how long a customer has for the company's sign-in.
	SignInTime = 30 * time.Minute
	// DialogTime is how long LINE's link token is good, once.
	//
	// Source: https://developers.line.biz/en/reference/messaging-api/#issue-link-token
	DialogTime = 10 * time.Minute
	// MaxCustomerID bounds the company's id of a customer, in characters: as the
	// customer number of a contact.
	MaxCustomerID = 100
	// MaxLoginURL bounds the address of the company's sign-in, in characters.
	MaxLoginURL = 1000
)

// What the signatures are for.
const (
	tokenContext     = "account link page"
	referenceContext = "account link reference"
	nonceContext     = "account link nonce"
)

// Token is the personal, unguessable part of the link to the page of a social
// profile: whose it is and until when, signed.
func Token(keys *keyring.Ring, profileID string, expires time.Time) string {
	said := strings.TrimPrefix(profileID, string(conversation.PrefixProfile)) + "." + strconv.FormatInt(expires.Unix(), 36)
	return said + "." + keys.Sign(said, tokenContext)
}

// ReadToken returns the social profile a token is for. It returns CodeNotFound
// for what Token has not made. A token that is over is still read.
func ReadToken(keys *keyring.Ring, token string) (profileID string, expires time.Time, err error) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || !keys.Verify(token[:cut], tokenContext, token[cut+1:]) {
		return "", time.Time{}, conversation.Errorf(conversation.CodeNotFound, "There is no such page.")
	}
	id, at, _ := strings.Cut(token[:cut], ".")
	seconds, err := strconv.ParseInt(at, 36, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("a signed token: %w", err)
	}
	return string(conversation.PrefixProfile) + id, time.Unix(seconds, 0), nil
}

// Reference is what the company's sign-in is given beside the id of an account
// link, and gives back: that it is the customer's browser that brought it.
func Reference(keys *keyring.Ring, linkID string) string { return keys.Sign(linkID, referenceContext) }

// Refers tells, in constant time, whether Reference made a reference.
func Refers(keys *keyring.Ring, linkID, reference string) bool {
	return keys.Verify(linkID, referenceContext, reference)
}

// Nonce is what LINE gives back when the customer has linked: 256 bits that
// nobody can tell without the keys, as 43 characters of URL-safe Base64 (LINE
// takes 10 to 255). The same link has the same one, so that a confirmation whose
// answer got lost is repeated; it is stored as its Digest only.
func Nonce(keys *keyring.Ring, linkID string) string { return keys.Sign(linkID, nonceContext) }

// Digest is by what a nonce is found again. What is compared with what is stored
// is a digest, so that how long it takes says nothing of the nonce.
func Digest(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(sum[:])
}

// SignInURL is where the company's sign-in is for one customer and link.
func SignInURL(loginURL, linkID, reference, locale string) (string, error) {
	u, err := url.Parse(loginURL)
	if err != nil {
		return "", fmt.Errorf("login_url: %w", err)
	}
	q := u.Query()
	q.Set("link", linkID)
	q.Set("reference", reference)
	q.Set("locale", locale)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// DialogURL is LINE's account link dialog for one link token. accessURL has no
// slash at its end.
func DialogURL(accessURL, linkToken, nonce string) string {
	return accessURL + "/dialog/bot/accountLink?" + url.Values{"linkToken": {linkToken}, "nonce": {nonce}}.Encode()
}

// CheckLoginURL says what is wrong with the address of a company's sign-in, "" when
// nothing is. HTTPS is asked for, but on this machine itself.
func CheckLoginURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "This is missing: the address of your sign-in page."
	case len([]rune(s)) > MaxLoginURL:
		return fmt.Sprintf("This is longer than %d characters.", MaxLoginURL)
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return "This must be a whole address without a user and a fragment, such as https://www.example.com/line/sign-in."
	case u.Scheme != "https" && (u.Scheme != "http" || !thisMachine(u.Hostname())):
		return "This must be an https address: customers sign in there."
	}
	for _, name := range []string{"link", "reference", "locale"} {
		if u.Query().Has(name) {
			return fmt.Sprintf("This must not have the parameter %s, which Kaiwa adds.", name)
		}
	}
	return ""
}
