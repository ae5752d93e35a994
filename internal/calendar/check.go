package calendar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kaiwa/internal/conversation"
)

// The limits of a calendar.
const (
	MaxSpans       = 100
	MaxHolidays    = 500
	MaxHolidayName = 100 // characters
)

// Check says what is wrong with a calendar, by field.
func (c Calendar) Check() []conversation.FieldError {
	var wrong []conversation.FieldError
	say := func(at, format string, args ...any) {
		wrong = append(wrong, conversation.FieldError{Pointer: at, Detail: fmt.Sprintf(format, args...)})
	}
	if _, err := location(c.Zone); err != nil {
		say("/zone", "This is not a known time zone such as Asia/Tokyo or Europe/Copenhagen.")
	}
	if len(c.Hours) > MaxSpans {
		say("/hours", "There are more than %d times of the week.", MaxSpans)
	}
	for i, s := range c.Hours {
		at := "/hours/" + strconv.Itoa(i)
		if !slices.Contains(days, s.Day) {
			say(at+"/day", "Must be one of: monday, tuesday, wednesday, thursday, friday, saturday, sunday.")
		}
		opens, openErr := clock(s.Opens)
		closes, closeErr := clock(s.Closes)
		if openErr != nil || opens == 24*60 {
			say(at+"/opens", "Must be a time from 00:00 to 23:59.")
		}
		if closeErr != nil {
			say(at+"/closes", "Must be a time from 00:00 to 24:00.")
		}
		if openErr == nil && closeErr == nil && opens == closes {
			say(at+"/closes", "It opens and closes at the same time; a whole day is 00:00 to 24:00.")
		}
	}
	if len(c.Holidays) > MaxHolidays {
		say("/holidays", "There are more than %d holidays.", MaxHolidays)
	}
	seen := map[string]bool{}
	for i, h := range c.Holidays {
		at := "/holidays/" + strconv.Itoa(i)
		if d, err := time.Parse(time.DateOnly, h.Date); err != nil || d.Format(time.DateOnly) != h.Date {
			say(at+"/date", "Must be a day such as 2026-12-31.")
		} else if seen[h.Date] {
			say(at+"/date", "This day is in the list already.")
		}
		seen[h.Date] = true
		if strings.TrimSpace(h.Name) == "" || utf8.RuneCountInString(h.Name) > MaxHolidayName {
			say(at+"/name", "Give it a name of at most %d characters.", MaxHolidayName)
		}
	}
	return wrong
}

// minutes are the span's times in minutes after midnight.
func (s Span) minutes() (opens, closes int, err error) {
	if opens, err = clock(s.Opens); err != nil {
		return 0, 0, err
	}
	closes, err = clock(s.Closes)
	return opens, closes, err
}

// clock reads 00:00 to 24:00 as minutes.
func clock(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("no time of the day: %q", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}
