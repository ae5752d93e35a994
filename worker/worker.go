// Package worker wires workflows and activities to Temporal: which task queue
// does what, and how much of it at once.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"kaiwa/activities"
	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/dispatch"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
	"kaiwa/workflows"
)

// stopTime is how long a worker that is told to stop waits for what it does: a
// call to LINE and the record of its answer, which nobody else knows, fit into
// it.
const stopTime = 18 * time.Second

// mediaAtOnce is how many files a worker fetches at once: each holds some
// megabytes on its way into the bucket.
const mediaAtOnce = 8

// Options are what a worker process stands on.
type Options struct {
	Temporal client.Client
	Store    *store.Store
	LINE     *line.API
	Blobs    *blob.Bucket
	Scanner  *attachment.Scanner // optional
	// BotHTTP reaches bots and services that classify, MediaHTTP files that are not at LINE.
	BotHTTP, MediaHTTP *http.Client
	// Inbox wakes the workflows of chats, Dispatcher gives people work.
	Inbox      activities.Notifier
	Dispatcher *dispatch.Dispatcher
	// WakeSurvey wakes the workflow of a survey.
	WakeSurvey func(ctx context.Context, channelID, conversationID string) error
	PublicURL  string // how customers' browsers reach the API
	Logger     *slog.Logger
	Metrics    *telemetry.Worker // optional
	Tracer     *telemetry.Tracer // optional
	// Failed is called when a worker ends by itself, for a reason no retry
	// mends (its namespace is gone).
	Failed func(error)
}

// Worker is Kaiwa's Temporal workers, one a task queue, so that one slow
// dependency delays only itself.
type Worker struct {
	workers    []worker.Worker
	ended      atomic.Bool
	asking     sync.WaitGroup
	stopAsking context.CancelFunc
}

// Start starts polling.
func Start(o Options) (*Worker, error) {
	acts := activities.New(activities.Options{
		Store: o.Store, LINE: o.LINE, Blobs: o.Blobs, Scanner: o.Scanner, BotHTTP: o.BotHTTP, MediaHTTP: o.MediaHTTP, Inbox: o.Inbox, Dispatcher: o.Dispatcher, Looker: o.Dispatcher.Looker, Logger: o.Logger, Metrics: o.Metrics, Tracer: o.Tracer,
		WakeSurvey: o.WakeSurvey, PublicURL: o.PublicURL,
	})
	ctx, stop := context.WithCancel(context.Background())
	w := &Worker{stopAsking: stop}
	w.asking.Go(func() { activities.AskAboutReplies(ctx, acts) })
	w.asking.Go(func() { activities.TendChannels(ctx, acts) })
	w.asking.Go(func() { activities.WatchQuotas(ctx, acts) })
	for _, queue := range []string{conversation.QueueConversations, conversation.QueueStore, conversation.QueueLINE, conversation.QueueBots, conversation.QueueMedia, conversation.QueueRouting} {
		one := worker.New(o.Temporal, queue, options(queue, o, w))
		if runsWorkflows(queue) {
			Register(one)
		}
		one.RegisterActivity(acts)
		if err := one.Start(); err != nil {
			w.Stop()
			return nil, fmt.Errorf("worker for %s: %w", queue, err)
		}
		w.workers = append(w.workers, one)
	}
	return w, nil
}

// runsWorkflows tells whether a task queue has workflows: chats have one, and
// the dispatcher has its own, so that however many chats are busy, people are
// given work.
func runsWorkflows(queue string) bool {
	return queue == conversation.QueueConversations || queue == conversation.QueueRouting
}

// Register registers the workflows under the names that stand in histories.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: conversation.WorkflowConversation})
	r.RegisterWorkflowWithOptions(workflows.Survey, workflow.RegisterOptions{Name: conversation.WorkflowSurvey})
	r.RegisterWorkflowWithOptions(workflows.Dispatcher, workflow.RegisterOptions{Name: conversation.WorkflowDispatcher})
}

func options(queue string, o Options, w *Worker) worker.Options {
	opts := worker.Options{
		Interceptors:                            []interceptor.WorkerInterceptor{&liveness{}},
		WorkerStopTimeout:                       stopTime,
		DisableWorkflowWorker:                   !runsWorkflows(queue),
		WorkflowTaskPollerBehavior:              worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior:              worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		MaxConcurrentActivityExecutionSize:      200,
		MaxConcurrentLocalActivityExecutionSize: 200,
		OnFatalError: func(err error) {
			w.ended.Store(true)
			if o.Failed != nil {
				o.Failed(fmt.Errorf("worker for %s: %w", queue, err))
			}
		},
	}
	if queue == conversation.QueueMedia {
		opts.MaxConcurrentActivityExecutionSize = mediaAtOnce
	}
	return opts
}

// Polls tells whether every task queue is polled: all have begun, and none has
// ended.
func (w *Worker) Polls() bool { return !w.ended.Load() }

// Stop stops polling, finishes what is under way, within bounds, and hands back
// the rest.
func (w *Worker) Stop() {
	w.ended.Store(true)
	w.stopAsking()
	done := make(chan struct{})
	for _, one := range w.workers {
		go func() { one.Stop(); done <- struct{}{} }()
	}
	for range w.workers {
		<-done
	}
	w.asking.Wait()
}
