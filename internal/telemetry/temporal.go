package telemetry

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// TemporalMetrics has Temporal's SDK count into a registry, under its own names
// (temporal_…).
func TemporalMetrics(registry prometheus.Registerer, logger *slog.Logger) (client.MetricsHandler, error) {
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutTargetInfo(), exporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics of Temporal's SDK: %w", err)
	}
	inSeconds := metric.NewView(metric.Instrument{Unit: "s"}, metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: quick}})
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(inSeconds))
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
		OnError: func(err error) { logger.Warn("a metric of Temporal's SDK is lost", slog.Any("error", err)) },
	}), nil
}
