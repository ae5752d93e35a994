package outcome

import (
	"fmt"
	"io"
)

// Done is a line of what a run did, for its report.
type Done struct {
	What string
	N    int
}

// Report prints for people what was done, what happened, and what each
// invariant found.
func Report(w io.Writer, _ *Outcome, done []Done, verdicts []Verdict) error {
	for _, d := range done {
		if _, err := fmt.Fprintf(w, "%-44s %8d\n", d.What, d.N); err != nil {
			return err
		}
	}
	for _, v := range verdicts {
		if _, err := fmt.Fprintf(w, "%-44s %8d %s, %d findings\n", v.Invariant.Name, v.Checked, v.Of, len(v.Findings)); err != nil {
			return err
		}
		for _, f := range v.Findings {
			if _, err := fmt.Fprintf(w, "    %s: %s\n", f.Subject, f.Detail); err != nil {
				return err
			}
		}
	}
	return nil
}
