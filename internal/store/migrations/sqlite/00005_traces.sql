-- +goose Up

-- The span in which an event was received, or a message to a customer made, as
-- W3C's traceparent; NULL where no trace was sampled.
ALTER TABLE line_events ADD COLUMN traceparent TEXT;
ALTER TABLE messages ADD COLUMN traceparent TEXT;

-- +goose Down
ALTER TABLE messages DROP COLUMN traceparent;
ALTER TABLE line_events DROP COLUMN traceparent;
