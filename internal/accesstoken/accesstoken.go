// Package accesstoken knows by which access token a channel speaks to LINE, and
// has one issued where that is Kaiwa's to do.
package accesstoken

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// refreshBefore is how long before its end a stateless token is replaced,
	// while it still serves; lastUse how long before it no call begins with it.
	refreshBefore, lastUse = 3 * time.Minute, 30 * time.Second
	// issueTime bounds the call that issues one.
	issueTime = 10 * time.Second
	// retryAfter is how long after a failed replacement another is tried, while
	// the old one serves.
	retryAfter = 10 * time.Second
	// youngest is how old a stateless token is when it may be its age that LINE
	// refuses it for.
	youngest = 10 * time.Second
)

// Keeper keeps the stateless tokens of a process: one call to LINE for all that
// want one at once, and none for a message. Tokens of the other kinds stand with
// their channels. It is safe for concurrent use.
type Keeper struct {
	line *line.API
	now  func() time.Time

	issuing singleflight.Group
	mu      sync.Mutex
	issued  map[string]*stateless // by the channel's id
}

type stateless struct {
	by      [sha256.Size]byte // what it was issued by
	token   string
	at      time.Time
	until   time.Time
	retryAt time.Time // after a replacement that failed
}

// New returns a Keeper; now nil is time.Now.
func New(api *line.API, now func() time.Time) *Keeper {
	if now == nil {
		now = time.Now
	}
	return &Keeper{line: api, now: now, issued: map[string]*stateless{}}
}

// As returns the client of LINE that acts as a channel, and the token by which it
// does. The error is a *line.Error about a call that was not made.
func (k *Keeper) As(ctx context.Context, c store.Channel) (_ *line.Client, token string, err error) {
	if token = c.Token; c.TokenKind == store.TokenStateless {
		if token, err = k.stateless(ctx, c); err != nil {
			return nil, "", line.NotSent(err)
		}
	}
	return k.line.As(token), token, nil
}

// Another tells whether a channel may have another token at once than one that
// LINE has refused, "" for none that it issued. That one is not used again then.
func (k *Keeper) Another(c store.Channel, refused string) bool {
	if c.TokenKind != store.TokenStateless || refused == "" { // none was to be had
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.issued[c.ID]
	switch {
	case t == nil || t.token != refused:
		return true
	case k.now().Sub(t.at) < youngest:
		return false
	}
	delete(k.issued, c.ID)
	return true
}

// Issue has a token issued for a channel by its assertion signing key, and tells
// when it expires.
func (k *Keeper) Issue(ctx context.Context, c store.Channel) (token string, expires time.Time, err error) {
	key, err := line.ParseAssertionKey(c.AssertionKey, c.AssertionKeyID)
	if err != nil {
		return "", time.Time{}, &line.Error{Class: line.ClassRefused, Message: "The assertion signing key " + err.Error() + "."}
	}
	t, err := k.line.IssueAssertedToken(ctx, c.LINEChannelID, key, k.now())
	if err == nil && (t.Token == "" || t.ExpiresIn <= lastUse) {
		err = overAtOnce(t.RequestID)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return t.Token, k.now().Add(t.ExpiresIn), nil
}

// stateless returns a token with life enough for a call, and sees to the next one
// in time.
func (k *Keeper) stateless(ctx context.Context, c store.Channel) (string, error) {
	if len(c.Secrets) == 0 {
		return "", &line.Error{Class: line.ClassUnauthorized, Message: "The channel has no secret any more."}
	}
	by := sha256.Sum256([]byte(c.LINEChannelID + "\x00" + c.Secrets[0]))
	now := k.now()
	k.mu.Lock()
	var token string
	var left time.Duration
	refresh := true
	if t := k.issued[c.ID]; t != nil && t.by == by {
		token, left = t.token, t.until.Sub(now)
		refresh = left < refreshBefore && !now.Before(t.retryAt)
	}
	k.mu.Unlock()
	serves := token != "" && left >= lastUse
	if serves && !refresh {
		return token, nil
	}
	done := k.issuing.DoChan(c.ID+"\x00"+string(by[:]), func() (any, error) { return k.issue(c, by) })
	if serves {
		return token, nil
	}
	select {
	case r := <-done:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// issue has a token issued, whoever waits for it how long.
func (k *Keeper) issue(c store.Channel, by [sha256.Size]byte) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), issueTime)
	defer cancel()
	t, err := k.line.IssueStatelessToken(ctx, c.LINEChannelID, c.Secrets[0])
	if err == nil && (t.Token == "" || t.ExpiresIn <= lastUse) {
		err = overAtOnce(t.RequestID)
	}
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if old := k.issued[c.ID]; old != nil {
			old.retryAt = now.Add(retryAfter)
		}
		return "", err
	}
	k.issued[c.ID] = &stateless{by: by, token: t.Token, at: now, until: now.Add(t.ExpiresIn)}
	return t.Token, nil
}

func overAtOnce(requestID string) error {
	return &line.Error{Class: line.ClassServer, RequestID: requestID, Message: "LINE issued a token that is over at once."}
}

// Words are what a person is told of a refusal: LINE's own where it said any.
func Words(err error) string {
	var e *line.Error
	if errors.As(err, &e) && strings.TrimSpace(e.Message) != "" {
		return e.Message
	}
	return "LINE does not accept the access token."
}
