-- +goose NO TRANSACTION
-- +goose Up

-- Lists of conversations, of one status or of each in turn. They are built
-- beside the traffic.
DROP INDEX CONCURRENTLY IF EXISTS conversations_of_channel;
CREATE INDEX CONCURRENTLY conversations_of_channel ON conversations (channel_id, status, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS conversations_of_queue;
CREATE INDEX CONCURRENTLY conversations_of_queue ON conversations (queue_id, status, created_at, id) WHERE queue_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS conversations_of_agent;
CREATE INDEX CONCURRENTLY conversations_of_agent ON conversations (agent_id, status, created_at, id) WHERE agent_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS conversations_by_queue;
DROP INDEX CONCURRENTLY IF EXISTS conversations_by_agent;

-- +goose Down
CREATE INDEX CONCURRENTLY conversations_by_agent ON conversations (agent_id, created_at, id) WHERE agent_id <> '';
CREATE INDEX CONCURRENTLY conversations_by_queue ON conversations (queue_id, created_at, id) WHERE queue_id <> '';
DROP INDEX CONCURRENTLY conversations_of_agent;
DROP INDEX CONCURRENTLY conversations_of_queue;
DROP INDEX CONCURRENTLY conversations_of_channel;
