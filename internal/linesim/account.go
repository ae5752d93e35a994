package linesim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// ErrNotFound is wrapped by every error about an unknown channel, user, event
// or message.
var ErrNotFound = errors.New("not found")

var userIDPattern = regexp.MustCompile(`^U[0-9a-f]{32}$`)

// Channel is a LINE Official Account with a Messaging API channel.
type Channel struct {
	ID          string `json:"id"`
	Secret      string `json:"secret"`
	AccessToken string `json:"access_token"`
	// BotUserID is the webhook's destination; derived from ID when empty.
	BotUserID   string `json:"bot_user_id"`
	BasicID     string `json:"basic_id"`
	DisplayName string `json:"display_name"`
	PictureURL  string `json:"picture_url,omitempty"`
	// ChatMode is "chat" or "bot" (default). In bot mode LINE marks messages
	// as read by itself.
	ChatMode string `json:"chat_mode"`
	// WebhookURL receives the events while WebhookActive ("Use webhook" in
	// LINE's console); otherwise events are lost, as at LINE.
	WebhookURL    string `json:"webhook_url"`
	WebhookActive bool   `json:"webhook_active"`
	// RedeliveryOff turns off LINE's "Webhook redelivery". At LINE it is off
	// until switched on in the console; here it is on until switched off.
	RedeliveryOff bool `json:"redelivery_off"`
	// Quota is the number of paid messages a month; 0 is unlimited.
	Quota int `json:"quota"`
	// RatePerSecond replaces LINE's limit of calls per endpoint and second;
	// 0 keeps LINE's, below 0 there is none.
	RatePerSecond int `json:"rate_per_second,omitempty"`
	// Standby sends events with mode "standby": the bot must not answer.
	Standby bool `json:"standby,omitempty"`
	// AssertionKeys are the public halves of the keys whose holder may have
	// access tokens issued, as JSON Web Keys (RFC 7517) with their key ids.
	AssertionKeys []json.RawMessage `json:"assertion_keys,omitempty"`
}

// accounts is the channels, in memory because every call asks for them.
type accounts struct {
	mu      sync.RWMutex
	byID    map[string]Channel
	order   []string
	byToken map[string]string      // long-lived access token → channel id
	issued  map[string]issuedToken // issued access token → channel
}

type issuedToken struct {
	channelID string
	expires   time.Time
}

func loadAccounts(ctx context.Context, st *store) (*accounts, error) {
	a := &accounts{byID: map[string]Channel{}, byToken: map[string]string{}, issued: map[string]issuedToken{}}
	var docs []string
	if err := st.r.SelectContext(ctx, &docs, `SELECT doc FROM channels ORDER BY rowid`); err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	for _, doc := range docs {
		var c Channel
		if err := json.Unmarshal([]byte(doc), &c); err != nil {
			return nil, fmt.Errorf("read channel: %w", err)
		}
		a.put(c)
	}
	var tokens []struct {
		Token     string `db:"token"`
		ChannelID string `db:"channel_id"`
		ExpiresMS int64  `db:"expires_ms"`
	}
	if err := st.r.SelectContext(ctx, &tokens, `SELECT token, channel_id, expires_ms FROM access_tokens`); err != nil {
		return nil, fmt.Errorf("read access tokens: %w", err)
	}
	for _, t := range tokens {
		a.issued[t.Token] = issuedToken{t.ChannelID, time.UnixMilli(t.ExpiresMS)}
	}
	return a, nil
}

func (a *accounts) put(c Channel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, ok := a.byID[c.ID]; ok {
		delete(a.byToken, old.AccessToken)
	} else {
		a.order = append(a.order, c.ID)
	}
	a.byID[c.ID] = c
	if c.AccessToken != "" {
		a.byToken[c.AccessToken] = c.ID
	}
}

func (a *accounts) get(id string) (Channel, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c, ok := a.byID[id]
	return c, ok
}

func (a *accounts) authenticate(token string, now time.Time) (Channel, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if id, ok := a.byToken[token]; ok {
		return a.byID[id], true
	}
	t, ok := a.issued[token]
	if !ok || now.After(t.expires) {
		return Channel{}, false
	}
	c, ok := a.byID[t.channelID]
	return c, ok
}

func (a *accounts) all() []Channel {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]Channel, 0, len(a.order))
	for _, id := range a.order {
		out = append(out, a.byID[id])
	}
	return out
}

// AddChannel adds the channel or replaces the one with its ID. An empty
// WebhookURL keeps the URL and switch that were set before, so that seeding at
// every start does not undo what the bot configured through LINE's API.
func (s *Simulator) AddChannel(_ context.Context, c Channel) error {
	if c.ID == "" {
		return errors.New("channel: id is empty")
	}
	if c.BotUserID == "" {
		c.BotUserID = "U" + derivedHex("bot:"+c.ID)
	}
	if !userIDPattern.MatchString(c.BotUserID) {
		return fmt.Errorf("channel %s: bot user id %q must be U and 32 lower-case hex digits", c.ID, c.BotUserID)
	}
	if c.BasicID == "" {
		c.BasicID = "@" + derivedHex("basic:" + c.ID)[:8]
	}
	if c.DisplayName == "" {
		c.DisplayName = c.ID
	}
	switch c.ChatMode {
	case "":
		c.ChatMode = "bot"
	case "bot", "chat":
	default:
		return fmt.Errorf("channel %s: chat mode %q must be bot or chat", c.ID, c.ChatMode)
	}
	if old, ok := s.accounts.get(c.ID); ok && c.WebhookURL == "" {
		c.WebhookURL, c.WebhookActive = old.WebhookURL, old.WebhookActive
	}
	return s.saveChannel(c)
}

// ChangeChannel applies change to the channel as it is now.
func (s *Simulator) ChangeChannel(_ context.Context, id string, change func(*Channel)) error {
	c, err := s.channel(id)
	if err != nil {
		return err
	}
	change(&c)
	if c.ID != id {
		return fmt.Errorf("channel %s: its id cannot change", id)
	}
	return s.saveChannel(c)
}

func (s *Simulator) saveChannel(c Channel) error {
	doc, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("channel %s: %w", c.ID, err)
	}
	err = s.store.write(func(t *txn) error {
		_, err := t.exec(`INSERT INTO channels (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, c.ID, string(doc))
		return err
	})
	if err != nil {
		return fmt.Errorf("save channel %s: %w", c.ID, err)
	}
	s.accounts.put(c)
	s.hub.publish("channel", publicChannel(c))
	return nil
}

// Channels lists the channels in the order they were added.
func (s *Simulator) Channels() []Channel { return s.accounts.all() }

func (s *Simulator) channel(id string) (Channel, error) {
	c, ok := s.accounts.get(id)
	if !ok {
		return Channel{}, fmt.Errorf("channel %q: %w", id, ErrNotFound)
	}
	return c, nil
}

// User is somebody with the LINE app. A user the simulator knows can write to
// every channel and is a friend of it unless they blocked it.
type User struct {
	// ID is "U" and 32 lower-case hex digits. (At LINE it differs between
	// providers; the simulator is one provider.)
	ID            string `json:"id"`
	DisplayName   string `json:"display_name"`
	Language      string `json:"language,omitempty"`
	PictureURL    string `json:"picture_url,omitempty"`
	StatusMessage string `json:"status_message,omitempty"`
}

// AddUser adds the user or replaces the one with its ID.
func (s *Simulator) AddUser(_ context.Context, u User) error {
	if !userIDPattern.MatchString(u.ID) {
		return fmt.Errorf("user id %q must be U and 32 lower-case hex digits", u.ID)
	}
	if strings.TrimSpace(u.DisplayName) == "" {
		return fmt.Errorf("user %s: display name is empty", u.ID)
	}
	doc, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("user %s: %w", u.ID, err)
	}
	err = s.store.write(func(t *txn) error {
		_, err := t.exec(`INSERT INTO users (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, u.ID, string(doc))
		return err
	})
	if err != nil {
		return fmt.Errorf("save user %s: %w", u.ID, err)
	}
	s.hub.publish("user", u)
	return nil
}

// Users lists the users in the order they were added.
func (s *Simulator) Users(ctx context.Context) ([]User, error) {
	var docs []string
	if err := s.store.r.SelectContext(ctx, &docs, `SELECT doc FROM users ORDER BY seq`); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	users := make([]User, len(docs))
	for i, doc := range docs {
		if err := json.Unmarshal([]byte(doc), &users[i]); err != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
	}
	return users, nil
}

func (s *Simulator) user(ctx context.Context, id string) (User, error) {
	var docs []string
	if err := s.store.r.SelectContext(ctx, &docs, `SELECT doc FROM users WHERE id = ?`, id); err != nil {
		return User{}, fmt.Errorf("read user %s: %w", id, err)
	}
	if len(docs) == 0 {
		return User{}, fmt.Errorf("user %q: %w", id, ErrNotFound)
	}
	var u User
	if err := json.Unmarshal([]byte(docs[0]), &u); err != nil {
		return User{}, fmt.Errorf("read user %s: %w", id, err)
	}
	return u, nil
}

// Blocked lists the users who blocked the channel.
func (s *Simulator) Blocked(ctx context.Context, channelID string) ([]string, error) {
	ids := []string{}
	if err := s.store.r.SelectContext(ctx, &ids, `SELECT user_id FROM blocks WHERE channel_id = ?`, channelID); err != nil {
		return nil, fmt.Errorf("read blocks of %s: %w", channelID, err)
	}
	return ids, nil
}

func (s *Simulator) blocked(ctx context.Context, channelID, userID string) (bool, error) {
	var n int
	if err := s.store.r.GetContext(ctx, &n, selectBlocked, channelID, userID); err != nil {
		return false, fmt.Errorf("read block of %s by %s: %w", channelID, userID, err)
	}
	return n > 0, nil
}

const (
	selectBlocked    = `SELECT count(*) FROM blocks WHERE channel_id = ? AND user_id = ?`
	selectUserExists = `SELECT count(*) FROM users WHERE id = ?`
)

// NewUserID makes an ID in LINE's form.
func NewUserID() string { return "U" + randomHex(16) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the process instead (crypto/rand)
	return hex.EncodeToString(b)
}

func derivedHex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// publicChannel is the channel as browsers see it: without its secrets.
func publicChannel(c Channel) Channel {
	c.Secret, c.AccessToken = "", ""
	return c
}
