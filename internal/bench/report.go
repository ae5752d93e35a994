package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// Report is what a run measured, and where.
type Report struct {
	At      time.Time `json:"at"`
	Took    string    `json:"took"`
	Seed    uint64    `json:"seed"`
	Quick   bool      `json:"quick"` // smaller sizes: to see that it works, not how fast it is
	Store   string    `json:"store"` // sqlite or postgres
	Machine Machine   `json:"machine"`
	Figures []Figure  `json:"figures"`
	// Processor tells, of what was measured, where the processors' time went.
	Processor []Processor `json:"processor,omitempty"`
}

// Figure is one thing that was measured.
type Figure struct {
	Scenario int     `json:"scenario"`
	What     string  `json:"what"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	// Baseline is the same of what Kaiwa is held against, in the same unit, and
	// Ratio is Value to it; 0 where there is none.
	Baseline float64 `json:"baseline,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	Bar      *Bar    `json:"bar,omitempty"`
	Met      *bool   `json:"met,omitempty"` // whether the bar is; nil without one
	// Details are further numbers of the same measurement, such as percentiles.
	Details map[string]float64 `json:"details,omitempty"`
	Note    string             `json:"note,omitempty"`
}

// Bar is what a figure has to reach.
type Bar struct {
	Of    string  `json:"of"` // value, or ratio to the baseline
	Is    string  `json:"is"` // at least, or at most
	Limit float64 `json:"limit"`
}

func atLeast(limit float64) *Bar      { return &Bar{"value", "at least", limit} }
func atMost(limit float64) *Bar       { return &Bar{"value", "at most", limit} }
func ratioAtLeast(limit float64) *Bar { return &Bar{"ratio", "at least", limit} }
func ratioAtMost(limit float64) *Bar  { return &Bar{"ratio", "at most", limit} }

// Met tells whether a figure reaches the bar. What could not be measured does
// not.
func (b Bar) Met(f Figure) bool {
	x := f.Value
	if b.Of == "ratio" {
		x = f.Ratio
		if f.Baseline == 0 {
			return false
		}
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return false
	}
	if b.Is == "at least" {
		return x >= b.Limit
	}
	return x <= b.Limit
}

func (b Bar) String() string {
	sign := "≥"
	if b.Is == "at most" {
		sign = "≤"
	}
	if b.Of == "ratio" {
		return fmt.Sprintf("%s %s ×", sign, number(b.Limit))
	}
	return sign + " " + number(b.Limit)
}

// Add judges a figure and adds it.
func (r *Report) Add(f Figure) {
	if f.Baseline != 0 {
		f.Ratio = f.Value / f.Baseline
	}
	if f.Bar != nil {
		met := f.Bar.Met(f)
		f.Met = &met
	}
	r.Figures = append(r.Figures, f)
}

// Missed are the figures that do not reach their bars.
func (r *Report) Missed() (missed []Figure) {
	for _, f := range r.Figures {
		if f.Met != nil && !*f.Met {
			missed = append(missed, f)
		}
	}
	return missed
}

// AllMet is an error that names the bars that are missed, nil when none is.
func (r *Report) AllMet() error {
	var names []string
	for _, f := range r.Missed() {
		names = append(names, fmt.Sprintf("%d %s (%s %s, %s)", f.Scenario, f.What, number(f.Value), f.Unit, f.Bar))
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the bars are missed: %s", len(names), strings.Join(names, "; "))
}

// JSON writes the report for machines.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	quick := ""
	if r.Quick {
		quick = ", quick: smaller sizes, so that figures say little"
	}
	fmt.Fprintf(&b, "\nKaiwa %s on %s, seed %d, %s%s\n%s\n\n", r.Machine.Kaiwa, r.Store, r.Seed, r.Took, quick, r.Machine)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) } // into memory
	line("", "what", "measured", "", "baseline", "ratio", "bar", "")
	for _, f := range r.Figures {
		baseline, ratio, bar, met := "", "", "", ""
		if f.Baseline != 0 {
			baseline, ratio = number(f.Baseline), number(f.Ratio)
		}
		if f.Bar != nil {
			bar, met = f.Bar.String(), "met"
			if !*f.Met {
				met = "MISSED"
			}
		}
		line(fmt.Sprint(f.Scenario), f.What, number(f.Value), f.Unit, baseline, ratio, bar, met)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := r.printProcessor(&b); err != nil {
		return err
	}
	b.WriteString("\n")
	for _, f := range r.Figures {
		if f.Note != "" {
			fmt.Fprintf(&b, "%d %s: %s\n", f.Scenario, f.What, f.Note)
		}
	}
	if missed := r.Missed(); len(missed) > 0 {
		fmt.Fprintf(&b, "%d of the bars are missed.\n", len(missed))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number writes a number as people read it: three digits, and thousands apart.
func number(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "—"
	case a >= 100 || x == math.Trunc(x):
		return grouped(fmt.Sprintf("%.0f", x))
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

func grouped(s string) string {
	sign, digits := "", s
	if strings.HasPrefix(s, "-") {
		sign, digits = "-", s[1:]
	}
	n := utf8.RuneCountInString(digits)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (n-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}
