package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/calendar"
)

func every(opens, closes string, days ...calendar.Day) []calendar.Span {
	out := make([]calendar.Span, len(days))
	for i, d := range days {
		out[i] = calendar.Span{Day: d, Opens: opens, Closes: closes}
	}
	return out
}

var week = []calendar.Day{calendar.Monday, calendar.Tuesday, calendar.Wednesday, calendar.Thursday, calendar.Friday}

func TestACalendarIsOpenInItsHoursAndSaysWhenItOpensNext(t *testing.T) {
	t.Parallel()
	office := calendar.Calendar{Zone: "Asia/Tokyo", Hours: every("09:00", "18:00", week...), Holidays: []calendar.Holiday{{Date: "2026-02-11", Name: "建国記念の日"}}}
	night := calendar.Calendar{Zone: "Asia/Bangkok", Hours: every("22:00", "06:00", calendar.Friday), Holidays: []calendar.Holiday{{Date: "2026-04-11", Name: "สงกรานต์"}}}
	always := calendar.Calendar{Zone: "UTC", Hours: every("00:00", "24:00", append(week, calendar.Saturday, calendar.Sunday)...)}
	// Clocks in Copenhagen go from 02:00 to 03:00 on 29 March and from 03:00 back to 02:00 on 25 October 2026.
	spring := calendar.Calendar{Zone: "Europe/Copenhagen", Hours: every("02:30", "05:00", calendar.Sunday)}
	autumn := calendar.Calendar{Zone: "Europe/Copenhagen", Hours: every("22:00", "02:30", calendar.Saturday)}
	early := calendar.Calendar{Zone: "Europe/Copenhagen", Hours: every("02:30", "04:00", calendar.Sunday)}
	over := calendar.Calendar{Zone: "Europe/Copenhagen", Hours: every("22:00", "06:00", calendar.Saturday)}
	apia := calendar.Calendar{Zone: "Pacific/Apia", Hours: every("09:00", "17:00", calendar.Friday)} // there was no Friday 30 December 2011
	for _, c := range []struct {
		name     string
		calendar calendar.Calendar
		at       string
		open     bool
		holiday  string
		next     string
	}{
		{"the minute it opens", office, "2026-02-09T00:00:00Z", true, "", ""},
		{"the moment before", office, "2026-02-08T23:59:59.999Z", false, "", "2026-02-09T00:00:00Z"},
		{"the minute it closes", office, "2026-02-09T09:00:00Z", false, "", "2026-02-10T00:00:00Z"},
		{"a Friday evening", office, "2026-02-06T10:00:00Z", false, "", "2026-02-09T00:00:00Z"},
		{"a holiday", office, "2026-02-11T03:00:00Z", false, "建国記念の日", "2026-02-12T00:00:00Z"},
		{"the evening before a holiday", office, "2026-02-10T10:00:00Z", false, "", "2026-02-12T00:00:00Z"},
		{"before midnight", night, "2026-02-06T16:30:00Z", true, "", ""},
		{"after midnight", night, "2026-02-06T22:59:59Z", true, "", ""},
		{"in the morning", night, "2026-02-06T23:00:00Z", false, "", "2026-02-13T15:00:00Z"},
		{"a night into a holiday, before midnight", night, "2026-04-10T16:59:00Z", true, "", ""},
		{"a night into a holiday, after midnight", night, "2026-04-10T17:00:00Z", false, "สงกรานต์", "2026-04-17T15:00:00Z"},
		{"a whole week, between two days", always, "2026-02-07T00:00:00Z", true, "", ""},
		{"opening in the hour that is left out", spring, "2026-03-29T00:59:59Z", false, "", "2026-03-29T01:00:00Z"},
		{"opened in the hour that is left out", spring, "2026-03-29T01:00:00Z", true, "", ""},
		{"closing after the change", spring, "2026-03-29T03:00:00Z", false, "", "2026-04-05T00:30:00Z"},
		{"the hour that comes twice, first", autumn, "2026-10-25T00:45:00Z", true, "", ""},
		{"the hour that comes twice, again", autumn, "2026-10-25T01:29:59Z", true, "", ""},
		{"closed after the second time", autumn, "2026-10-25T01:30:00Z", false, "", "2026-10-31T21:00:00Z"},
		{"opening at the first of two times", early, "2026-10-25T00:30:00Z", true, "", ""},
		{"a night of nine hours", over, "2026-10-25T04:59:59Z", true, "", ""},
		{"a night of nine hours is over", over, "2026-10-25T05:00:00Z", false, "", "2026-10-31T21:00:00Z"},
		{"a night of seven hours is over", over, "2026-03-29T04:00:00Z", false, "", "2026-04-04T20:00:00Z"},
		{"a day that never was", apia, "2011-12-30T10:00:00Z", false, "", "2012-01-05T19:00:00Z"},
		{"no hours at all", calendar.Calendar{Zone: "UTC"}, "2026-02-07T00:00:00Z", false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339, c.at)
			require.NoError(t, err)
			m, err := c.calendar.At(at)
			require.NoError(t, err)
			require.Equal(t, c.open, m.Open)
			require.Equal(t, c.holiday, m.Holiday)
			next := ""
			if !m.Opens.IsZero() {
				next = m.Opens.UTC().Format(time.RFC3339)
			}
			require.Equal(t, c.next, next)
			if !m.Opens.IsZero() {
				opened, err := c.calendar.At(m.Opens)
				require.NoError(t, err)
				require.True(t, opened.Open, "it is open when it says it opens")
			}
		})
	}
}

func TestACalendarSaysWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	require.Empty(t, calendar.Calendar{Zone: "Asia/Taipei", Hours: every("22:00", "06:00", week...), Holidays: []calendar.Holiday{{Date: "2028-02-29", Name: "x"}}}.Check())
	var pointers []string
	for _, f := range (calendar.Calendar{
		Zone:     "Local",
		Hours:    []calendar.Span{{Day: "funday", Opens: "24:00", Closes: "9:00"}, {Day: calendar.Monday, Opens: "09:00", Closes: "09:00"}},
		Holidays: []calendar.Holiday{{Date: "2026-02-29", Name: "x"}, {Date: "2026-02-01", Name: "  "}, {Date: "2026-02-01", Name: "y"}},
	}).Check() {
		pointers = append(pointers, f.Pointer)
	}
	require.Equal(t, []string{"/zone", "/hours/0/day", "/hours/0/opens", "/hours/0/closes", "/hours/1/closes", "/holidays/0/date", "/holidays/1/name", "/holidays/2/date"}, pointers)
	_, err := calendar.Calendar{Zone: "Nowhere/Here"}.At(time.Now())
	require.ErrorContains(t, err, "Nowhere/Here")
}
