package main

import (
	"context"
	"log/slog"

	"kaiwa/cmd/process"
	"kaiwa/internal/settings"
)

// workerCommand runs workflows and activities. At the start it waits for what
// comes by itself, however long it takes, and says so in its log: for a Temporal
// that does not answer, and for kaiwa migrate. What does not come by itself, a
// namespace that does not exist or refused credentials, ends it. A database that
// is away is waited for within KAIWA_START_TIMEOUT.
type workerCommand struct {
	common
	profiled
	settings.Outside
	Temporal settings.Temporal `embed:""`
	HTTPAddr string            `name:"worker-http-addr" aliases:"kaiwa-worker-http-addr" env:"KAIWA_WORKER_HTTP_ADDR" placeholder:"HOST:PORT" help:"where /healthz, /readyz and /metrics listen; nowhere when not set"`
}

func (c *workerCommand) check() error {
	if c.HTTPAddr == "" {
		return nil
	}
	return settings.Addr("KAIWA_WORKER_HTTP_ADDR", c.HTTPAddr)
}

// Help is what --help adds.
func (*workerCommand) Help() string {
	return "It waits, without end and saying so, for a Temporal that does not answer and for kaiwa migrate. " +
		"It exits 2 when the namespace does not exist or refuses the credentials, 1 when Temporal ends it later. SIGTERM finishes what is under way, within 25 s. A second signal ends it at once."
}

// Run works until it is told to stop, or Temporal refuses it for good.
func (c *workerCommand) Run(ctx context.Context, out streams) error {
	if err := firstWrong(c.common.Check, c.profiled.check, c.Outside.Check, c.check); err != nil {
		return err
	}
	logger, err := process.Logger(out.Err, c.LogLevel)
	if err != nil {
		return err
	}
	stopProfiles, err := process.ServeProfiles(c.PprofAddr, logger)
	if err != nil {
		return err
	}
	defer stopProfiles()
	tell, err := newTelemetry(ctx, "kaiwa-worker", logger)
	if err != nil {
		return err
	}
	defer tell.Stop()
	temporal, err := process.NewTemporal(c.Temporal, tell, logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	ready := process.NewWorkerReadiness(logger)
	if c.HTTPAddr != "" {
		probe, err := process.StartProbe("KAIWA_WORKER_HTTP_ADDR", c.HTTPAddr, ready, tell, logger)
		if err != nil {
			return err
		}
		defer probe.Stop()
		logger.Info("probes", slog.String("address", probe.Addr.String()))
	}
	st, err := c.openStore(ctx, logger, tell.Store)
	if err != nil {
		return unlessTold(ctx, err)
	}
	defer closeStore(st, logger)
	if err := tell.Opened(st); err != nil {
		return err
	}
	process.WatchOutside(ready, st, temporal)
	failed, failure := failures()
	worker, err := process.LaunchWorker(ctx, temporal, process.WorkerOptions{
		Outside: c.Outside, Store: st, Temporal: temporal.Client, Namespace: temporal.Namespace, Logger: logger, Telemetry: tell, Failed: failure,
	})
	if err != nil {
		return unlessTold(ctx, err)
	}
	process.WatchWorker(ready, worker)
	logger.Info("working", slog.String("temporal", temporal.Address), slog.String("namespace", temporal.Namespace), slog.String("version", version()))
	return serve(ctx, failed, func() { ready.Drain(); worker.Stop() }, stopTime, logger)
}
