package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// readyInterval is the pause between two looks at a server that is coming up.
const readyInterval = 10 * time.Millisecond

// awaitReady returns when the frontend is healthy, describes the namespace and
// the namespace has the retention asked for.
func (s *Server) awaitReady(ctx context.Context, namespace string, retention time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	c, err := client.NewLazyClient(client.Options{
		HostPort:  s.addr,
		Namespace: namespace,
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("client for temporal on %s: %w", s.addr, err)
	}
	defer c.Close()

	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		err := probe(ctx, c, namespace, retention)
		if err == nil {
			return nil
		}
		select {
		case <-s.life.done():
			return fmt.Errorf("start temporal on %s: %w", s.addr, s.life.gaveUp())
		case <-ctx.Done():
			return fmt.Errorf("temporal on %s does not serve namespace %q: %w", s.addr, namespace, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	found, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("describe namespace: %w", err)
	}
	if found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention {
		return nil
	}
	_, err = c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if err != nil {
		return fmt.Errorf("set retention: %w", err)
	}
	return nil
}
