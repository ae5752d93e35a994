-- +goose Up

-- LINE's token by which a message can be quoted, of the customer or of the
-- account; '' where it cannot. Before, those of customers were in the payload.
ALTER TABLE messages ADD COLUMN quote_token TEXT NOT NULL DEFAULT '';

-- How many people are in a group or room, 0 where nobody has counted yet, and
-- when they are to be counted again (Unix microseconds): a push counts for each.
ALTER TABLE chats ADD COLUMN members INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN members_due INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE chats DROP COLUMN members_due;
ALTER TABLE chats DROP COLUMN members;
ALTER TABLE messages DROP COLUMN quote_token;
