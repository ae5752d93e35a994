-- +goose Up

-- Under which name and with which picture LINE shows what they write; '' is the
-- account's own.
ALTER TABLE agents ADD COLUMN sender_name TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN sender_icon_url TEXT NOT NULL DEFAULT '';
ALTER TABLE bots ADD COLUMN sender_name TEXT NOT NULL DEFAULT '';
ALTER TABLE bots ADD COLUMN sender_icon_url TEXT NOT NULL DEFAULT '';

-- Texts that agents answer with. One without an agent is everybody's; one
-- without workstreams is for all of them.
CREATE TABLE quick_replies (
    id             TEXT   PRIMARY KEY,
    title          TEXT   NOT NULL,
    text           TEXT   NOT NULL,
    locale         TEXT   NOT NULL DEFAULT '',   -- '': any
    tags           TEXT   NOT NULL DEFAULT '[]', -- JSON
    workstream_ids TEXT   NOT NULL DEFAULT '[]', -- JSON
    agent_id       TEXT   REFERENCES agents (id) ON DELETE CASCADE,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
);
CREATE INDEX quick_replies_in_order ON quick_replies (created_at, id);
CREATE INDEX quick_replies_agent ON quick_replies (agent_id);

-- +goose Down
DROP TABLE quick_replies;
ALTER TABLE bots DROP COLUMN sender_icon_url;
ALTER TABLE bots DROP COLUMN sender_name;
ALTER TABLE agents DROP COLUMN sender_icon_url;
ALTER TABLE agents DROP COLUMN sender_name;
