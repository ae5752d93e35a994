-- +goose Up

-- How a channel comes by its access token: one that LINE's console issued, one
-- that Kaiwa has issued by a key (v2.1), or one for a quarter of an hour at a time.
-- The key is sealed; its id is LINE's. A token of Kaiwa's own issuing is in token.
ALTER TABLE channels ADD COLUMN token_kind TEXT NOT NULL DEFAULT 'long_lived' CHECK (token_kind IN ('long_lived', 'v2_1', 'stateless'));
ALTER TABLE channels ADD COLUMN assertion_key TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN assertion_key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN token_expires_at BIGINT NOT NULL DEFAULT 0;

-- The token before, sealed, and from when on it is revoked at LINE.
ALTER TABLE channels ADD COLUMN old_token TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN revoke_at BIGINT NOT NULL DEFAULT 0;

-- Since when LINE refuses the token, and in which words; nothing is sent
-- meanwhile. Since when it does no more, until all that waited goes again. When
-- somebody looks after any of this next; 0: there is nothing to look after.
ALTER TABLE channels ADD COLUMN held_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN held_because TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN resumed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN tend_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX channels_to_tend ON channels (tend_at) WHERE tend_at > 0;

-- How often an event was delivered.
ALTER TABLE line_events ADD COLUMN deliveries BIGINT NOT NULL DEFAULT 1;

-- What webhooks a channel got in an hour (microseconds of its beginning): how
-- many of each kind, and how many took how long.
CREATE TABLE webhook_stats (
    channel_id TEXT   NOT NULL,
    hour       BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    n          BIGINT NOT NULL,
    PRIMARY KEY (channel_id, hour, name)
);
CREATE INDEX webhook_stats_by_hour ON webhook_stats (hour);

-- +goose Down
DROP TABLE webhook_stats;
ALTER TABLE line_events DROP COLUMN deliveries;
DROP INDEX channels_to_tend;
ALTER TABLE channels DROP COLUMN tend_at;
ALTER TABLE channels DROP COLUMN resumed_at;
ALTER TABLE channels DROP COLUMN held_because;
ALTER TABLE channels DROP COLUMN held_at;
ALTER TABLE channels DROP COLUMN revoke_at;
ALTER TABLE channels DROP COLUMN old_token;
ALTER TABLE channels DROP COLUMN token_expires_at;
ALTER TABLE channels DROP COLUMN assertion_key_id;
ALTER TABLE channels DROP COLUMN assertion_key;
ALTER TABLE channels DROP COLUMN token_kind;
