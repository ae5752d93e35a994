package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
)

// TestHoursAcrossClockChanges has one row for each time that something is open:
// from and to as clocks in UTC show them, and how many hours that are. Clocks go
// forward in Copenhagen on 29 March 2026 (01:00 UTC, from 02:00 to 03:00) and in
// New York on 8 March (07:00 UTC), back on 25 October (01:00 UTC, from 03:00 to
// 02:00) and on 1 November (06:00 UTC); in Tokyo never.
func TestHoursAcrossClockChanges(t *testing.T) {
	t.Parallel()
	holidays := func(dates ...string) (list []calendar.Holiday) {
		for _, d := range dates {
			list = append(list, calendar.Holiday{Date: d, Name: d})
		}
		return list
	}
	for _, c := range []struct {
		name     string
		zone     string
		day      calendar.Day
		span     string // opens-closes
		holidays []calendar.Holiday
		looked   string // from when on, in UTC
		opens    string // next
		closes   string
		hours    float64
	}{
		{"a day before the clocks go forward", "Europe/Copenhagen", calendar.Saturday, "09:00-17:00", nil, "2026-03-28T00:00", "2026-03-28T08:00", "2026-03-28T16:00", 8},
		{"a day after", "Europe/Copenhagen", calendar.Monday, "09:00-17:00", nil, "2026-03-28T00:00", "2026-03-30T07:00", "2026-03-30T15:00", 8},
		{"the day of the change", "Europe/Copenhagen", calendar.Sunday, "00:00-24:00", nil, "2026-03-28T00:00", "2026-03-28T23:00", "2026-03-29T22:00", 23},
		{"the night of the change", "Europe/Copenhagen", calendar.Saturday, "22:00-06:00", nil, "2026-03-28T00:00", "2026-03-28T21:00", "2026-03-29T04:00", 7},
		{"a night that ends in the hour left out", "Europe/Copenhagen", calendar.Saturday, "22:00-02:30", nil, "2026-03-28T00:00", "2026-03-28T21:00", "2026-03-29T01:00", 4},
		{"the day the clocks go back", "Europe/Copenhagen", calendar.Sunday, "00:00-24:00", nil, "2026-10-24T00:00", "2026-10-24T22:00", "2026-10-25T23:00", 25},
		{"the night they go back", "Europe/Copenhagen", calendar.Saturday, "22:00-06:00", nil, "2026-10-24T00:00", "2026-10-24T20:00", "2026-10-25T05:00", 9},
		{"a night that ends in the hour that comes twice", "Europe/Copenhagen", calendar.Saturday, "22:00-02:30", nil, "2026-10-24T00:00", "2026-10-24T20:00", "2026-10-25T01:30", 5.5},
		{"a morning that begins in it", "Europe/Copenhagen", calendar.Sunday, "02:30-12:00", nil, "2026-10-24T00:00", "2026-10-25T00:30", "2026-10-25T11:00", 10.5},

		{"New York, a day before", "America/New_York", calendar.Saturday, "09:00-17:00", nil, "2026-03-07T00:00", "2026-03-07T14:00", "2026-03-07T22:00", 8},
		{"New York, a day after", "America/New_York", calendar.Monday, "09:00-17:00", nil, "2026-03-07T00:00", "2026-03-09T13:00", "2026-03-09T21:00", 8},
		{"New York, the night they go forward", "America/New_York", calendar.Saturday, "22:00-06:00", nil, "2026-03-07T00:00", "2026-03-08T03:00", "2026-03-08T10:00", 7},
		{"New York, the night they go back", "America/New_York", calendar.Saturday, "22:00-06:00", nil, "2026-10-31T00:00", "2026-11-01T02:00", "2026-11-01T11:00", 9},
		{"New York, the day they go back", "America/New_York", calendar.Sunday, "00:00-24:00", nil, "2026-10-31T00:00", "2026-11-01T04:00", "2026-11-02T05:00", 25},

		{"Tokyo, a night of Copenhagen's change", "Asia/Tokyo", calendar.Saturday, "22:00-06:00", nil, "2026-03-28T00:00", "2026-03-28T13:00", "2026-03-28T21:00", 8},
		{"Tokyo, a night of New York's change", "Asia/Tokyo", calendar.Saturday, "22:00-06:00", nil, "2026-10-31T00:00", "2026-10-31T13:00", "2026-10-31T21:00", 8},

		{"the eve is a holiday: no night", "Europe/Copenhagen", calendar.Saturday, "22:00-06:00", holidays("2026-03-28"), "2026-03-28T00:00", "2026-04-04T20:00", "2026-04-05T04:00", 8},
		{"the day of the change is a holiday: until midnight", "Europe/Copenhagen", calendar.Saturday, "22:00-06:00", holidays("2026-03-29"), "2026-03-28T00:00", "2026-03-28T21:00", "2026-03-28T23:00", 2},
		{"the day before the night is a holiday, back", "America/New_York", calendar.Saturday, "22:00-06:00", holidays("2026-10-31"), "2026-10-31T00:00", "2026-11-08T03:00", "2026-11-08T11:00", 8},
		{"the day after is a holiday, back", "America/New_York", calendar.Saturday, "22:00-06:00", holidays("2026-11-01"), "2026-10-31T00:00", "2026-11-01T02:00", "2026-11-01T04:00", 2},
		{"the whole day of 25 hours is a holiday", "Europe/Copenhagen", calendar.Sunday, "00:00-24:00", holidays("2026-10-25"), "2026-10-24T00:00", "2026-10-31T23:00", "2026-11-01T23:00", 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := func(text string) time.Time {
				when, err := time.Parse("2006-01-02T15:04", text)
				require.NoError(t, err)
				return when
			}
			k := calendar.Calendar{Zone: c.zone, Hours: []calendar.Span{{Day: c.day, Opens: c.span[:5], Closes: c.span[6:]}}, Holidays: c.holidays}
			stands := func(when time.Time) calendar.Moment {
				m, err := k.At(when)
				require.NoError(t, err)
				return m
			}
			opens, closes := at(c.opens), at(c.closes)
			require.Equal(t, opens, stands(at(c.looked)).Opens.UTC())
			require.False(t, stands(opens.Add(-time.Second)).Open, "before it opens")
			for when := opens; when.Before(closes); when = when.Add(15 * time.Minute) {
				require.True(t, stands(when).Open, when)
			}
			require.True(t, stands(closes.Add(-time.Second)).Open, "before it closes")
			require.False(t, stands(closes).Open, "when it closes")
			require.InDelta(t, c.hours, closes.Sub(opens).Hours(), 0)
		})
	}
}
