package bench

import (
	"context"
	"fmt"
	"sync"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"time"
)

const (
	bareQueue  = "kaiwa-bench"
	bareSignal = "wake"
	bareUpdate = "say"
)

// bare is what Kaiwa is held against: workflows that do nothing, on the same
// Temporal, with a worker in this process that polls as Kaiwa's does.
type bare struct {
	temporal client.Client
	worker   worker.Worker
	seed     uint64

	mu   sync.Mutex
	done map[string]chan struct{} // by workflow: one for each activity that ran
}

// bareInput says what a bare workflow does with each signal or update.
type bareInput struct {
	Local bool // a local activity instead of a regular one
}

// barePatience bounds an activity that does nothing.
const barePatience = 10 * time.Second

// bareWorkflow runs an activity for each signal and each update, one after the
// other.
func bareWorkflow(ctx workflow.Context, in bareInput) error {
	var b *bare
	if err := workflow.SetUpdateHandler(ctx, bareUpdate, func(ctx workflow.Context) error {
		return workflow.ExecuteActivity(bareActivity(ctx), b.Nothing).Get(ctx, nil)
	}); err != nil {
		return err
	}
	signals := workflow.GetSignalChannel(ctx, bareSignal)
	for {
		if !signals.ReceiveAsync(nil) {
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) {
				return workflow.NewContinueAsNewError(ctx, bareWorkflow, in)
			}
			if err := workflow.Await(ctx, func() bool {
				return signals.Len() > 0 || workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx)
			}); err != nil {
				return err
			}
			continue
		}
		if in.Local {
			local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{ScheduleToCloseTimeout: barePatience, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
			if err := workflow.ExecuteLocalActivity(local, b.Nothing).Get(ctx, nil); err != nil {
				return err
			}
			continue
		}
		if err := workflow.ExecuteActivity(bareActivity(ctx), b.Nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
}

func bareActivity(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: barePatience})
}

// Nothing is the activity: it tells who waits that it ran.
func (b *bare) Nothing(ctx context.Context) error {
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	b.mu.Lock()
	done := b.done[id]
	b.mu.Unlock()
	if done != nil {
		done <- struct{}{}
	}
	return nil
}

// startBare starts the worker.
func startBare(c client.Client, seed uint64) (*bare, error) {
	b := &bare{temporal: c, seed: seed, done: map[string]chan struct{}{}}
	b.worker = worker.New(c, bareQueue, worker.Options{
		WorkflowTaskPollerBehavior:              worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior:              worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		MaxConcurrentActivityExecutionSize:      200,
		MaxConcurrentLocalActivityExecutionSize: 200,
	})
	b.worker.RegisterWorkflow(bareWorkflow)
	b.worker.RegisterActivity(b)
	return b, b.worker.Start()
}

func (b *bare) close() { b.worker.Stop() }

// mostUnderWay bounds the activities of one workflow that nobody has asked for.
const mostUnderWay = 100_000

// workflows starts n of them and returns their ids.
func (b *bare) workflows(ctx context.Context, name string, n int, in bareInput) ([]string, error) {
	ids := make([]string, n)
	_, err := Closed(ctx, min(16, n), (n+15)/16, func(ctx context.Context, lane, round int) error {
		i := lane + 16*round
		if i >= n {
			return nil
		}
		ids[i] = fmt.Sprintf("bench/%s/%d/%d", name, b.seed, i)
		b.mu.Lock()
		b.done[ids[i]] = make(chan struct{}, mostUnderWay)
		b.mu.Unlock()
		_, err := b.temporal.SignalWithStartWorkflow(ctx, ids[i], bareSignal, nil, client.StartWorkflowOptions{TaskQueue: bareQueue, WorkflowTaskTimeout: 5 * time.Second}, bareWorkflow, in)
		if err != nil {
			return err
		}
		return b.ran(ctx, ids[i])
	})
	return ids, err
}

// ran waits until one more activity of a workflow has run.
func (b *bare) ran(ctx context.Context, id string) error {
	b.mu.Lock()
	done := b.done[id]
	b.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
		return fmt.Errorf("the activity of %s: %w", id, errTooSlow)
	}
}

// signal signals a workflow.
func (b *bare) signal(ctx context.Context, id string) error {
	return b.temporal.SignalWorkflow(ctx, id, "", bareSignal, nil)
}

// oneAtATime is a load of signals, each of which waits for the one before.
func (b *bare) oneAtATime(ids []string, each int) measure {
	return func(ctx context.Context) (Load, error) {
		return Closed(ctx, len(ids), each, func(ctx context.Context, lane, _ int) error {
			if err := b.signal(ctx, ids[lane]); err != nil {
				return err
			}
			return b.ran(ctx, ids[lane])
		})
	}
}

// flood is a load of signals as fast as they are taken.
func (b *bare) flood(ids []string, each int) measure {
	return func(ctx context.Context) (Load, error) {
		return Flood(ctx, len(ids), each, func(ctx context.Context, lane, _ int) (func(context.Context) error, error) {
			return func(ctx context.Context) error { return b.ran(ctx, ids[lane]) }, b.signal(ctx, ids[lane])
		})
	}
}

// updates is a load of updates, so many at a time for each workflow.
func (b *bare) updates(ids []string, atOnce, each int) measure {
	return func(ctx context.Context) (Load, error) {
		return Closed(ctx, len(ids)*atOnce, each, func(ctx context.Context, lane, _ int) error {
			id := ids[lane/atOnce]
			h, err := b.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{WorkflowID: id, UpdateName: bareUpdate, WaitForStage: client.WorkflowUpdateStageCompleted})
			if err != nil {
				return err
			}
			if err := h.Get(ctx, nil); err != nil {
				return err
			}
			return b.ran(ctx, id)
		})
	}
}
