-- +goose Up

-- Rules that were changed by which conversations act when time has passed: of a
-- queue or a workstream, and of those in one phase. Whoever waits by the rules
-- before has yet to be woken.
CREATE TABLE changed_rules (
    owner_kind TEXT    NOT NULL CHECK (owner_kind IN ('queue', 'workstream')),
    owner_id   TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    owner      TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (owner_kind, owner_id, status, owner)
);

-- The chats that are to be woken because of it, a few at a time.
CREATE TABLE chats_to_wake (
    channel_id TEXT NOT NULL,
    chat_key   TEXT NOT NULL,
    PRIMARY KEY (channel_id, chat_key)
);

-- +goose Down
DROP TABLE chats_to_wake;
DROP TABLE changed_rules;
