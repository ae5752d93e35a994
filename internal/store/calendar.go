package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
)

// Calendar is when somebody is there to work the queues that have it.
type Calendar struct {
	ID   string
	Name string
	calendar.Calendar
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type calendarRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Zone      string `db:"zone"`
	Settings  string `db:"settings"`
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var calendars = &family[Calendar, calendarRow]{
	kind: "calendar", table: "calendars", prefix: conversation.PrefixCalendar,
	meta: func(k *Calendar) meta { return meta{&k.ID, &k.Name, &k.Version, &k.CreatedAt, &k.UpdatedAt} },
	seal: func(_ *Store, k Calendar) (calendarRow, error) {
		settings, err := json.Marshal(calendarSettings{k.Hours, k.Holidays})
		return calendarRow{k.ID, k.Name, k.Zone, string(settings), k.Version, micros(k.CreatedAt), micros(k.UpdatedAt)}, err
	},
	open: func(_ *Store, r calendarRow) (Calendar, error) {
		var settings calendarSettings
		if err := json.Unmarshal([]byte(r.Settings), &settings); err != nil {
			return Calendar{}, fmt.Errorf("settings of calendar %s: %w", r.ID, err)
		}
		return Calendar{
			ID: r.ID, Name: r.Name, Calendar: calendar.Calendar{Zone: r.Zone, Hours: settings.Hours, Holidays: settings.Holidays},
			Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt),
		}, nil
	},
	facts: func(k Calendar) map[string]any {
		return map[string]any{"name": k.Name, "zone": k.Zone, "hours": k.Hours, "holidays": k.Holidays}
	},
	uses: none[Calendar],
	unused: func(ctx context.Context, c conn, k Calendar) error {
		return c.inUse(ctx, "The queue %q has this calendar. Give it another, or none, first.",
			"SELECT name FROM queues WHERE calendar_id = $1", k.ID)
	},
}

// Calendar reads one calendar; CodeNotFound when there is none.
func (s *Store) Calendar(ctx context.Context, id string) (Calendar, error) {
	return calendars.get(ctx, s, s.read(), id, "")
}

// Calendars lists calendars, oldest first.
func (s *Store) Calendars(ctx context.Context, after Cursor, limit int) ([]Calendar, error) {
	return calendars.list(ctx, s, after, limit)
}

// CreateCalendar stores a calendar.
func (s *Store) CreateCalendar(ctx context.Context, by Origin, k Calendar) (Calendar, error) {
	return calendars.create(ctx, s, by, k)
}

// UpdateCalendar changes a calendar: CodeNotFound, CodeVersionStale.
func (s *Store) UpdateCalendar(ctx context.Context, by Origin, id string, version int64, change func(*Calendar) error) (Calendar, error) {
	return calendars.update(ctx, s, by, id, version, change)
}

// DeleteCalendar deletes a calendar: CodeNotFound, CodeVersionStale, CodeInUse
// while a queue has it.
func (s *Store) DeleteCalendar(ctx context.Context, by Origin, id string, version int64) error {
	return calendars.delete(ctx, s, by, id, version)
}

// calendarSettings is a calendar's JSON column.
type calendarSettings struct {
	Hours    []calendar.Span    `json:"hours"`
	Holidays []calendar.Holiday `json:"holidays"`
}
