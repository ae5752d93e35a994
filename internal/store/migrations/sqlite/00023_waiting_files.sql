-- +goose Up

-- A customer's file that waits until LINE takes an access token of its channel.
ALTER TABLE attachments ADD COLUMN waits_since BIGINT NOT NULL DEFAULT 0; -- Unix microseconds; 0 while it does not
CREATE INDEX attachments_waiting ON attachments (conversation_id) WHERE waits_since > 0;

-- What is due in the chats of a channel goes when that is over.
CREATE INDEX chats_with_errands ON chats (channel_id) WHERE errands > 0;

-- +goose Down
DROP INDEX chats_with_errands;
DROP INDEX attachments_waiting;
ALTER TABLE attachments DROP COLUMN waits_since;
