package simulate

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// Confidence is that of the intervals in a report.
const Confidence = 0.95

// Report is what came of playing a scenario.
type Report struct {
	Scopes       []Scope // all conversations, then queue by queue
	Hours        []Hour  // of the week, Monday 00:00 first
	Agents       []Busy
	Within       time.Duration // of the service level
	Replications int
}

// Scope is some of the conversations.
type Scope struct {
	ID, Name string // ID is "" for all of them
	Measures map[Measure]Estimate
}

// Hour is the conversations that came in one hour of the week.
type Hour struct {
	Day  string
	Hour int
	// Arrivals is how many came on average. The waits are in seconds, the service
	// level between 0 and 1; NaN where there were none.
	Arrivals, Mean, P90, ServiceLevel float64
}

// Busy is how much an agent had to do.
type Busy struct {
	ID, Name            string
	Occupancy, Overtime Estimate
}

// Measure is something that is measured.
type Measure string

// The measures. Waits last from when a customer comes until an agent takes the
// conversation; they are of those who were served.
const (
	Arrivals     Measure = "arrivals"
	Served       Measure = "served"
	Abandoned    Measure = "abandoned"       // the customer gave up
	Waiting      Measure = "waiting"         // still, at the end
	TurnedAway   Measure = "turned_away"     // ended by the rules of a queue
	PassedOn     Measure = "passed_on"       // to another queue, by the rules of one
	AbandonShare Measure = "abandoned_share" // of those served or abandoned
	Delayed      Measure = "delayed_share"   // of those served or abandoned: not served at once
	WaitMean     Measure = "wait_mean"       // seconds
	WaitMedian   Measure = "wait_median"     // seconds
	WaitP90      Measure = "wait_p90"        // seconds
	WaitP95      Measure = "wait_p95"        // seconds
	ServiceLevel Measure = "service_level"   // share of those served or abandoned that was served in time
	OffersMade   Measure = "offers"
	Declined     Measure = "offers_declined"
	Missed       Measure = "offers_missed" // timed out
	Occupancy    Measure = "occupancy"     // share of the units of those who are there that serves or wraps up; of all only
	Overtime     Measure = "overtime"      // unit hours served and wrapped up after the end of a shift; of all only
)

// measures lists them in order, with how they are shown.
var measures = []struct {
	measure Measure
	label   string
	show    func(float64) string
}{
	{Arrivals, "arrivals", number}, {Served, "served", number}, {Abandoned, "abandoned", number}, {AbandonShare, "abandoned, share", percent},
	{TurnedAway, "turned away", number}, {PassedOn, "passed on", number},
	{Waiting, "waiting at the end", number}, {Delayed, "not served at once", percent},
	{WaitMean, "wait, mean", seconds}, {WaitMedian, "wait, median", seconds}, {WaitP90, "wait, 90 %", seconds}, {WaitP95, "wait, 95 %", seconds},
	{ServiceLevel, "served within", percent}, {OffersMade, "offers", number}, {Declined, "offers declined", number}, {Missed, "offers missed", number},
	{Occupancy, "occupancy", percent}, {Overtime, "overtime, hours", number},
}

// Play plays a scenario as often as it says, several replications at once.
func Play(ctx context.Context, s *Scenario) (*Report, error) {
	tallies := make([]tally, s.replications)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n := range tallies {
		group.Go(func() error {
			p := newPlay(s, n)
			for i := 0; p.step(); i++ {
				if i%1024 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
			}
			tallies[n] = p.finish()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return s.report(tallies), nil
}

func (s *Scenario) report(tallies []tally) *Report {
	r := &Report{Within: s.within, Replications: len(tallies)}
	all := make([]queueTally, len(tallies))
	lost := false
	for i, y := range tallies {
		for _, q := range y.queues {
			all[i].add(q)
		}
		_, none := y.queues[""]
		lost = lost || none
	}
	everything := scopeOf("", "all", tallies, func(i int) *queueTally { return &all[i] })
	times := make([]agentTally, len(tallies))
	for i, y := range tallies {
		for _, a := range y.agents {
			times[i] = agentTally{times[i].there + a.there, times[i].busy + a.busy, times[i].overtime + a.overtime}
		}
	}
	office := busyOf(times)
	everything.Measures[Occupancy], everything.Measures[Overtime] = office.Occupancy, office.Overtime
	r.Scopes = append(r.Scopes, everything)
	for _, q := range s.queues {
		r.Scopes = append(r.Scopes, scopeOf(q.ID, s.names[q.ID], tallies, func(i int) *queueTally { return tallies[i].queues[q.ID] }))
	}
	if lost {
		r.Scopes = append(r.Scopes, scopeOf("none", "no queue", tallies, func(i int) *queueTally {
			if q := tallies[i].queues[""]; q != nil {
				return q
			}
			return &queueTally{}
		}))
	}
	for n, a := range s.agents {
		for i, y := range tallies {
			times[i] = y.agents[n]
		}
		busy := busyOf(times)
		busy.ID, busy.Name = a.ID, a.name
		r.Agents = append(r.Agents, busy)
	}
	var counted [7 * 24]float64 // how often each hour of the week was
	for at := s.warmUp; at < s.length; at += time.Hour {
		counted[hourOfWeek(s.start.Add(at))] += float64(len(tallies))
	}
	for h := range 7 * 24 {
		var q queueTally
		for i := range tallies {
			q.add(&tallies[i].hours[h])
		}
		m := q.measures()
		r.Hours = append(r.Hours, Hour{
			Day: days[(h/24+1)%7], Hour: h % 24, Arrivals: float64(q.arrivals) / max(1, counted[h]), Mean: m[WaitMean], P90: m[WaitP90], ServiceLevel: m[ServiceLevel],
		})
	}
	return r
}

// scopeOf estimates what a part of the conversations shows, replication by
// replication.
func scopeOf(id, name string, tallies []tally, of func(int) *queueTally) Scope {
	values := map[Measure][]float64{}
	for i := range tallies {
		for m, v := range of(i).measures() {
			values[m] = append(values[m], v)
		}
	}
	scope := Scope{ID: id, Name: name, Measures: map[Measure]Estimate{}}
	for m, list := range values {
		scope.Measures[m] = estimate(list, Confidence)
	}
	return scope
}

// busyOf estimates how busy agents were whose times are given replication by
// replication.
func busyOf(times []agentTally) Busy {
	var occupancy, overtime []float64
	for _, t := range times {
		occupancy = append(occupancy, t.busy/t.there) // NaN of who never was there
		overtime = append(overtime, t.overtime/3600)
	}
	return Busy{Occupancy: estimate(occupancy, Confidence), Overtime: estimate(overtime, Confidence)}
}

// measures says what was counted, NaN where there is nothing to be measured.
func (q *queueTally) measures() map[Measure]float64 {
	ended := float64(q.served + q.abandoned)
	slices.Sort(q.waits)
	var sum float64
	for _, w := range q.waits {
		sum += w.Seconds()
	}
	return map[Measure]float64{
		Arrivals: float64(q.arrivals), Served: float64(q.served), Abandoned: float64(q.abandoned), Waiting: float64(q.waiting),
		TurnedAway: float64(q.ended), PassedOn: float64(q.passedOn),
		AbandonShare: float64(q.abandoned) / ended, Delayed: float64(q.delayed) / ended, ServiceLevel: float64(q.within) / ended,
		WaitMean: sum / float64(len(q.waits)), WaitMedian: quantile(q.waits, 0.5), WaitP90: quantile(q.waits, 0.9), WaitP95: quantile(q.waits, 0.95),
		OffersMade: float64(q.offers), Declined: float64(q.declined), Missed: float64(q.missed),
	}
}

// quantile is the smallest of sorted waits that a share of them does not exceed,
// in seconds.
func quantile(waits []time.Duration, share float64) float64 {
	if len(waits) == 0 {
		return math.NaN()
	}
	return waits[max(0, int(math.Ceil(share*float64(len(waits))))-1)].Seconds()
}

func number(v float64) string {
	if v != 0 && math.Abs(v) < 100 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }

func seconds(v float64) string {
	if math.Abs(v) >= 600 {
		return strconv.FormatFloat(v/60, 'f', 1, 64) + " min"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// beside is how many scopes stand beside each other in a table.
const beside = 4

// Table writes the report for people: what was measured, with half the width of
// its confidence interval.
func (r *Report) Table(w io.Writer) error {
	for scopes := range slices.Chunk(r.Scopes, beside) {
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		line := func(label string, cell func(Scope) string) {
			cells := []string{label}
			for _, s := range scopes {
				cells = append(cells, cell(s))
			}
			_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // Flush tells
		}
		line("", func(s Scope) string { return shortened(s.Name, 28) })
		for _, m := range measures {
			label := m.label
			if m.measure == ServiceLevel {
				label += " " + r.Within.String()
			}
			if !slices.ContainsFunc(scopes, func(s Scope) bool { _, has := s.Measures[m.measure]; return has }) {
				continue
			}
			line(label, func(s Scope) string {
				e, has := s.Measures[m.measure]
				switch {
				case !has || math.IsNaN(e.Mean):
					return "–"
				case math.IsNaN(e.Half):
					return m.show(e.Mean)
				}
				return m.show(e.Mean) + " ± " + m.show(e.Half)
			})
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d replications; ± is half of the %.0f %% confidence interval.\n", r.Replications, 100*Confidence)
	return err
}

func shortened(name string, most int) string {
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most-1]) + "…"
}

// CSV writes every figure: of all conversations, of each queue, of each agent
// and of each hour of the week. Waits are in seconds, shares between 0 and 1;
// what could not be measured is empty.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	cell := func(v float64) string {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', 10, 64)
	}
	write := func(scope, id, name string, m Measure, e Estimate) {
		_ = out.Write([]string{scope, id, name, string(m), cell(e.Mean), cell(e.Low()), cell(e.High()), strconv.Itoa(e.N)}) // Flush tells
	}
	_ = out.Write([]string{"scope", "id", "name", "measure", "mean", "low", "high", "replications"})
	for i, s := range r.Scopes {
		scope := "queue"
		if i == 0 {
			scope = "all"
		}
		for _, m := range measures {
			if e, has := s.Measures[m.measure]; has {
				write(scope, s.ID, s.Name, m.measure, e)
			}
		}
	}
	for _, a := range r.Agents {
		write("agent", a.ID, a.Name, Occupancy, a.Occupancy)
		write("agent", a.ID, a.Name, Overtime, a.Overtime)
	}
	for _, h := range r.Hours {
		id := fmt.Sprintf("%s %02d:00", h.Day, h.Hour)
		for _, x := range []struct {
			m Measure
			v float64
		}{{Arrivals, h.Arrivals}, {WaitMean, h.Mean}, {WaitP90, h.P90}, {ServiceLevel, h.ServiceLevel}} {
			write("hour", id, id, x.m, Estimate{Mean: x.v, Half: math.NaN(), N: r.Replications})
		}
	}
	out.Flush()
	return out.Error()
}
