package outcome

import "slices"

// Invariant is one thing that must be true of every outcome.
type Invariant struct {
	Name    string
	Promise string // in a sentence
	check   func(*facts) *found
}

// Finding is one thing that breaks an invariant.
type Finding struct {
	Invariant string // its name
	Subject   string // the id of what it is about
	Detail    string // what was found
}

// Verdict is what looking at one invariant came to. One that had nothing to
// look at proves nothing.
type Verdict struct {
	Invariant Invariant
	Checked   int    // subjects
	Of        string // what they are
	Findings  []Finding
}

// Check holds an outcome against all invariants and returns what breaks them.
func Check(o *Outcome) []Finding {
	var all []Finding
	for _, v := range Judge(o) {
		all = append(all, v.Findings...)
	}
	return all
}

// Judge holds an outcome against all invariants, and says of each how much
// there was to look at.
func Judge(o *Outcome) []Verdict {
	f := gather(o)
	verdicts := make([]Verdict, len(Invariants))
	for i, inv := range Invariants {
		r := inv.check(f)
		for j := range r.findings {
			r.findings[j].Invariant = inv.Name
		}
		verdicts[i] = Verdict{inv, r.checked, r.of, slices.Clip(r.findings)}
	}
	return verdicts
}
