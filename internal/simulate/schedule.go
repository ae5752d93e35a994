package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// the days, in the order of time.Weekday.
var days = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// daysOf lists the days that a name stands for, nil when it is none.
func daysOf(name string) []time.Weekday {
	switch name {
	case "every_day":
		return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}
	case "weekdays":
		return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	case "weekend":
		return []time.Weekday{time.Saturday, time.Sunday}
	}
	if i := slices.Index(days, name); i >= 0 {
		return []time.Weekday{time.Weekday(i)}
	}
	return nil
}

var dayNames = strings.Join(days, ", ") + ", weekdays, weekend, every_day"

// rates is how many conversations come in an hour of the week, as clocks on the
// wall show it.
type rates [7][24]float64

// constant is the same rate at any time.
func constant(perHour float64) (r rates) {
	for d := range r {
		for h := range r[d] {
			r[d][h] = perHour
		}
	}
	return r
}

// next is when the next conversation comes after t; zero when none comes before
// the end. Within an hour they come as a Poisson process.
func (r *rates) next(t, end time.Time, random *rand.Rand) time.Time {
	left := random.ExpFloat64() // of an integral over the rate, in conversations
	for t.Before(end) {
		hourEnds := t.Add(time.Hour - time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
		rate := r[t.Weekday()][t.Hour()]
		if expected := rate * hourEnds.Sub(t).Hours(); left >= expected {
			left -= expected
			t = hourEnds
			continue
		}
		t = t.Add(time.Duration(left / rate * float64(time.Hour)))
		break
	}
	if !t.Before(end) {
		return time.Time{}
	}
	return t
}

// minutes reads a time of the day such as 09:30; 24:00 only where that ends
// something.
func minutes(clock string, ends bool) (int, *Error) {
	if ends && clock == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return 0, &Error{Detail: fmt.Sprintf("%q is no time of the day. Write it as 09:30, in quotation marks.", clock)}
	}
	return t.Hour()*60 + t.Minute(), nil
}

// span is a time during which somebody is there.
type span struct {
	from, to time.Duration // since the start
	presence conversation.Presence
	shift    int // its place in the staffing: of spans that meet the last one counts
}

// spans are when a shift is, from the start for so long.
func spans(week []time.Weekday, from, to int, start time.Time, length time.Duration, of span) []span {
	var out []span
	clock := func(midnight time.Time, minutes int) time.Duration {
		y, m, d := midnight.Date()
		return time.Date(y, m, d, 0, minutes, 0, 0, start.Location()).Sub(start)
	}
	if to <= from {
		to += 24 * 60
	}
	for day := -1; ; day++ { // a night may have begun the day before
		midnight := start.AddDate(0, 0, day)
		if clock(midnight, 0) >= length {
			return out
		}
		if !slices.Contains(week, midnight.Weekday()) {
			continue
		}
		of.from, of.to = max(0, clock(midnight, from)), min(length, clock(midnight, to))
		if of.from < of.to {
			out = append(out, of)
		}
	}
}

// timeline puts spans in order, one after the other: where several meet, the one
// of the last shift counts, and those that say the same are one.
func timeline(list []span) []span {
	type edge struct {
		at    time.Duration
		shift int
		begin bool
		span
	}
	var edges []edge
	for _, s := range list {
		edges = append(edges, edge{s.from, s.shift, true, s}, edge{s.to, s.shift, false, s})
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	var out []span
	running := map[int][]span{} // by shift
	for i, e := range edges {
		if e.begin {
			running[e.shift] = append(running[e.shift], e.span)
		} else if running[e.shift] = running[e.shift][1:]; len(running[e.shift]) == 0 {
			delete(running, e.shift)
		}
		if i+1 == len(edges) || edges[i+1].at == e.at || len(running) == 0 {
			continue
		}
		now := running[slices.Max(slices.Collect(maps.Keys(running)))][0]
		now.from, now.to = e.at, edges[i+1].at
		if n := len(out); n > 0 && out[n-1].to == now.from && out[n-1].presence == now.presence {
			out[n-1].to = now.to
			continue
		}
		out = append(out, now)
	}
	return out
}
