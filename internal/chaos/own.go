package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/rig"
)

// own are the verdicts on what only the players know: what they were told.
func own(unsettled []string, t *tally, told []int64, processes []fate, d outcome.Database) []outcome.Verdict {
	wrong, said := t.kept()
	still := make([]outcome.Finding, len(unsettled))
	for i, what := range unsettled {
		still[i] = outcome.Finding{Subject: "the installation", Detail: what}
	}
	verdicts := []outcome.Verdict{
		{Invariant: outcome.Invariant{Name: "it settles", Promise: "Left alone, everything that moves by itself comes to rest."}, Checked: 1, Of: "installation", Findings: still},
		{Invariant: outcome.Invariant{Name: "requests are answered", Promise: "No request of somebody who knows what they do is refused as wrong; a process that is told to end does."}, Checked: t.count(requestsAsked), Of: "requests", Findings: wrong},
		{Invariant: outcome.Invariant{Name: "agents' words stand once", Promise: "A message that an agent was told is taken stands in its conversation once; one that was refused, nowhere."}, Checked: len(said), Of: "messages", Findings: spoken(said, d.Messages)},
		{Invariant: outcome.Invariant{Name: "the stream tells all", Promise: "Who follows the stream of events, cut off or not, is told each event once, in order."}, Checked: len(told), Of: "events", Findings: followed(told, d.Events)},
		{Invariant: outcome.Invariant{Name: "no process ends by itself", Promise: "Whatever is away, a process waits for it."}, Checked: len(processes), Of: "processes", Findings: ended(processes)},
	}
	for _, v := range verdicts {
		for i := range v.Findings {
			v.Findings[i].Invariant = v.Invariant.Name
		}
	}
	return verdicts
}

// fate is how a process fared.
type fate struct {
	name, log     string
	endedByItself int // times
}

func fates(processes []*rig.Process) []fate {
	out := make([]fate, len(processes))
	for i, p := range processes {
		out[i] = fate{p.Name, p.Log(), p.EndedByItself()}
	}
	return out
}

func ended(processes []fate) (out []outcome.Finding) {
	for _, p := range processes {
		if p.endedByItself > 0 {
			out = append(out, outcome.Finding{Subject: p.name, Detail: fmt.Sprintf("it ended by itself %d times; see %s", p.endedByItself, p.log)})
		}
	}
	return out
}

// spoken holds what agents were told of their messages against the transcripts.
func spoken(said []saying, messages []outcome.Message) (out []outcome.Finding) {
	stands := map[string][]string{} // text → conversations
	for _, m := range messages {
		if m.SenderKind == "agent" && m.Text != "" {
			stands[m.Text] = append(stands[m.Text], m.ConversationID)
		}
	}
	for _, s := range said {
		at := stands[s.text]
		wanted := map[answer]bool{yes: len(at) == 1, no: len(at) == 0, unknown: len(at) <= 1}[s.answer]
		if !wanted || slices.ContainsFunc(at, func(id string) bool { return id != s.conversationID }) {
			out = append(out, outcome.Finding{
				Subject: s.conversationID, Detail: fmt.Sprintf("%q was answered with %q and stands in %q", s.text, cmp.Or(string(s.answer), "nothing"), at),
			})
		}
	}
	return out
}

// followed holds what a stream of events told against the record of events.
func followed(told []int64, events []outcome.Event) (out []outcome.Finding) {
	recorded := map[int64]bool{}
	for _, e := range events {
		if e.Seq != nil {
			recorded[*e.Seq] = true
		}
	}
	finding := func(seq int64, format string, args ...any) {
		out = append(out, outcome.Finding{Subject: fmt.Sprintf("event %d", seq), Detail: fmt.Sprintf(format, args...)})
	}
	last := int64(0)
	for _, seq := range told {
		if seq <= last {
			finding(seq, "it was told after %d", last)
		}
		last = max(last, seq)
		if !recorded[seq] {
			finding(seq, "it was told twice, or is not in the record")
		}
		delete(recorded, seq)
	}
	for _, seq := range slices.Sorted(maps.Keys(recorded)) {
		finding(seq, "it is in the record and was not told")
	}
	return out
}
