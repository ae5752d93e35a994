-- +goose Up

-- A file may be in quarantine: it is kept, and nobody can load it. signature is
-- the malware it holds, in the scanner's words; '' of one that holds none or that
-- nobody has looked at.
ALTER TABLE attachments ADD COLUMN signature TEXT NOT NULL DEFAULT '';
ALTER TABLE attachments DROP CONSTRAINT attachments_state_check;
ALTER TABLE attachments ADD CONSTRAINT attachments_state_check
    CHECK (state IN ('pending', 'stored', 'refused', 'gone', 'failed', 'revoked', 'quarantined'));
CREATE INDEX attachments_quarantined ON attachments (updated_at, id) WHERE state = 'quarantined';

-- +goose Down
DROP INDEX attachments_quarantined;
UPDATE attachments SET state = 'refused' WHERE state = 'quarantined';
ALTER TABLE attachments DROP CONSTRAINT attachments_state_check;
ALTER TABLE attachments ADD CONSTRAINT attachments_state_check
    CHECK (state IN ('pending', 'stored', 'refused', 'gone', 'failed', 'revoked'));
ALTER TABLE attachments DROP COLUMN signature;
