-- +goose Up

-- A file may be in quarantine: it is kept, and nobody can load it. signature is
-- the malware it holds, in the scanner's words; '' of one that holds none or that
-- nobody has looked at. SQLite changes a CHECK by making the table anew.
CREATE TABLE attachments_next (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    message_id      TEXT   NOT NULL DEFAULT '',
    direction       TEXT   NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    kind            TEXT   NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    state           TEXT   NOT NULL CHECK (state IN ('pending', 'stored', 'refused', 'gone', 'failed', 'revoked', 'quarantined')),
    reason          TEXT   NOT NULL DEFAULT '', -- why it is not there, an enumerated word
    agent_id        TEXT   NOT NULL DEFAULT '', -- who uploaded it
    file_name       TEXT   NOT NULL DEFAULT '',
    content_type    TEXT   NOT NULL DEFAULT '', -- as sniffed
    size            INTEGER NOT NULL DEFAULT 0,  -- bytes
    sha256          TEXT   NOT NULL DEFAULT '', -- hex
    width           INTEGER NOT NULL DEFAULT 0,
    height          INTEGER NOT NULL DEFAULT 0,
    duration_ms     INTEGER NOT NULL DEFAULT 0,
    link            TEXT   NOT NULL DEFAULT '', -- the unguessable part of its address
    blob_key        TEXT   NOT NULL DEFAULT '', -- '' when the bucket holds nothing of it
    preview_key     TEXT   NOT NULL DEFAULT '',
    signature       TEXT   NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
INSERT INTO attachments_next (id, conversation_id, message_id, direction, kind, state, reason, agent_id, file_name, content_type, size, sha256,
    width, height, duration_ms, link, blob_key, preview_key, created_at, updated_at)
SELECT id, conversation_id, message_id, direction, kind, state, reason, agent_id, file_name, content_type, size, sha256,
    width, height, duration_ms, link, blob_key, preview_key, created_at, updated_at FROM attachments;
DROP TABLE attachments;
ALTER TABLE attachments_next RENAME TO attachments;
CREATE UNIQUE INDEX attachments_link ON attachments (link) WHERE link <> '';
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, created_at);
CREATE INDEX attachments_of_message ON attachments (message_id) WHERE message_id <> '';
CREATE INDEX attachments_pending ON attachments (conversation_id) WHERE state = 'pending';
CREATE INDEX attachments_late ON attachments (created_at) WHERE state = 'pending';
CREATE INDEX attachments_to_delete ON attachments (updated_at, id) WHERE blob_key <> '' AND state NOT IN ('pending', 'stored');
CREATE INDEX attachments_quarantined ON attachments (updated_at, id) WHERE state = 'quarantined';

-- +goose Down
CREATE TABLE attachments_next (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    message_id      TEXT   NOT NULL DEFAULT '',
    direction       TEXT   NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    kind            TEXT   NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    state           TEXT   NOT NULL CHECK (state IN ('pending', 'stored', 'refused', 'gone', 'failed', 'revoked')),
    reason          TEXT   NOT NULL DEFAULT '', -- why it is not there, an enumerated word
    agent_id        TEXT   NOT NULL DEFAULT '', -- who uploaded it
    file_name       TEXT   NOT NULL DEFAULT '',
    content_type    TEXT   NOT NULL DEFAULT '', -- as sniffed
    size            INTEGER NOT NULL DEFAULT 0,  -- bytes
    sha256          TEXT   NOT NULL DEFAULT '', -- hex
    width           INTEGER NOT NULL DEFAULT 0,
    height          INTEGER NOT NULL DEFAULT 0,
    duration_ms     INTEGER NOT NULL DEFAULT 0,
    link            TEXT   NOT NULL DEFAULT '', -- the unguessable part of its address
    blob_key        TEXT   NOT NULL DEFAULT '', -- '' when the bucket holds nothing of it
    preview_key     TEXT   NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
INSERT INTO attachments_next (id, conversation_id, message_id, direction, kind, state, reason, agent_id, file_name, content_type, size, sha256,
    width, height, duration_ms, link, blob_key, preview_key, created_at, updated_at)
SELECT id, conversation_id, message_id, direction, kind, CASE state WHEN 'quarantined' THEN 'refused' ELSE state END, reason, agent_id, file_name, content_type, size, sha256,
    width, height, duration_ms, link, blob_key, preview_key, created_at, updated_at FROM attachments;
DROP TABLE attachments;
ALTER TABLE attachments_next RENAME TO attachments;
CREATE UNIQUE INDEX attachments_link ON attachments (link) WHERE link <> '';
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, created_at);
CREATE INDEX attachments_of_message ON attachments (message_id) WHERE message_id <> '';
CREATE INDEX attachments_pending ON attachments (conversation_id) WHERE state = 'pending';
CREATE INDEX attachments_late ON attachments (created_at) WHERE state = 'pending';
CREATE INDEX attachments_to_delete ON attachments (updated_at, id) WHERE blob_key <> '' AND state NOT IN ('pending', 'stored');
