-- +goose Up

-- Of whom LINE was never asked: whoever restores a channel asks.
CREATE INDEX social_profiles_nameless ON social_profiles (channel_id, chat_key) WHERE fetched_at = 0;
CREATE INDEX chat_members_nameless ON chat_members (channel_id, id) WHERE fetched_at = 0 AND left_at = 0;

-- +goose Down
DROP INDEX chat_members_nameless;
DROP INDEX social_profiles_nameless;
