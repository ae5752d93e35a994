package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"kaiwa/internal/traceparent"
)

func TestOnlyWhoMayKnowIsToldOfATrace(t *testing.T) {
	t.Parallel()
	exported := tracetest.NewInMemoryExporter()
	tracer := TracerOf(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)))
	told := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header.Get("traceparent") }))
	t.Cleanup(server.Close)
	for _, tell := range []bool{true, false} {
		exported.Reset()
		client := &http.Client{Transport: tracer.Transport(http.DefaultTransport, tell, func(*http.Request) string { return "bot" })}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/hook?password=secret", nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		span := exported.GetSpans()[0]
		require.NotContains(t, fmt.Sprint(span.Attributes), "secret")
		header := <-told
		require.Equal(t, tell, header != "")
		if tell {
			require.Equal(t, span.SpanContext.SpanID(), traceparent.Parse(header).SpanID())
		}
		require.Empty(t, req.Header.Get("traceparent"), "the caller's request is as it was")
	}
}

func TestASpanThatIsNotSampledLeavesNothing(t *testing.T) {
	t.Parallel()
	tracer := TracerOf(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())))
	ctx, span := tracer.From(t.Context(), "ingest", time.Now(), nil)
	defer span.End()
	require.Empty(t, traceparent.Of(ctx))
	require.Empty(t, traceparent.Of(t.Context()))
	require.False(t, traceparent.Parse("").IsValid())
	require.False(t, traceparent.Parse("00-nonsense").IsValid())
}

func TestNothingIsExportedUnlessAnEndpointIsSet(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(name, "")
	}
	tracer, err := NewTracer(t.Context(), "kaiwa-api")
	require.NoError(t, err)
	require.Nil(t, tracer)
	require.NoError(t, tracer.Stop())

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	tracer, err = NewTracer(t.Context(), "kaiwa-api")
	require.NoError(t, err)
	require.NotNil(t, tracer)
	require.NoError(t, tracer.Stop())
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
	_, err = NewTracer(t.Context(), "kaiwa-api")
	require.ErrorContains(t, err, "carrier-pigeon")
	t.Setenv("OTEL_SDK_DISABLED", "true")
	tracer, err = NewTracer(t.Context(), "kaiwa-api")
	require.NoError(t, err)
	require.Nil(t, tracer)
}

// What the spans of a message cost where nothing is exported.
func BenchmarkNoTraces(b *testing.B) {
	var tracer *Tracer
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := tracer.From(ctx, "bot turn", time.Time{}, nil, attribute.String("kaiwa.conversation", "cnv_1"), attribute.String("kaiwa.turn", "trn_1"))
		span.End()
		_ = traceparent.Of(ctx)
		_ = traceparent.Of(ctx)
	}
}
