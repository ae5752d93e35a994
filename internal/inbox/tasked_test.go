package inbox

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"

	"kaiwa/internal/conversation"
)

func TestOnlyARunThatGoesOnHasATaskToDo(t *testing.T) {
	t.Parallel()
	task := &workflow.PendingWorkflowTaskInfo{State: enums.PENDING_WORKFLOW_TASK_STATE_SCHEDULED}
	for name, c := range map[string]struct {
		status enums.WorkflowExecutionStatus
		task   *workflow.PendingWorkflowTaskInfo
		err    error
		want   bool
	}{
		"a task waits":               {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, task, nil, true},
		"nothing to do":              {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil, nil, false},
		"terminated before its task": {enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, task, nil, false},
		"completed":                  {enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, nil, nil, false},
		"it cannot be found out":     {enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, nil, errors.New("away"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temporal := mocks.NewClient(t)
			temporal.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(&workflowservice.DescribeWorkflowExecutionResponse{
				WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{Status: c.status}, PendingWorkflowTask: c.task,
			}, c.err)
			require.Equal(t, c.want, TemporalTasks(temporal)(t.Context(), "shop", "emma"))
			temporal.AssertCalled(t, "DescribeWorkflowExecution", mock.Anything, conversation.WorkflowID("shop", "emma"), "")
			require.Equal(t, c.want, TemporalSurveyTasks(temporal)(t.Context(), "shop", "conv"))
			temporal.AssertCalled(t, "DescribeWorkflowExecution", mock.Anything, conversation.SurveyWorkflowID("conv"), "")
		})
	}
}
