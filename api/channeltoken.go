package api

import (
	"context"
	"errors"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

func showAccessToken(c store.Channel) ChannelAccessToken {
	t := ChannelAccessToken{
		Kind: AccessTokenKind(c.TokenKind), State: ChannelAccessTokenStateAccepted, AssertionKeyID: Nullable(c.AssertionKeyID), ExpiresAt: Time(c.TokenExpiresAt),
	}
	if !c.HeldAt.IsZero() {
		t.State, t.RefusedSince, t.RefusedBecause = ChannelAccessTokenStateRefused, Time(c.HeldAt), Nullable(c.HeldBecause)
	}
	return t
}

// means is how a request wants a channel to come by its access token. What it
// leaves out is empty.
type means struct {
	Kind  string `json:"access_token_kind"`
	Token string `json:"channel_access_token"`
	Key   string `json:"assertion_key"`
	KeyID string `json:"assertion_key_id"`
}

// apply gives a channel what it is to speak by, but for what LINE has to issue.
// It tells whether anything changed, and refuses, by the fields' names, what does
// not go together.
func (m means) apply(c *store.Channel) (changed bool, err error) {
	before := *c
	switch {
	case m.Kind != "":
		c.TokenKind = m.Kind
	case c.TokenKind == "":
		c.TokenKind = store.TokenLongLived
	}
	var wrong invalid
	if c.TokenKind != store.TokenLongLived && m.Token != "" {
		wrong.add("/channel_access_token", "Kaiwa has this channel's tokens issued. To give one, set access_token_kind to long_lived with it.")
	}
	if c.TokenKind != store.TokenAsserted {
		for _, field := range []struct{ pointer, given string }{{"/assertion_key", m.Key}, {"/assertion_key_id", m.KeyID}} {
			if field.given != "" {
				wrong.add(field.pointer, "Only a channel whose access_token_kind is v2_1 has it.")
			}
		}
		c.AssertionKey, c.AssertionKeyID = "", ""
	}
	switch c.TokenKind {
	case store.TokenLongLived:
		switch {
		case m.Token != "":
			c.Token = m.Token
		case before.TokenKind != store.TokenLongLived:
			wrong.add("/channel_access_token", "It is needed: issue a long-lived one in the LINE Developers Console, or set access_token_kind to v2_1 or stateless.")
		}
	case store.TokenAsserted:
		if m.Key != "" {
			c.AssertionKey, c.AssertionKeyID = m.Key, ""
		}
		if m.KeyID != "" {
			c.AssertionKeyID = m.KeyID
		}
		key, err := line.ParseAssertionKey(c.AssertionKey, c.AssertionKeyID)
		switch {
		case c.AssertionKey == "":
			wrong.add("/assertion_key", "It is needed: the private half of the assertion signing key that is registered in the LINE Developers Console.")
		case errors.Is(err, line.ErrKeyID):
			wrong.add("/assertion_key_id", "It %s.", err)
		case err != nil:
			wrong.add("/assertion_key", "It %s.", err)
		}
		c.AssertionKeyID = key.ID()
	}
	changed = c.TokenKind != before.TokenKind || c.Token != before.Token || c.AssertionKey != before.AssertionKey || c.AssertionKeyID != before.AssertionKeyID
	return changed, wrong.err()
}

// voice is by what LINE has let a channel speak, and for which bot.
type voice struct {
	info    line.BotInfo
	token   string
	expires time.Time
}

// admit has LINE let a channel speak by what it has, with a token issued where
// that is Kaiwa's to do.
func (s *Server) admit(ctx context.Context, c store.Channel) (v voice, err error) {
	field := "/channel_access_token"
	v.token = c.Token
	switch c.TokenKind {
	case store.TokenAsserted:
		field = "/assertion_key"
		if v.token, v.expires, err = s.tokens.Issue(ctx, c); err != nil {
			return v, refusedField(err, field)
		}
	case store.TokenStateless:
		field, v.token = "/channel_secret", ""
	}
	c.Token = v.token
	client, _, err := s.tokens.As(ctx, c)
	if err == nil {
		v.info, err = client.BotInfo(ctx)
	}
	if err != nil {
		s.discard(ctx, c, v)
		return v, refusedField(err, field)
	}
	return v, nil
}

// discard revokes a token that was issued for nothing. One that LINE does not
// revoke expires by itself.
func (s *Server) discard(ctx context.Context, c store.Channel, v voice) {
	if v.expires.IsZero() || len(c.Secrets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	if err := s.line.RevokeAssertedToken(ctx, c.LINEChannelID, c.Secrets[0], v.token); err != nil {
		s.log.Warn("an access token that nobody uses was not revoked; it expires by itself", "channel_id", c.ID, "error", err)
	}
}

// spoken is what LINE was asked for a change of a channel.
type spoken struct {
	voice
	as store.Channel // by what was asked
}

// admitChange has LINE let a channel speak as a change wants it; nil when the
// change is about something else.
func (s *Server) admitChange(ctx context.Context, id string, change channelChange) (*spoken, error) {
	if change.means == (means{}) && change.ChannelSecret == "" {
		return nil, nil
	}
	c, err := s.channel(ctx, id)
	if err != nil {
		return nil, err
	}
	changed, err := change.apply(&c)
	if err != nil {
		return nil, err
	}
	if change.ChannelSecret != "" {
		changed = changed || c.TokenKind == store.TokenStateless // by that its tokens are issued
		c.RotateSecret(change.ChannelSecret, time.Now())
	}
	if !changed && (change.means == (means{}) || c.HeldAt.IsZero()) {
		return nil, nil
	}
	v, err := s.admit(ctx, c)
	if err != nil {
		return nil, err
	}
	return &spoken{v, c}, nil
}

// give gives a channel what LINE has let it speak by.
func (v spoken) give(c *store.Channel, by means) error {
	token := c.Token
	changed, err := by.apply(c)
	if err != nil {
		return err
	}
	c.Token = token // which Replace may have to revoke
	if c.BotUserID != "" && v.info.UserID != c.BotUserID {
		return conversation.Invalid("/channel_access_token", "This access token is of another bot. Its customers' conversations would not continue; create another channel for it.")
	}
	c.BotUserID, c.BasicID, c.ChatMode = v.info.UserID, v.info.BasicID, v.info.ChatMode
	if changed || c.TokenKind == store.TokenAsserted {
		c.Replace(v.token, v.expires, time.Now())
	}
	return nil
}

// discardTime bounds the call that revokes a token.
const discardTime = 5 * time.Second

// refusedField is LINE's refusal as the fault of a field, unless LINE is to blame.
func refusedField(err error, field string) error {
	e := lineError(err)
	if conversation.CodeOf(e) == conversation.CodeLINERefused {
		return &conversation.Error{Code: conversation.CodeLINERefused, Detail: e.Detail, Err: err,
			Fields: []conversation.FieldError{{Pointer: field, Detail: e.Detail}}}
	}
	return e
}
