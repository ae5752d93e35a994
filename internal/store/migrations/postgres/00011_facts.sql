-- +goose Up

-- What a conversation was classified and routed from, as JSON, with the line of
-- its classification; '' with other lines. It holds what is known of the
-- customer and is shown by nothing; what they wrote is in messages only.
ALTER TABLE routing_log ADD COLUMN facts TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE routing_log DROP COLUMN facts;
