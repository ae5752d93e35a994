package api

import (
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the API's own. Labels are routes and enumerations, never ids.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
	events   *prometheus.CounterVec
	stored   prometheus.Histogram
	streams  prometheus.Gauge
	handler  echo.HandlerFunc
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaiwa_http_requests_total", Help: "Requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kaiwa_http_request_duration_seconds", Help: "Time from the request's header to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2, 5, 10, 30},
		}, []string{"method", "route"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaiwa_line_webhooks_total", Help: "Webhooks of LINE by what became of them.",
		}, []string{"outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaiwa_line_events_total", Help: "Events in accepted webhooks, duplicates too, by disposition; empty is to be handled.",
		}, []string{"disposition"}),
		stored: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kaiwa_line_webhook_store_delay_seconds", Help: "Time from the receipt of a webhook until its events are durable.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .03, .05, .1, .25, .5, 1, 1.5, 2},
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kaiwa_event_streams", Help: "Open streams of events."}),
		handler: echo.WrapHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})),
	}
	var errs error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.webhooks, m.events, m.stored, m.streams} {
		errs = errors.Join(errs, registry.Register(c))
	}
	return m, errs
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(known(method), route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(known(method), route).Observe(took.Seconds())
}

// known keeps invented methods from becoming labels without end.
func known(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}
