-- +goose Up

-- When the last attempt of a batch began, in Unix microseconds; 0 for one that
-- was begun before there was this column.
ALTER TABLE batches ADD COLUMN attempted_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE batches DROP COLUMN attempted_at;
