-- +goose Up

-- How many of the month's paid messages LINE counts for a message: the
-- recipients of its push for the first of a call, 0 for the others and for
-- replies. And the message that an agent had sent in place of one that failed.
ALTER TABLE messages ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN retry_id TEXT NOT NULL DEFAULT '';

-- The same of a call, with the channel it was made for once it is finished, so
-- that a channel's months are summed.
ALTER TABLE batches ADD COLUMN channel_id TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
CREATE INDEX batches_by_channel ON batches (channel_id, finished_at, kind, charged) WHERE state = 'accepted' AND channel_id <> '';

-- What LINE last said of a channel's paid messages: those of a month it has, -1
-- for any number, and those it has used; and the highest threshold, in percent,
-- that supervisors were told of in that month.
CREATE TABLE channel_quotas (
    channel_id  TEXT    PRIMARY KEY,
    month       TEXT    NOT NULL,
    quota_limit INTEGER NOT NULL,
    used        INTEGER NOT NULL,
    read_at     INTEGER NOT NULL,
    warned      INTEGER NOT NULL DEFAULT 0
);

-- How many calls of an endpoint workers have taken for themselves in a second,
-- out of what they share.
CREATE TABLE line_calls (
    channel_id TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    second     INTEGER NOT NULL, -- Unix seconds
    taken      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, endpoint)
);

-- +goose Down
DROP TABLE line_calls;
DROP TABLE channel_quotas;
DROP INDEX batches_by_channel;
ALTER TABLE batches DROP COLUMN charged;
ALTER TABLE batches DROP COLUMN channel_id;
ALTER TABLE messages DROP COLUMN retry_id;
ALTER TABLE messages DROP COLUMN charged;
