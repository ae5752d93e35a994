package process

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Probe is the small HTTP server of a process that has no API: /healthz says
// that it lives, /readyz that it works, /metrics how it does. It has no
// authentication.
type Probe struct {
	Addr   net.Addr
	server *http.Server
	ready  atomic.Bool
}

// StartProbe serves on an address that a setting names. The error names it.
func StartProbe(setting, addr string, logger *slog.Logger) (*Probe, error) {
	listener, err := Listen(setting, addr)
	if err != nil {
		return nil, err
	}
	p := &Probe{Addr: listener.Addr()}
	registry := prometheus.NewRegistry()
	registry.MustRegister( // cannot fail: they are the first and differ
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kaiwa_worker_ready", Help: "1 while the worker polls for work."}, func() float64 {
			if p.ready.Load() {
				return 1
			}
			return 0
		}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if p.ready.Load() {
			tell(w, http.StatusOK, "ready")
			return
		}
		tell(w, http.StatusServiceUnavailable, "waiting")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	p.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go func() { _ = p.server.Serve(listener) }() // ends with Stop
	return p, nil
}

func tell(w http.ResponseWriter, code int, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `{"status":"`+status+"\"}\n") // who asked is gone
}

// SetReady says whether the process works.
func (p *Probe) SetReady(ready bool) { p.ready.Store(ready) }

// Stop stops at once: whoever probes sees the end as it is.
func (p *Probe) Stop() { _ = p.server.Close() }
