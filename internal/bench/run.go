package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"kaiwa/internal/linesim"
	"kaiwa/internal/rig"
)

// Scenarios is how many there are; they are numbered from 1.
const Scenarios = 7

// Size is how much a run does.
type Size int

// The sizes.
const (
	Full  Size = iota // some minutes
	Quick             // about a minute: shows that it works
	Tiny              // seconds: for tests
)

// Options say what to measure, and where.
type Options struct {
	Kaiwa    string // the binary whose api and worker are measured
	Version  string // its version, for the report
	Temporal string // address of a scratch Temporal
	Database string // URL of a scratch database, without conversations
	Only     []int  // scenarios; none is all
	Seed     uint64
	Size     Size
	// Profile is a directory for CPU profiles of the api and worker processes, one
	// of each a scenario; "" takes none.
	Profile string
	// Progress, when given, is told what is being done.
	Progress func(string)
}

// ErrInUse is returned for a database that has conversations.
var ErrInUse = errors.New("the database has conversations: the benchmark needs one of its own, which it fills")

// run is one run.
type run struct {
	o      Options
	size   sizes
	dir    string
	rig    *rig.Rig
	sql    *scratch
	office *office
	bare   *bare
	report *Report
	client client.Client

	local, regular []string // bare workflows

	support, bots channel
	queue         string
	agents        []agent
	texts         int     // numbers given out to texts, in millions
	anybody       string  // the id of an agent whose conversations are in the database
	served        []*chat // have an agent
	botted        []*chat // talk to the bot
}

// sizes are a Size in numbers.
type sizes struct {
	lanes, chats     int // conversations of which each does one thing at a time; of all loads
	rounds           int
	oneEach          int // messages a lane and round, one at a time
	floodEach        int
	ackFor, maxFor   time.Duration
	backlog          int // messages, at a thousand a second
	latencyFor       time.Duration
	lost, kills      int // wake-ups; workers
	waiting          int // conversations that wait for 50 queues
	staff            int // agents of these
	deliveries       int // offers of which the delivery is measured
	arrivalsFor      time.Duration
	longest          []int // messages of one conversation at which its cost is looked at
	open, messages   int   // conversations and messages that are in the database already
	idle             int   // conversations of which the memory is measured
	readsFor         time.Duration
	watchers         int
	watchFor         time.Duration
	throughputRounds int
}

func sizesOf(s Size) sizes {
	switch s {
	case Tiny:
		return sizes{
			lanes: 4, chats: 8, rounds: 1, oneEach: 3, floodEach: 5, ackFor: 500 * time.Millisecond, maxFor: 300 * time.Millisecond, backlog: 50,
			latencyFor: 500 * time.Millisecond, waiting: 200, staff: 20, deliveries: 10, arrivalsFor: 500 * time.Millisecond, longest: []int{5, 10},
			open: 200, messages: 2000, idle: 10, readsFor: 500 * time.Millisecond, watchers: 10, watchFor: 500 * time.Millisecond, throughputRounds: 1,
		}
	case Quick:
		return sizes{
			lanes: 30, chats: 60, rounds: 1, oneEach: 10, floodEach: 30, ackFor: 4 * time.Second, maxFor: 2 * time.Second, backlog: 2000,
			latencyFor: 5 * time.Second, lost: 6, kills: 1, waiting: 2000, staff: 200, deliveries: 200, arrivalsFor: 5 * time.Second, longest: []int{10, 100, 300},
			open: 5000, messages: 50_000, idle: 200, readsFor: 5 * time.Second, watchers: 100, watchFor: 5 * time.Second, throughputRounds: 1,
		}
	}
	return sizes{
		lanes: 50, chats: 200, rounds: 3, oneEach: 20, floodEach: 60, ackFor: 30 * time.Second, maxFor: 10 * time.Second, backlog: 10_000,
		latencyFor: 30 * time.Second, lost: 20, kills: 3, waiting: 10_000, staff: 1000, deliveries: 2000, arrivalsFor: 30 * time.Second,
		longest: []int{10, 100, 1000, 5000},
		open:    100_000, messages: 1_000_000, idle: 2000, readsFor: 30 * time.Second, watchers: 1000, watchFor: 30 * time.Second, throughputRounds: 5,
	}
}

// The scenarios in the order they are run: what fills the database comes last.
var order = []struct {
	number int
	name   string
	do     func(*run, context.Context) error
}{
	{1, "inbound, an agent serving", (*run).inbound},
	{2, "the bot's answer", (*run).botAnswer},
	{3, "an agent's message", (*run).agentMessage},
	{4, "the acknowledgement of webhooks", (*run).acknowledgement},
	{7, "agents watching", (*run).watching},
	{5, "assignment", (*run).assignment},
	{6, "growth", (*run).growth},
}

// Run measures. The report has what was measured up to an error, too.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	for _, n := range o.Only {
		if n < 1 || n > Scenarios {
			return nil, fmt.Errorf("there is no scenario %d; they are 1 to %d", n, Scenarios)
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r := &run{o: o, size: sizesOf(o.Size), report: &Report{At: time.Now().UTC(), Seed: o.Seed, Quick: o.Size != Full, Machine: thisMachine()}}
	r.report.Machine.Kaiwa = o.Version
	begun := time.Now()
	defer func() { r.report.Took = time.Since(begun).Round(time.Second).String() }()
	if r.sql, err = openScratch(ctx, o.Database); err != nil {
		return r.report, err
	}
	defer func() { err = errors.Join(err, r.sql.close()) }()
	r.report.Store = r.sql.name
	used, err := r.sql.used(ctx)
	if err != nil {
		return r.report, err
	}
	if used {
		return r.report, ErrInUse
	}
	stop, err := r.start(ctx)
	if err != nil {
		return r.report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, s := range order {
		if len(o.Only) > 0 && !slices.Contains(o.Only, s.number) {
			continue
		}
		o.Progress(fmt.Sprintf("%d %s", s.number, s.name))
		if err := r.profiled(ctx, s.number, s.do); err != nil {
			return r.report, errors.Join(fmt.Errorf("scenario %d, %s: %w", s.number, s.name, err), r.rig.Ended())
		}
		r.rig.Simulator.ForgetCalls()
	}
	return r.report, nil
}

// start starts the processes, the baseline's worker, and furnishes the
// installation.
func (r *run) start(ctx context.Context) (stop func() error, err error) {
	dir, err := os.MkdirTemp("", "kaiwa-bench-")
	if err != nil {
		return nil, err
	}
	var stops []func() error
	stop = func() (err error) {
		for _, f := range slices.Backward(stops) {
			err = errors.Join(err, f())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	r.dir = dir
	stops = append(stops, func() error { return os.RemoveAll(dir) })
	var env []string
	if r.o.Profile != "" {
		env = append(env, "KAIWA_PPROF_ADDR=127.0.0.1:0")
	}
	r.rig, err = rig.Start(ctx, rig.Options{
		Dir: dir, Kaiwa: r.o.Kaiwa, Temporal: r.o.Temporal, Database: r.o.Database, Env: env, Progress: r.o.Progress,
		Simulator: linesim.Options{MaxCalls: 1000, MaxDeliveries: 1000},
	})
	if err != nil {
		return stop, err
	}
	stops = append(stops, r.rig.Close)
	r.client, err = client.Dial(client.Options{HostPort: r.o.Temporal, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() error { r.client.Close(); return nil })
	if err := r.versions(ctx); err != nil {
		return stop, err
	}
	if r.bare, err = startBare(r.client, r.o.Seed); err != nil {
		return stop, err
	}
	stops = append(stops, func() error { r.bare.close(); return nil })
	if r.office, err = openOffice(ctx, r.rig, r.o.Seed); err != nil {
		return stop, err
	}
	stops = append(stops, func() error { r.office.close(); return nil })
	return stop, r.furnish(ctx)
}

func (r *run) versions(ctx context.Context) error {
	info, err := r.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return err
	}
	r.report.Machine.Temporal = info.ServerVersion
	r.report.Machine.Database, err = r.sql.version(ctx)
	return err
}

// echo is a bot that answers each message with one of its own.
const echo = `{
	"version": 1, "default_locale": "en", "start": "first",
	"nodes": {
		"first": {"say": ["welcome"], "goto": "wait"},
		"wait": {"capture": {"into": "heard", "kind": "pattern", "pattern": "[a-z][0-9]+", "goto": "answer"}},
		"answer": {"say": ["heard {$heard}"], "goto": "wait"},
		"person": {"say": ["a person comes"], "handoff": {}}
	},
	"handoff": {"node": "person", "words": ["person please"]}
}`

// furnish makes two accounts, one that people answer and one that a bot does,
// and the conversations and bare workflows that scenarios use together.
func (r *run) furnish(ctx context.Context) (err error) {
	r.o.Progress("conversations")
	o := r.office
	if r.queue, err = o.post(ctx, "/queues", map[string]any{"name": "Support", "priority": 10}); err != nil {
		return err
	}
	people, err := o.post(ctx, "/workstreams", map[string]any{
		"name": "People", "mode": "push", "fallback_queue_id": r.queue, "settings": map[string]any{"assignment": keeping(nil)},
	})
	if err != nil {
		return err
	}
	if r.support, err = o.connect(ctx, "1900000001", people); err != nil {
		return err
	}
	script, err := o.post(ctx, "/bots", map[string]any{"name": "Echo", "kind": "script", "script": jsonText(echo)})
	if err != nil {
		return err
	}
	talk, err := o.post(ctx, "/workstreams", map[string]any{"name": "Bot", "mode": "push", "fallback_queue_id": r.queue, "bot_id": script})
	if err != nil {
		return err
	}
	if r.bots, err = o.connect(ctx, "1900000002", talk); err != nil {
		return err
	}
	if r.agents, err = o.hire(ctx, "agent", r.queue, r.size.lanes, 1+r.size.chats/r.size.lanes); err != nil {
		return err
	}
	if r.wants(1, 3, 4, 6) {
		if r.served, err = o.customers(ctx, r.support, r.size.chats); err != nil {
			return err
		}
		if err := o.serve(ctx, r.served, r.agents); err != nil {
			return err
		}
	}
	if r.wants(2, 4) {
		if r.botted, err = o.customers(ctx, r.bots, r.size.chats); err != nil {
			return err
		}
		if err := o.greet(ctx, r.botted); err != nil {
			return err
		}
	}
	if r.local, err = r.bare.workflows(ctx, "local", r.size.lanes, bareInput{Local: true}); err != nil {
		return err
	}
	r.regular, err = r.bare.workflows(ctx, "regular", r.size.lanes, bareInput{})
	return err
}

// jsonText is JSON that is there already.
type jsonText string

// MarshalJSON gives it as it is.
func (t jsonText) MarshalJSON() ([]byte, error) { return []byte(t), nil }

// wants tells whether one of the scenarios is to be run.
func (r *run) wants(scenarios ...int) bool {
	return len(r.o.Only) == 0 || slices.ContainsFunc(scenarios, func(n int) bool { return slices.Contains(r.o.Only, n) })
}

// sqlite tells on what Kaiwa stands: some bars differ.
func (r *run) sqlite() bool { return strings.HasPrefix(r.o.Database, "sqlite:") }

// here is one number on SQLite and another on PostgreSQL.
func (r *run) here(sqlite, postgres float64) float64 {
	if r.sqlite() {
		return sqlite
	}
	return postgres
}

// seed is one for a purpose, so that a scenario's load does not depend on what
// was run before it.
func (r *run) seed(purpose uint64) uint64 { return cmp.Or(r.o.Seed, 1)*1_000_003 + purpose }

// compare adds the figure of two rates that are measured side by side, and that
// of the SQL statements Kaiwa ran for one message, with its bar if it has one.
func (r *run) compare(ctx context.Context, scenario int, what, unit string, rounds int, bar, sqlBar *Bar, kaiwa, baseline measure) error {
	r.o.Progress(fmt.Sprintf("%d %s", scenario, what))
	var per statementsPer
	rates, took, err := sideBySide(ctx, rounds, r.watched(scenario, what, r.counted(kaiwa, &per)), r.watched(scenario, what+", baseline", baseline))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.report.Add(Figure{
		Scenario: scenario, What: what, Value: rates[0], Unit: unit, Baseline: rates[1], Bar: bar,
		Details: map[string]float64{
			"p50_ms": millis(took[0].At(.5)), "p99_ms": millis(took[0].At(.99)), "baseline_p50_ms": millis(took[1].At(.5)), "baseline_p99_ms": millis(took[1].At(.99)),
		},
	})
	r.report.Add(Figure{Scenario: scenario, What: what + ", SQL", Value: per.one(), Unit: "statements", Bar: sqlBar})
	return nil
}

// latency adds a percentile of a load as a figure.
func (r *run) latency(scenario int, what string, took *Latencies, share float64, bar *Bar) {
	r.report.Add(Figure{Scenario: scenario, What: fmt.Sprintf("%s, p%s", what, strings.TrimSuffix(fmt.Sprintf("%.1f", 100*share), ".0")), Value: millis(took.At(share)), Unit: "ms", Bar: bar})
}
