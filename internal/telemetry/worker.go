package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Worker are the metrics of a worker process. Its methods may be called on nil.
type Worker struct {
	ingested   prometheus.Histogram
	replied    prometheus.Histogram
	batches    *prometheus.CounterVec
	messages   *prometheus.CounterVec
	turns      *prometheus.HistogramVec
	unsendable *prometheus.CounterVec
	classified *prometheus.HistogramVec
	known      *prometheus.CounterVec
	findings   *prometheus.GaugeVec
	mended     prometheus.Counter
	reconciled prometheus.Gauge
}

// NewWorker registers the metrics of a worker process.
func NewWorker(registry prometheus.Registerer) (*Worker, error) {
	plain := func(buckets []float64, name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &Worker{
		ingested:   plain(quick, "kaiwa_line_event_ingest_delay_seconds", "Time from the receipt of an event to its commit into a conversation."),
		replied:    plain(quick, "kaiwa_line_reply_delay_seconds", "Time from the receipt of a webhook to LINE's acceptance of the reply made with its token."),
		batches:    counter("kaiwa_line_batches_total", "Batches of messages by the way they took and their end.", "via", "state"),
		messages:   counter("kaiwa_line_messages_total", "Messages of finished batches by the way they took and their state: accepted, failed, uncertain.", "via", "state"),
		turns:      histogram(quick, "kaiwa_bot_turn_duration_seconds", "Turns of bots, from question to stored answer, by kind of bot, outcome and failure.", "kind", "outcome", "failure"),
		unsendable: counter("kaiwa_bot_messages_unsendable_total", "Messages of bots that could not be sent as they are, by kind of bot. The others of the same answer are sent.", "kind"),
		classified: histogram(quick, "kaiwa_classifier_call_duration_seconds", "Calls to services that classify, by ruleset and outcome: answered, or why there is no answer.", "ruleset_id", "outcome"),
		known:      counter("kaiwa_classifier_cache_hits_total", "Questions to services that classify which were answered by what the service had found before, by ruleset.", "ruleset_id"),
		findings:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kaiwa_reconciler_findings", Help: "What the reconciler's last look in this process found, by kind."}, []string{"kind"}),
		mended:     prometheus.NewCounter(prometheus.CounterOpts{Name: "kaiwa_reconciler_mended_total", Help: "Chats that the reconciler has woken."}),
		reconciled: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kaiwa_reconciler_last_look_timestamp_seconds", Help: "When the reconciler last looked in this process; 0 before it has led."}),
	}
	return m, register(registry, m.ingested, m.replied, m.batches, m.messages, m.turns, m.unsendable, m.classified, m.known, m.findings, m.mended, m.reconciled)
}

// Ingested counts an event that was committed into a conversation.
func (m *Worker) Ingested(delay time.Duration) {
	if m != nil {
		m.ingested.Observe(delay.Seconds())
	}
}

// Replied counts a reply that LINE accepted so long after the webhook.
func (m *Worker) Replied(delay time.Duration) {
	if m != nil {
		m.replied.Observe(delay.Seconds())
	}
}

// Batch counts a finished batch.
func (m *Worker) Batch(via, state string) {
	if m != nil {
		m.batches.WithLabelValues(via, state).Inc()
	}
}

// Messages counts messages of a finished batch.
func (m *Worker) Messages(via, state string, n int) {
	if m != nil && n > 0 {
		m.messages.WithLabelValues(via, state).Add(float64(n))
	}
}

// Turn counts a turn of a bot.
func (m *Worker) Turn(kind, outcome, failure string, took time.Duration) {
	if m != nil {
		m.turns.WithLabelValues(kind, outcome, failure).Observe(took.Seconds())
	}
}

// Unsendable counts messages of a bot that cannot be sent.
func (m *Worker) Unsendable(kind string, n int) {
	if m != nil && n > 0 {
		m.unsendable.WithLabelValues(kind).Add(float64(n))
	}
}

// Classified counts a call to a service that classifies: answered, or the
// failure.
func (m *Worker) Classified(rulesetID, outcome string, took time.Duration) {
	if m != nil {
		m.classified.WithLabelValues(rulesetID, outcome).Observe(took.Seconds())
	}
}

// ClassifierKnown counts a question whose answer was known.
func (m *Worker) ClassifierKnown(rulesetID string) {
	if m != nil {
		m.known.WithLabelValues(rulesetID).Inc()
	}
}

// Reconciled notes what a look of the reconciler found.
func (m *Worker) Reconciled(findings map[string]int, mended int) {
	if m == nil {
		return
	}
	for kind, n := range findings {
		m.findings.WithLabelValues(kind).Set(float64(n))
	}
	m.mended.Add(float64(mended))
	m.reconciled.SetToCurrentTime()
}
