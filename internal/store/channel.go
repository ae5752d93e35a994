package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// The statuses of a Channel.
const (
	ChannelActive   = "active"
	ChannelDisabled = "disabled" // webhooks are stored and never handled
	ChannelDeleted  = "deleted"  // gone for everybody but what is still on its way to customers
)

// The kinds of access token, by LINE's names.
const (
	TokenLongLived = "long_lived" // LINE's console issues it; it does not expire
	TokenAsserted  = "v2_1"       // Kaiwa has it issued, by an assertion signing key, for 30 days
	TokenStateless = "stateless"  // each process has one issued, by the channel's id and secret, for 15 minutes; none is stored
)

// What a channel does in group chats and rooms.
const (
	GroupsIgnored = "ignore" // what happens there is noted, and its words are not kept
	GroupsLeft    = "leave"  // the account says a word and leaves
	GroupsServed  = "serve"  // a group is a customer: one conversation, whoever speaks in it
)

// Channel is one LINE Official Account.
type Channel struct {
	ID            string
	Name          string
	LINEChannelID string
	BotUserID     string // the destination of its webhooks; "" while unknown
	BasicID       string // what people search for in LINE, "@…"
	WorkstreamID  string
	Locale        string
	Status        string
	ChatMode      string   // chat or bot, as LINE says
	GroupChats    string   // GroupsIgnored, GroupsLeft or GroupsServed; "" is GroupsIgnored
	Secrets       []string // decrypted; current first, then the previous one while a rotation lasts; none once deleted, but for what issues tokens
	PreviousUntil time.Time
	TokenKind     string // "" is TokenLongLived
	Token         string // decrypted; "" some time after deletion, and of a stateless one
	DeletedAt     time.Time
	// AssertionKey is decrypted; "" but for TokenAsserted. AssertionKeyID is LINE's
	// name for it.
	AssertionKey, AssertionKeyID string
	TokenExpiresAt               time.Time // of TokenAsserted
	// OldToken is the one before, decrypted, to be revoked at RevokeAt.
	OldToken string
	RevokeAt time.Time
	// HeldAt says since when LINE refuses the access token, and HeldBecause in
	// which words; zero while it does not. Nothing is sent meanwhile.
	HeldAt         time.Time
	HeldBecause    string
	ResumedAt      time.Time // since when that is over, while there may be something that waited
	TendAt         time.Time // when somebody looks after the token next; zero for never
	AccountLinking AccountLinking
	// AutomatedMessages win over those of the workstream.
	AutomatedMessages []AutomatedMessage
	RichMenus         RichMenus
	RichMenusRefused  map[string]RichMenuRefusal // of RichMenus, by id; LINE shows them to nobody
	Version           int64
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

// RotateSecret makes secret the current one. The one it replaces is accepted
// until then.
func (c *Channel) RotateSecret(secret string, until time.Time) {
	if len(c.Secrets) > 0 && c.Secrets[0] == secret {
		return
	}
	c.Secrets = append([]string{secret}, c.Secrets...)
	if len(c.Secrets) > 2 {
		c.Secrets = c.Secrets[:2]
	}
	c.PreviousUntil = until.UTC().Truncate(time.Microsecond)
}

// Speaks tells whether c speaks to LINE by the same means as another reading of
// the same channel: what LINE refused then, it refuses now.
func (c Channel) Speaks(as Channel) bool {
	same := c.TokenKind == as.TokenKind && c.LINEChannelID == as.LINEChannelID && c.Token == as.Token
	return same && (c.TokenKind != TokenStateless || slices.Equal(first(c.Secrets), first(as.Secrets)))
}

func first(list []string) []string { return list[:min(1, len(list))] }

type channelRow struct {
	ID             string `db:"id"`
	Name           string `db:"name"`
	LINEChannelID  string `db:"line_channel_id"`
	BotUserID      string `db:"bot_user_id"`
	BasicID        string `db:"basic_id"`
	ChatMode       string `db:"chat_mode"`
	GroupChats     string `db:"group_chats"`
	WorkstreamID   string `db:"workstream_id"`
	Locale         string `db:"locale"`
	Status         string `db:"status"`
	Secret         string `db:"secret"`
	PreviousSecret string `db:"previous_secret"`
	PreviousUntil  int64  `db:"previous_until"`
	Token          string `db:"token"`
	DeletedAt      int64  `db:"deleted_at"`
	Automated      string `db:"automated_messages"`
	Version        int64  `db:"version"`
	CreatedAt      int64  `db:"created_at"`
	UpdatedAt      int64  `db:"updated_at"`
	TokenKind      string `db:"token_kind"`
	AssertionKey   string `db:"assertion_key"`
	AssertionKeyID string `db:"assertion_key_id"`
	TokenExpiresAt int64  `db:"token_expires_at"`
	OldToken       string `db:"old_token"`
	RevokeAt       int64  `db:"revoke_at"`
	HeldAt         int64  `db:"held_at"`
	HeldBecause    string `db:"held_because"`
	ResumedAt      int64  `db:"resumed_at"`
	TendAt         int64  `db:"tend_at"`
	RichMenus      string `db:"rich_menus"`
	MenusRefused   string `db:"rich_menus_refused"`
	AccountLinking string `db:"account_linking"`
}

var channels = &family[Channel, channelRow]{
	kind: "channel", table: "channels", prefix: conversation.PrefixChannel,
	hide: "status = '" + ChannelDeleted + "'",
	meta: func(c *Channel) meta { return meta{&c.ID, &c.Name, &c.Version, &c.CreatedAt, &c.UpdatedAt} },
	seal: func(s *Store, c Channel) (channelRow, error) {
		r := channelRow{
			ID: c.ID, Name: c.Name, LINEChannelID: c.LINEChannelID, BotUserID: c.BotUserID, BasicID: c.BasicID, ChatMode: c.ChatMode,
			GroupChats: cmp.Or(c.GroupChats, GroupsIgnored), WorkstreamID: c.WorkstreamID, Locale: c.Locale, Status: c.Status, PreviousUntil: micros(c.PreviousUntil), DeletedAt: micros(c.DeletedAt),
			Version: c.Version, CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt),
			TokenKind: cmp.Or(c.TokenKind, TokenLongLived), AssertionKeyID: c.AssertionKeyID, TokenExpiresAt: micros(c.TokenExpiresAt), RevokeAt: micros(c.RevokeAt),
			HeldAt: micros(c.HeldAt), HeldBecause: c.HeldBecause, ResumedAt: micros(c.ResumedAt), TendAt: micros(c.TendAt),
		}
		automated, err := json.Marshal(append([]AutomatedMessage{}, c.AutomatedMessages...))
		if err != nil {
			return r, err
		}
		r.Automated = string(automated)
		if r.RichMenus, err = jsonOrNone(c.RichMenus, !c.RichMenus.On()); err != nil {
			return r, err
		}
		if r.MenusRefused, err = jsonOrNone(c.RichMenusRefused, len(c.RichMenusRefused) == 0); err != nil {
			return r, err
		}
		if c.AccountLinking.On() {
			r.AccountLinking = jsonOf(c.AccountLinking)
		}
		for i, at := range []*string{&r.Secret, &r.PreviousSecret} {
			if i < len(c.Secrets) {
				if *at, err = s.keys.Seal(c.Secrets[i], "channel/"+c.ID+"/secret"); err != nil {
					return r, err
				}
			}
		}
		if r.Token, err = s.sealed(c.Token, "channel/"+c.ID+"/token"); err != nil {
			return r, err
		}
		if r.OldToken, err = s.sealed(c.OldToken, "channel/"+c.ID+"/token"); err != nil {
			return r, err
		}
		r.AssertionKey, err = s.sealed(c.AssertionKey, "channel/"+c.ID+"/assertion_key")
		return r, err
	},
	open: func(s *Store, r channelRow) (Channel, error) {
		c := Channel{
			ID: r.ID, Name: r.Name, LINEChannelID: r.LINEChannelID, BotUserID: r.BotUserID, BasicID: r.BasicID, ChatMode: r.ChatMode,
			GroupChats: r.GroupChats, WorkstreamID: r.WorkstreamID, Locale: r.Locale, Status: r.Status, DeletedAt: fromMicros(r.DeletedAt),
			Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
			TokenKind: r.TokenKind, AssertionKeyID: r.AssertionKeyID, TokenExpiresAt: fromMicros(r.TokenExpiresAt), RevokeAt: fromMicros(r.RevokeAt),
			HeldAt: fromMicros(r.HeldAt), HeldBecause: r.HeldBecause, ResumedAt: fromMicros(r.ResumedAt), TendAt: fromMicros(r.TendAt),
		}
		if err := json.Unmarshal([]byte(r.Automated), &c.AutomatedMessages); err != nil {
			return c, fmt.Errorf("automated messages of channel %s: %w", r.ID, err)
		}
		for text, into := range map[string]any{r.RichMenus: &c.RichMenus, r.MenusRefused: &c.RichMenusRefused} {
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return c, fmt.Errorf("rich menus of channel %s: %w", r.ID, err)
			}
		}
		if r.AccountLinking != "" {
			if err := json.Unmarshal([]byte(r.AccountLinking), &c.AccountLinking); err != nil {
				return c, fmt.Errorf("account linking of channel %s: %w", r.ID, err)
			}
		}
		kept := []string{r.Secret}
		if until := fromMicros(r.PreviousUntil); until.After(s.now()) {
			kept, c.PreviousUntil = append(kept, r.PreviousSecret), until
		}
		for _, sealed := range kept {
			if sealed == "" {
				continue
			}
			secret, err := s.keys.Open(sealed, "channel/"+r.ID+"/secret")
			if err != nil {
				return c, fmt.Errorf("secret of channel %s: %w", r.ID, err)
			}
			c.Secrets = append(c.Secrets, secret)
		}
		var err error
		if c.Token, err = s.unsealed(r.Token, "channel/"+r.ID+"/token"); err != nil {
			return c, fmt.Errorf("token of channel %s: %w", r.ID, err)
		}
		if c.OldToken, err = s.unsealed(r.OldToken, "channel/"+r.ID+"/token"); err != nil {
			return c, fmt.Errorf("old token of channel %s: %w", r.ID, err)
		}
		if c.AssertionKey, err = s.unsealed(r.AssertionKey, "channel/"+r.ID+"/assertion_key"); err != nil {
			return c, fmt.Errorf("assertion key of channel %s: %w", r.ID, err)
		}
		return c, nil
	},
	facts: func(c Channel) map[string]any {
		f := map[string]any{
			"name": c.Name, "line_channel_id": c.LINEChannelID, "bot_user_id": c.BotUserID, "workstream_id": c.WorkstreamID, "group_chats": c.GroupChats,
			"locale": c.Locale, "status": c.Status, "channel_access_token": hidden(c.Token),
			"automated_messages": c.AutomatedMessages, "access_token_kind": c.TokenKind, "account_linking": c.AccountLinking,
		}
		if c.RichMenus.On() {
			f["rich_menus"] = c.RichMenus
		}
		if c.AssertionKey != "" {
			f["assertion_key"], f["assertion_key_id"] = hidden(c.AssertionKey), c.AssertionKeyID
		}
		if len(c.Secrets) > 0 {
			f["channel_secret"] = hidden(c.Secrets[0])
		}
		return f
	},
	uses: func(ctx context.Context, c conn, ch Channel) error {
		return c.exists(ctx, "workstreams", ch.WorkstreamID, "/workstream_id", "workstream")
	},
	changed: func(ctx context.Context, c conn, before, after Channel) error {
		return c.richMenusChanged(ctx, before, after)
	},
	taken: map[string]conversation.FieldError{
		"channels_line_channel_id": {Pointer: "/line_channel_id", Detail: "Another channel has this LINE channel ID already."},
		"channels_bot_user_id":     {Pointer: "/channel_access_token", Detail: "The access token is of a LINE bot that another channel has already."},
	},
}

// sealed is a value encrypted for one place; nothing stays nothing.
func (s *Store) sealed(plain, place string) (string, error) {
	if plain == "" {
		return "", nil
	}
	return s.keys.Seal(plain, place)
}

func (s *Store) unsealed(sealed, place string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	return s.keys.Open(sealed, place)
}

// Channel reads one channel. CodeNotFound when there is none. A deleted one is
// returned, with status ChannelDeleted, for the sake of what is still on its
// way to its customers; whoever serves requests hides it.
func (s *Store) Channel(ctx context.Context, id string) (Channel, error) {
	return channels.get(ctx, s, s.read(), id, "")
}

// Channels lists the channels that are not deleted.
func (s *Store) Channels(ctx context.Context, after Cursor, limit int) ([]Channel, error) {
	return channels.list(ctx, s, after, limit)
}

// CreateChannel stores a channel. CodeInvalid when its workstream is not there,
// CodeConflict when another channel is the same LINE channel.
func (s *Store) CreateChannel(ctx context.Context, by Origin, c Channel) (Channel, error) {
	return channels.create(ctx, s, by, c)
}

// UpdateChannel changes a channel; see family.update for the codes. change may
// run inside a transaction and must do no I/O.
func (s *Store) UpdateChannel(ctx context.Context, by Origin, id string, version int64, change func(*Channel) error) (Channel, error) {
	return channels.update(ctx, s, by, id, version, change)
}

// DeleteChannel deletes a channel. While conversations of it are live it
// refuses with CodeLiveConversations, unless evenLive: then they are for the
// caller to close, see ConversationsOfDeletedChannels. The secret is forgotten
// at once, unless tokens are issued by it; by what messages are sent stays until
// SweepConfiguration finds it a day old, so that closing messages can be sent.
func (s *Store) DeleteChannel(ctx context.Context, by Origin, id string, version int64, evenLive bool) error {
	return s.tx(ctx, func(c conn) error {
		before, err := channels.lock(ctx, s, c, id, version)
		if err != nil {
			return err
		}
		var live int64
		if _, err := c.get(ctx, &live, "SELECT count(*) FROM conversations WHERE channel_id = $1 AND status <> 'closed'", id); err != nil {
			return err
		}
		if live > 0 && !evenLive {
			return conversation.Errorf(conversation.CodeLiveConversations,
				"The channel has %d live conversations. Close them first, or delete it with live=close to have them closed.", live)
		}
		after := before
		after.Status, after.Secrets, after.PreviousUntil = ChannelDeleted, nil, time.Time{}
		if before.TokenKind == TokenStateless {
			after.Secrets = first(before.Secrets)
		}
		after.DeletedAt = s.now().UTC().Truncate(time.Microsecond)
		return channels.replace(ctx, s, c, by, AuditDeleted, before, &after)
	})
}

// ConversationsOfDeletedChannels lists live conversations whose channel is
// gone: they are to be closed.
func (s *Store) ConversationsOfDeletedChannels(ctx context.Context, limit int) ([]string, error) {
	var ids []string
	err := s.read().list(ctx, &ids, `SELECT v.id FROM channels c JOIN conversations v ON v.channel_id = c.id AND v.status <> 'closed'
		WHERE c.status = 'deleted' ORDER BY v.id LIMIT $1`, limit)
	return ids, err
}

// EventsWhileDisabled counts, by channel, the events that came while it was
// disabled and are never handled. Channels without any are left out.
func (s *Store) EventsWhileDisabled(ctx context.Context, channelIDs ...string) (map[string]int64, error) {
	counts := map[string]int64{}
	if len(channelIDs) == 0 {
		return counts, nil
	}
	args := make([]any, len(channelIDs))
	for i, id := range channelIDs {
		args[i] = id
	}
	var rows []struct {
		ChannelID string `db:"channel_id"`
		Count     int64  `db:"n"`
	}
	err := s.read().list(ctx, &rows, "SELECT channel_id, count(*) AS n FROM line_events WHERE disposition = 'channel_disabled' AND channel_id IN "+
		values(1, len(args), 1)+" GROUP BY channel_id", args...)
	for _, r := range rows {
		counts[r.ChannelID] = r.Count
	}
	return counts, err
}
