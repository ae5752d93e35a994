package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/inbox"
	"kaiwa/internal/telemetry"
)

// spans are what a process has exported.
type spans []tracetest.SpanStub

// one is the only span of a name.
func (s spans) one(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found spans
	for _, span := range s {
		if span.Name == name {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// linked tells whether a span is linked to another.
func linked(from, to tracetest.SpanStub) bool {
	return slices.ContainsFunc(from.Links, func(l sdktrace.Link) bool { return l.SpanContext.SpanID() == to.SpanContext.SpanID() })
}

func TestTheTraceOfAMessageLeadsFromTheWebhookToLINE(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, dialect string) {
		exported := tracetest.NewInMemoryExporter()
		k := start(t, dialect, func(o *dev.Options) {
			o.Tracer = telemetry.TracerOf(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)))
		})
		k.arrange(withEcho)
		emma := k.newCustomer("Emma Woodhouse")
		emma.writes("the first message begins a conversation")
		emma.isAnswered(1)
		emma.isQuiet()
		before := emma.historyLength()
		exported.Reset()

		sent := emma.writes("my secret is safe")
		emma.isAnswered(2)
		emma.isQuiet()
		require.LessOrEqual(t, int(emma.historyLength()-before), 12, "a trace adds no events")
		var all spans
		k.eventually(func() bool { // the request's span ends after its answer
			all = spans(exported.GetSpans())
			return slices.ContainsFunc(all, func(s tracetest.SpanStub) bool { return s.Name == "LINE reply" }) &&
				slices.ContainsFunc(all, func(s tracetest.SpanStub) bool { return s.Name == "POST /webhooks/line/:channel_id" }) &&
				slices.ContainsFunc(all, func(s tracetest.SpanStub) bool { return s.Name == "send" })
		}, "the spans are exported")

		webhook := all.one(t, "POST /webhooks/line/:channel_id")
		ingest, turn, send, reply := all.one(t, "ingest"), all.one(t, "bot turn"), all.one(t, "send"), all.one(t, "LINE reply")
		require.False(t, webhook.Parent.IsValid(), "LINE's trace, if it has one, is not ours")
		for _, pair := range [][2]tracetest.SpanStub{{webhook, ingest}, {ingest, turn}, {turn, send}, {send, reply}} {
			parent, child := pair[0], pair[1]
			require.Equal(t, parent.SpanContext.TraceID(), child.SpanContext.TraceID(), child.Name)
			require.Equal(t, parent.SpanContext.SpanID(), child.Parent.SpanID(), child.Name)
		}
		require.True(t, linked(ingest, webhook))
		for _, span := range []tracetest.SpanStub{ingest, send} {
			activity := slices.IndexFunc(all, func(s tracetest.SpanStub) bool {
				return linked(span, s) && s.InstrumentationScope.Name != "" && s.Name[:4] == "RunA"
			})
			require.GreaterOrEqual(t, activity, 0, "%s leads to its activity", span.Name)
		}

		said := ""
		for _, s := range all {
			said += fmt.Sprintln(s.Name, s.Status.Description, s.Attributes, s.Events)
			for _, l := range s.Links {
				said += fmt.Sprintln(l.Attributes)
			}
		}
		for _, secret := range []string{"secret", "safe", "Emma", "Woodhouse", sent.ReplyToken, "kaiwa-dev-channel", "kaiwa-dev-admin", emma.id, "127.0.0.1"} {
			require.NotContains(t, said, secret)
		}
	})
}

func TestMessagesOfOneWakeUpKeepTheirTraces(t *testing.T) {
	t.Parallel()
	exported := tracetest.NewInMemoryExporter()
	k := start(t, "sqlite", func(o *dev.Options) {
		o.Tracer = telemetry.TracerOf(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)))
		o.DropWakeups = func() bool { return true } // the relay takes them together
	})
	k.arrange(withEcho)
	emma := k.newCustomer("Emma")
	for _, text := range numbered(3) {
		emma.writes(text)
	}
	require.NoError(t, k.Sim.WaitIdle(t.Context()))
	require.NoError(t, inbox.Temporal(k.Temporal)(t.Context(), k.Seeded.ChannelID, emma.chatKey()))
	emma.isAnswered(1)
	emma.isQuiet()
	all := spans(exported.GetSpans())
	ingest := all.one(t, "ingest")
	n := 0
	for _, s := range all {
		if s.Name == "POST /webhooks/line/:channel_id" && linked(ingest, s) {
			n++
		}
	}
	require.Equal(t, 3, n, "the ingest is linked to each webhook")
}
