// Package reconcile compares what the database says with what Temporal says,
// reports where they differ, and mends what is safe to mend. Everything it
// mends it mends by a wake-up: the workflow looks into the inbox, takes over
// the open conversation or learns that it is closed, and goes on.
package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

const (
	// every is how often the reconciler looks.
	every = time.Minute
	// settledTime is Reconciler.Settled where that is not set.
	settledTime = 30 * time.Second
	// page is how much is read at once.
	page = 1000
	// named bounds the ids a report names of each kind.
	named = 20

	scrubAfter  = 7 * 24 * time.Hour
	deleteAfter = 30 * 24 * time.Hour
)

// Waker wakes a chat's workflow, starting it if need be.
type Waker func(ctx context.Context, channelID, chatKey string) error

// Reconciler compares and mends. It is safe for concurrent use.
type Reconciler struct {
	Store     *store.Store
	Temporal  client.Client
	Namespace string
	Wake      Waker
	// Kick has the dispatcher look, starting it if need be.
	Kick   func(ctx context.Context) error
	Logger *slog.Logger
	// Settled is how long something must have been so to count as a finding:
	// Temporal's visibility follows its truth at some distance. 0 means 30 s.
	Settled time.Duration
	// Observe, when set, is told of every look of Run.
	Observe func(Report)
}

// Finding is one kind of difference: how often, and some ids.
type Finding struct {
	Count int
	IDs   []string // at most 20
}

func (f *Finding) add(id string) {
	f.Count++
	if len(f.IDs) < named {
		f.IDs = append(f.IDs, id)
	}
}

// Report is what one look found.
type Report struct {
	OpenConversations int
	Runs              int
	WithoutRun        Finding // open conversations nobody runs
	WithoutRow        Finding // runs without an open conversation
	Unsaid            Finding // closed conversations that have something to say yet, and nobody runs them
	Unhandled         int     // events nobody has taken in for half a minute
	OldestUnhandled   time.Time
	Mended            int  // chats woken
	Waiting           int  // conversations nobody has, for half a minute
	Overdue           int  // offers whose time is over and agents who are gone, and nobody has noticed for as long
	NoDispatcher      bool // though there is something for it
}

// Healthy tells whether nothing was found.
func (r Report) Healthy() bool {
	return r.WithoutRun.Count == 0 && r.WithoutRow.Count == 0 && r.Unsaid.Count == 0 && r.Unhandled == 0 && !r.NoDispatcher
}

// Counts are the findings by kind, for metrics.
func (r Report) Counts() map[string]int {
	missing := 0
	if r.NoDispatcher {
		missing = 1
	}
	return map[string]int{
		"conversation_without_run": r.WithoutRun.Count, "run_without_conversation": r.WithoutRow.Count,
		"unhandled_event": r.Unhandled, "no_dispatcher": missing, "overdue": r.Overdue,
	}
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	say("open conversations            %d", r.OpenConversations)
	say("running workflows             %d", r.Runs)
	for _, f := range []struct {
		what, hint string
		Finding
	}{
		{"open conversations without run", "the reconciler starts them again within a minute, if a worker process runs", r.WithoutRun},
		{"runs without open conversation", "the reconciler wakes them, and they end", r.WithoutRow},
		{"closed with messages unsent", "the reconciler has them sent, if a worker process runs", r.Unsaid},
	} {
		say("%-30s %d", f.what, f.Count)
		for _, id := range f.IDs {
			say("    %s", id)
		}
		if f.Count > 0 {
			say("    → %s", f.hint)
		}
	}
	say("unhandled events              %d", r.Unhandled)
	if r.Unhandled > 0 {
		say("    oldest received %s → is a worker running, and does Temporal answer?", r.OldestUnhandled.UTC().Format(time.RFC3339))
	}
	say("waiting for an agent          %d", r.Waiting)
	if r.NoDispatcher {
		say("    no dispatcher runs → the reconciler starts it within a minute, if a worker process runs")
	}
}

// Run reconciles every minute, in one process at a time, until ctx is done.
func (r *Reconciler) Run(ctx context.Context) {
	r.Store.RunAsLeader(ctx, "reconciler", func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			report, err := r.Reconcile(ctx, true)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				r.Logger.Warn("the reconciler could not look", slog.Any("error", err))
			case !report.Healthy():
				r.Logger.Warn("the reconciler found differences", slog.Int("without_run", report.WithoutRun.Count), slog.Any("conversations", report.WithoutRun.IDs),
					slog.Int("without_row", report.WithoutRow.Count), slog.Any("workflows", report.WithoutRow.IDs),
					slog.Int("unsaid", report.Unsaid.Count), slog.Any("closed", report.Unsaid.IDs), slog.Int("unhandled", report.Unhandled), slog.Int("mended", report.Mended), slog.Int("waiting", report.Waiting), slog.Bool("no_dispatcher", report.NoDispatcher))
			}
			if err == nil && r.Observe != nil {
				r.Observe(report)
			}
			now := time.Now()
			if err := r.Store.ScrubEvents(ctx, now.Add(-scrubAfter), now.Add(-deleteAfter)); err != nil && ctx.Err() == nil {
				r.Logger.Warn("old events could not be scrubbed", slog.Any("error", err))
			}
		}
	})
}

// Reconcile looks once, and mends what it finds if asked to.
func (r *Reconciler) Reconcile(ctx context.Context, mend bool) (Report, error) {
	var report Report
	now := time.Now()
	settled := cmp.Or(r.Settled, settledTime)
	runs, err := r.runs(ctx, now)
	if err != nil {
		return report, fmt.Errorf("list running workflows: %w", err)
	}
	report.Runs = len(runs)
	after := ""
	for {
		list, err := r.Store.OpenConversations(ctx, after, page)
		if err != nil {
			return report, err
		}
		for _, c := range list {
			after = c.ID
			report.OpenConversations++
			id := conversation.WorkflowID(c.ChannelID, c.ChatKey)
			_, running := runs[id]
			delete(runs, id)
			if running || now.Sub(time.UnixMicro(c.UpdatedAt)) < settled {
				continue
			}
			switch life, err := r.look(ctx, id); {
			case err != nil:
				return report, err
			case life != gone:
				continue // visibility had not caught up
			}
			report.WithoutRun.add(c.ID)
			if mend {
				if err := r.Wake(ctx, c.ChannelID, c.ChatKey); err != nil {
					return report, err
				}
				report.Mended++
			}
		}
		if len(list) < page {
			break
		}
	}
	if err := r.strays(ctx, now.Add(-settled), runs, mend, &report); err != nil {
		return report, err
	}
	if err := r.unsaid(ctx, now.Add(-settled), mend, &report); err != nil {
		return report, err
	}
	inbox, err := r.Store.InboxState(ctx, now.Add(-settled))
	if err != nil {
		return report, err
	}
	report.Unhandled = inbox.Unhandled
	if inbox.Oldest != 0 {
		report.OldestUnhandled = time.UnixMicro(inbox.Oldest)
	}
	return report, r.dispatcher(ctx, now.Add(-settled), mend, &report)
}

// dispatcher looks whether there is something for the dispatcher and none runs.
func (r *Reconciler) dispatcher(ctx context.Context, before time.Time, mend bool, report *Report) error {
	st, err := r.Store.DispatchState(ctx, before)
	if err != nil {
		return err
	}
	report.Waiting, report.Overdue = st.Waiting, st.Overdue
	if st.Waiting+st.Overdue == 0 {
		return nil
	}
	life, err := r.look(ctx, conversation.WorkflowDispatcherID)
	if err != nil {
		return err
	}
	report.NoDispatcher = life == gone
	if report.NoDispatcher && mend {
		return r.Kick(ctx)
	}
	return nil
}

// strays looks at the runs begun before a time that no open conversation has
// claimed. A run that has something under way is not one: it says goodbye.
func (r *Reconciler) strays(ctx context.Context, before time.Time, runs map[string]time.Time, mend bool, report *Report) error {
	for _, id := range slices.Sorted(maps.Keys(runs)) {
		channelID, chatKey, ok := conversation.ParseWorkflowID(id)
		if !ok || runs[id].After(before) {
			continue
		}
		open, err := r.Store.HasOpenConversation(ctx, channelID, chatKey)
		if err != nil {
			return err
		}
		if open {
			continue
		}
		switch life, err := r.look(ctx, id); {
		case err != nil:
			return err
		case life != waits:
			continue
		}
		report.WithoutRow.add(id)
		if mend {
			if err := r.Wake(ctx, channelID, chatKey); err != nil {
				return err
			}
			report.Mended++
		}
	}
	return nil
}

// unsaid looks for closed conversations that have something to say yet, and
// nobody is there to say it. A run of the chat says it before anything else.
func (r *Reconciler) unsaid(ctx context.Context, before time.Time, mend bool, report *Report) error {
	list, err := r.Store.UnsaidConversations(ctx, before, page)
	if err != nil {
		return err
	}
	for _, c := range list {
		switch life, err := r.look(ctx, conversation.WorkflowID(c.ChannelID, c.ChatKey)); {
		case err != nil:
			return err
		case life != gone:
			continue
		}
		report.Unsaid.add(c.ID)
		if mend {
			if err := r.Wake(ctx, c.ChannelID, c.ChatKey); err != nil {
				return err
			}
			report.Mended++
		}
	}
	return nil
}

// runs lists the running conversations' workflow ids with their start.
func (r *Reconciler) runs(ctx context.Context, now time.Time) (map[string]time.Time, error) {
	runs := map[string]time.Time{}
	var token []byte
	for {
		res, err := r.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: r.Namespace, PageSize: page, NextPageToken: token,
			Query: "WorkflowType = '" + conversation.WorkflowConversation + "' AND ExecutionStatus = 'Running'",
		})
		if err != nil {
			return nil, err
		}
		for _, e := range res.Executions {
			started := now
			if e.StartTime != nil {
				started = e.StartTime.AsTime()
			}
			runs[e.Execution.WorkflowId] = started
		}
		if token = res.NextPageToken; len(token) == 0 {
			return runs, nil
		}
	}
}

// life is how a workflow does.
type life int

const (
	gone  life = iota // it does not run
	waits             // it runs, and waits for something to happen
	works             // it runs, and has an activity under way
)

// look asks Temporal's truth, not its visibility, how a workflow does.
func (r *Reconciler) look(ctx context.Context, workflowID string) (life, error) {
	d, err := r.Temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	switch {
	case notFound(err):
		return gone, nil
	case err != nil:
		return gone, err
	case d.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return gone, nil
	case len(d.PendingActivities) > 0:
		return works, nil
	}
	return waits, nil
}
