package process

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/client"

	"kaiwa/internal/line"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// Telemetry is what a process tells about itself. There is one in a process,
// made before anything else.
type Telemetry struct {
	Registry *prometheus.Registry
	temporal client.MetricsHandler
	shared   *telemetry.Shared
	working  *telemetry.Worker // nil until a worker is started for the first time
	tracer   *telemetry.Tracer // nil: no traces
	logger   *slog.Logger
}

// NewTelemetry returns a process's telemetry. tracer may be nil.
func NewTelemetry(tracer *telemetry.Tracer, logger *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{Registry: prometheus.NewRegistry(), tracer: tracer, logger: logger}
	t.Registry.MustRegister( // cannot fail: they are the first and differ
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if t.shared, err = telemetry.NewShared(t.Registry); err != nil {
		return nil, err
	}
	t.temporal, err = telemetry.TemporalMetrics(t.Registry, logger)
	return t, err
}

// Temporal has a client of Temporal that is to be made, and the workers on it,
// tell what they do.
func (t *Telemetry) Temporal(o *client.Options) error {
	o.MetricsHandler = t.temporal
	if t.tracer == nil {
		return nil
	}
	spans, err := t.tracer.Interceptor()
	if err != nil {
		return fmt.Errorf("traces of Temporal's SDK: %w", err)
	}
	o.Interceptors = append(o.Interceptors, spans)
	return nil
}

// Stop sends what is left of the traces.
func (t *Telemetry) Stop() {
	if err := t.tracer.Stop(); err != nil {
		t.logger.Warn("the last traces were not exported", slog.Any("error", err))
	}
}

// line has calls to LINE, which is told nothing of a trace, make spans.
func (t *Telemetry) line(next http.RoundTripper) http.RoundTripper {
	return t.tracer.Transport(next, false, func(r *http.Request) string { return "LINE " + line.Endpoint(r.URL.Path) })
}

// bots has calls to bots, which may go on with the trace, make spans.
func (t *Telemetry) bots(c *http.Client) *http.Client {
	c.Transport = t.tracer.Transport(c.Transport, true, func(*http.Request) string { return "bot" })
	return c
}

// Store has a store that is to be opened tell what it does.
func (t *Telemetry) Store(o *store.Options) {
	observe := o.Observe
	o.Observe = t.shared.Statement
	if observe != nil {
		o.Observe = func(q string) { t.shared.Statement(q); observe(q) }
	}
	o.Watch = store.Watch{OfferEnded: t.shared.OfferEnded, Waited: t.shared.Waited}
}

// Opened has an open store's connections tell how they do.
func (t *Telemetry) Opened(s *store.Store) error { return telemetry.RegisterPools(t.Registry, s) }

// api adds what an API process tells.
func (t *Telemetry) api(s *store.Store) (*telemetry.API, error) {
	if err := telemetry.RegisterBacklog(t.Registry, s, t.logger); err != nil {
		return nil, err
	}
	return telemetry.NewAPI(t.Registry)
}

// worker adds what a worker process tells, once, however often it is started.
func (t *Telemetry) worker() (*telemetry.Worker, error) {
	var err error
	if t.working == nil {
		t.working, err = telemetry.NewWorker(t.Registry)
	}
	return t.working, err
}

// reconciled notes a look of the reconciler.
func reconciled(m *telemetry.Worker) func(reconcile.Report) {
	return func(r reconcile.Report) { m.Reconciled(r.Counts(), r.Mended) }
}
