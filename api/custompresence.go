package api

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
	"kaiwa/internal/store"
)

func showCustomPresence(p store.CustomPresence) CustomPresence {
	return CustomPresence{
		ID: p.ID, Name: p.Name, Names: p.Names, Base: Presence(p.Base), Version: p.Version, CreatedAt: Time(p.CreatedAt), UpdatedAt: Time(p.UpdatedAt),
	}
}

func customPresenceResponse(p store.CustomPresence) CustomPresenceJSONResponse {
	return CustomPresenceJSONResponse{Body: showCustomPresence(p), Headers: CustomPresenceResponseHeaders{ETag: etag(p.Version)}}
}

// checkNames refuses names of languages that are none.
func checkNames(names map[string]string) error {
	var wrong invalid
	for _, l := range slices.Sorted(maps.Keys(names)) {
		switch {
		case !locale.Valid(l):
			wrong.add("/names"+conversation.Pointer(l), "This is not a known language tag such as en, ja or zh-TW.")
		case strings.TrimSpace(names[l]) == "":
			wrong.add("/names"+conversation.Pointer(l), "It must not be blank.")
		}
	}
	return wrong.err()
}

// ListCustomPresences lists custom presences.
func (s *Server) ListCustomPresences(ctx context.Context, r ListCustomPresencesRequestObject) (ListCustomPresencesResponseObject, error) {
	items, next, err := listed("presences", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.CustomPresence, error) {
		return s.store.CustomPresences(ctx, after, limit)
	}, func(p store.CustomPresence) store.Cursor { return store.Cursor{At: p.CreatedAt, ID: p.ID} }, showCustomPresence)
	return ListCustomPresences200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateCustomPresence creates a custom presence.
func (s *Server) CreateCustomPresence(ctx context.Context, r CreateCustomPresenceRequestObject) (CreateCustomPresenceResponseObject, error) {
	if err := checkNames(r.Body.Names); err != nil {
		return nil, err
	}
	p, err := s.store.CreateCustomPresence(ctx, origin(ctx), store.CustomPresence{
		ID: idFor(ctx, conversation.PrefixPresence), Name: r.Body.Name, Names: r.Body.Names, Base: conversation.Presence(r.Body.Base),
	})
	return CreateCustomPresence201JSONResponse{customPresenceResponse(p)}, err
}

// GetCustomPresence reads a custom presence.
func (s *Server) GetCustomPresence(ctx context.Context, r GetCustomPresenceRequestObject) (GetCustomPresenceResponseObject, error) {
	p, err := s.store.CustomPresence(ctx, r.ID)
	return GetCustomPresence200JSONResponse{customPresenceResponse(p)}, err
}

// UpdateCustomPresence changes the names of a custom presence.
func (s *Server) UpdateCustomPresence(ctx context.Context, r UpdateCustomPresenceRequestObject) (UpdateCustomPresenceResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	p, err := s.store.UpdateCustomPresence(ctx, origin(ctx), r.ID, version, func(p *store.CustomPresence) error {
		var in CustomPresenceInput
		if err := mergePatch(CustomPresenceInput{Name: p.Name, Names: p.Names, Base: Presence(p.Base)}, *r.Body, &in); err != nil {
			return err
		}
		p.Name, p.Names = in.Name, in.Names
		return checkNames(in.Names)
	})
	return UpdateCustomPresence200JSONResponse{customPresenceResponse(p)}, err
}

// DeleteCustomPresence deletes a custom presence.
func (s *Server) DeleteCustomPresence(ctx context.Context, r DeleteCustomPresenceRequestObject) (DeleteCustomPresenceResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteCustomPresence204Response{}, s.store.DeleteCustomPresence(ctx, origin(ctx), r.ID, version)
}
