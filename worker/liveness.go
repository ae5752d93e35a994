package worker

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
)

// liveness reports that an activity's worker is alive, for every activity that
// has a heartbeat time-out: when the worker dies, the activity runs elsewhere
// that soon, instead of when its whole time is over. A report is not written to
// the history, and an activity that is done quickly makes none.
type liveness struct {
	interceptor.WorkerInterceptorBase
}

func (*liveness) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &livenessActivity{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type livenessActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

func (l *livenessActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	timeout := activity.GetInfo(ctx).HeartbeatTimeout
	if timeout <= 0 {
		return l.Next.ExecuteActivity(ctx, in)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(timeout / 4)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return l.Next.ExecuteActivity(ctx, in)
}
