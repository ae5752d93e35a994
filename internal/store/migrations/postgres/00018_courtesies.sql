-- +goose Up

-- By what the account can mark a customer's message, and all before it, as read
-- at LINE; '' where LINE gave nothing.
ALTER TABLE messages ADD COLUMN read_token TEXT NOT NULL DEFAULT '';

-- What is shown to the customer of a conversation out of courtesy: since when and
-- until when the loading animation is; up to which message an agent has read
-- (its place in the transcript), and whose token tells LINE so: at mark_due_at
-- LINE is asked (again), 0 when it has answered, in mark_failure with which
-- refusal.
CREATE TABLE courtesies (
    conversation_id  TEXT   PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    typing_at        BIGINT NOT NULL DEFAULT 0,
    typing_until     BIGINT NOT NULL DEFAULT 0,
    read_at          BIGINT NOT NULL DEFAULT 0,
    read_message_id  TEXT   NOT NULL DEFAULT '',
    read_occurred_at BIGINT NOT NULL DEFAULT 0,
    read_ordinal     BIGINT NOT NULL DEFAULT 0,
    mark_message_id  TEXT   NOT NULL DEFAULT '',
    mark_due_at      BIGINT NOT NULL DEFAULT 0,
    mark_attempts    BIGINT NOT NULL DEFAULT 0,
    mark_failure     TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX courtesies_to_mark ON courtesies (mark_due_at) WHERE mark_due_at > 0;

-- +goose Down
DROP TABLE courtesies;
ALTER TABLE messages DROP COLUMN read_token;
