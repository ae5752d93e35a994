-- +goose Up

-- While an agent is offline: when the dispatcher looks at what they hold; the
-- largest BIGINT when they hold nothing.
ALTER TABLE agent_states ADD COLUMN review_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX agent_states_absent ON agent_states (review_at) WHERE presence = 'offline';

-- Why the presence they set is what it is, an enumerated word; since when offers
-- that they miss are counted; the custom presence they set; and whether they are
-- shown busy because they hold all they can.
ALTER TABLE agent_states ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE agent_states ADD COLUMN missed_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE agent_states ADD COLUMN presence_id TEXT NOT NULL DEFAULT '';
ALTER TABLE agent_states ADD COLUMN at_capacity BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE agents ADD COLUMN auto_busy BOOLEAN NOT NULL DEFAULT FALSE;

-- What agents set beside the five presences, each standing for one of them.
CREATE TABLE presences (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    names      TEXT   NOT NULL DEFAULT '{}', -- JSON: by locale
    base       TEXT   NOT NULL CHECK (base IN ('available', 'busy', 'do_not_disturb', 'away', 'offline')),
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX presences_in_order ON presences (created_at, id);

-- The offer is accepted for its agent by the conversation's workflow.
ALTER TABLE offers ADD COLUMN auto BOOLEAN NOT NULL DEFAULT FALSE;

-- Whether a conversation counts against its agent's capacity, which in wrap-up
-- the workstream says; and until when it does, 0 for as long as they hold it.
ALTER TABLE conversations ADD COLUMN blocks_capacity BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE conversations ADD COLUMN blocks_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX conversations_blocking ON conversations (blocks_until) WHERE blocks_until > 0;

-- +goose Down
DROP INDEX conversations_blocking;
ALTER TABLE conversations DROP COLUMN blocks_until;
ALTER TABLE conversations DROP COLUMN blocks_capacity;
ALTER TABLE offers DROP COLUMN auto;
DROP TABLE presences;
ALTER TABLE agents DROP COLUMN auto_busy;
ALTER TABLE agent_states DROP COLUMN at_capacity;
ALTER TABLE agent_states DROP COLUMN presence_id;
ALTER TABLE agent_states DROP COLUMN missed_from;
ALTER TABLE agent_states DROP COLUMN cause;
DROP INDEX agent_states_absent;
ALTER TABLE agent_states DROP COLUMN review_at;
