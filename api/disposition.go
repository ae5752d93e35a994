package api

import (
	"context"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showDisposition(d store.Disposition) Disposition {
	return Disposition{ID: d.ID, Name: d.Name, Version: d.Version, CreatedAt: Time(d.CreatedAt), UpdatedAt: Time(d.UpdatedAt)}
}

func dispositionResponse(d store.Disposition) DispositionJSONResponse {
	return DispositionJSONResponse{Body: showDisposition(d), Headers: DispositionResponseHeaders{ETag: etag(d.Version)}}
}

// ListDispositions lists dispositions.
func (s *Server) ListDispositions(ctx context.Context, r ListDispositionsRequestObject) (ListDispositionsResponseObject, error) {
	items, next, err := listed("dispositions", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Disposition, error) {
		return s.store.Dispositions(ctx, after, limit)
	}, func(d store.Disposition) store.Cursor { return store.Cursor{At: d.CreatedAt, ID: d.ID} }, showDisposition)
	return ListDispositions200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateDisposition creates a disposition.
func (s *Server) CreateDisposition(ctx context.Context, r CreateDispositionRequestObject) (CreateDispositionResponseObject, error) {
	d := store.Disposition{ID: idFor(ctx, conversation.PrefixDisposition)}
	d.Name = r.Body.Name
	d, err := s.store.CreateDisposition(ctx, origin(ctx), d)
	return CreateDisposition201JSONResponse{dispositionResponse(d)}, err
}

// GetDisposition reads a disposition.
func (s *Server) GetDisposition(ctx context.Context, r GetDispositionRequestObject) (GetDispositionResponseObject, error) {
	d, err := s.store.Disposition(ctx, r.ID)
	return GetDisposition200JSONResponse{dispositionResponse(d)}, err
}

// UpdateDisposition changes a disposition.
func (s *Server) UpdateDisposition(ctx context.Context, r UpdateDispositionRequestObject) (UpdateDispositionResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	d, err := s.store.UpdateDisposition(ctx, origin(ctx), r.ID, version, func(d *store.Disposition) error {
		var in DispositionInput
		if err := mergePatch(DispositionInput{Name: d.Name}, *r.Body, &in); err != nil {
			return err
		}
		d.Name = in.Name
		return nil
	})
	return UpdateDisposition200JSONResponse{dispositionResponse(d)}, err
}

// DeleteDisposition deletes a disposition.
func (s *Server) DeleteDisposition(ctx context.Context, r DeleteDispositionRequestObject) (DeleteDispositionResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteDisposition204Response{}, s.store.DeleteDisposition(ctx, origin(ctx), r.ID, version)
}
