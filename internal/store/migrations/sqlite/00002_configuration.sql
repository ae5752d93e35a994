-- +goose Up

-- How the conversations of its channels are handled.
CREATE TABLE workstreams (
    id                TEXT   PRIMARY KEY,
    name              TEXT   NOT NULL,
    mode              TEXT   NOT NULL CHECK (mode IN ('push', 'pick')),
    fallback_queue_id TEXT   NOT NULL DEFAULT '',
    bot_id            TEXT   NOT NULL DEFAULT '',
    settings          TEXT   NOT NULL DEFAULT '{}',
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
);
CREATE INDEX workstreams_in_order ON workstreams (created_at, id);
CREATE INDEX workstreams_by_bot ON workstreams (bot_id) WHERE bot_id <> '';
CREATE INDEX workstreams_by_queue ON workstreams (fallback_queue_id) WHERE fallback_queue_id <> '';

-- One LINE Official Account. A deleted one keeps its row: what is on its way
-- to customers still needs its token for a while.
CREATE TABLE channels (
    id              TEXT   PRIMARY KEY,
    name            TEXT   NOT NULL,
    line_channel_id TEXT   NOT NULL,
    bot_user_id     TEXT   NOT NULL DEFAULT '',
    basic_id        TEXT   NOT NULL DEFAULT '',
    chat_mode       TEXT   NOT NULL DEFAULT '',
    workstream_id   TEXT   NOT NULL,
    locale          TEXT   NOT NULL,
    status          TEXT   NOT NULL CHECK (status IN ('active', 'disabled', 'deleted')),
    secret          TEXT   NOT NULL,            -- sealed
    previous_secret TEXT   NOT NULL DEFAULT '', -- sealed; accepted until previous_until
    previous_until  INTEGER NOT NULL DEFAULT 0,
    token           TEXT   NOT NULL,            -- sealed
    deleted_at      INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
CREATE INDEX channels_in_order ON channels (created_at, id);
CREATE INDEX channels_by_workstream ON channels (workstream_id);
CREATE UNIQUE INDEX channels_line_channel_id ON channels (line_channel_id) WHERE status <> 'deleted';
CREATE UNIQUE INDEX channels_bot_user_id ON channels (bot_user_id) WHERE bot_user_id <> '' AND status <> 'deleted';

CREATE TABLE bots (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('script', 'webhook')),
    url        TEXT   NOT NULL DEFAULT '',
    secret     TEXT   NOT NULL DEFAULT '', -- sealed
    script     TEXT   NOT NULL DEFAULT '',
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX bots_in_order ON bots (created_at, id);

CREATE TABLE queues (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    priority   INTEGER NOT NULL, -- smaller is served first
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX queues_in_order ON queues (created_at, id);

CREATE TABLE agents (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    email      TEXT   NOT NULL, -- lower case
    role       TEXT   NOT NULL CHECK (role IN ('agent', 'supervisor', 'admin')),
    locale     TEXT   NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX agents_in_order ON agents (created_at, id);
CREATE UNIQUE INDEX agents_email ON agents (email);
CREATE INDEX agents_admins ON agents (id) WHERE role = 'admin';

-- Bearer tokens, known by their SHA-256 only.
CREATE TABLE api_tokens (
    id           TEXT   PRIMARY KEY,
    agent_id     TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    role         TEXT   NOT NULL CHECK (role IN ('agent', 'supervisor', 'admin')),
    scope        TEXT   NOT NULL DEFAULT '[]', -- permissions; empty: all of the role's
    created_by   TEXT   NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL DEFAULT 0,
    revoked_at   INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
CREATE INDEX api_tokens_in_order ON api_tokens (created_at, id);
CREATE INDEX api_tokens_of_agent ON api_tokens (agent_id, created_at, id);

-- The first answer to each POST that carried an Idempotency-Key. While status
-- is 0 the request is being worked on by whoever holds the lease.
CREATE TABLE idempotency_keys (
    caller      TEXT   NOT NULL,
    route       TEXT   NOT NULL,
    idem_key    TEXT   NOT NULL,
    request     TEXT   NOT NULL, -- digest of query and body
    lease       TEXT   NOT NULL,
    lease_until INTEGER NOT NULL,
    status      INTEGER NOT NULL DEFAULT 0,
    answer      TEXT   NOT NULL DEFAULT '', -- sealed
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (caller, route, idem_key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Who changed what, when, from where. No foreign keys: it outlives its subjects.
CREATE TABLE audit_log (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at   INTEGER NOT NULL,
    agent_id     TEXT   NOT NULL DEFAULT '',
    agent_name   TEXT   NOT NULL DEFAULT '',
    token_id     TEXT   NOT NULL DEFAULT '',
    address      TEXT   NOT NULL DEFAULT '',
    request_id   TEXT   NOT NULL DEFAULT '',
    action       TEXT   NOT NULL,
    subject_kind TEXT   NOT NULL,
    subject_id   TEXT   NOT NULL,
    subject_name TEXT   NOT NULL DEFAULT '',
    changes      TEXT   NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_by_subject ON audit_log (subject_id, id);
CREATE INDEX audit_log_by_agent ON audit_log (agent_id, id);

-- How many events came while a channel was disabled.
CREATE INDEX line_events_while_disabled ON line_events (channel_id) WHERE disposition = 'channel_disabled';

-- +goose Down
DROP INDEX line_events_while_disabled;
DROP TABLE audit_log;
DROP TABLE idempotency_keys;
DROP TABLE api_tokens;
DROP TABLE agents;
DROP TABLE queues;
DROP TABLE bots;
DROP TABLE channels;
DROP TABLE workstreams;
