package survey

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
)

// Path is where survey pages are, before the token.
const Path = "/survey/"

// linkContext names what the signatures of links are for.
const linkContext = "survey link"

// Token is the personal, unguessable part of the link to a survey's page: which
// invitation it answers and until when, signed.
func Token(keys *keyring.Ring, invitationID string, expires time.Time) string {
	said := strings.TrimPrefix(invitationID, string(conversation.PrefixInvitation)) + "." + strconv.FormatInt(expires.Unix(), 36)
	return said + "." + keys.Sign(said, linkContext)
}

// ReadToken returns the invitation a token is for. It returns CodeNotFound for
// what Token has not made. A token that is over is still read.
func ReadToken(keys *keyring.Ring, token string) (invitationID string, expires time.Time, err error) {
	unknown := conversation.Errorf(conversation.CodeNotFound, "There is no such survey.")
	said, signature := token, ""
	if i := strings.LastIndexByte(token, '.'); i >= 0 {
		said, signature = token[:i], token[i+1:]
	}
	if !keys.Verify(said, linkContext, signature) {
		return "", time.Time{}, unknown
	}
	id, at, _ := strings.Cut(said, ".")
	seconds, err := strconv.ParseInt(at, 36, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("a signed token: %w", err)
	}
	return string(conversation.PrefixInvitation) + id, time.Unix(seconds, 0), nil
}
