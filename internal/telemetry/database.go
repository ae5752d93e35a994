package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kaiwa/internal/store"
)

const (
	// backlogEvery is how often the database is asked for the backlog at most,
	// however many ask.
	backlogEvery = 5 * time.Second
	// backlogTime bounds the question.
	backlogTime = 2 * time.Second
)

// backlog asks the database what waits, when somebody asks for metrics.
type backlog struct {
	read   func(context.Context) (store.Backlog, error)
	logger *slog.Logger

	known, unhandled, oldest, pending, frozen, unnumbered, lag, held, waiting *prometheus.Desc

	mu    sync.Mutex
	until time.Time
	last  store.Backlog
	ok    bool
}

// RegisterBacklog registers what waits in the database. A database that is away
// leaves out these metrics and nothing else.
func RegisterBacklog(registry prometheus.Registerer, s *store.Store, logger *slog.Logger) error {
	return registry.Register(newBacklog(s.Backlog, logger))
}

func newBacklog(read func(context.Context) (store.Backlog, error), logger *slog.Logger) *backlog {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &backlog{
		read: read, logger: logger,
		known:      gauge("kaiwa_backlog_known", "1 when the database has told the backlog, 0 when it did not in time; then the others are missing."),
		unhandled:  gauge("kaiwa_line_events_unhandled", "Events that no conversation has taken in."),
		oldest:     gauge("kaiwa_line_events_oldest_unhandled_seconds", "Age of the oldest event that no conversation has taken in; 0 when there is none."),
		pending:    gauge("kaiwa_messages_pending", "Messages to customers that are in no batch yet."),
		frozen:     gauge("kaiwa_line_batches_unfinished", "Batches on their way to LINE."),
		unnumbered: gauge("kaiwa_events_unnumbered", "Events of the record that have no number yet."),
		lag:        gauge("kaiwa_events_oldest_unnumbered_seconds", "Age of the oldest event that has no number yet: how far the sequencer is behind; 0 when it is not."),
		held:       gauge("kaiwa_line_channels_held", "Channels whose access token LINE refuses: nothing is sent on them."),
		waiting:    gauge("kaiwa_queue_waiting", "Conversations that wait in a queue.", "queue_id"),
	}
}

// Describe lists the metrics.
func (b *backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.known, b.unhandled, b.oldest, b.pending, b.frozen, b.unnumbered, b.lag, b.held, b.waiting} {
		ch <- d
	}
}

// Collect asks the database, if that was not done just now.
func (b *backlog) Collect(ch chan<- prometheus.Metric) {
	last, ok := b.look()
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...) // cannot fail: the labels are as many
	}
	if !ok {
		send(b.known, 0)
		return
	}
	age := func(us int64) float64 {
		if us == 0 {
			return 0
		}
		return max(0, time.Since(time.UnixMicro(us)).Seconds())
	}
	send(b.known, 1)
	send(b.unhandled, float64(last.Unhandled))
	send(b.oldest, age(last.OldestUnhandled))
	send(b.pending, float64(last.Pending))
	send(b.frozen, float64(last.Frozen))
	send(b.unnumbered, float64(last.Unnumbered))
	send(b.lag, age(last.OldestUnnumbered))
	send(b.held, float64(last.Held))
	for queue, n := range last.Waiting {
		send(b.waiting, float64(n), queue)
	}
}

func (b *backlog) look() (store.Backlog, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.until) {
		return b.last, b.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), backlogTime)
	defer cancel()
	var err error
	if b.last, err = b.read(ctx); err != nil {
		b.logger.Warn("the backlog is not known", slog.Any("error", err))
	}
	b.ok, b.until = err == nil, time.Now().Add(backlogEvery)
	return b.last, b.ok
}

// pools tells how the connections to the database do.
type pools struct {
	stats              func() []store.PoolStats
	open, waits, spent *prometheus.Desc
}

// RegisterPools registers the store's connections.
func RegisterPools(registry prometheus.Registerer, s *store.Store) error {
	return registry.Register(&pools{
		stats: s.Pools,
		open:  prometheus.NewDesc("kaiwa_database_connections", "Open connections by pool and state.", []string{"pool", "state"}, nil),
		waits: prometheus.NewDesc("kaiwa_database_connection_waits_total", "How often somebody waited for a connection.", []string{"pool"}, nil),
		spent: prometheus.NewDesc("kaiwa_database_connection_wait_seconds_total", "How long was waited for connections.", []string{"pool"}, nil),
	})
}

// Describe lists the metrics.
func (p *pools) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.open, p.waits, p.spent} {
		ch <- d
	}
}

// Collect reads the pools' own counters.
func (p *pools) Collect(ch chan<- prometheus.Metric) {
	for _, s := range p.stats() {
		ch <- prometheus.MustNewConstMetric(p.open, prometheus.GaugeValue, float64(s.InUse), s.Name, "in_use")
		ch <- prometheus.MustNewConstMetric(p.open, prometheus.GaugeValue, float64(s.Idle), s.Name, "idle")
		ch <- prometheus.MustNewConstMetric(p.waits, prometheus.CounterValue, float64(s.WaitCount), s.Name)
		ch <- prometheus.MustNewConstMetric(p.spent, prometheus.CounterValue, s.WaitDuration.Seconds(), s.Name)
	}
}
