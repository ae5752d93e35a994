package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kaiwa/cmd/process"
	"kaiwa/internal/settings"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// stopTime bounds a clean stop, an API's drain delay apart: a little less than
// the 30 s orchestrators commonly give before they kill.
const stopTime = 25 * time.Second

// common are the settings of every command that opens the database.
type common struct {
	settings.Common
	StartTimeout time.Duration `name:"start-timeout" aliases:"kaiwa-start-timeout" env:"KAIWA_START_TIMEOUT" default:"30s" help:"how long a database that is away at the start is waited for"`
}

// profiled is the setting of a process that can be profiled.
type profiled struct {
	PprofAddr string `name:"pprof-addr" aliases:"kaiwa-pprof-addr" env:"KAIWA_PPROF_ADDR" placeholder:"HOST:PORT" help:"where Go's profiles (/debug/pprof/) listen, without authentication; nowhere when not set"`
}

func (p profiled) check() error {
	if p.PprofAddr == "" {
		return nil
	}
	return settings.Addr("KAIWA_PPROF_ADDR", p.PprofAddr)
}

// Check reports the first setting that is missing or wrong.
func (c common) Check() error {
	if err := c.Common.Check(); err != nil {
		return err
	}
	if c.StartTimeout < 0 {
		return settings.Wrong("KAIWA_START_TIMEOUT", "it must not be negative")
	}
	return nil
}

func (c common) openStore(ctx context.Context, logger *slog.Logger, options ...func(*store.Options)) (*store.Store, error) {
	return process.AwaitStore(ctx, c.Common, c.StartTimeout, logger, options...)
}

// newTelemetry makes what a process tells about itself: metrics, and traces where
// OpenTelemetry's variables ask for them.
func newTelemetry(ctx context.Context, service string, logger *slog.Logger) (*process.Telemetry, error) {
	tracer, err := telemetry.NewTracer(ctx, service)
	if err != nil {
		return nil, settings.Wrong("OTEL_EXPORTER_OTLP_ENDPOINT", "%s", err)
	}
	return process.NewTelemetry(tracer, logger)
}

func closeStore(st *store.Store, logger *slog.Logger) {
	if err := st.Close(); err != nil {
		logger.Warn("the database was not closed cleanly", slog.Any("error", err))
	}
}

// firstWrong is the first error of several checks.
func firstWrong(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// unlessTold is err, or nil when the process was told to stop meanwhile: what
// then fails to start is no failure.
func unlessTold(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serve waits until the process is told to stop, or a part of it fails, and
// stops it, within so long.
func serve(ctx context.Context, failed <-chan error, stop func(), within time.Duration, logger *slog.Logger) error {
	var failure error
	select {
	case <-ctx.Done():
		logger.Info("stopping")
	case failure = <-failed:
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-stopped:
		if failure == nil {
			logger.Info("stopped")
		}
	case <-late.C:
		if failure == nil {
			failure = fmt.Errorf("what was under way did not end within %s and was cut off", within)
		}
	}
	return failure
}

// failures is a channel for the first failure, and what to call with each.
func failures() (<-chan error, func(error)) {
	c := make(chan error, 1)
	return c, func(err error) {
		select {
		case c <- err:
		default: // one is enough to end
		}
	}
}
