-- +goose Up

-- Where a channel's customers sign in to the company to link their accounts, as
-- JSON; '' when linking is off.
ALTER TABLE channels ADD COLUMN account_linking TEXT NOT NULL DEFAULT '';

-- The company's id of a customer whose LINE account is linked; '' of others.
ALTER TABLE social_profiles ADD COLUMN customer_id TEXT NOT NULL DEFAULT '';
CREATE INDEX contacts_by_customer_number ON contacts (customer_number) WHERE customer_number <> '';

-- Account links, those that came to nothing too. Of the nonce that LINE gives back
-- only the digest is kept; of LINE's link token nothing.
CREATE TABLE account_links (
    id           TEXT   PRIMARY KEY,
    channel_id   TEXT   NOT NULL,
    chat_key     TEXT   NOT NULL,
    line_user_id TEXT   NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('started', 'confirmed', 'linked', 'failed', 'expired', 'unlinked')),
    customer_id  TEXT   NOT NULL DEFAULT '', -- the company's, once it has confirmed
    nonce_digest TEXT   NOT NULL DEFAULT '', -- SHA-256, hex
    contact_id   TEXT   NOT NULL DEFAULT '', -- whom linking attached to the customer
    contact      TEXT   NOT NULL DEFAULT '', -- found, named, created or ambiguous: what became of the contact
    ended_by     TEXT   NOT NULL DEFAULT '', -- of unlinked: customer, agent or replaced
    expires_at   BIGINT NOT NULL DEFAULT 0,  -- of started and confirmed
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL DEFAULT 0,
    linked_at    BIGINT NOT NULL DEFAULT 0,
    ended_at     BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX account_links_nonce ON account_links (channel_id, nonce_digest) WHERE nonce_digest <> '';
CREATE UNIQUE INDEX account_links_one_linked ON account_links (channel_id, chat_key) WHERE state = 'linked';
CREATE INDEX account_links_of_chat ON account_links (channel_id, chat_key, created_at, id);
CREATE INDEX account_links_of_contact ON account_links (contact_id, created_at, id) WHERE contact_id <> '';
CREATE INDEX account_links_to_expire ON account_links (expires_at) WHERE state IN ('started', 'confirmed');

-- The kinds of errand are the program's; an errand of account linking may answer
-- no event.
ALTER TABLE errands DROP CONSTRAINT errands_kind_check;

-- +goose Down
UPDATE chats SET errands = errands - (SELECT count(*) FROM errands e WHERE e.channel_id = chats.channel_id AND e.chat_key = chats.chat_key
    AND e.state = 'due' AND e.kind NOT IN ('welcome', 'leave')) WHERE errands > 0;
DELETE FROM errands WHERE kind NOT IN ('welcome', 'leave');
ALTER TABLE errands ADD CONSTRAINT errands_kind_check CHECK (kind IN ('welcome', 'leave'));
DROP TABLE account_links;
DROP INDEX contacts_by_customer_number;
ALTER TABLE social_profiles DROP COLUMN customer_id;
ALTER TABLE channels DROP COLUMN account_linking;
