package process

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kaiwa/internal/engine"
	"kaiwa/internal/readiness"
	"kaiwa/internal/store"
)

// What a worker's readiness depends on.
const (
	dependsOnDatabase = "database"
	dependsOnSchema   = "schema"
	dependsOnTemporal = "temporal"
	dependsOnPollers  = "pollers"
)

// NewWorkerReadiness returns the readiness of a worker process that has nothing
// yet; see WatchOutside and WatchWorker.
func NewWorkerReadiness(logger *slog.Logger) *readiness.Readiness {
	return readiness.New(logger, dependsOnDatabase, dependsOnSchema, dependsOnTemporal, dependsOnPollers)
}

// WatchOutside has a worker process's readiness depend on its database and on
// Temporal.
func WatchOutside(ready *readiness.Readiness, st *store.Store, t *Temporal) {
	ready.Watch(dependsOnDatabase, readiness.Answers(st.Ping))
	ready.Watch(dependsOnSchema, readiness.Schema(st.SchemaCurrent))
	ready.Watch(dependsOnTemporal, readiness.Answers(engine.New(t.Client).Ready))
}

// WatchWorker has it depend on a worker that was started.
func WatchWorker(ready *readiness.Readiness, w *Worker) {
	ready.Watch(dependsOnPollers, func(context.Context) (readiness.State, error) {
		if w.worker.Polls() {
			return readiness.OK, nil
		}
		return readiness.Stopped, nil
	})
}

// Probe is the small HTTP server of a process that has no API: /healthz says
// that it lives, /readyz whether it works and what it lacks, /metrics how it
// does. It has no authentication.
type Probe struct {
	Addr   net.Addr
	server *http.Server
}

// StartProbe serves on an address that a setting names. The error names it.
func StartProbe(setting, addr string, ready *readiness.Readiness, t *Telemetry, logger *slog.Logger) (*Probe, error) {
	listener, err := Listen(setting, addr)
	if err != nil {
		return nil, err
	}
	p := &Probe{Addr: listener.Addr()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`+"\n") // who asked is gone
	})
	mux.Handle("GET /readyz", ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	p.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go func() { _ = p.server.Serve(listener) }() // ends with Stop
	return p, nil
}

// Stop stops at once: whoever probes sees the end as it is.
func (p *Probe) Stop() { _ = p.server.Close() }
