package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"

	"kaiwa/internal/traceparent"
)

// Tracer makes spans. A nil Tracer makes none, and costs nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// NewTracer returns a Tracer that exports as OpenTelemetry's environment
// variables say; nil when they name no endpoint, or switch traces off. service
// is the name of the process where OTEL_SERVICE_NAME is not set.
func NewTracer(ctx context.Context, service string) (*Tracer, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" ||
		strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	var exporter sdktrace.SpanExporter
	var err error
	switch protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	case "", "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	default:
		err = fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is none of grpc and http/protobuf", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("export of traces: %w", err)
	}
	// What the environment says wins.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return TracerOf(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))), nil
}

// TracerOf returns a Tracer on a provider.
func TracerOf(provider *sdktrace.TracerProvider) *Tracer {
	return &Tracer{provider, provider.Tracer("kaiwa")}
}

// Stop exports what is left, within five seconds.
func (t *Tracer) Stop() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Interceptor makes the spans of Temporal's client and workers.
func (t *Tracer) Interceptor() (interceptor.Interceptor, error) {
	return opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.tracer, TextMapPropagator: propagation.TraceContext{}, DisableBaggage: true, DisableQueryTracing: true,
		AllowInvalidParentSpans: true, // of a run that another version began
	})
}

// From begins a span that goes on with what was taken up from the database: it
// belongs to the trace of the first of these traceparents and is linked to all,
// and to the span that ctx has. Without any it is a part of ctx's own trace.
func (t *Tracer) From(ctx context.Context, name string, begun time.Time, parents []string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(context.Background())
	}
	var links []trace.Link
	outer := trace.SpanContextFromContext(ctx)
	for _, text := range parents {
		parent := traceparent.Parse(text)
		if !parent.IsValid() {
			continue
		}
		if len(links) == 0 {
			ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
		}
		links = append(links, trace.Link{SpanContext: parent})
	}
	if len(links) > 0 && outer.IsValid() {
		links = append(links, trace.Link{SpanContext: outer})
	}
	return t.tracer.Start(ctx, name, trace.WithTimestamp(begun), trace.WithLinks(links...), trace.WithAttributes(attributes...))
}

// Request begins the span of a request that is served. Whose request may be part
// of a trace of their own is for the caller to know.
func (t *Tracer) Request(r *http.Request, trusted bool) (context.Context, trace.Span) {
	ctx := r.Context()
	if trusted {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	return t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", r.Method)))
}

// Served ends the span of a request.
func Served(span trace.Span, method, route string, status int) {
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// Transport makes a span of each call, by a name that says what it is for.
// Addresses are not in it: they hold ids of customers, and a bot's may hold its
// password. tell hands the trace on to whom is called.
func (t *Tracer) Transport(next http.RoundTripper, tell bool, name func(*http.Request) string) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{t, next, tell, name}
}

type transport struct {
	tracer *Tracer
	next   http.RoundTripper
	tell   bool
	name   func(*http.Request) string
}

// RoundTrip carries out a request within a span.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.tracer.Start(req.Context(), t.name(req), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("http.request.method", req.Method)))
	defer span.End()
	req = req.Clone(ctx) // a transport may not change what it was given
	if t.tell {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		span.SetStatus(codes.Error, "no answer") // the error may hold the address
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", res.StatusCode))
	if res.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
	return res, nil
}
