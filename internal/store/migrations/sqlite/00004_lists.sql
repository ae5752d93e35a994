-- +goose Up

-- Lists of conversations, of one status or of each in turn.
CREATE INDEX conversations_of_channel ON conversations (channel_id, status, created_at, id);
CREATE INDEX conversations_of_queue ON conversations (queue_id, status, created_at, id) WHERE queue_id <> '';
CREATE INDEX conversations_of_agent ON conversations (agent_id, status, created_at, id) WHERE agent_id <> '';
DROP INDEX conversations_by_queue;
DROP INDEX conversations_by_agent;

-- +goose Down
CREATE INDEX conversations_by_agent ON conversations (agent_id, created_at, id) WHERE agent_id <> '';
CREATE INDEX conversations_by_queue ON conversations (queue_id, created_at, id) WHERE queue_id <> '';
DROP INDEX conversations_of_agent;
DROP INDEX conversations_of_queue;
DROP INDEX conversations_of_channel;
