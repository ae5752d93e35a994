-- +goose Up

-- How often an errand was being said to LINE, and since when LINE may have taken
-- that.
ALTER TABLE errands ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE errands ADD COLUMN tried_at BIGINT NOT NULL DEFAULT 0; -- Unix microseconds; 0 when it has certainly not
UPDATE errands SET tried_at = created_at WHERE state = 'due' AND webhook_event_id <> '' AND EXISTS (
    SELECT 1 FROM line_events e WHERE e.channel_id = errands.channel_id AND e.webhook_event_id = errands.webhook_event_id AND e.token_batch = errands.id);

-- +goose Down
ALTER TABLE errands DROP COLUMN tried_at;
ALTER TABLE errands DROP COLUMN attempts;
