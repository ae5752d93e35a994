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

// SaveProfile stores what LINE tells of a user. An empty name keeps the one
// known, because LINE refuses the profile of someone who blocked the account.
func (s *Store) SaveProfile(ctx context.Context, p Profile) error {
	failpoint.Hit("profile.before_save")
	_, err := s.write().exec(ctx, `
		UPDATE social_profiles SET fetched_at = $1, updated_at = $1,
			display_name = CASE WHEN $2 = '' THEN display_name ELSE $2 END,
			picture_url  = CASE WHEN $2 = '' THEN picture_url ELSE $3 END,
			language     = CASE WHEN $4 = '' THEN language ELSE $4 END
		WHERE id = $5`, micros(s.now()), p.DisplayName, p.PictureURL, p.Language, p.ID)
	failpoint.Hit("profile.after_save")
	return err
}
