package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/conversation"
	"kaiwa/internal/engine"
)

// stub is a Temporal whose answer to an update the test chooses.
type stub struct {
	client.Client
	options client.UpdateWithStartWorkflowOptions
	started client.StartWorkflowOptions
	refuses error // to take the update
	fails   error // to carry it out
	health  error
}

func (s *stub) NewWithStartWorkflowOperation(o client.StartWorkflowOptions, _ any, _ ...any) client.WithStartWorkflowOperation {
	s.started = o
	return nil
}

func (s *stub) UpdateWithStartWorkflow(_ context.Context, o client.UpdateWithStartWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	s.options = o
	if s.refuses != nil {
		return nil, s.refuses
	}
	return handle{fails: s.fails}, nil
}

func (s *stub) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return &client.CheckHealthResponse{}, s.health
}

// handle is an update that is done.
type handle struct {
	client.WorkflowUpdateHandle
	fails error
}

func (h handle) Get(_ context.Context, out any) error {
	if h.fails == nil {
		*out.(*conversation.ActionAnswer) = conversation.ActionAnswer{Status: conversation.StatusClosed, Reason: conversation.ReasonForceClosed}
	}
	return h.fails
}

var workflowID = conversation.WorkflowID("chn_shop", "chat")

func closing(t *testing.T, s *stub) (conversation.ActionAnswer, error) {
	t.Helper()
	return engine.New(s).Act(t.Context(), workflowID, "update", conversation.ActionRequest{ConversationID: "cnv_1", Event: conversation.EventForceClosed})
}

func TestACloseIsAnUpdateWhoseIDIsTheCallers(t *testing.T) {
	t.Parallel()
	s := &stub{}
	got, err := closing(t, s)
	require.NoError(t, err)
	require.Equal(t, conversation.ActionAnswer{Status: conversation.StatusClosed, Reason: conversation.ReasonForceClosed}, got)
	require.Equal(t, workflowID, s.started.ID)
	u := s.options.UpdateOptions
	require.Equal(t, "update", u.UpdateID)
	require.Equal(t, workflowID, u.WorkflowID)
	require.Equal(t, conversation.UpdateClose, u.UpdateName)
	require.Equal(t, client.WorkflowUpdateStageCompleted, u.WaitForStage)
}

func TestWhatTemporalAnswersIsAnErrorOfTheDomain(t *testing.T) {
	t.Parallel()
	application := func(kind string) error {
		return temporal.NewNonRetryableApplicationError("in words", kind, nil)
	}
	const away = conversation.CodeUnavailable
	for name, c := range map[string]struct {
		err  error
		want conversation.Code
	}{
		"closed":                              {application("conversation_closed"), conversation.CodeConversationClosed},
		"no such step":                        {application("not_allowed_now"), conversation.CodeNotAllowedNow},
		"another agent's":                     {application("not_assigned_to_you"), conversation.CodeNotAssignedToYou},
		"a supervisor's":                      {application("forbidden"), conversation.CodeForbidden},
		"in conflict":                         {application("conflict"), conversation.CodeConflict},
		"unknown":                             {application("not_found"), conversation.CodeNotFound},
		"wrapped":                             {errors.Join(errors.New("update failed"), application("conversation_closed")), conversation.CodeConversationClosed},
		"the run ended first":                 {application("AcceptedUpdateCompletedWorkflow"), away},
		"the worker has no such update":       {application("UnprocessedUpdate"), away},
		"an error of Go's":                    {application("wrapError"), away},
		"without a type":                      {application(""), away},
		"Temporal away":                       {serviceerror.NewUnavailable("connection refused"), away},
		"out of time":                         {serviceerror.NewDeadlineExceeded("context deadline exceeded"), away},
		"the caller's time is over":           {context.DeadlineExceeded, away},
		"too many updates":                    {serviceerror.NewResourceExhausted(0, "limit"), away},
		"the run ended before it was taken":   {serviceerror.NewNotFound("workflow execution already completed"), away},
		"the namespace is gone":               {serviceerror.NewNamespaceNotFound("kaiwa"), away},
		"something nobody has thought of yet": {errors.New("?"), away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []*stub{{refuses: c.err}, {fails: c.err}} {
				_, err := closing(t, s)
				require.Equal(t, c.want, conversation.CodeOf(err))
				require.ErrorIs(t, err, c.err, "the log has the cause")
				var e *conversation.Error
				require.ErrorAs(t, err, &e)
				if c.want == away {
					require.Equal(t, "The workflow engine does not answer. Try again.", e.Detail)
				} else {
					require.Equal(t, "in words", e.Detail)
				}
			}
		})
	}
}

func TestAWorkflowThatCannotBeIsNotFound(t *testing.T) {
	t.Parallel()
	s := &stub{}
	_, err := engine.New(s).Act(t.Context(), "dispatcher", "update", conversation.ActionRequest{})
	require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))
	require.Empty(t, s.options.UpdateOptions.UpdateID, "Temporal is not asked")
}

func TestReadyTellsWhetherTemporalAnswers(t *testing.T) {
	t.Parallel()
	require.NoError(t, engine.New(&stub{}).Ready(t.Context()))
	away := errors.New("connection refused")
	require.ErrorIs(t, engine.New(&stub{health: away}).Ready(t.Context()), away)
}

// Nobody listens at the address: the answer comes when the caller's time is
// over, and says so.
func TestATemporalThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	e := engine.New(c)
	_, err = e.Act(ctx, workflowID, "update", conversation.ActionRequest{})
	require.Equal(t, conversation.CodeUnavailable, conversation.CodeOf(err))
	require.Error(t, e.Ready(ctx))
}
