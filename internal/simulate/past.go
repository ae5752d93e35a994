package simulate

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// minPast is how many days a pattern is at least made of: each of the week once.
const minPast = 7

// Past is conversations that came on certain days, for a document that lets them
// come again: by the hour of the week, or one by one.
type Past struct {
	zone     *time.Location
	from, to time.Time // midnights of the zone; the last day is the one before to
	kinds    []pastKind
	came     []pastArrival
}

// pastKind is those of one workstream that one queue was found for.
type pastKind struct {
	Kind
	count [7][24]int // by the day and hour as clocks on the wall show them
}

type pastArrival struct {
	at   time.Time
	kind string
}

// NewPast begins with the days from the one of from up to the one before that of
// to, in a zone. They are at least a week, so that each day of the week is there.
func NewPast(zone *time.Location, from, to time.Time) (*Past, error) {
	midnight := func(t time.Time) time.Time {
		y, m, d := t.In(zone).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, zone)
	}
	p := &Past{zone: zone, from: midnight(from), to: midnight(to)}
	if p.from.AddDate(0, 0, minPast).After(p.to) {
		return nil, fmt.Errorf("from %s up to %s are fewer than %d days. Take a week at least", p.from.Format(time.DateOnly), p.to.Format(time.DateOnly), minPast)
	}
	return p, nil
}

// Days are the first moment of the days, and the first after them.
func (p *Past) Days() (from, to time.Time) { return p.from, p.to }

// Add adds a conversation that came. name is the queue's.
func (p *Past) Add(workstreamID, queueID, name string, at time.Time) {
	i := slices.IndexFunc(p.kinds, func(k pastKind) bool { return k.Workstream == workstreamID && k.Queue == queueID })
	if i < 0 {
		i = len(p.kinds)
		p.kinds = append(p.kinds, pastKind{Kind: Kind{ID: workstreamID + "/" + queueID, Name: name, Workstream: workstreamID, Queue: queueID}})
	}
	at = at.In(p.zone)
	p.kinds[i].count[at.Weekday()][at.Hour()]++
	p.came = append(p.came, pastArrival{at, p.kinds[i].ID})
}

// Document has the kinds with the mean number of conversations by hour of the
// week; or, with the name of the file that CSV writes, without.
func (p *Past) Document(arrivals string) Document {
	doc := Document{Zone: p.zone.String(), Arrivals: arrivals}
	var were [7]float64 // how often each day was
	for day := p.from; day.Before(p.to); day = day.AddDate(0, 0, 1) {
		were[day.Weekday()]++
	}
	for _, k := range p.kinds {
		if arrivals == "" {
			k.ByHour = map[string][]float64{}
			for d, name := range days {
				rates := make([]float64, 24)
				for h, n := range k.count[d] {
					rates[h] = float64(n) / were[d]
				}
				k.ByHour[name] = rates
			}
		}
		doc.Kinds = append(doc.Kinds, k.Kind)
	}
	slices.SortFunc(doc.Kinds, func(a, b Kind) int { return strings.Compare(a.ID, b.ID) })
	return doc
}

// CSV writes the conversations one by one, as a file of arrivals.
func (p *Past) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"at", "kind"}) // Flush tells
	slices.SortStableFunc(p.came, func(a, b pastArrival) int { return a.at.Compare(b.at) })
	for _, a := range p.came {
		_ = out.Write([]string{a.at.Format(time.RFC3339), a.kind})
	}
	out.Flush()
	return out.Error()
}
