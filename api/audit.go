package api

import (
	"context"

	"kaiwa/internal/store"
)

// ListAuditLog lists changes of the configuration, the latest first.
func (s *Server) ListAuditLog(ctx context.Context, r ListAuditLogRequestObject) (ListAuditLogResponseObject, error) {
	var before int64
	if err := readCursor("audit", r.Params.Cursor, &before); err != nil {
		return nil, err
	}
	limit := pageSize(r.Params.Limit)
	entries, err := s.store.AuditLog(ctx, store.AuditFilter{AgentID: r.Params.AgentID, SubjectID: r.Params.SubjectID}, before, limit+1)
	if err != nil {
		return nil, err
	}
	entries, next, err := page("audit", entries, limit, func(e store.AuditEntry) any { return e.ID })
	return ListAuditLog200JSONResponse{Items: shown(entries, showAuditEntry), NextCursor: next}, err
}

func showAuditEntry(e store.AuditEntry) AuditEntry {
	return AuditEntry{
		ID: e.ID, CreatedAt: Time(e.At), Action: AuditEntryAction(e.Action), SubjectKind: e.SubjectKind, SubjectID: e.SubjectID, SubjectName: e.SubjectName, Changes: e.Changes,
		By: AuditOrigin{
			AgentID: Nullable(e.By.AgentID), AgentName: Nullable(e.By.AgentName), TokenID: Nullable(e.By.TokenID), Address: Nullable(e.By.Address), RequestID: Nullable(e.By.RequestID),
		},
	}
}
