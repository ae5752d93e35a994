package telemetry

import "github.com/prometheus/client_golang/prometheus"

// API are the metrics of what an API process does beside serving; those of the
// server itself are its own.
type API struct {
	relayed *prometheus.CounterVec
}

// NewAPI registers the metrics of an API process.
func NewAPI(registry prometheus.Registerer) (*API, error) {
	m := &API{relayed: counter("kaiwa_relay_wakeups_total", "Wake-ups that the relay has asked for, because others were lost, by source: chats or surveys.", "source")}
	for _, source := range []string{"chats", "surveys"} {
		m.relayed.WithLabelValues(source)
	}
	return m, register(registry, m.relayed)
}

// Relayed counts a wake-up that the relay has asked for.
func (m *API) Relayed(source string) { m.relayed.WithLabelValues(source).Inc() }
