// Package telemetry is what Kaiwa's processes tell about themselves: metrics in
// Prometheus' form and traces in OpenTelemetry's. Labels and attributes are
// enumerations and ids of the configuration, never a customer's, and never what
// anybody wrote.
//
// The metrics of a part may be nil: then nothing is counted.
package telemetry

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Buckets of durations, in seconds: of what is to be done in milliseconds, and
// of what people wait for.
var (
	quick = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	human = []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400}
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(buckets []float64, name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func register(registry prometheus.Registerer, collectors ...prometheus.Collector) error {
	var errs error
	for _, c := range collectors {
		errs = errors.Join(errs, registry.Register(c))
	}
	return errs
}
