-- +goose Up

-- What a queue does by time and by fullness.
ALTER TABLE queues ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
-- The lock under which queues are changed that may name each other.
INSERT INTO counters (name, value) VALUES ('queues', 0);

-- What its queues have done with a conversation.
ALTER TABLE conversations ADD COLUMN overflowed TEXT NOT NULL DEFAULT '[]';   -- the queues it overflowed from
ALTER TABLE conversations ADD COLUMN tended_at BIGINT NOT NULL DEFAULT 0;     -- up to when the rules of its queue were looked after
ALTER TABLE conversations ADD COLUMN told_at BIGINT NOT NULL DEFAULT 0;       -- when the customer last heard how long it takes

-- How long people waited lately, of the queues whose customers hear it.
CREATE TABLE queue_waits (
    queue_id TEXT   PRIMARY KEY REFERENCES queues (id) ON DELETE CASCADE,
    samples  BIGINT NOT NULL,
    mean     BIGINT NOT NULL -- microseconds
);

-- +goose Down
DROP TABLE queue_waits;
ALTER TABLE conversations DROP COLUMN told_at;
ALTER TABLE conversations DROP COLUMN tended_at;
ALTER TABLE conversations DROP COLUMN overflowed;
DELETE FROM counters WHERE name = 'queues';
ALTER TABLE queues DROP COLUMN settings;
