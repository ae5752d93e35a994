-- The simulator's memory. Times are milliseconds since the epoch, as LINE's
-- own timestamps are.

CREATE TABLE IF NOT EXISTS channels (
    id  TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS users (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id  TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
);

-- A row means: this user blocked this account.
CREATE TABLE IF NOT EXISTS blocks (
    channel_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    PRIMARY KEY (channel_id, user_id)
) WITHOUT ROWID;

-- Who was seen in which group or multi-person chat.
CREATE TABLE IF NOT EXISTS members (
    channel_id TEXT NOT NULL,
    group_id   TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    PRIMARY KEY (channel_id, group_id, user_id)
) WITHOUT ROWID;

-- Whether the account is in a group or multi-person chat; one without a row is
-- entered by what happens in it first.
CREATE TABLE IF NOT EXISTS groups (
    channel_id TEXT    NOT NULL,
    group_id   TEXT    NOT NULL,
    present    INTEGER NOT NULL,
    PRIMARY KEY (channel_id, group_id)
) WITHOUT ROWID;

-- One row per chat bubble, both directions. chat_id is the user, group or room.
CREATE TABLE IF NOT EXISTS messages (
    id          INTEGER PRIMARY KEY,
    channel_id  TEXT    NOT NULL,
    chat_id     TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    direction   TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    via         TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    reply_token TEXT    NOT NULL,
    quote_token TEXT    NOT NULL,
    read_token  TEXT    NOT NULL,
    read_ms     INTEGER NOT NULL,
    unsent_ms   INTEGER NOT NULL,
    hidden      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_chat ON messages (channel_id, chat_id, id);
CREATE INDEX IF NOT EXISTS messages_quote ON messages (quote_token) WHERE quote_token <> '';
CREATE INDEX IF NOT EXISTS messages_read ON messages (read_token) WHERE read_token <> '';

CREATE TABLE IF NOT EXISTS content (
    message_id        INTEGER PRIMARY KEY,
    content_type      TEXT    NOT NULL,
    file_name         TEXT    NOT NULL,
    not_ready         INTEGER NOT NULL,
    transcoding_fails INTEGER NOT NULL,
    bytes             BLOB    NOT NULL,
    preview           BLOB    NOT NULL
);

-- Every webhook event ever made; state is pending, delivered, failed (LINE
-- gave up), lost (never sent) or inactive (webhook was off).
CREATE TABLE IF NOT EXISTS events (
    id          TEXT PRIMARY KEY,
    channel_id  TEXT    NOT NULL,
    chat_id     TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    reply_token TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    next_ms     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_pending ON events (at_ms, id) WHERE state = 'pending';

CREATE TABLE IF NOT EXISTS reply_tokens (
    token       TEXT PRIMARY KEY,
    channel_id  TEXT    NOT NULL,
    chat_id     TEXT    NOT NULL,
    event_ms    INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    used_by     TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS retry_keys (
    channel_id  TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    sent        TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    accepted_ms INTEGER NOT NULL,
    PRIMARY KEY (channel_id, key)
) WITHOUT ROWID;

-- replies are free and pushes are paid, per recipient and calendar month.
CREATE TABLE IF NOT EXISTS consumption (
    channel_id TEXT    NOT NULL,
    month      TEXT    NOT NULL,
    replies    INTEGER NOT NULL,
    pushes     INTEGER NOT NULL,
    PRIMARY KEY (channel_id, month)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS access_tokens (
    token      TEXT PRIMARY KEY,
    channel_id TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS link_tokens (
    token      TEXT PRIMARY KEY,
    channel_id TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- kind is the content type of the image; "" before it was uploaded.
CREATE TABLE IF NOT EXISTS rich_menus (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id TEXT NOT NULL,
    id         TEXT NOT NULL,
    doc        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    image      BLOB NOT NULL,
    UNIQUE (channel_id, id)
);

-- Who sees which; the user "" is everybody who has none of their own.
CREATE TABLE IF NOT EXISTS rich_menu_links (
    channel_id   TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    rich_menu_id TEXT NOT NULL,
    PRIMARY KEY (channel_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rich_menu_aliases (
    channel_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    rich_menu_id TEXT NOT NULL,
    PRIMARY KEY (channel_id, id)
) WITHOUT ROWID;
