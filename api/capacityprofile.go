package api

import (
	"context"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showCapacityProfile(p store.CapacityProfile) CapacityProfile {
	return CapacityProfile{
		ID: p.ID, Name: p.Name, LimitDefault: p.LimitDefault, Reset: CapacityProfileReset(p.Reset), Zone: Nullable(p.Zone), Blocks: p.Blocks,
		Version: p.Version, CreatedAt: Time(p.CreatedAt), UpdatedAt: Time(p.UpdatedAt),
	}
}

func capacityProfileResponse(p store.CapacityProfile) CapacityProfileJSONResponse {
	return CapacityProfileJSONResponse{Body: showCapacityProfile(p), Headers: CapacityProfileResponseHeaders{ETag: etag(p.Version)}}
}

// apply checks the input and puts it into p.
func (in CapacityProfileInput) apply(p *store.CapacityProfile) error {
	p.Name, p.LimitDefault, p.Reset, p.Zone, p.Blocks = in.Name, in.LimitDefault, store.CapacityReset(in.Reset), in.Zone, in.Blocks
	if p.Reset == "" {
		p.Reset = store.ResetImmediate
	}
	_, err := time.LoadLocation(p.Zone)
	switch {
	case p.Reset == store.ResetImmediate && p.Zone != "":
		return conversation.Invalid("/zone", "A zone says when the day ends. Take it out (null), or set reset to end_of_day.")
	case p.Reset == store.ResetEndOfDay && p.Zone == "":
		return conversation.Invalid("/zone", "Say in which time zone the day ends, as in Asia/Tokyo.")
	case err != nil || p.Zone == "Local":
		return conversation.Invalid("/zone", "This is not a time zone such as Asia/Tokyo or Europe/Copenhagen.")
	}
	return nil
}

// ListCapacityProfiles lists capacity profiles.
func (s *Server) ListCapacityProfiles(ctx context.Context, r ListCapacityProfilesRequestObject) (ListCapacityProfilesResponseObject, error) {
	items, next, err := listed("capacity-profiles", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.CapacityProfile, error) {
		return s.store.CapacityProfiles(ctx, after, limit)
	}, func(p store.CapacityProfile) store.Cursor { return store.Cursor{At: p.CreatedAt, ID: p.ID} }, showCapacityProfile)
	return ListCapacityProfiles200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateCapacityProfile creates a capacity profile.
func (s *Server) CreateCapacityProfile(ctx context.Context, r CreateCapacityProfileRequestObject) (CreateCapacityProfileResponseObject, error) {
	p := store.CapacityProfile{ID: idFor(ctx, conversation.PrefixCapacityProfile)}
	if err := r.Body.apply(&p); err != nil {
		return nil, err
	}
	p, err := s.store.CreateCapacityProfile(ctx, origin(ctx), p)
	return CreateCapacityProfile201JSONResponse{capacityProfileResponse(p)}, err
}

// GetCapacityProfile reads a capacity profile.
func (s *Server) GetCapacityProfile(ctx context.Context, r GetCapacityProfileRequestObject) (GetCapacityProfileResponseObject, error) {
	p, err := s.store.CapacityProfile(ctx, r.ID)
	return GetCapacityProfile200JSONResponse{capacityProfileResponse(p)}, err
}

// UpdateCapacityProfile changes a capacity profile.
func (s *Server) UpdateCapacityProfile(ctx context.Context, r UpdateCapacityProfileRequestObject) (UpdateCapacityProfileResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	p, err := s.store.UpdateCapacityProfile(ctx, origin(ctx), r.ID, version, func(p *store.CapacityProfile) error {
		var in CapacityProfileInput
		if err := mergePatch(CapacityProfileInput{
			Name: p.Name, LimitDefault: p.LimitDefault, Reset: CapacityProfileInputReset(p.Reset), Zone: p.Zone, Blocks: p.Blocks,
		}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(p)
	})
	return UpdateCapacityProfile200JSONResponse{capacityProfileResponse(p)}, s.dispatched(ctx, err)
}

// DeleteCapacityProfile deletes a capacity profile.
func (s *Server) DeleteCapacityProfile(ctx context.Context, r DeleteCapacityProfileRequestObject) (DeleteCapacityProfileResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteCapacityProfile204Response{}, s.store.DeleteCapacityProfile(ctx, origin(ctx), r.ID, version)
}

// profileLimits fills in the limits that the request leaves to the profiles. Whether a
// profile is there, the store tells.
func (s *Server) profileLimits(ctx context.Context, list []AgentCapacityProfile) error {
	for i := range list {
		if list[i].Limit > 0 {
			continue
		}
		p, err := s.store.CapacityProfile(ctx, list[i].ProfileID)
		if err != nil && conversation.CodeOf(err) != conversation.CodeNotFound {
			return err
		}
		list[i].Limit = p.LimitDefault
	}
	return nil
}
