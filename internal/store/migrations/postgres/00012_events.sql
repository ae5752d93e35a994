-- +goose Up

-- What the account does in group chats and rooms: ignore, leave or serve.
ALTER TABLE channels ADD COLUMN group_chats TEXT NOT NULL DEFAULT 'ignore';

-- LINE may suspend an account. Its events have no chat, so they are noted by
-- whoever receives them.
CREATE TABLE channel_suspensions (
    channel_id TEXT    PRIMARY KEY,
    suspended  BOOLEAN NOT NULL,
    at         BIGINT  NOT NULL -- by LINE's clock
);

ALTER TABLE chats ADD COLUMN edits TEXT NOT NULL DEFAULT '[]';           -- of messages that have not arrived
ALTER TABLE chats ADD COLUMN standby BOOLEAN NOT NULL DEFAULT FALSE;     -- another system serves it
ALTER TABLE chats ADD COLUMN standby_at BIGINT NOT NULL DEFAULT 0;       -- LINE's time of the event that said so last
ALTER TABLE chats ADD COLUMN errands BIGINT NOT NULL DEFAULT 0;          -- how many are due

-- What is done once in a chat, beside any conversation.
CREATE TABLE errands (
    id               TEXT   PRIMARY KEY,
    channel_id       TEXT   NOT NULL,
    chat_key         TEXT   NOT NULL,
    kind             TEXT   NOT NULL CHECK (kind IN ('welcome', 'leave')),
    source_id        TEXT   NOT NULL, -- the user, group or room
    webhook_event_id TEXT   NOT NULL, -- the event it answers
    state            TEXT   NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'dropped')),
    detail           TEXT   NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    done_at          BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX errands_due ON errands (channel_id, chat_key, created_at) WHERE state = 'due';

-- Who was seen in a group chat or room.
CREATE TABLE chat_members (
    id           TEXT   PRIMARY KEY,
    channel_id   TEXT   NOT NULL,
    chat_key     TEXT   NOT NULL,
    source_id    TEXT   NOT NULL, -- the group or room
    line_user_id TEXT   NOT NULL,
    display_name TEXT   NOT NULL DEFAULT '',
    picture_url  TEXT   NOT NULL DEFAULT '',
    fetched_at   BIGINT NOT NULL DEFAULT 0,
    left_at      BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL
);

ALTER TABLE social_profiles ADD COLUMN friendship_at BIGINT NOT NULL DEFAULT 0; -- LINE's time of the event that said so last

ALTER TABLE messages ADD COLUMN edited_at BIGINT NOT NULL DEFAULT 0; -- LINE's time of the last edit
ALTER TABLE messages ADD COLUMN edits TEXT NOT NULL DEFAULT '';      -- JSON: what it said before, oldest first
-- What a customer quotes may be the account's.
CREATE INDEX messages_sent_by_line_id ON messages (channel_id, line_message_id) WHERE direction = 'outbound' AND line_message_id <> '';

-- +goose Down
DROP INDEX messages_sent_by_line_id;
ALTER TABLE messages DROP COLUMN edits;
ALTER TABLE messages DROP COLUMN edited_at;
ALTER TABLE social_profiles DROP COLUMN friendship_at;
DROP TABLE chat_members;
DROP TABLE errands;
ALTER TABLE chats DROP COLUMN errands;
ALTER TABLE chats DROP COLUMN standby_at;
ALTER TABLE chats DROP COLUMN standby;
ALTER TABLE chats DROP COLUMN edits;
DROP TABLE channel_suspensions;
ALTER TABLE channels DROP COLUMN group_chats;
