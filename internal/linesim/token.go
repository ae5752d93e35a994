package linesim

import (
	"database/sql"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	statelessTokenLife = 15 * time.Minute
	linkTokenLife      = 10 * time.Minute

	// What tokens begin with tells of which kind they are; at LINE nothing does.
	statelessTokenPrefix, assertedTokenPrefix = "sim.", "sim21."
)

// statelessToken issues a channel access token from channel ID and secret.
// Stateless tokens by JWT assertion are not simulated. Source:
// https://developers.line.biz/en/reference/messaging-api/#issue-stateless-channel-access-token
func (s *Simulator) statelessToken(c *apiCall) answer {
	// The body carries the secret; it is not kept in the record.
	c.record.Body = nil
	form, err := url.ParseQuery(string(c.body))
	if err != nil || form.Get("grant_type") != "client_credentials" {
		return oauthError("unsupported_grant_type", "grant_type must be client_credentials")
	}
	channel, known := s.accounts.get(form.Get("client_id"))
	if !known || form.Get("client_secret") == "" || form.Get("client_secret") != channel.Secret {
		return oauthError("invalid_client", "Invalid client_id or client_secret")
	}
	c.record.ChannelID = channel.ID
	token := statelessTokenPrefix + randomHex(48)
	if err := s.issueToken(channel.ID, token, statelessTokenLife); err != nil {
		return s.broken(c, err)
	}
	return ok(map[string]any{"token_type": "Bearer", "access_token": token, "expires_in": int(statelessTokenLife.Seconds()) - 1})
}

// issueToken keeps a token that was issued for a while.
func (s *Simulator) issueToken(channelID, token string, life time.Duration) error {
	expires := s.now().Add(life)
	err := s.store.write(func(t *txn) error {
		if _, err := t.exec(`DELETE FROM access_tokens WHERE expires_ms < ?`, s.now().UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO access_tokens (token, channel_id, expires_ms) VALUES (?, ?, ?)`, token, channelID, expires.UnixMilli())
		return err
	})
	if err == nil {
		s.accounts.issue(token, issuedToken{channelID, expires}, s.now())
	}
	return err
}

func oauthError(code, description string) answer {
	return answer{status: http.StatusBadRequest, json: map[string]string{"error": code, "error_description": description}}
}

func (a *accounts) issue(token string, t issuedToken, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for old, o := range a.issued {
		if now.After(o.expires) {
			delete(a.issued, old)
		}
	}
	a.issued[token] = t
}

// linkToken: https://developers.line.biz/en/reference/messaging-api/#issue-link-token
// To link, users must have the account as a friend:
// https://developers.line.biz/en/docs/messaging-api/linking-accounts/
func (s *Simulator) linkToken(c *apiCall) answer {
	u, err := s.user(c.Context(), c.PathValue("userId"))
	if errors.Is(err, ErrNotFound) {
		return refuse(http.StatusNotFound, "Not found")
	}
	if err != nil {
		return s.broken(c, err)
	}
	blocked, err := s.blocked(c.Context(), c.channel.ID, u.ID)
	if err != nil {
		return s.broken(c, err)
	}
	if blocked {
		return refuse(http.StatusNotFound, "Not found")
	}
	token := randomHex(16)
	err = s.store.write(func(t *txn) error {
		_, err := t.exec(`INSERT INTO link_tokens (token, channel_id, user_id, expires_ms) VALUES (?, ?, ?, ?)`, token, c.channel.ID, u.ID, s.now().Add(linkTokenLife).UnixMilli())
		return err
	})
	if err != nil {
		return s.broken(c, err)
	}
	return ok(map[string]string{"linkToken": token})
}

// accountLinkPage is LINE's dialog at access.line.me: it uses the link token
// up and reports the nonce to the bot; of a user who has blocked the account
// since, that it failed. Source:
// https://developers.line.biz/en/docs/messaging-api/linking-accounts/
func (s *Simulator) accountLinkPage(w http.ResponseWriter, r *http.Request) {
	nonce := r.URL.Query().Get("nonce")
	if n := utf8.RuneCountInString(nonce); n < 10 || n > 255 {
		linkPage(w, http.StatusBadRequest, "The nonce must have 10 to 255 characters.")
		return
	}
	var row struct {
		ChannelID string `db:"channel_id"`
		UserID    string `db:"user_id"`
		ExpiresMS int64  `db:"expires_ms"`
	}
	err := s.store.write(func(t *txn) error {
		token := r.URL.Query().Get("linkToken")
		if err := t.get(&row, `SELECT channel_id, user_id, expires_ms FROM link_tokens WHERE token = ?`, token); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM link_tokens WHERE token = ?`, token)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) || (err == nil && s.now().After(msTime(row.ExpiresMS))) {
		linkPage(w, http.StatusBadRequest, "This link has expired or was used before.")
		return
	}
	linked := false
	if err == nil {
		blocked := false
		if blocked, err = s.blocked(r.Context(), row.ChannelID, row.UserID); err == nil {
			linked = !blocked
			_, err = s.AccountLink(r.Context(), row.ChannelID, row.UserID, nonce, linked)
		}
	}
	if err != nil {
		s.log.Error("account link", "error", err)
		linkPage(w, http.StatusInternalServerError, "Something broke in the simulator.")
		return
	}
	if !linked {
		linkPage(w, http.StatusForbidden, "Your accounts could not be linked.")
		return
	}
	linkPage(w, http.StatusOK, "Your accounts are linked. You can close this page.")
}

func linkPage(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.WriteHeader(status)
	page := strings.NewReplacer("{}", html.EscapeString(text)).Replace(`<!doctype html><html lang="en"><title>Account link</title><p>{}</p></html>`)
	fmt.Fprint(w, page)
}
