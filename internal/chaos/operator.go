package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/conversation"
)

// operator does to workflows what can be done in Temporal's UI.
type operator struct {
	*desk     // sees the conversations
	temporal  client.Client
	namespace string

	mu   sync.Mutex
	done []outcome.Operation
}

// operatorPatience is how long an operator waits for Temporal or Kaiwa to
// answer before they leave it.
const operatorPatience = 20 * time.Second

// errLeft is why nothing was done: the run was over, or nobody answered.
var errLeft = errors.New("the operator left it")

// operate does one deed to the workflow of some open conversation, seldom to
// the dispatcher. One that cannot be done is left.
func (o *operator) operate(ctx context.Context, s strike) error {
	ctx, cancel := context.WithTimeout(ctx, operatorPatience)
	defer cancel()
	done := outcome.Operation{WorkflowID: conversation.WorkflowDispatcherID}
	if s.blow != terminates || s.choice%8 != 0 {
		statuses := []string{"open", "active", "active", "wrap_up", "waiting"}
		var list struct {
			Items []struct {
				ID         string `json:"id"`
				WorkflowID string `json:"workflow_id"`
			} `json:"items"`
		}
		if err := o.reads(ctx, "/conversations?limit=100&status="+statuses[s.choice%uint64(len(statuses))], &list); err != nil || len(list.Items) == 0 {
			return nil
		}
		c := list.Items[s.choice/8%uint64(len(list.Items))]
		done.ConversationID, done.WorkflowID = c.ID, c.WorkflowID
	}
	err := o.does(ctx, s, &done)
	if errors.Is(err, errLeft) {
		return nil
	}
	if err != nil {
		return err
	}
	o.tally.add(string(s.blow), 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = append(o.done, done)
	return nil
}

func (o *operator) does(ctx context.Context, s strike, done *outcome.Operation) error {
	d, err := insist(ctx, func() (*workflowservice.DescribeWorkflowExecutionResponse, error) {
		return o.temporal.DescribeWorkflowExecution(ctx, done.WorkflowID, "")
	})
	if err != nil {
		return err
	}
	if d.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return errLeft
	}
	run := &common.WorkflowExecution{WorkflowId: done.WorkflowID, RunId: d.WorkflowExecutionInfo.Execution.RunId}
	done.RunID, done.At = run.RunId, time.Now().UnixMicro()
	request := fmt.Sprintf("chaos-%d", s.choice)
	service := o.temporal.WorkflowService()
	switch s.blow {
	case cancels:
		done.Verb = outcome.Cancelled
		_, err = insist(ctx, func() (*workflowservice.RequestCancelWorkflowExecutionResponse, error) {
			return service.RequestCancelWorkflowExecution(ctx, &workflowservice.RequestCancelWorkflowExecutionRequest{
				Namespace: o.namespace, WorkflowExecution: run, RequestId: request, Identity: "chaos", Reason: "chaos",
			})
		})
	case terminates:
		done.Verb = outcome.Terminated
		_, err = insist(ctx, func() (*workflowservice.TerminateWorkflowExecutionResponse, error) {
			return service.TerminateWorkflowExecution(ctx, &workflowservice.TerminateWorkflowExecutionRequest{
				Namespace: o.namespace, WorkflowExecution: run, Identity: "chaos", Reason: "chaos",
			})
		})
		err = o.after(ctx, run, err)
	case resets:
		done.Verb = outcome.Reset
		to, found := o.somewhere(ctx, run, s.choice)
		if !found {
			return errLeft
		}
		_, err = insist(ctx, func() (*workflowservice.ResetWorkflowExecutionResponse, error) {
			return service.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
				Namespace: o.namespace, WorkflowExecution: run, RequestId: request, Identity: "chaos", Reason: "chaos", WorkflowTaskFinishEventId: to,
			})
		})
		err = o.after(ctx, run, err)
	}
	return err
}

// after tells whether a run has been ended, when the answer to that was lost
// and asking again was told that there is no such run any more.
func (o *operator) after(ctx context.Context, run *common.WorkflowExecution, err error) error {
	if !errors.Is(err, errLeft) {
		return err
	}
	d, err := insist(ctx, func() (*workflowservice.DescribeWorkflowExecutionResponse, error) {
		return o.temporal.DescribeWorkflowExecution(ctx, run.WorkflowId, run.RunId)
	})
	if err == nil && d.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_TERMINATED {
		err = errLeft
	}
	return err
}

// somewhere is an event of a run's history that it can be reset to.
func (o *operator) somewhere(ctx context.Context, run *common.WorkflowExecution, choice uint64) (event int64, found bool) {
	var ends []int64
	history := o.temporal.GetWorkflowHistory(ctx, run.WorkflowId, run.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			return 0, false
		}
		if e.EventType == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			ends = append(ends, e.EventId)
		}
	}
	if len(ends) == 0 {
		return 0, false
	}
	return ends[choice%uint64(len(ends))], true
}

// insist asks Temporal until it answers. Its no, and no answer in time, are
// errLeft.
func insist[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for {
		answer, err := ask()
		var gone *serviceerror.NotFound
		var invalid *serviceerror.InvalidArgument
		var asked *serviceerror.CancellationAlreadyRequested
		switch {
		case err == nil, errors.As(err, &asked):
			return answer, nil
		case errors.As(err, &gone):
			return answer, errLeft
		case errors.As(err, &invalid):
			return answer, err
		}
		if !rest(ctx, longestPause) {
			return answer, errLeft
		}
	}
}
