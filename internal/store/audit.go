package store

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Origin is who changes something and from where. Every change of the
// configuration records it; the zero Origin is Kaiwa itself.
type Origin struct {
	AgentID   string
	AgentName string
	TokenID   string
	Address   string // the client's address, as the API saw it
	RequestID string
}

// The actions an AuditEntry may record.
const (
	AuditCreated  = "created"
	AuditChanged  = "changed"
	AuditDeleted  = "deleted"
	AuditRevoked  = "revoked"
	AuditReleased = "released"
)

// AuditEntry is one change of the configuration. Secrets are never in it: a
// changed secret is shown as changed, without a value.
type AuditEntry struct {
	ID          int64
	At          time.Time
	By          Origin
	Action      string
	SubjectKind string
	SubjectID   string
	SubjectName string
	Changes     map[string]Change // by field
}

// Change is a field's value before and after. Creating has no From, deleting
// no To.
type Change struct {
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// AuditFilter narrows the audit log; empty fields do not.
type AuditFilter struct {
	AgentID   string
	SubjectID string
}

// AuditLog lists changes, the latest first, those older than entry before
// (0: from the newest).
func (s *Store) AuditLog(ctx context.Context, f AuditFilter, before int64, limit int) ([]AuditEntry, error) {
	q := `SELECT id, created_at, agent_id, agent_name, token_id, address, request_id, action, subject_kind, subject_id, subject_name, changes
		FROM audit_log WHERE id < $1`
	if before == 0 {
		before = 1<<63 - 1
	}
	args := []any{before}
	where := func(column, value string) {
		if value != "" {
			args = append(args, value)
			q += fmt.Sprintf(" AND %s = $%d", column, len(args))
		}
	}
	where("agent_id", f.AgentID)
	where("subject_id", f.SubjectID)
	args = append(args, limit)
	q += fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args))
	var rows []struct {
		ID          int64  `db:"id"`
		CreatedAt   int64  `db:"created_at"`
		AgentID     string `db:"agent_id"`
		AgentName   string `db:"agent_name"`
		TokenID     string `db:"token_id"`
		Address     string `db:"address"`
		RequestID   string `db:"request_id"`
		Action      string `db:"action"`
		SubjectKind string `db:"subject_kind"`
		SubjectID   string `db:"subject_id"`
		SubjectName string `db:"subject_name"`
		Changes     string `db:"changes"`
	}
	if err := s.read().list(ctx, &rows, q, args...); err != nil {
		return nil, err
	}
	entries := make([]AuditEntry, len(rows))
	for i, r := range rows {
		entries[i] = AuditEntry{
			ID: r.ID, At: fromMicros(r.CreatedAt),
			By:     Origin{r.AgentID, r.AgentName, r.TokenID, r.Address, r.RequestID},
			Action: r.Action, SubjectKind: r.SubjectKind, SubjectID: r.SubjectID, SubjectName: r.SubjectName,
		}
		if err := json.Unmarshal([]byte(r.Changes), &entries[i].Changes); err != nil {
			return nil, fmt.Errorf("audit entry %d: %w", r.ID, err)
		}
	}
	return entries, nil
}

// hidden is a value whose change the audit log shows and whose content it does
// not.
type hidden string

var hiddenText = json.RawMessage(`"(hidden)"`)

// maxAuditValue bounds a field in the audit log, in bytes of JSON: a bot's
// script is a document of its own.
const maxAuditValue = 4096

// audit records a change in the transaction that makes it. before and after
// are the subject's fields, nil when there is no such side.
func (s *Store) audit(ctx context.Context, c conn, by Origin, action, kind, id, name string, before, after map[string]any) error {
	changes, err := diff(before, after)
	if err != nil {
		return fmt.Errorf("audit %s: %w", id, err)
	}
	doc, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("audit %s: %w", id, err)
	}
	_, err = c.exec(ctx, `INSERT INTO audit_log (created_at, agent_id, agent_name, token_id, address, request_id, action, subject_kind, subject_id, subject_name, changes)
		VALUES `+values(1, 11, 1),
		micros(s.now()), by.AgentID, by.AgentName, by.TokenID, by.Address, by.RequestID, action, kind, id, name, string(doc))
	return err
}

func diff(before, after map[string]any) (map[string]Change, error) {
	changes := map[string]Change{}
	put := func(field string, from, to any) error {
		if reflect.DeepEqual(from, to) {
			return nil
		}
		var c Change
		var err error
		if c.From, err = auditValue(from); err != nil {
			return err
		}
		if c.To, err = auditValue(to); err != nil {
			return err
		}
		changes[field] = c
		return nil
	}
	for field, from := range before {
		if err := put(field, from, after[field]); err != nil {
			return nil, err
		}
	}
	for field, to := range after {
		if _, there := before[field]; !there {
			if err := put(field, nil, to); err != nil {
				return nil, err
			}
		}
	}
	return changes, nil
}

func auditValue(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case hidden:
		if v == "" {
			return nil, nil
		}
		return hiddenText, nil
	}
	doc, err := json.Marshal(v)
	if err == nil && len(doc) > maxAuditValue {
		return json.Marshal(fmt.Sprintf("(%d bytes)", len(doc)))
	}
	return doc, err
}
