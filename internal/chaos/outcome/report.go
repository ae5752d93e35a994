package outcome

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"kaiwa/internal/conversation"
)

// Done is a line of what a run did, for its report.
type Done struct {
	What string
	N    int
}

// named bounds the findings a report prints of each invariant.
const named = 20

// Report prints for people what was done, what happened, and what each
// invariant found.
func Report(w io.Writer, o *Outcome, done []Done, verdicts []Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := &printer{w: t}
	if len(done) > 0 {
		p.line("What was done")
		for _, d := range done {
			p.line("  %s\t%d", d.What, d.N)
		}
	}
	p.line("What happened")
	for _, c := range counts(o) {
		p.line("  %s\t%d\t%s", c.what, c.n, c.parts)
	}
	p.line("What was promised")
	for _, v := range verdicts {
		p.line("  %s\t%d\t%s\t%s", v.Invariant.Name, v.Checked, v.Of, v.says())
	}
	if p.err == nil {
		p.err = t.Flush()
	}
	p.w = w
	for _, v := range verdicts {
		if len(v.Findings) == 0 {
			continue
		}
		p.line("\n%s: %s", v.Invariant.Name, v.Invariant.Promise)
		for i, f := range v.Findings {
			if i == named {
				p.line("  and %d more", len(v.Findings)-named)
				break
			}
			p.line("  %s: %s", f.Subject, f.Detail)
		}
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// says is a verdict in a word or two.
func (v Verdict) says() string {
	switch {
	case len(v.Findings) > 0:
		return fmt.Sprintf("%d FOUND", len(v.Findings))
	case v.Checked == 0:
		return "NOTHING TO CHECK"
	}
	return "ok"
}

// tally is a number and what it is made of.
type tally struct {
	what  string
	n     int
	parts string
}

// counts is what happened, in numbers.
func counts(o *Outcome) []tally {
	d := &o.Database
	inbound := func(m Message) bool { return m.Direction == conversation.Inbound }
	outbound := func(m Message) bool { return m.Direction == conversation.Outbound }
	return []tally{
		of("webhook events", o.LINE.Webhooks, all, func(w Webhook) []string {
			return words(cmp.Or(word(w.Acknowledged(), "acknowledged"), "never acknowledged"), word(w.Attempts > 1, "more than once"))
		}),
		of("events in the inbox", d.LINEEvents, all, func(e LINEEvent) []string { return words(cmp.Or(e.Disposition, "unhandled")) }),
		of("messages of customers", d.Messages, inbound, func(m Message) []string {
			return words(m.Type, word(m.State == conversation.MessageRecalled, "recalled"))
		}),
		of("messages to customers", d.Messages, outbound, func(m Message) []string { return words(string(m.State), "by "+string(m.SenderKind)) }),
		of("batches", d.Batches, all, func(b Batch) []string { return words(b.State, word(b.Attempts > 1, "tried again")) }),
		of("calls that send", o.LINE.Calls, all, func(c Call) []string {
			return words(c.Via, cmp.Or(word(c.Accepted, "accepted"), fmt.Sprint("status ", c.Status)))
		}),
		of("conversations", d.Conversations, all, func(c Conversation) []string { return words(cmp.Or(string(c.ClosureReason), c.phase().Name())) }),
		of("steps", d.Transitions, all, func(t Transition) []string { return words(string(t.Event)) }),
		of("turns of bots", d.Turns, all, func(t Turn) []string { return words(t.Outcome) }),
		of("offers", d.Offers, all, func(o Offer) []string { return words(string(o.State)) }),
		of("surveys", d.Invitations, all, func(i Invitation) []string { return words(i.State) }),
		of("files of customers", d.Attachments, func(a Attachment) bool { return a.Direction == string(conversation.Inbound) }, func(a Attachment) []string { return words(a.State) }),
		of("events of the record", d.Events, all, nil),
		of("runs of workflows", o.Temporal.Runs, all, func(r Run) []string { return words(r.Type, r.Status) }),
		of("by an operator", o.Deeds.Operations, all, func(o Operation) []string { return words(string(o.Verb)) }),
	}
}

func all[T any](T) bool { return true }

// of counts the rows that are meant, and how many of them each word describes.
func of[T any](what string, rows []T, meant func(T) bool, describe func(T) []string) tally {
	t := tally{what: what}
	by := map[string]int{}
	for _, row := range rows {
		if !meant(row) {
			continue
		}
		t.n++
		if describe == nil {
			continue
		}
		for _, w := range describe(row) {
			by[w]++
		}
	}
	var parts []string
	for _, w := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%d %s", by[w], w))
	}
	t.parts = strings.Join(parts, ", ")
	return t
}

func word(yes bool, w string) string {
	if yes {
		return w
	}
	return ""
}

// words leaves out the empty ones.
func words(list ...string) []string {
	return slices.DeleteFunc(list, func(w string) bool { return w == "" })
}
