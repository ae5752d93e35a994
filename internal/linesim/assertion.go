package linesim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// maxAssertionLife and maxTokenLife are LINE's limits.
	maxAssertionLife = 30 * time.Minute
	maxTokenLife     = 30 * 24 * time.Hour
	// maxAssertedTokens is how many channel access tokens v2.1 a channel has at
	// once.
	maxAssertedTokens = 30
)

// assertedToken issues a channel access token v2.1 to the holder of one of the
// channel's assertion signing keys. Source:
// https://developers.line.biz/en/reference/messaging-api/#issue-channel-access-token-v2-1
// and https://developers.line.biz/en/docs/messaging-api/generate-json-web-token/
func (s *Simulator) assertedToken(c *apiCall) answer {
	c.record.Body = nil
	form, err := url.ParseQuery(string(c.body))
	switch {
	case err != nil || form.Get("grant_type") != "client_credentials":
		return oauthError("unsupported_grant_type", "grant_type must be client_credentials")
	case form.Get("client_assertion_type") != assertionType:
		return oauthError("invalid_request", "client_assertion_type must be "+assertionType)
	}
	channel, life, problem := s.readAssertion(form.Get("client_assertion"))
	if problem != "" {
		return oauthError("invalid_client", problem)
	}
	c.record.ChannelID = channel.ID
	if s.accounts.asserted(channel.ID, s.now()) >= maxAssertedTokens {
		return oauthError("invalid_request", "The number of channel access tokens has reached its limit")
	}
	key := randomHex(11)
	token := assertedTokenPrefix + key + "." + randomHex(48)
	if err := s.issueToken(channel.ID, token, life); err != nil {
		return s.broken(c, err)
	}
	return ok(map[string]any{"token_type": "Bearer", "access_token": token, "expires_in": int(life.Seconds()), "key_id": key})
}

// readAssertion returns whose assertion it is and how long the token it asks for
// lives, or what is wrong with it.
func (s *Simulator) readAssertion(text string) (_ Channel, life time.Duration, problem string) {
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Channel{}, 0, "Invalid client_assertion"
	}
	var said struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Expiry   int64  `json:"exp"`
		Life     int64  `json:"token_exp"`
	}
	if err := signed.UnsafeClaimsWithoutVerification(&said); err != nil {
		return Channel{}, 0, "Invalid client_assertion"
	}
	channel, known := s.accounts.get(said.Issuer)
	if !known || said.Subject != said.Issuer {
		return Channel{}, 0, "Invalid issuer or subject"
	}
	key := channel.assertionKey(signed.Headers[0].KeyID)
	if key == nil {
		return Channel{}, 0, "Invalid key id"
	}
	if err := signed.Claims(key, &said); err != nil {
		return Channel{}, 0, "Invalid signature"
	}
	left := time.Unix(said.Expiry, 0).Sub(s.now())
	life = time.Duration(said.Life) * time.Second
	switch {
	case said.Audience != "https://api.line.me/":
		return Channel{}, 0, "Invalid audience"
	case left <= 0 || left > maxAssertionLife:
		return Channel{}, 0, "Invalid exp"
	case life <= 0 || life > maxTokenLife:
		return Channel{}, 0, "Invalid token_exp"
	}
	return channel, life, ""
}

// assertionKey is the public key with an id; nil when there is none.
func (c Channel) assertionKey(id string) any {
	for _, raw := range c.AssertionKeys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.KeyID == id && id != "" {
			return key.Public().Key
		}
	}
	return nil
}

// revokeToken ends a channel access token v2.1; one that is none already is
// answered alike. Stateless tokens cannot be revoked. Source:
// https://developers.line.biz/en/reference/messaging-api/#revoke-channel-access-token-v2-1
func (s *Simulator) revokeToken(c *apiCall) answer {
	c.record.Body = nil
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return oauthError("invalid_request", "some parameters missed or invalid")
	}
	channel, known := s.accounts.get(form.Get("client_id"))
	if !known || form.Get("client_secret") != channel.Secret {
		return oauthError("invalid_client", "Invalid client_id or client_secret")
	}
	c.record.ChannelID = channel.ID
	token := form.Get("access_token")
	if owner, found := s.accounts.issuedTo(token, s.now()); found && owner == channel.ID && strings.HasPrefix(token, assertedTokenPrefix) {
		if err := s.RevokeToken(token); err != nil {
			return s.broken(c, err)
		}
	}
	return answer{status: http.StatusOK, raw: []byte{}, kind: "text/plain"}
}

// RevokeToken ends an access token that was issued, whatever its kind: what
// happens to it in LINE's console, or by an accident there.
func (s *Simulator) RevokeToken(token string) error {
	err := s.store.write(func(t *txn) error {
		_, err := t.exec(`DELETE FROM access_tokens WHERE token = ?`, token)
		return err
	})
	if err == nil {
		s.accounts.revoke(token)
	}
	return err
}

// IssuedTokens lists the live access tokens v2.1 of a channel.
func (s *Simulator) IssuedTokens(channelID string) []string {
	return s.accounts.assertedTokens(channelID, s.now())
}

// verifyIssuedToken tells whose token one is that was issued, by whichever way.
// Source: https://developers.line.biz/en/reference/messaging-api/#verify-channel-access-token-v2-1
func (s *Simulator) verifyIssuedToken(c *apiCall) answer {
	token := c.URL.Query().Get("access_token")
	owner, found := s.accounts.issuedTo(token, s.now())
	return s.verified(c, owner, found)
}

// verifyLongLivedToken tells whose token a long-lived one is. Source:
// https://developers.line.biz/en/reference/messaging-api/#verify-channel-access-token
func (s *Simulator) verifyLongLivedToken(c *apiCall) answer {
	c.record.Body = nil
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return oauthError("invalid_request", "some parameters missed or invalid")
	}
	owner, found := s.accounts.longLived(form.Get("access_token"))
	return s.verified(c, owner, found)
}

func (s *Simulator) verified(c *apiCall, channelID string, found bool) answer {
	if !found {
		return oauthError("invalid_request", "The access token expired")
	}
	c.record.ChannelID = channelID
	return ok(map[string]any{"client_id": channelID, "expires_in": int(statelessTokenLife.Seconds()), "scope": "P CM"})
}

// longLived is the channel of a long-lived access token.
func (a *accounts) longLived(token string) (channelID string, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	channelID, ok = a.byToken[token]
	return channelID, ok
}

// issuedTo is the channel of a live access token that was issued.
func (a *accounts) issuedTo(token string, now time.Time) (channelID string, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	t, ok := a.issued[token]
	return t.channelID, ok && !now.After(t.expires)
}

func (a *accounts) asserted(channelID string, now time.Time) int {
	return len(a.assertedTokens(channelID, now))
}

func (a *accounts) assertedTokens(channelID string, now time.Time) (tokens []string) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for token, t := range a.issued {
		if t.channelID == channelID && strings.HasPrefix(token, assertedTokenPrefix) && !now.After(t.expires) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (a *accounts) revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.issued, token)
}
