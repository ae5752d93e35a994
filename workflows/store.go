package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/conversation"
)

// do runs a step of the conversation in Kaiwa's database; see the function do.
func (c *talk) do(summary string, activity, input, result any) error {
	return do(c.ctx, summary, activity, input, result)
}

// do runs a step in Kaiwa's database and waits for its result: as a local
// activity first, and when that does not come through in its time, as a
// regular one that is retried until it does. So a database that is away delays
// a conversation and never ends it. The only errors are refusals, which carry
// a code (see refused).
func do(ctx workflow.Context, summary string, activity, input, result any) error {
	err := workflow.ExecuteLocalActivity(localStore(ctx, summary), activity, input).Get(ctx, result)
	if err == nil || refused(err) != "" {
		return err
	}
	for {
		err = workflow.ExecuteActivity(patientStore(ctx, summary), activity, input).Get(ctx, result)
		if err == nil || refused(err) != "" {
			return err
		}
		// Only an operator ends an activity that is retried without limit (by
		// resetting or terminating it). The step is still owed.
		workflow.GetLogger(ctx).Warn("a step in the database was ended from outside; it is done again", "step", summary, "error", err)
		if err := workflow.Sleep(ctx, storeAttempt); err != nil {
			return err
		}
	}
}

// refused returns the code of an answer no retry can change, or "".
func refused(err error) conversation.Code {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.NonRetryable() {
		return conversation.Code(app.Type())
	}
	return ""
}
