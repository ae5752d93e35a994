package main

import (
	"context"
	"log/slog"
	"strings"

	"kaiwa/cmd/process"
	"kaiwa/console"
	"kaiwa/internal/settings"
	"kaiwa/internal/store"
)

// apiCommand serves the API. Temporal may be away, at the start or later:
// webhooks are stored and acknowledged all the same, /readyz says 503, and what
// was stored is taken up when Temporal is back. A database that is away at the
// start is waited for within KAIWA_START_TIMEOUT.
type apiCommand struct {
	common
	profiled
	settings.Outside
	settings.HTTP
	Temporal settings.Temporal `embed:""`
}

// Help is what --help adds.
func (*apiCommand) Help() string {
	return "Temporal may be away: webhooks are stored and acknowledged all the same, /readyz says 503, and what was stored is taken up later. " +
		"SIGTERM makes it say that it is not ready, serve on for KAIWA_DRAIN_DELAY, and then answer what is under way, within 25 s. A second signal ends it at once."
}

// Run serves until it is told to stop.
func (c *apiCommand) Run(ctx context.Context, out streams) error {
	if err := firstWrong(c.common.Check, c.profiled.check, c.Outside.Check, c.HTTP.Check); err != nil {
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
	tell, err := newTelemetry(ctx, "kaiwa-api", logger)
	if err != nil {
		return err
	}
	defer tell.Stop()
	temporal, err := process.NewTemporal(c.Temporal, tell, logger)
	if err != nil {
		return err
	}
	defer temporal.Close()
	st, err := c.openStore(ctx, logger, tell.Store)
	if err != nil {
		return unlessTold(ctx, err)
	}
	defer closeStore(st, logger)
	if err := tell.Opened(st); err != nil {
		return err
	}
	failed, failure := failures()
	api, err := process.StartAPI(ctx, process.APIOptions{
		HTTP: c.HTTP, Outside: c.Outside, Store: st, Temporal: temporal.Client, Console: console.Files(), Logger: logger, Telemetry: tell, Failed: failure,
	})
	if err != nil {
		return unlessTold(ctx, err)
	}
	if strings.HasPrefix(c.DatabaseURL, "sqlite:") {
		logger.Warn("SQLite serves one api and one worker process on one machine; for more, use PostgreSQL")
	}
	warnOfSchema(ctx, st, logger)
	logger.Info("serving", slog.String("address", api.Addr.String()), slog.String("public_url", c.PublicURL), slog.String("version", version()))
	return serve(ctx, failed, api.Stop, c.DrainDelay+stopTime, logger)
}

// warnOfSchema says early what /readyz says: nothing works before kaiwa migrate
// has run, but it may be running.
func warnOfSchema(ctx context.Context, st *store.Store, logger *slog.Logger) {
	current, err := st.SchemaCurrent(ctx)
	switch {
	case err != nil:
		logger.Warn("the database does not tell its schema", slog.Any("error", err))
	case !current:
		logger.Warn("the database's schema is older than this version: run kaiwa migrate")
	}
}
