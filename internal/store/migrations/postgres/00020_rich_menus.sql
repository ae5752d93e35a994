-- +goose Up

-- Which of LINE's rich menus a customer sees, by who has their conversation, as
-- JSON; and of those the ones that LINE does not show, with its words and when they
-- are tried again.
ALTER TABLE channels ADD COLUMN rich_menus TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN rich_menus_refused TEXT NOT NULL DEFAULT '';

-- What LINE shows a customer by Kaiwa's doing ('' is the account's default menu),
-- and when somebody is to look after it next; 0 is never. number counts what was
-- written, so that whoever calls LINE knows whether somebody else did meanwhile.
CREATE TABLE rich_menus_shown (
    channel_id   TEXT   NOT NULL,
    chat_key     TEXT   NOT NULL,
    rich_menu_id TEXT   NOT NULL,
    number       BIGINT NOT NULL,
    due_at       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, chat_key)
);
CREATE INDEX rich_menus_due ON rich_menus_shown (channel_id, due_at) WHERE due_at > 0;

-- +goose Down
DROP TABLE rich_menus_shown;
ALTER TABLE channels DROP COLUMN rich_menus_refused;
ALTER TABLE channels DROP COLUMN rich_menus;
