package outcome

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
)

const (
	// listPage is how many runs are listed at once.
	listPage = 1000
	// asksAtOnce is how many workflows are asked at the same time.
	asksAtOnce = 8
	// answerTime is how long a workflow has for its answer. It may have to be
	// replayed first.
	answerTime = 20 * time.Second
	// metadataQuery is what the SDK answers for every workflow.
	metadataQuery = "__temporal_workflow_metadata"
)

// kaiwas selects Kaiwa's workflows.
const kaiwas = "WorkflowType IN ('" + conversation.WorkflowConversation + "', '" + conversation.WorkflowSurvey + "', '" + conversation.WorkflowDispatcher + "')"

func (s Sources) namespace() string { return cmp.Or(s.Namespace, "default") }

// runs lists all runs, in the order of their start; those that are alive are
// asked what they hold and wait for.
func (s Sources) runs(ctx context.Context) ([]Run, error) {
	runs, err := s.list(ctx, kaiwas)
	if err != nil {
		return nil, err
	}
	err = s.look(ctx, runs, s.ask)
	return runs, err
}

// running lists the runs that are alive, with what they have under way.
func (s Sources) running(ctx context.Context) ([]Run, error) {
	runs, err := s.list(ctx, kaiwas+" AND ExecutionStatus = 'Running'")
	if err != nil {
		return nil, err
	}
	if err := s.look(ctx, runs, nil); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(r Run) bool { return !r.alive() }), nil
}

func (r Run) alive() bool { return r.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING.String() }

func (s Sources) list(ctx context.Context, query string) ([]Run, error) {
	var runs []Run
	var token []byte
	for {
		page, err := s.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: s.namespace(), PageSize: listPage, NextPageToken: token, Query: query,
		})
		if err != nil {
			return nil, fmt.Errorf("list workflows: %w", err)
		}
		for _, e := range page.Executions {
			runs = append(runs, runOf(e))
		}
		if token = page.NextPageToken; len(token) == 0 {
			break
		}
	}
	slices.SortFunc(runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.StartedAt, b.StartedAt), cmp.Compare(a.RunID, b.RunID))
	})
	return runs, nil
}

func runOf(e *workflowpb.WorkflowExecutionInfo) Run {
	r := Run{
		WorkflowID: e.Execution.GetWorkflowId(), RunID: e.Execution.GetRunId(), Type: e.Type.GetName(), Status: e.Status.String(), Events: e.HistoryLength,
	}
	if e.StartTime != nil {
		r.StartedAt = e.StartTime.AsTime().UnixMicro()
	}
	if e.CloseTime != nil {
		r.ClosedAt = e.CloseTime.AsTime().UnixMicro()
	}
	return r
}

// look asks Temporal's truth about the runs its visibility has as alive, and
// then, if asked to, the runs themselves.
func (s Sources) look(ctx context.Context, runs []Run, ask func(context.Context, *Run) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asksAtOnce)
	for i := range runs {
		r := &runs[i]
		if !r.alive() {
			continue
		}
		g.Go(func() error {
			d, err := s.Temporal.DescribeWorkflowExecution(ctx, r.WorkflowID, r.RunID)
			if err != nil {
				return fmt.Errorf("describe workflow %s: %w", r.WorkflowID, err)
			}
			*r = runOf(d.WorkflowExecutionInfo)
			r.Task = d.PendingWorkflowTask != nil
			for _, a := range d.PendingActivities {
				r.Pending = append(r.Pending, Activity{a.ActivityType.GetName(), a.Attempt, a.LastFailure.GetMessage()})
			}
			if ask == nil || !r.alive() {
				return nil
			}
			return ask(ctx, r)
		})
	}
	return g.Wait()
}

// ask has a live run say what it waits for and, of a conversation, what it
// holds. That it does not is for the invariants to judge.
func (s Sources) ask(ctx context.Context, r *Run) error {
	var said sdk.WorkflowMetadata
	if !s.query(ctx, r, metadataQuery, &said) {
		return ctx.Err()
	}
	r.Details = said.CurrentDetails
	var holds conversation.StateAnswer
	if r.Type == conversation.WorkflowConversation && s.query(ctx, r, conversation.QueryState, &holds) {
		r.Holds = &holds
	}
	return ctx.Err()
}

func (s Sources) query(ctx context.Context, r *Run, query string, answer any) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	v, err := s.Temporal.QueryWorkflow(ctx, r.WorkflowID, r.RunID, query)
	if err == nil {
		err = v.Get(answer)
	}
	if err != nil {
		r.Mute = err.Error()
	}
	return err == nil
}
