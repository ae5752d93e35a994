package api

import (
	"context"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func showCalendar(k store.Calendar) Calendar {
	return Calendar{
		ID: k.ID, Name: k.Name, Zone: k.Zone, Hours: append([]CalendarSpan{}, k.Hours...), Holidays: append([]CalendarHoliday{}, k.Holidays...),
		Version: k.Version, CreatedAt: Time(k.CreatedAt), UpdatedAt: Time(k.UpdatedAt),
	}
}

func calendarResponse(k store.Calendar) CalendarJSONResponse {
	return CalendarJSONResponse{Body: showCalendar(k), Headers: CalendarResponseHeaders{ETag: etag(k.Version)}}
}

// apply checks the input and puts it into k.
func (in CalendarInput) apply(k *store.Calendar) error {
	k.Name, k.Calendar = in.Name, calendar.Calendar{Zone: in.Zone, Hours: in.Hours, Holidays: in.Holidays}
	return invalid(k.Check()).err()
}

// ListCalendars lists calendars.
func (s *Server) ListCalendars(ctx context.Context, r ListCalendarsRequestObject) (ListCalendarsResponseObject, error) {
	items, next, err := listed("calendars", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Calendar, error) {
		return s.store.Calendars(ctx, after, limit)
	}, func(k store.Calendar) store.Cursor { return store.Cursor{At: k.CreatedAt, ID: k.ID} }, showCalendar)
	return ListCalendars200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateCalendar creates a calendar.
func (s *Server) CreateCalendar(ctx context.Context, r CreateCalendarRequestObject) (CreateCalendarResponseObject, error) {
	k := store.Calendar{ID: idFor(ctx, conversation.PrefixCalendar)}
	if err := r.Body.apply(&k); err != nil {
		return nil, err
	}
	k, err := s.store.CreateCalendar(ctx, origin(ctx), k)
	return CreateCalendar201JSONResponse{calendarResponse(k)}, err
}

// GetCalendar reads a calendar.
func (s *Server) GetCalendar(ctx context.Context, r GetCalendarRequestObject) (GetCalendarResponseObject, error) {
	k, err := s.store.Calendar(ctx, r.ID)
	return GetCalendar200JSONResponse{calendarResponse(k)}, err
}

// UpdateCalendar changes a calendar.
func (s *Server) UpdateCalendar(ctx context.Context, r UpdateCalendarRequestObject) (UpdateCalendarResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	k, err := s.store.UpdateCalendar(ctx, origin(ctx), r.ID, version, func(k *store.Calendar) error {
		var in CalendarInput
		if err := mergePatch(CalendarInput{Name: k.Name, Zone: k.Zone, Hours: k.Hours, Holidays: k.Holidays}, *r.Body, &in); err != nil {
			return err
		}
		return in.apply(k)
	})
	return UpdateCalendar200JSONResponse{calendarResponse(k)}, err
}

// DeleteCalendar deletes a calendar.
func (s *Server) DeleteCalendar(ctx context.Context, r DeleteCalendarRequestObject) (DeleteCalendarResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return DeleteCalendar204Response{}, s.store.DeleteCalendar(ctx, origin(ctx), r.ID, version)
}
