package store

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/failpoint"
)

// oldTokenKept is how long a token of Kaiwa's own issuing that was replaced is
// left alone before it is revoked: other processes know it for some seconds
// more, and a call to LINE may be under way.
const oldTokenKept = 10 * time.Minute

// heldLook is how often LINE is asked whether it takes the token of a channel
// again that it refuses.
const heldLook = time.Minute

// Events of a channel. They belong to no conversation: agents do not see them.
const (
	eventTokenRefused  = "channel.token_refused"
	eventTokenAccepted = "channel.token_accepted"
)

// HoldChannel notes that LINE refuses the access token by which a channel, as it
// was read before, speaks, in which words: nothing is sent from then on until
// RestoreChannel. It tells whether the channel is held. It is not when it speaks
// by something else meanwhile, which is worth another attempt.
func (s *Store) HoldChannel(ctx context.Context, spoke Channel, said string) (held bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		now, err := channels.get(ctx, s, c, spoke.ID, s.d.forUpdate())
		if err != nil {
			return err
		}
		held = now.Speaks(spoke)
		if !held || !now.HeldAt.IsZero() {
			return nil
		}
		at := s.now()
		look := at.Add(heldLook)
		if now.TokenKind == TokenAsserted {
			look = at // another one can be issued
		}
		if _, err := c.exec(ctx, `UPDATE channels SET held_at = $1, held_because = $2, tend_at = $3 WHERE id = $4`, micros(at), said, micros(look), spoke.ID); err != nil {
			return err
		}
		err = c.record(ctx, eventTokenRefused, "", spoke.ID, `{}`, micros(at))
		failpoint.Hit("hold.before_commit")
		return err
	})
	if err != nil {
		return false, fmt.Errorf("hold channel %s: %w", spoke.ID, err)
	}
	failpoint.Hit("hold.after_commit")
	return held, nil
}

// RestoreChannel notes that LINE takes the access token by which a channel
// speaks, and has what waited sent: see WaitingConversations. A channel that is
// not held, or speaks by something else meanwhile, stays as it is.
func (s *Store) RestoreChannel(ctx context.Context, speaks Channel) error {
	err := s.tx(ctx, func(c conn) error {
		now, err := channels.get(ctx, s, c, speaks.ID, s.d.forUpdate())
		if err != nil || now.HeldAt.IsZero() || !now.Speaks(speaks) {
			return err
		}
		return c.restore(ctx, speaks.ID)
	})
	if err != nil {
		return fmt.Errorf("restore channel %s: %w", speaks.ID, err)
	}
	return nil
}

// restore ends the hold of a channel whose row is locked.
func (c conn) restore(ctx context.Context, id string) error {
	at := micros(c.s.now())
	if _, err := c.exec(ctx, `UPDATE channels SET held_at = 0, held_because = '', resumed_at = $1, tend_at = $1 WHERE id = $2`, at, id); err != nil {
		return err
	}
	return c.record(ctx, eventTokenAccepted, "", id, `{}`, at)
}

// ReplaceToken gives a channel the access token v2.1 that was issued for it as it
// was read before, and has the one before revoked in a while. One that speaks by
// something else meanwhile is left alone; then the token is nobody's, and the
// result is false.
func (s *Store) ReplaceToken(ctx context.Context, spoke Channel, token string, expires time.Time) (replaced bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		now, err := channels.get(ctx, s, c, spoke.ID, s.d.forUpdate())
		if err != nil {
			return err
		}
		if replaced = now.Speaks(spoke) && now.AssertionKey == spoke.AssertionKey; !replaced {
			return nil
		}
		now.Replace(token, expires, s.now())
		row, err := channels.seal(s, now)
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE channels SET token = $1, token_expires_at = $2, old_token = $3, revoke_at = $4, tend_at = $5 WHERE id = $6`,
			row.Token, row.TokenExpiresAt, row.OldToken, row.RevokeAt, micros(s.now()), spoke.ID); err != nil {
			return err
		}
		if now.HeldAt.IsZero() {
			return nil
		}
		return c.restore(ctx, spoke.ID)
	})
	if err != nil {
		return false, fmt.Errorf("replace the token of channel %s: %w", spoke.ID, err)
	}
	return replaced, nil
}

// Replace gives the channel a token of Kaiwa's own issuing, or one from LINE's
// console, which does not expire. The one before is revoked in a while if it was
// of Kaiwa's own issuing; there is room for one, and an earlier one that is still
// there expires by itself.
func (c *Channel) Replace(token string, expires, now time.Time) {
	if !c.TokenExpiresAt.IsZero() && c.Token != "" && c.Token != token {
		c.OldToken, c.RevokeAt = c.Token, now.Add(oldTokenKept).UTC().Truncate(time.Microsecond)
	}
	c.Token, c.TokenExpiresAt, c.TendAt = token, expires.UTC().Truncate(time.Microsecond), now.UTC().Truncate(time.Microsecond)
}

// OldTokenRevoked forgets a token that was revoked.
func (s *Store) OldTokenRevoked(ctx context.Context, c Channel) error {
	_, err := s.write().exec(ctx, `UPDATE channels SET old_token = '', revoke_at = 0 WHERE id = $1 AND revoke_at = $2`, c.ID, micros(c.RevokeAt))
	return err
}

// ChannelsToTend lists channels of whose tokens somebody is to look after, those
// that are due for longest first.
func (s *Store) ChannelsToTend(ctx context.Context, limit int) ([]Channel, error) {
	var ids []string
	if err := s.read().list(ctx, &ids, `SELECT id FROM channels WHERE tend_at > 0 AND tend_at <= $1 ORDER BY tend_at LIMIT $2`, micros(s.now()), limit); err != nil {
		return nil, fmt.Errorf("channels to tend: %w", err)
	}
	var list []Channel
	for _, id := range ids {
		c, err := s.Channel(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Tended notes that a channel was looked after as it was read, and when the next
// time is; the zero time for never. What changed meanwhile is not forgotten.
func (s *Store) Tended(ctx context.Context, c Channel, next time.Time) error {
	_, err := s.write().exec(ctx, `UPDATE channels SET tend_at = $1 WHERE id = $2 AND tend_at = $3`, micros(next), c.ID, micros(c.TendAt))
	return err
}

// Resumed notes that all that waited while a channel was held goes again.
func (s *Store) Resumed(ctx context.Context, c Channel) error {
	_, err := s.write().exec(ctx, `UPDATE channels SET resumed_at = 0 WHERE id = $1 AND resumed_at = $2`, c.ID, micros(c.ResumedAt))
	return err
}

// WaitingConversation is one with something to send.
type WaitingConversation struct {
	ID        string `db:"id"`
	ChannelID string `db:"channel_id"`
	ChatKey   string `db:"chat_key"`
	CreatedAt int64  `db:"created_at"`
	Closed    bool   `db:"closed"`
	// Survey says that its survey has begun, whose workflow sends the rest.
	Survey bool `db:"survey"`
	// NotBegun says that its survey has not, so that its own workflow does.
	NotBegun bool `db:"not_begun"`
}

// WaitingConversations lists the conversations of a channel that have something
// to send, oldest first, after one; the zero value is the beginning.
func (s *Store) WaitingConversations(ctx context.Context, channelID string, after WaitingConversation, limit int) ([]WaitingConversation, error) {
	var list []WaitingConversation
	err := s.read().list(ctx, &list, `SELECT c.id, c.channel_id, c.chat_key, c.created_at, c.status = 'closed' AS closed,
			EXISTS (SELECT 1 FROM survey_invitations i WHERE i.conversation_id = c.id AND NOT (`+notBegun+`)) AS survey,
			EXISTS (SELECT 1 FROM survey_invitations i WHERE i.conversation_id = c.id AND `+notBegun+`) AS not_begun
		FROM (SELECT conversation_id FROM messages`+s.d.indexedBy("messages_unsent")+` WHERE state = 'pending' AND batch_id = ''
			UNION SELECT conversation_id FROM batches WHERE state = 'frozen') AS waits CROSS JOIN conversations c
		WHERE c.id = waits.conversation_id AND c.channel_id = $1 AND (c.created_at, c.id) > ($2, $3) ORDER BY c.created_at, c.id LIMIT $4`, channelID, after.CreatedAt, after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("what waits in channel %s: %w", channelID, err)
	}
	return list, nil
}

// Want notes that the workflow of a conversation, or of its survey when that has
// begun, is to look into the database. The relay wakes it, if nobody else does.
func (s *Store) Want(ctx context.Context, w WaitingConversation) error {
	return s.tx(ctx, func(c conn) error {
		if w.Survey {
			_, err := c.exec(ctx, `UPDATE survey_invitations SET wanted_at = $1 WHERE conversation_id = $2`, micros(s.now()), w.ID)
			return err
		}
		return c.want(ctx, w.ID)
	})
}
