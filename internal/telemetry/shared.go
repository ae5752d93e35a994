package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
)

// Shared are the metrics of what every process does.
type Shared struct {
	calls      *prometheus.HistogramVec
	wakeups    *prometheus.CounterVec
	kicks      *prometheus.CounterVec
	looks      prometheus.Histogram
	matches    prometheus.Histogram
	statements [statementKinds]prometheus.Counter
	offers     *prometheus.HistogramVec
	waits      prometheus.Histogram
	scans      *prometheus.HistogramVec
}

// NewShared registers the metrics of what every process does.
func NewShared(registry prometheus.Registerer) (*Shared, error) {
	statements := counter("kaiwa_sql_statements_total", "SQL statements by kind, BEGIN, COMMIT and ROLLBACK not counted.", "kind")
	m := &Shared{
		calls:   histogram(quick, "kaiwa_line_call_duration_seconds", "Calls to LINE by endpoint and outcome: ok, duplicate, or the class of the failure.", "endpoint", "outcome"),
		wakeups: counter("kaiwa_wakeups_total", "Wake-ups of workflows by target and outcome: delivered, failed, coalesced with another, dropped because too many waited, spared one that has a task to do.", "target", "outcome"),
		kicks:   counter("kaiwa_dispatcher_kicks_total", "Kicks of the dispatcher's workflow by outcome: delivered, failed, coalesced with another.", "outcome"),
		looks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kaiwa_dispatcher_look_duration_seconds", Help: "Looks of the dispatcher.", Buckets: quick,
		}),
		matches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kaiwa_dispatcher_look_offers", Help: "Offers made in a look of the dispatcher.", Buckets: []float64{0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		}),
		offers: histogram(human, "kaiwa_offer_answer_seconds", "Time from an offer to its end, by how it ended.", "outcome"),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kaiwa_queue_wait_seconds", Help: "Time that a conversation has waited in a queue until an agent had it.", Buckets: human,
		}),
		scans: histogram(quick, "kaiwa_attachment_scan_duration_seconds", "Looks of the malware scanner at files by outcome: clean, malware, unscannable, failed.", "outcome"),
	}
	for kind, name := range statementNames {
		m.statements[kind] = statements.WithLabelValues(name)
	}
	for _, state := range []conversation.OfferState{conversation.OfferAccepted, conversation.OfferDeclined, conversation.OfferTimedOut, conversation.OfferRescinded} {
		m.offers.WithLabelValues(string(state))
	}
	return m, register(registry, m.calls, m.wakeups, m.kicks, m.looks, m.matches, statements, m.offers, m.waits, m.scans)
}

// LINECall counts a call to LINE.
func (m *Shared) LINECall(c line.Call) {
	m.calls.WithLabelValues(c.Endpoint, c.Outcome).Observe(c.Took.Seconds())
}

// Wakeups returns what counts the wake-ups of one kind of workflow.
func (m *Shared) Wakeups(target string) func(outcome string) {
	of := m.wakeups.MustCurryWith(prometheus.Labels{"target": target})
	return func(outcome string) { of.WithLabelValues(outcome).Inc() }
}

// Kick counts a kick of the dispatcher's workflow.
func (m *Shared) Kick(outcome string) { m.kicks.WithLabelValues(outcome).Inc() }

// Look counts a look of the dispatcher.
func (m *Shared) Look(offers int, took time.Duration) {
	m.looks.Observe(took.Seconds())
	m.matches.Observe(float64(offers))
}

// OfferEnded counts an offer that has ended.
func (m *Shared) OfferEnded(state conversation.OfferState, after time.Duration) {
	m.offers.WithLabelValues(string(state)).Observe(after.Seconds())
}

// Waited counts a conversation that an agent has, after its wait in a queue.
func (m *Shared) Waited(d time.Duration) { m.waits.Observe(d.Seconds()) }

// Scanned counts a look of the malware scanner at a file.
func (m *Shared) Scanned(outcome string, took time.Duration) {
	m.scans.WithLabelValues(outcome).Observe(took.Seconds())
}

const (
	kindSelect = iota
	kindInsert
	kindUpdate
	kindDelete
	kindOther
	statementKinds
)

var statementNames = [statementKinds]string{"select", "insert", "update", "delete", "other"}

// Statement counts an SQL statement.
func (m *Shared) Statement(q string) { m.statements[kindOf(q)].Inc() }

// kindOf tells a statement's kind by its first letter: nothing else that the
// store runs begins with these.
func kindOf(q string) int {
	for i := range len(q) {
		switch q[i] {
		case ' ', '\t', '\n':
			continue
		case 'S':
			return kindSelect
		case 'I':
			return kindInsert
		case 'U':
			return kindUpdate
		case 'D':
			return kindDelete
		}
		break
	}
	return kindOther
}
