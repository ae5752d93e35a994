package store

import (
	"context"
	"fmt"

	"kaiwa/internal/failpoint"
)

// What a channel has to do, other than to send, while LINE takes no access token
// of it waits here. Each says whether it waits in the transaction that looks
// whether the channel is held, so that whoever restores the channel after that
// finds it.

// FileWaits notes that a customer's file waits until LINE takes an access token
// of its channel again. It is due in its chat then, like an errand, and told by
// FilesToResume. It returns false when the channel is not held: nothing waits.
func (s *Store) FileWaits(ctx context.Context, f Fetch) (waits bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		var errands, held int64
		// The chat's row first, as whoever takes events in.
		if _, err := c.get(ctx, &errands, `SELECT errands FROM chats WHERE channel_id = $1 AND chat_key = $2`+s.d.forUpdate(), f.ChannelID, f.ChatKey); err != nil {
			return err
		}
		if _, err := c.get(ctx, &held, `SELECT held_at FROM channels WHERE id = $1`+s.d.forUpdate(), f.ChannelID); err != nil {
			return err
		}
		if waits = held > 0; !waits {
			return nil
		}
		n, err := c.exec(ctx, `UPDATE attachments SET waits_since = $1 WHERE id = $2 AND state = 'pending' AND waits_since = 0`, micros(s.now()), f.ID)
		if err != nil || n == 0 {
			return err
		}
		_, err = c.exec(ctx, `UPDATE chats SET errands = $1 WHERE channel_id = $2 AND chat_key = $3`, errands+1, f.ChannelID, f.ChatKey)
		failpoint.Hit("wait.before_commit")
		return err
	})
	if err != nil {
		return false, fmt.Errorf("have file %s wait: %w", f.ID, err)
	}
	if waits {
		failpoint.Hit("wait.after_commit")
	}
	return waits, nil
}

// FileWaitsNoMore notes that a file that has waited came to its end.
func (s *Store) FileWaitsNoMore(ctx context.Context, f Fetch) error {
	return s.tx(ctx, func(c conn) error {
		if _, err := c.exec(ctx, `UPDATE chats SET errands = errands - 1 WHERE channel_id = $1 AND chat_key = $2
			AND EXISTS (SELECT 1 FROM attachments WHERE id = $3 AND waits_since > 0)`, f.ChannelID, f.ChatKey, f.ID); err != nil {
			return err
		}
		_, err := c.exec(ctx, `UPDATE attachments SET waits_since = 0 WHERE id = $1`, f.ID)
		return err
	})
}

// FilesToResume lists the files of a chat that have waited for an access token,
// while its channel is not held.
func (s *Store) FilesToResume(ctx context.Context, channelID, chatKey string) ([]string, error) {
	var ids []string
	err := s.read().list(ctx, &ids, `SELECT a.id FROM conversations c JOIN attachments a ON a.conversation_id = c.id AND a.waits_since > 0
		WHERE c.channel_id = $1 AND c.chat_key = $2 AND NOT EXISTS (SELECT 1 FROM channels WHERE id = $1 AND held_at > 0)
		ORDER BY a.created_at, a.id`, channelID, chatKey)
	return ids, err
}

// ResumeErrands has the workflows look at the chats of a channel in which
// something is due, and gives the files among it all of their time; what was read
// meanwhile is told at once. It returns the chats.
func (s *Store) ResumeErrands(ctx context.Context, channelID string) ([]Chat, error) {
	var chats []Chat
	err := s.tx(ctx, func(c conn) error {
		chats = nil
		now := micros(s.now())
		if _, err := c.exec(ctx, `UPDATE courtesies SET mark_due_at = $1 WHERE mark_due_at > $1 AND mark_failure = 'unauthorized' AND conversation_id IN (
			SELECT id FROM conversations WHERE channel_id = $2)`, now, channelID); err != nil {
			return err
		}
		if err := c.list(ctx, &chats, `UPDATE chats SET wanted_at = $1 WHERE channel_id = $2 AND errands > 0 RETURNING channel_id, chat_key`, now, channelID); err != nil || len(chats) == 0 {
			return err
		}
		_, err := c.exec(ctx, `UPDATE attachments SET waits_since = $1 WHERE waits_since > 0 AND conversation_id IN (
			SELECT id FROM conversations WHERE channel_id = $2)`, now, channelID)
		failpoint.Hit("resume.before_commit")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("want what is due in channel %s: %w", channelID, err)
	}
	failpoint.Hit("resume.after_commit")
	return chats, nil
}

// Nameless are people of whom LINE was never asked.
type Nameless struct {
	Chats   []string // the customers of these chats
	Members []string // of groups and rooms, by id
}

// Nameless lists customers of a channel, and people in its groups and rooms, whom
// LINE was never asked about: so many of each at most.
func (s *Store) Nameless(ctx context.Context, channelID string, limit int) (Nameless, error) {
	var n Nameless
	if err := s.read().list(ctx, &n.Chats, `SELECT chat_key FROM social_profiles WHERE channel_id = $1 AND fetched_at = 0 LIMIT $2`, channelID, limit); err != nil {
		return n, err
	}
	err := s.read().list(ctx, &n.Members, `SELECT id FROM chat_members WHERE channel_id = $1 AND fetched_at = 0 AND left_at = 0 LIMIT $2`, channelID, limit)
	return n, err
}
