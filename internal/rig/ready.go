package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"log/slog"
)

// attemptTime bounds one question whether a process is ready: a paused one
// takes it and does not answer.
const attemptTime = 2 * time.Second

// answersReady asks a process's /readyz.
func answersReady(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("/readyz says %d: %s", res.StatusCode, body)
	}
	return err
}

// temporalAnswers asks a Temporal frontend for its health.
func temporalAnswers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	c, err := client.NewLazyClient(client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}
