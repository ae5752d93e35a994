-- +goose Up

-- Named limits of concurrent work, and who has which.
CREATE TABLE capacity_profiles (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL,
    limit_default INTEGER NOT NULL,               -- conversations
    reset         TEXT    NOT NULL CHECK (reset IN ('immediate', 'end_of_day')),
    zone          TEXT    NOT NULL DEFAULT '',    -- an IANA time zone: of end_of_day
    blocks        BOOLEAN NOT NULL DEFAULT FALSE, -- at the limit nothing else is offered either
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
);
CREATE INDEX capacity_profiles_in_order ON capacity_profiles (created_at, id);
CREATE UNIQUE INDEX capacity_profiles_name ON capacity_profiles (name);

CREATE TABLE agent_capacity_profiles (
    agent_id   TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    profile_id TEXT   NOT NULL REFERENCES capacity_profiles (id),
    at_most    INTEGER NOT NULL CHECK (at_most BETWEEN 1 AND 1000),
    PRIMARY KEY (agent_id, profile_id)
);
CREATE INDEX agent_capacity_profiles_by_profile ON agent_capacity_profiles (profile_id);

-- What counts against a profile takes no units.
ALTER TABLE conversations ADD COLUMN capacity_profile_id TEXT NOT NULL DEFAULT '';

-- What agents had of a profile and let go of: it counts until the day ends.
CREATE TABLE capacity_used (
    agent_id        TEXT   NOT NULL,
    profile_id      TEXT   NOT NULL,
    conversation_id TEXT   NOT NULL,
    ended_at        INTEGER NOT NULL,
    PRIMARY KEY (agent_id, profile_id, conversation_id)
);
CREATE INDEX capacity_used_since ON capacity_used (agent_id, ended_at);

-- Of a queue whose assignment is custom: JSON. Its assignment column says what
-- holds where this one is not known.
ALTER TABLE queues ADD COLUMN custom TEXT NOT NULL DEFAULT '';

-- Whom a contact prefers, in order.
CREATE TABLE contact_agents (
    contact_id TEXT   NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    agent_id   TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    place      INTEGER NOT NULL,
    PRIMARY KEY (contact_id, agent_id)
);
CREATE INDEX contact_agents_by_agent ON contact_agents (agent_id);
-- The same as it was when the conversation was routed, with blanks between.
ALTER TABLE conversations ADD COLUMN contact_agents TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE conversations DROP COLUMN contact_agents;
DROP TABLE contact_agents;
ALTER TABLE queues DROP COLUMN custom;
DROP TABLE capacity_used;
ALTER TABLE conversations DROP COLUMN capacity_profile_id;
DROP TABLE agent_capacity_profiles;
DROP TABLE capacity_profiles;
