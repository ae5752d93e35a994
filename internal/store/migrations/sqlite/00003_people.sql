-- +goose Up

-- What routing, serving, consent and wrap-up know of a conversation.
ALTER TABLE conversations ADD COLUMN language TEXT NOT NULL DEFAULT '';           -- as classified; '' leaves the profile's
ALTER TABLE conversations ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';       -- what classification found
ALTER TABLE conversations ADD COLUMN units INTEGER NOT NULL DEFAULT 1;             -- what it takes of an agent's capacity
ALTER TABLE conversations ADD COLUMN matching TEXT NOT NULL DEFAULT 'exact' CHECK (matching IN ('exact', 'closest', 'none'));
ALTER TABLE conversations ADD COLUMN requirement TEXT NOT NULL DEFAULT '';        -- digest of skills, matching and units
ALTER TABLE conversations ADD COLUMN routed_at INTEGER NOT NULL DEFAULT 0;         -- 0 while nothing decided its queue
ALTER TABLE conversations ADD COLUMN first_waited_at INTEGER NOT NULL DEFAULT 0;   -- nobody is pushed back for writing again
ALTER TABLE conversations ADD COLUMN preferred_agent_id TEXT NOT NULL DEFAULT ''; -- who is offered it first
ALTER TABLE conversations ADD COLUMN preferred_until INTEGER NOT NULL DEFAULT 0;   -- 0: there is no end to it
ALTER TABLE conversations ADD COLUMN phase_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN disposition_id TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN consent_version TEXT NOT NULL DEFAULT '';    -- of the notice it asked consent to
ALTER TABLE conversations ADD COLUMN verdict TEXT NOT NULL DEFAULT '';            -- digest of why it was last not placed
ALTER TABLE conversations ADD COLUMN refused BOOLEAN NOT NULL DEFAULT FALSE;     -- an agent let an offer of it pass
CREATE INDEX conversations_by_agent ON conversations (agent_id, created_at, id) WHERE agent_id <> '';
CREATE INDEX conversations_held ON conversations (agent_id) WHERE owner = 'agent';
CREATE INDEX conversations_by_queue ON conversations (queue_id, created_at, id) WHERE queue_id <> '';
-- Who waits: those that ask the same of the same people in order, and those
-- that are looked at one by one.
CREATE INDEX conversations_queued ON conversations (queue_id, workstream_id, requirement, priority DESC, first_waited_at, id)
    WHERE owner = 'queue' AND routed_at > 0 AND NOT refused AND preferred_agent_id = '';
CREATE INDEX conversations_queued_singly ON conversations (id) WHERE owner = 'queue' AND routed_at > 0 AND (refused OR preferred_agent_id <> '');
CREATE INDEX conversations_by_contact ON conversations (contact_id, created_at, id) WHERE contact_id <> '';

-- Somebody other than LINE has something for the chat's workflow since then.
ALTER TABLE chats ADD COLUMN wanted_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX chats_wanted ON chats (wanted_at) WHERE wanted_at > 0;

ALTER TABLE messages ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;              -- until the customer consents nobody sees it
ALTER TABLE messages ADD COLUMN attachment_id TEXT NOT NULL DEFAULT '';

-- People.
ALTER TABLE agents ADD COLUMN capacity INTEGER NOT NULL DEFAULT 3;                 -- units
ALTER TABLE queues ADD COLUMN assignment TEXT NOT NULL DEFAULT 'highest_capacity'
    CHECK (assignment IN ('highest_capacity', 'round_robin', 'longest_idle'));
ALTER TABLE queues ADD COLUMN calendar_id TEXT NOT NULL DEFAULT '';

CREATE TABLE skills (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX skills_in_order ON skills (created_at, id);
CREATE UNIQUE INDEX skills_name ON skills (name);

CREATE TABLE agent_skills (
    agent_id TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    skill_id TEXT   NOT NULL REFERENCES skills (id),
    level    INTEGER NOT NULL CHECK (level BETWEEN 1 AND 10),
    PRIMARY KEY (agent_id, skill_id)
);
CREATE INDEX agent_skills_by_skill ON agent_skills (skill_id);

CREATE TABLE queue_members (
    queue_id   TEXT   NOT NULL REFERENCES queues (id) ON DELETE CASCADE,
    agent_id   TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (queue_id, agent_id)
);
CREATE INDEX queue_members_by_agent ON queue_members (agent_id, queue_id);

-- What changes with an agent's day; the row under whose lock they are given work.
CREATE TABLE agent_states (
    agent_id        TEXT   PRIMARY KEY REFERENCES agents (id) ON DELETE CASCADE,
    chosen          TEXT   NOT NULL DEFAULT 'offline'  -- the presence they set
        CHECK (chosen IN ('available', 'busy', 'do_not_disturb', 'away', 'offline')),
    presence        TEXT   NOT NULL DEFAULT 'offline'  -- the same, or offline while they give no sign of life
        CHECK (presence IN ('available', 'busy', 'do_not_disturb', 'away', 'offline')),
    since           INTEGER NOT NULL DEFAULT 0,
    last_seen_at    INTEGER NOT NULL DEFAULT 0,
    idle_since      INTEGER NOT NULL DEFAULT 0,         -- when they last let go of work
    last_offered_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX agent_states_present ON agent_states (last_seen_at) WHERE presence <> 'offline';

-- One agent's exclusive reservation of one conversation. Its row decides.
CREATE TABLE offers (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    agent_id        TEXT   NOT NULL,
    queue_id        TEXT   NOT NULL,
    epoch           INTEGER NOT NULL,
    units           INTEGER NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('live', 'accepted', 'declined', 'timed_out', 'rescinded')),
    reason          TEXT   NOT NULL DEFAULT '', -- of a decline: the agent's words; otherwise an enumerated word
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX offers_one_live ON offers (conversation_id) WHERE state = 'live';
CREATE INDEX offers_live ON offers (agent_id) WHERE state = 'live';
CREATE INDEX offers_expiry ON offers (expires_at) WHERE state = 'live';
CREATE INDEX offers_of_conversation ON offers (conversation_id, created_at);
CREATE INDEX offers_of_agent ON offers (agent_id, created_at);

-- The lock under which conversations and agents are matched.
INSERT INTO counters (name, value) VALUES ('dispatcher', 0);

-- Why a conversation went where it went.
CREATE TABLE routing_log (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    epoch           INTEGER NOT NULL,
    stage           TEXT   NOT NULL CHECK (stage IN ('classification', 'route', 'assignment')),
    outcome         TEXT   NOT NULL, -- an enumerated word
    entry           TEXT   NOT NULL, -- JSON: rule by rule, agent by agent
    created_at      INTEGER NOT NULL
);
CREATE INDEX routing_log_of_conversation ON routing_log (conversation_id, created_at, id);

CREATE TABLE rulesets (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('classification', 'route')),
    rules      TEXT   NOT NULL, -- JSON
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX rulesets_in_order ON rulesets (created_at, id);

CREATE TABLE calendars (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    zone       TEXT   NOT NULL, -- an IANA time zone
    settings   TEXT   NOT NULL, -- JSON: weekly hours and holidays
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX calendars_in_order ON calendars (created_at, id);

CREATE TABLE dispositions (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX dispositions_in_order ON dispositions (created_at, id);

-- Customers as people, whichever channel they write from.
CREATE TABLE contacts (
    id              TEXT   PRIMARY KEY,
    name            TEXT   NOT NULL,
    email           TEXT   NOT NULL DEFAULT '',
    phone           TEXT   NOT NULL DEFAULT '',
    customer_number TEXT   NOT NULL DEFAULT '',
    company         TEXT   NOT NULL DEFAULT '',
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);
CREATE INDEX contacts_in_order ON contacts (created_at, id);
ALTER TABLE social_profiles ADD COLUMN contact_id TEXT NOT NULL DEFAULT '';       -- applies to later conversations
ALTER TABLE social_profiles ADD COLUMN notice_version TEXT NOT NULL DEFAULT '';   -- of the notice they were last shown
ALTER TABLE social_profiles ADD COLUMN consent_version TEXT NOT NULL DEFAULT '';  -- of the notice they said yes to
ALTER TABLE social_profiles ADD COLUMN consent_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX social_profiles_of_contact ON social_profiles (contact_id) WHERE contact_id <> '';

-- What customers answered to the notice.
CREATE TABLE consents (
    id              TEXT   PRIMARY KEY,
    profile_id      TEXT   NOT NULL,
    conversation_id TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    answer          TEXT   NOT NULL CHECK (answer IN ('yes', 'no')),
    via             TEXT   NOT NULL CHECK (via IN ('button', 'typed')),
    created_at      INTEGER NOT NULL
);
CREATE INDEX consents_of_profile ON consents (profile_id, created_at);

-- Files of customers and agents; the bytes are in the blob store.
CREATE TABLE attachments (
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
CREATE UNIQUE INDEX attachments_link ON attachments (link) WHERE link <> '';
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, created_at);
CREATE INDEX attachments_of_message ON attachments (message_id) WHERE message_id <> '';
CREATE INDEX attachments_pending ON attachments (conversation_id) WHERE state = 'pending';
CREATE INDEX attachments_late ON attachments (created_at) WHERE state = 'pending';
CREATE INDEX attachments_to_delete ON attachments (updated_at, id) WHERE blob_key <> '' AND state NOT IN ('pending', 'stored');

-- What is asked after a conversation, and what was answered.
CREATE TABLE surveys (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    settings   TEXT   NOT NULL, -- JSON: mode, expiry, questions
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX surveys_in_order ON surveys (created_at, id);

CREATE TABLE survey_invitations (
    id              TEXT   PRIMARY KEY,
    conversation_id TEXT   NOT NULL REFERENCES conversations (id),
    survey_id       TEXT   NOT NULL,
    channel_id      TEXT   NOT NULL,
    chat_key        TEXT   NOT NULL,
    agent_id        TEXT   NOT NULL DEFAULT '', -- to whom the answers are attributed
    queue_id        TEXT   NOT NULL DEFAULT '',
    bot_id          TEXT   NOT NULL DEFAULT '',
    locale          TEXT   NOT NULL,
    mode            TEXT   NOT NULL CHECK (mode IN ('line', 'link')),
    questions       TEXT   NOT NULL,            -- JSON: as they were when it was sent
    state           TEXT   NOT NULL CHECK (state IN ('open', 'answered', 'expired', 'cancelled')),
    asked           INTEGER NOT NULL DEFAULT 0,  -- how many questions have been asked
    asked_at        INTEGER NOT NULL DEFAULT 0,
    wanted_at       INTEGER NOT NULL DEFAULT 0,  -- since when its workflow has something to look at
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX survey_invitations_once ON survey_invitations (conversation_id);
CREATE INDEX survey_invitations_of_chat ON survey_invitations (channel_id, chat_key) WHERE state = 'open' OR wanted_at > 0;
CREATE INDEX survey_invitations_wanted ON survey_invitations (wanted_at) WHERE wanted_at > 0;
CREATE INDEX survey_invitations_in_order ON survey_invitations (created_at, id);
CREATE INDEX survey_invitations_by_survey ON survey_invitations (survey_id, created_at, id);
CREATE INDEX survey_invitations_by_agent ON survey_invitations (agent_id, created_at, id) WHERE agent_id <> '';

CREATE TABLE survey_answers (
    invitation_id TEXT    NOT NULL REFERENCES survey_invitations (id),
    question_id   TEXT    NOT NULL,
    value         TEXT    NOT NULL,           -- '' when the customer skipped the question, or took the answer back
    score         INTEGER  NOT NULL DEFAULT 0, -- of a question with numbers
    via           TEXT    NOT NULL CHECK (via IN ('button', 'typed', 'link')),
    line_message_id TEXT  NOT NULL DEFAULT '', -- of a typed answer, which may be taken back
    late          BOOLEAN NOT NULL DEFAULT FALSE,
    created_at    INTEGER  NOT NULL,
    PRIMARY KEY (invitation_id, question_id)
);
CREATE INDEX survey_answers_typed ON survey_answers (line_message_id) WHERE line_message_id <> '';

-- Automated messages of a channel, which win over its workstream's.
ALTER TABLE channels ADD COLUMN automated_messages TEXT NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE channels DROP COLUMN automated_messages;
DROP TABLE survey_answers;
DROP TABLE survey_invitations;
DROP TABLE surveys;
DROP TABLE attachments;
DROP TABLE consents;
DROP INDEX social_profiles_of_contact;
ALTER TABLE social_profiles DROP COLUMN consent_at;
ALTER TABLE social_profiles DROP COLUMN consent_version;
ALTER TABLE social_profiles DROP COLUMN notice_version;
ALTER TABLE social_profiles DROP COLUMN contact_id;
DROP TABLE contacts;
DROP TABLE dispositions;
DROP TABLE calendars;
DROP TABLE rulesets;
DROP TABLE routing_log;
DROP TABLE offers;
DELETE FROM counters WHERE name = 'dispatcher';
DROP TABLE agent_states;
DROP TABLE queue_members;
DROP TABLE agent_skills;
DROP TABLE skills;
ALTER TABLE queues DROP COLUMN calendar_id;
ALTER TABLE queues DROP COLUMN assignment;
ALTER TABLE agents DROP COLUMN capacity;
ALTER TABLE messages DROP COLUMN attachment_id;
ALTER TABLE messages DROP COLUMN held;
DROP INDEX chats_wanted;
ALTER TABLE chats DROP COLUMN wanted_at;
DROP INDEX conversations_by_contact;
DROP INDEX conversations_queued_singly;
DROP INDEX conversations_queued;
DROP INDEX conversations_by_queue;
DROP INDEX conversations_held;
DROP INDEX conversations_by_agent;
ALTER TABLE conversations DROP COLUMN refused;
ALTER TABLE conversations DROP COLUMN verdict;
ALTER TABLE conversations DROP COLUMN consent_version;
ALTER TABLE conversations DROP COLUMN disposition_id;
ALTER TABLE conversations DROP COLUMN phase_since;
ALTER TABLE conversations DROP COLUMN preferred_until;
ALTER TABLE conversations DROP COLUMN preferred_agent_id;
ALTER TABLE conversations DROP COLUMN first_waited_at;
ALTER TABLE conversations DROP COLUMN routed_at;
ALTER TABLE conversations DROP COLUMN requirement;
ALTER TABLE conversations DROP COLUMN matching;
ALTER TABLE conversations DROP COLUMN units;
ALTER TABLE conversations DROP COLUMN attributes;
ALTER TABLE conversations DROP COLUMN language;
