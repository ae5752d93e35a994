package outcome

// facts is an outcome with what invariants look things up by.
type facts struct {
	*Outcome
}

func gather(o *Outcome) *facts { return &facts{Outcome: o} }

// found is what one invariant found.
type found struct {
	checked  int
	of       string
	findings []Finding
}
