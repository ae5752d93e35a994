// Package traceparent is a span's context as text, in the form of W3C Trace
// Context, so that a trace goes on where work is taken up from the database.
package traceparent

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const header = "traceparent"

// Of is the sampled span of a context as text; "" when there is none.
func Of(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// Parse is the inverse of Of. What is no traceparent is no valid span context.
func Parse(text string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{header: text})
	return trace.SpanContextFromContext(ctx)
}
