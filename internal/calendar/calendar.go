// Package calendar tells when a queue is open: weekly hours in a time zone, and
// holidays. It is pure; whoever asks brings the time.
package calendar

import (
	"fmt"
	"slices"
	"time"

	_ "time/tzdata" // time zones, wherever this runs
)

// Calendar is when somebody is there. The zero Calendar never is.
type Calendar struct {
	Zone     string    `json:"zone"` // an IANA time zone
	Hours    []Span    `json:"hours"`
	Holidays []Holiday `json:"holidays"`
}

// Span is a time of the week, as clocks on the wall show it. One that closes at
// or before the time it opens closes on the day after.
//
// Where a clock change makes a time happen twice, a span opens at the first and
// closes at the second; where it leaves a time out, the moment of the change
// stands for it.
type Span struct {
	Day    Day    `json:"day"`    // on which it opens
	Opens  string `json:"opens"`  // 00:00 to 23:59
	Closes string `json:"closes"` // 00:00 to 24:00
}

// Holiday is a day without hours: from midnight to midnight, and for the night
// that begins on it.
type Holiday struct {
	Date string `json:"date"` // 2026-12-31
	Name string `json:"name"`
}

// Day is a day of the week.
type Day string

// The days.
const (
	Monday    Day = "monday"
	Tuesday   Day = "tuesday"
	Wednesday Day = "wednesday"
	Thursday  Day = "thursday"
	Friday    Day = "friday"
	Saturday  Day = "saturday"
	Sunday    Day = "sunday"
)

// in the order of time.Weekday.
var days = []Day{Sunday, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday}

// Moment is how a calendar stands at a time.
type Moment struct {
	Open    bool
	Holiday string    // the name of the holiday that closes it, "" without one
	Opens   time.Time // when it opens next, in its zone; zero when open or not within a year
}

// lookahead is how far the next opening is looked for, in days.
const lookahead = 366

// At tells how the calendar stands at t. The error says that its zone is not
// known here.
func (c Calendar) At(t time.Time) (Moment, error) {
	zone, err := location(c.Zone)
	if err != nil {
		return Moment{}, err
	}
	t = t.In(zone)
	today := dateOf(t)
	for _, from := range []date{today.add(-1), today} {
		for _, o := range c.openings(zone, from) {
			if !t.Before(o.start) && t.Before(o.end) {
				return Moment{Open: true}, nil
			}
		}
	}
	m := Moment{}
	if h := c.holiday(today); h != nil {
		m.Holiday = h.Name
	}
	for n := range lookahead {
		var next time.Time
		for _, o := range c.openings(zone, today.add(n)) {
			if o.start.After(t) && (next.IsZero() || o.start.Before(next)) {
				next = o.start
			}
		}
		if !next.IsZero() {
			m.Opens = next
			break
		}
	}
	return m, nil
}

// opening is a span on one day.
type opening struct{ start, end time.Time }

// openings are the spans that begin on a day, holidays taken out.
func (c Calendar) openings(zone *time.Location, on date) []opening {
	if c.holiday(on) != nil {
		return nil
	}
	var out []opening
	for _, s := range c.Hours {
		opens, closes, err := s.minutes()
		if err != nil || s.Day != on.day() {
			continue // one that was not checked
		}
		start, _ := instants(zone, on, opens)
		last := on
		if closes <= opens {
			last = on.add(1)
		}
		_, end := instants(zone, last, closes)
		if last != on && c.holiday(last) != nil {
			end, _ = instants(zone, last, 0)
		}
		if start.Before(end) {
			out = append(out, opening{start, end})
		}
	}
	return out
}

func (c Calendar) holiday(on date) *Holiday {
	i := slices.IndexFunc(c.Holidays, func(h Holiday) bool { return h.Date == on.String() })
	if i < 0 {
		return nil
	}
	return &c.Holidays[i]
}

// date is a day of the calendar on the wall, as midnight in UTC.
type date struct{ t time.Time }

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

func (d date) add(days int) date { return date{d.t.AddDate(0, 0, days)} }
func (d date) day() Day          { return days[d.t.Weekday()] }
func (d date) String() string    { return d.t.Format(time.DateOnly) }

// instants are the first and the last moment at which clocks in zone show so
// many minutes after the midnight of a day.
func instants(zone *time.Location, on date, minutes int) (first, last time.Time) {
	wall := on.t.Add(time.Duration(minutes) * time.Minute)
	shows := func(offset int) (time.Time, bool) {
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		_, at := t.Zone()
		return t, at == offset
	}
	_, earlier := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, later := wall.Add(24 * time.Hour).In(zone).Zone()
	a, isA := shows(earlier)
	b, isB := shows(later)
	switch {
	case isA && isB && b.Before(a):
		return b, a
	case isA && isB:
		return a, b
	case isA:
		return a, a
	case isB:
		return b, b
	}
	change, _ := a.ZoneBounds() // left out: clocks went from before it to after it here
	return change, change
}

func location(zone string) (*time.Location, error) {
	if zone == "" || zone == "Local" {
		return nil, fmt.Errorf("unknown time zone %q", zone)
	}
	return time.LoadLocation(zone)
}
