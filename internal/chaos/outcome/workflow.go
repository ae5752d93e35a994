package outcome

import (
	"cmp"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// live is the run of a workflow that is alive, nil when none is.
func (f *facts) live(workflowID string) *Run {
	for _, r := range f.runs[workflowID] {
		if r.alive() {
			return r
		}
	}
	return nil
}

// runsHaveConversations: what is open runs, and what runs is open.
func runsHaveConversations(f *facts) *found {
	r := &found{of: "open conversations, open surveys and live runs"}
	wanted := map[string]string{} // workflow ids, with what is open
	for _, c := range f.Database.Conversations {
		if c.open() {
			wanted[c.workflowID()] = c.ID
		}
	}
	for _, inv := range f.Database.Invitations {
		id := conversation.SurveyWorkflowID(inv.ConversationID)
		// A survey whose run was terminated goes on with the next answer.
		if survey.State(inv.State) == survey.Open && !f.done(Terminated, id) {
			wanted[id] = inv.ID
		}
	}
	r.checked = len(wanted)
	for id, subject := range wanted {
		if f.live(id) == nil {
			r.bad(subject, "is open, and %s does not run", id)
		}
	}
	for id, runs := range f.runs {
		live := 0
		for _, run := range runs {
			if !run.alive() {
				continue
			}
			live++
			r.checked++
			if wanted[id] == "" && run.Type != conversation.WorkflowDispatcher {
				r.bad(id, "runs (%s) without anything open", run.RunID)
			}
		}
		if live > 1 {
			r.bad(id, "runs %d times at once", live)
		}
	}
	return r
}

// done tells whether an operator did something to a workflow.
func (f *facts) done(verb Verb, workflowID string) bool {
	return slices.ContainsFunc(f.Deeds.Operations, func(o Operation) bool { return o.Verb == verb && o.WorkflowID == workflowID })
}

// nobodyIsStuck: what each open conversation waits for.
func nobodyIsStuck(f *facts) *found {
	r := &found{of: "open conversations and surveys"}
	push := map[string]bool{}
	for _, w := range f.Database.Workstreams {
		push[w.ID] = w.Mode == store.ModePush
	}
	for _, c := range f.Database.Conversations {
		if !c.open() {
			continue
		}
		r.checked++
		run := f.live(c.workflowID())
		if run == nil {
			continue // runsHaveConversations has it
		}
		h := run.Holds
		switch {
		case h == nil:
			r.bad(c.ID, "its workflow does not say what it waits for: %s", run.Mute)
			continue
		case run.Task:
			r.bad(c.ID, "its workflow has a task that nobody does")
		case h.Sending || h.Asking || h.Fetching > 0:
			r.bad(c.ID, "is not at rest: %q (sending %t, asking %t, fetching %d)", h.WaitsFor, h.Sending, h.Asking, h.Fetching)
		case h.DeadlineMS != 0 && h.DeadlineMS*1000 < f.At-grace:
			r.bad(c.ID, "%q, and should have gone on by %s at %d", h.WaitsFor, h.Deadline, h.DeadlineMS)
		}
		for _, a := range run.Pending {
			r.bad(c.ID, "%q, with %s under way, attempt %d: %s", h.WaitsFor, a.Type, a.Attempt, a.Failure)
		}
		switch c.phase() {
		case conversation.PhaseServed: // an agent has it
		case conversation.PhaseQueued:
			switch {
			case c.RoutedAt == 0:
				r.bad(c.ID, "waits, and nothing decides its queue")
			case push[c.WorkstreamID] && f.live(conversation.WorkflowDispatcherID) == nil:
				r.bad(c.ID, "waits in queue %q, and no dispatcher runs", c.QueueID)
			}
		default:
			if h.DeadlineMS == 0 {
				r.bad(c.ID, "%q (%s), for ever", h.WaitsFor, c.phase().Name())
			}
		}
		if c.phase() == conversation.PhaseBot && f.owesAnswer(c) {
			r.bad(c.ID, "the bot owes an answer and is not asked: %q", h.WaitsFor)
		}
	}
	for _, inv := range f.Database.Invitations {
		if survey.State(inv.State) != survey.Open {
			continue
		}
		r.checked++
		if inv.ExpiresAt < f.At-grace {
			r.bad(inv.ID, "this survey is open, and expired at %d", inv.ExpiresAt)
		}
		if run := f.live(conversation.SurveyWorkflowID(inv.ConversationID)); run != nil && (run.Task || len(run.Pending) > 0 || run.Mute != "") {
			r.bad(inv.ID, "this survey's workflow is not at rest: %q %s", firstLine(run.Details), run.Mute)
		}
	}
	return r
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// owesAnswer tells whether the customer wrote something after what the bot has
// answered.
func (f *facts) owesAnswer(c Conversation) bool {
	return slices.ContainsFunc(f.transcripts[c.ID], func(m *Message) bool {
		return m.Direction == conversation.Inbound && m.State != conversation.MessageRecalled && m.Position > c.BotPosition
	})
}

// workflowAgrees: what workflows believe.
func workflowAgrees(f *facts) *found {
	r := &found{of: "live runs of conversations"}
	open := map[string]Conversation{}
	for _, c := range f.Database.Conversations {
		if c.open() {
			open[c.workflowID()] = c
		}
	}
	taken := map[string]int64{} // the last tick at which something came to a conversation
	for _, e := range f.Database.LINEEvents {
		if e.HandledAt != nil {
			taken[e.HandledBy] = max(taken[e.HandledBy], e.Position)
		}
	}
	for _, run := range f.Temporal.Runs {
		c, ok := open[run.WorkflowID]
		if !run.alive() || run.Holds == nil || !ok {
			continue
		}
		r.checked++
		h := run.Holds
		switch {
		case h.ConversationID != c.ID:
			r.bad(c.ID, "its workflow holds %q", h.ConversationID)
		case h.Status != c.Status || h.Owner != c.Owner || h.Epoch != c.Epoch:
			r.bad(c.ID, "is %s/%s in epoch %d, and its workflow has %s/%s in epoch %d", c.Status, c.Owner, c.Epoch, h.Status, h.Owner, h.Epoch)
		case h.AgentID != c.AgentID || h.QueueID != c.QueueID:
			r.bad(c.ID, "is with agent %q, queue %q, and its workflow has %q, %q", c.AgentID, c.QueueID, h.AgentID, h.QueueID)
		case h.Seen < taken[c.ID]:
			r.bad(c.ID, "took something in at tick %d, and its workflow has seen up to %d", taken[c.ID], h.Seen)
		}
	}
	return r
}

// runsEndWell: no run ends but by itself, or by an operator.
func runsEndWell(f *facts) *found {
	r := &found{of: "runs that are over"}
	by := map[string]Verb{}
	for _, o := range f.Deeds.Operations {
		by[o.RunID] = o.Verb
	}
	for _, run := range f.Temporal.Runs {
		if run.alive() {
			continue
		}
		r.checked++
		switch verb := by[run.RunID]; {
		case run.ended(enums.WORKFLOW_EXECUTION_STATUS_COMPLETED), run.ended(enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW):
		case run.ended(enums.WORKFLOW_EXECUTION_STATUS_TERMINATED) && (verb == Terminated || verb == Reset):
		case run.ended(enums.WORKFLOW_EXECUTION_STATUS_CANCELED) && verb == Cancelled && run.Type == conversation.WorkflowDispatcher:
		default:
			r.bad(run.WorkflowID, "its run %s is %s, and nobody %s", run.RunID, run.Status, cmp.Or(string(verb), "did anything to it"))
		}
	}
	return r
}

func (r Run) ended(as enums.WorkflowExecutionStatus) bool { return r.Status == as.String() }

// operatedAsDocumented: what docs/operating.md says of cancel, terminate and
// reset.
func operatedAsDocumented(f *facts) *found {
	r := &found{of: "cancels, terminations and resets"}
	for i, o := range f.Deeds.Operations {
		r.checked++
		var run *Run
		for _, candidate := range f.runs[o.WorkflowID] {
			if candidate.RunID == o.RunID {
				run = candidate
			}
		}
		subject := cmp.Or(o.ConversationID, o.WorkflowID)
		if run == nil {
			r.bad(subject, "was %s, and Temporal has no run %s of %s", o.Verb, o.RunID, o.WorkflowID)
			continue
		}
		// Whatever was done to it later decides what became of it.
		later := slices.ContainsFunc(f.Deeds.Operations[i+1:], func(l Operation) bool { return l.WorkflowID == o.WorkflowID })
		if run.alive() && o.Verb != Cancelled {
			r.bad(subject, "was %s, and the run %s goes on", o.Verb, o.RunID)
		}
		c := f.conversations[o.ConversationID]
		if o.ConversationID == "" || later {
			continue
		}
		switch {
		case c == nil:
			r.bad(subject, "was %s, and is not there", o.Verb)
		case o.Verb == Cancelled:
			f.isCancelled(r, c, o)
		case o.Verb == Reset && !f.wentOn(o):
			r.bad(subject, "was reset, and no run of %s went on", o.WorkflowID)
		case o.Verb == Terminated && c.open() && f.live(o.WorkflowID) == nil:
			r.bad(subject, "was terminated, and nobody took it up again")
		}
	}
	return r
}

// wentOn tells whether a run followed on the one that something was done to.
func (f *facts) wentOn(o Operation) bool {
	return slices.ContainsFunc(f.runs[o.WorkflowID], func(run *Run) bool { return run.RunID != o.RunID && run.StartedAt >= o.At-1_000_000 })
}

// isCancelled judges a conversation whose workflow was cancelled: that closes
// it, unless the step that was under way did.
func (f *facts) isCancelled(r *found, c *Conversation, o Operation) {
	at, after := conversation.PhaseNone, 0
	for _, t := range f.timelines[c.ID] {
		if t.CreatedAt < o.At {
			at = t.to()
			continue
		}
		if at == conversation.PhaseClosed {
			return // it came too late
		}
		after++
		if at = t.to(); at == conversation.PhaseClosed && t.Event != conversation.EventCancelled && after > stepsUnderWay {
			r.bad(c.ID, "was cancelled, and went on until it was closed by %s", t.Event)
		}
	}
	if at != conversation.PhaseClosed {
		r.bad(c.ID, "was cancelled, and is %s", at.Name())
	}
}

// stepsUnderWay is how many steps a workflow may still take that it had begun,
// or was asked for, when it was cancelled.
const stepsUnderWay = 3

// reconcilerAgrees: what kaiwa doctor prints.
func reconcilerAgrees(f *facts) *found {
	r := &found{of: "open conversations and runs"}
	rep := f.Reconciler
	r.checked = rep.OpenConversations + rep.Runs
	for _, id := range rep.WithoutRun.IDs {
		r.bad(id, "is open, and the reconciler finds no run")
	}
	for _, id := range rep.WithoutRow.IDs {
		r.bad(id, "runs, and the reconciler finds no open conversation")
	}
	for _, id := range rep.Unsaid.IDs {
		r.bad(id, "is closed with messages unsent, and the reconciler finds no run")
	}
	if rep.Unhandled > 0 {
		r.bad("inbox", "the reconciler finds %d events that nobody took in", rep.Unhandled)
	}
	if rep.NoDispatcher {
		r.bad("dispatcher", "the reconciler finds that none runs, and there is something for it")
	}
	return r
}
