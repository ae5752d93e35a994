-- +goose Up

-- A ruleset may be a service that classifies in the place of rules. It stands
-- here as a classification without rules, which is what binaries that know no
-- services take it for.
ALTER TABLE rulesets ADD COLUMN service TEXT NOT NULL DEFAULT ''; -- JSON; '' where rules classify
ALTER TABLE rulesets ADD COLUMN secret TEXT NOT NULL DEFAULT '';  -- encrypted
ALTER TABLE rulesets ADD COLUMN deadline_ms BIGINT NOT NULL DEFAULT 0; -- of the service; 0 without one
CREATE INDEX rulesets_services ON rulesets (deadline_ms, id) WHERE deadline_ms > 0;

-- What services found, so that the same question has the same answer. It holds
-- enumerated words, ids and numbers, and nothing of what was asked.
CREATE TABLE service_findings (
    id         TEXT   PRIMARY KEY, -- a digest of the question, or of the step that asked
    findings   TEXT   NOT NULL,    -- JSON, by ruleset
    expires_at BIGINT NOT NULL
);
CREATE INDEX service_findings_expiry ON service_findings (expires_at);

-- +goose Down
DROP TABLE service_findings;
DROP INDEX rulesets_services;
ALTER TABLE rulesets DROP COLUMN deadline_ms;
ALTER TABLE rulesets DROP COLUMN secret;
ALTER TABLE rulesets DROP COLUMN service;
