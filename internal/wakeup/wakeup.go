// Package wakeup signals a workflow that mostly runs and may not.
package wakeup

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// Deliver delivers a signal to the workflow that start names, starting it if it
// does not run. A plain signal comes first: it costs Temporal half of what the
// call that may also start does, and is enough but for the first one of a run.
func Deliver(ctx context.Context, c client.Client, signal string, start client.StartWorkflowOptions, workflow string, in ...any) error {
	err := c.SignalWorkflow(ctx, start.ID, "", signal, nil)
	var gone *serviceerror.NotFound
	if !errors.As(err, &gone) {
		return err
	}
	_, err = c.SignalWithStartWorkflow(ctx, start.ID, signal, nil, start, workflow, in...)
	return err
}
