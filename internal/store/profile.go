package store

import (
	"context"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// FriendBlocked is the friendship of who has blocked the account, or of a group
// that has removed it.
const FriendBlocked = "blocked"

// Profile is a LINE user as one channel knows them.
type Profile struct {
	ID          string `db:"id"`
	ChannelID   string `db:"channel_id"`
	LINEUserID  string `db:"line_user_id"`
	DisplayName string `db:"display_name"`
	PictureURL  string `db:"picture_url"`
	Language    string `db:"language"`
	Friendship  string `db:"friendship"` // unknown, friend, blocked
	FetchedAt   int64  `db:"fetched_at"`
	Held        bool   `db:"held"` // LINE takes no access token of the channel: it tells nothing
}

// Profile returns a social profile, or CodeNotFound.
func (s *Store) Profile(ctx context.Context, channelID, chatKey string) (Profile, error) {
	var p Profile
	found, err := s.read().get(ctx, &p, `SELECT id, channel_id, line_user_id, display_name, picture_url, language, friendship, fetched_at,
			EXISTS (SELECT 1 FROM channels h WHERE h.id = $1 AND h.held_at > 0) AS held
		FROM social_profiles WHERE channel_id = $1 AND chat_key = $2`, channelID, chatKey)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no profile for chat %s.", chatKey)
	}
	return p, err
}

// eventCustomerChanged is that LINE tells other things of a customer, or of a
// member of a group, than before.
const eventCustomerChanged = "customer.changed"

// SaveProfile stores what LINE tells of a user. An empty name keeps the one
// known, because LINE refuses the profile of someone who blocked the account. With
// tell, an event says so when it is something else than before.
func (s *Store) SaveProfile(ctx context.Context, p Profile, tell bool) error {
	failpoint.Hit("profile.before_save")
	err := s.saveTold(ctx, tell, told{"social_profiles", p.ID, p.DisplayName, p.PictureURL, p.Language}, `
		UPDATE social_profiles SET fetched_at = $1, updated_at = $1,
			display_name = CASE WHEN $2 = '' THEN display_name ELSE $2 END,
			picture_url  = CASE WHEN $2 = '' THEN picture_url ELSE $3 END,
			language     = CASE WHEN $4 = '' THEN language ELSE $4 END
		WHERE id = $5`, p.DisplayName, p.PictureURL, p.Language, p.ID)
	failpoint.Hit("profile.after_save")
	return err
}

// told is what LINE tells of somebody whom a row of a table is about.
type told struct{ table, id, name, picture, language string }

// saveTold carries out an update, whose first argument is the time. With tell, an
// event in the open conversation of their chat says when somebody has another
// name, picture or language by it.
func (s *Store) saveTold(ctx context.Context, tell bool, t told, update string, args ...any) error {
	now := micros(s.now())
	args = append([]any{now}, args...)
	if !tell {
		_, err := s.write().exec(ctx, update, args...)
		return err
	}
	return s.tx(ctx, func(c conn) error {
		var known struct {
			ChannelID string `db:"channel_id"`
			ChatKey   string `db:"chat_key"`
			Name      string `db:"display_name"`
			Picture   string `db:"picture_url"`
			Language  string `db:"language"`
		}
		language := "language"
		if t.language == "" {
			language = "'' AS language"
		}
		if _, err := c.get(ctx, &known, `SELECT channel_id, chat_key, display_name, picture_url, `+language+` FROM `+t.table+` WHERE id = $1`+c.s.d.forUpdate(), t.id); err != nil {
			return err
		}
		if _, err := c.exec(ctx, update, args...); err != nil {
			return err
		}
		if (t.name == "" || known.Name == t.name && known.Picture == t.picture) && known.Language == t.language {
			return nil
		}
		var conversationID string
		if _, err := c.get(ctx, &conversationID, `SELECT id FROM conversations WHERE channel_id = $1 AND chat_key = $2 AND status <> 'closed'`, known.ChannelID, known.ChatKey); err != nil {
			return err
		}
		return c.record(ctx, eventCustomerChanged, conversationID, t.id, "{}", now)
	})
}
