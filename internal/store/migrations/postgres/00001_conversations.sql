-- +goose Up

-- The inbox: every event of every webhook, durable before LINE is answered.
-- position is the largest BIGINT until the event is handled; then it is the
-- tick of its chat at which that happened, so that one range scan finds both
-- what is unhandled and what was handled after a known tick.
CREATE TABLE line_events (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id       TEXT    NOT NULL,
    webhook_event_id TEXT    NOT NULL,
    chat_key         TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    source_type      TEXT    NOT NULL,
    source_id        TEXT    NOT NULL,
    line_time        BIGINT  NOT NULL,
    received_at      BIGINT  NOT NULL,
    reply_token      TEXT    NOT NULL DEFAULT '',
    token_batch      TEXT    NOT NULL DEFAULT '',
    standby          BOOLEAN NOT NULL DEFAULT FALSE,
    raw              BYTEA NOT NULL,
    position         BIGINT  NOT NULL DEFAULT 9223372036854775807,
    handled_at       BIGINT,
    handled_by       TEXT    NOT NULL DEFAULT '',
    disposition      TEXT    NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX line_events_once ON line_events (channel_id, webhook_event_id);
CREATE INDEX line_events_chat ON line_events (channel_id, chat_key, position);
CREATE INDEX line_events_received ON line_events (received_at);
CREATE INDEX line_events_unhandled ON line_events (channel_id, chat_key, received_at) WHERE handled_at IS NULL;
CREATE INDEX line_events_tokens ON line_events (channel_id, chat_key, received_at) WHERE reply_token <> '' AND token_batch = '';

-- One row a LINE chat: the lock under which its events are handled.
CREATE TABLE chats (
    channel_id  TEXT   NOT NULL,
    chat_key    TEXT   NOT NULL,
    tick        BIGINT NOT NULL,
    source_type TEXT   NOT NULL DEFAULT '',
    source_id   TEXT   NOT NULL DEFAULT '',
    unsent      TEXT   NOT NULL DEFAULT '[]', -- LINE message ids unsent before they arrived
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (channel_id, chat_key)
);

CREATE TABLE social_profiles (
    id           TEXT   PRIMARY KEY,
    channel_id   TEXT   NOT NULL,
    chat_key     TEXT   NOT NULL,
    line_user_id TEXT   NOT NULL,
    display_name TEXT   NOT NULL DEFAULT '',
    picture_url  TEXT   NOT NULL DEFAULT '',
    language     TEXT   NOT NULL DEFAULT '',
    friendship   TEXT   NOT NULL DEFAULT 'unknown' CHECK (friendship IN ('unknown', 'friend', 'blocked')),
    fetched_at   BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX social_profiles_once ON social_profiles (channel_id, chat_key);

CREATE TABLE conversations (
    id               TEXT    PRIMARY KEY,
    channel_id       TEXT    NOT NULL,
    chat_key         TEXT    NOT NULL,
    workstream_id    TEXT    NOT NULL,
    profile_id       TEXT    NOT NULL DEFAULT '',
    contact_id       TEXT    NOT NULL DEFAULT '',
    status           TEXT    NOT NULL,
    owner            TEXT    NOT NULL,
    epoch            BIGINT  NOT NULL,           -- rises whenever ownership moves
    queue_id         TEXT    NOT NULL DEFAULT '',
    agent_id         TEXT    NOT NULL DEFAULT '',
    bot_id           TEXT    NOT NULL DEFAULT '',
    bot_barred       BOOLEAN NOT NULL DEFAULT FALSE,
    bot_position     BIGINT  NOT NULL DEFAULT 0, -- what the bot has answered, as a tick of the chat
    priority         BIGINT  NOT NULL DEFAULT 0,
    skills           TEXT    NOT NULL DEFAULT '[]',
    context          TEXT    NOT NULL DEFAULT '{}',
    summary          TEXT    NOT NULL DEFAULT '', -- the bot's words for the agent
    locale           TEXT    NOT NULL DEFAULT '',
    greeted          BOOLEAN NOT NULL DEFAULT FALSE,
    waiting_since    BIGINT  NOT NULL DEFAULT 0,
    last_customer_at BIGINT  NOT NULL DEFAULT 0,
    last_message_at  BIGINT  NOT NULL DEFAULT 0,
    run_id           TEXT    NOT NULL DEFAULT '',
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    closed_at        BIGINT  NOT NULL DEFAULT 0,
    closure_reason   TEXT    NOT NULL DEFAULT '',
    CHECK (status || '/' || owner IN ('open/none', 'active/bot', 'active/agent', 'open/queue', 'waiting/none', 'wrap_up/agent', 'closed/none'))
);
CREATE UNIQUE INDEX conversations_one_open ON conversations (channel_id, chat_key) WHERE status <> 'closed';
CREATE INDEX conversations_open ON conversations (id) WHERE status <> 'closed';
CREATE INDEX conversations_by_time ON conversations (created_at, id);
CREATE INDEX conversations_by_status ON conversations (status, created_at, id);
CREATE INDEX conversations_by_chat ON conversations (channel_id, chat_key, created_at);
CREATE INDEX conversations_by_workstream ON conversations (workstream_id) WHERE status <> 'closed';

-- One engagement of a bot or an agent.
CREATE TABLE sessions (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    epoch           BIGINT NOT NULL,
    kind            TEXT   NOT NULL CHECK (kind IN ('bot', 'agent')),
    participant_id  TEXT   NOT NULL,
    started_at      BIGINT NOT NULL,
    ended_at        BIGINT NOT NULL DEFAULT 0,
    closure_reason  TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX sessions_of_conversation ON sessions (conversation_id, started_at);

-- What was decided, once each: a step that runs again reads its own answer.
CREATE TABLE transitions (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    event           TEXT   NOT NULL,
    from_status     TEXT   NOT NULL,
    from_owner      TEXT   NOT NULL,
    to_status       TEXT   NOT NULL,
    to_owner        TEXT   NOT NULL,
    epoch           BIGINT NOT NULL,
    actor_id        TEXT   NOT NULL DEFAULT '',
    reason          TEXT   NOT NULL DEFAULT '',
    note            TEXT   NOT NULL DEFAULT '', -- why, as an enumerated word, never content
    created_at      BIGINT NOT NULL
);
CREATE INDEX transitions_of_conversation ON transitions (conversation_id, created_at);

CREATE TABLE bot_turns (
    id              TEXT    PRIMARY KEY,
    conversation_id TEXT    NOT NULL REFERENCES conversations (id),
    epoch           BIGINT  NOT NULL,
    outcome         TEXT    NOT NULL, -- answered, failed, discarded
    action          TEXT    NOT NULL DEFAULT '',
    failure         TEXT    NOT NULL DEFAULT '',
    queue_id        TEXT    NOT NULL DEFAULT '',
    messages        BIGINT  NOT NULL DEFAULT 0,
    created_at      BIGINT  NOT NULL
);
CREATE INDEX bot_turns_of_conversation ON bot_turns (conversation_id, created_at);

CREATE TABLE messages (
    id               TEXT   PRIMARY KEY,
    conversation_id  TEXT   NOT NULL REFERENCES conversations (id),
    channel_id       TEXT   NOT NULL,
    ordinal          BIGINT NOT NULL DEFAULT 0, -- breaks ties of occurred_at
    occurred_at      BIGINT NOT NULL,           -- inbound: LINE's timestamp
    position         BIGINT NOT NULL DEFAULT 0, -- inbound: the chat's tick at which it was taken in
    direction        TEXT   NOT NULL,
    sender_kind      TEXT   NOT NULL,
    sender_id        TEXT   NOT NULL DEFAULT '',
    sender_name      TEXT   NOT NULL DEFAULT '',
    type             TEXT   NOT NULL,
    text             TEXT   NOT NULL DEFAULT '',
    payload          TEXT   NOT NULL DEFAULT '',
    automated        TEXT   NOT NULL DEFAULT '', -- the trigger of an automated message
    state            TEXT   NOT NULL,
    via              TEXT   NOT NULL DEFAULT '',
    batch_id         TEXT   NOT NULL DEFAULT '',
    webhook_event_id TEXT   NOT NULL DEFAULT '',
    line_message_id  TEXT   NOT NULL DEFAULT '',
    line_request_id  TEXT   NOT NULL DEFAULT '',
    failure          TEXT   NOT NULL DEFAULT '',
    failure_detail   TEXT   NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    sent_at          BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX messages_transcript ON messages (conversation_id, occurred_at, ordinal, id);
CREATE INDEX messages_inbound ON messages (conversation_id, position) WHERE direction = 'inbound';
CREATE INDEX messages_unsent ON messages (conversation_id, occurred_at, ordinal) WHERE state = 'pending' AND batch_id = '';
CREATE INDEX messages_by_batch ON messages (batch_id);
-- LINE's id is there once; messages without one are told apart by their own.
CREATE UNIQUE INDEX messages_by_line_id ON messages (channel_id, line_message_id, (CASE line_message_id WHEN '' THEN id ELSE '' END)) WHERE direction = 'inbound';

-- What goes to LINE in one call, frozen before the first attempt.
CREATE TABLE batches (
    id                  TEXT    PRIMARY KEY,
    conversation_id     TEXT    NOT NULL REFERENCES conversations (id),
    ordinal             BIGINT  NOT NULL,
    kind                TEXT    NOT NULL CHECK (kind IN ('reply', 'push')),
    recipient           TEXT    NOT NULL,
    reply_token         TEXT    NOT NULL DEFAULT '',
    token_received_at   BIGINT  NOT NULL DEFAULT 0,
    body                TEXT    NOT NULL,              -- LINE's messages array, byte for byte
    message_ids         TEXT    NOT NULL,
    state               TEXT    NOT NULL CHECK (state IN ('frozen', 'accepted', 'failed', 'uncertain', 'dissolved')),
    attempts            BIGINT  NOT NULL DEFAULT 0,
    outcome             TEXT    NOT NULL DEFAULT '',   -- of the last attempt; '' while one is under way
    doubt               BOOLEAN NOT NULL DEFAULT FALSE,-- an attempt may have been taken by LINE
    deadline            BIGINT  NOT NULL,
    line_request_id     TEXT    NOT NULL DEFAULT '',
    accepted_request_id TEXT    NOT NULL DEFAULT '',
    failure_detail      TEXT    NOT NULL DEFAULT '',
    created_at          BIGINT  NOT NULL,
    finished_at         BIGINT  NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX batches_in_order ON batches (conversation_id, ordinal);
CREATE UNIQUE INDEX batches_one_frozen ON batches (conversation_id) WHERE state = 'frozen';

-- The record of events: inserted without a position by the transaction that
-- changed something, numbered by one sequencer.
CREATE TABLE events (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq             BIGINT,
    type            TEXT   NOT NULL,
    conversation_id TEXT   NOT NULL DEFAULT '',
    subject_id      TEXT   NOT NULL DEFAULT '',
    data            TEXT   NOT NULL DEFAULT '{}',
    created_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX events_in_order ON events (seq) WHERE seq IS NOT NULL;
CREATE INDEX events_unnumbered ON events (id) WHERE seq IS NULL;
CREATE INDEX events_of_conversation ON events (conversation_id, seq);

CREATE TABLE counters (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0), ('scrubbed_to', 0);

-- +goose Down
DROP TABLE counters;
DROP TABLE events;
DROP TABLE batches;
DROP TABLE messages;
DROP TABLE bot_turns;
DROP TABLE transitions;
DROP TABLE sessions;
DROP TABLE conversations;
DROP TABLE social_profiles;
DROP TABLE chats;
DROP TABLE line_events;
