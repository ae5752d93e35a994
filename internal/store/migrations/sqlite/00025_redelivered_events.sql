-- +goose Up

-- Whether LINE has delivered the event again: its reply token has an end then that
-- is counted from the event.
ALTER TABLE line_events ADD COLUMN redelivered BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE line_events DROP COLUMN redelivered;
