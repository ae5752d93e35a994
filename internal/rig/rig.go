// Package rig runs Kaiwa's production shape as processes on this machine:
// PostgreSQL in a scratch cluster, Temporal, and api and worker processes of the
// real binaries. LINE is a simulator in the caller's process, which also keeps
// the load balancer before the APIs. The chaos run and the benchmarks stand on it.
package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kaiwa/internal/firstbyte"
	"kaiwa/internal/keyring"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// Databases that Options.Database may name beside a URL.
const (
	PostgreSQL = "postgres"
	SQLite     = "sqlite"
)

// Options say what to run.
type Options struct {
	// Dir keeps everything: logs, files, the databases but PostgreSQL's. The
	// caller removes it.
	Dir string
	// Kaiwa is the production binary, KaiwaDev the one that runs Temporal
	// (`kaiwa-dev temporal`).
	Kaiwa, KaiwaDev string
	// Temporal is the address of a Temporal that runs already; "" starts one.
	Temporal string
	// Database is PostgreSQL (a scratch cluster), SQLite, or the URL of a
	// database that runs already.
	Database string
	// APIs and Workers are how many processes of each; 0 means one. SQLite
	// serves one of each.
	APIs, Workers int
	// Env are more settings of api and worker, as NAME=value.
	Env []string
	// Simulator configures LINE.
	Simulator linesim.Options
	// Progress, when given, is told of each step of the start.
	Progress func(step string)
}

// Rig is the running installation.
type Rig struct {
	Simulator *linesim.Simulator
	// LINEURL is where the simulator is served: both of LINE's hosts.
	LINEURL string
	// Store is the caller's own, on the same database and with the same keys.
	Store *store.Store
	// TemporalAddress is Temporal's frontend; the namespace is "default".
	TemporalAddress string
	DatabaseURL     string
	// SecretKeys is the key ring, as KAIWA_SECRET_KEYS has it.
	SecretKeys string
	// Front is the balancer's address, which is KAIWA_PUBLIC_URL.
	Front string
	// APIs and Workers are as started by Start and Add.
	APIs, Workers []*Process
	// TemporalServer and Postgres are nil when they were not started here.
	TemporalServer, Postgres *Process

	options  Options
	balancer *balancer
	env      []string
	ports    ports
	stops    []func() error // run in reverse order

	closing sync.Once
	closed  error
}

// Start starts everything, migrates, and returns when all of it is ready. After
// an error nothing keeps running.
func Start(ctx context.Context, o Options) (*Rig, error) {
	return start(ctx, o, services, []step{
		{"LINE's simulator", (*Rig).startLINE}, {"schema and search attributes", (*Rig).migrate}, {"api and worker", (*Rig).startKaiwa},
	})
}

// StartServices starts only what Kaiwa stands on: the database and Temporal.
func StartServices(ctx context.Context, o Options) (*Rig, error) { return start(ctx, o, services, nil) }

// step is one of the start.
type step struct {
	name string
	do   func(*Rig, context.Context) error
}

var services = []step{{"the database", (*Rig).startDatabase}, {"Temporal", (*Rig).startTemporal}}

func start(ctx context.Context, o Options, phases ...[]step) (_ *Rig, err error) {
	o.APIs, o.Workers = cmp.Or(o.APIs, 1), cmp.Or(o.Workers, 1)
	if o.Database == SQLite && (o.APIs > 1 || o.Workers > 1) {
		return nil, errors.New("SQLite serves one api and one worker process; take PostgreSQL for more")
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r := &Rig{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if err := os.MkdirAll(filepath.Join(o.Dir, "logs"), 0o700); err != nil {
		return nil, err
	}
	for _, step := range slices.Concat(phases...) {
		o.Progress(step.name)
		if err := step.do(r, ctx); err != nil {
			return nil, fmt.Errorf("start %s: %w", step.name, err)
		}
	}
	return r, nil
}

// Close kills all processes.
func (r *Rig) Close() error {
	r.closing.Do(func() {
		for i := len(r.stops) - 1; i >= 0; i-- {
			r.closed = errors.Join(r.closed, r.stops[i]())
		}
	})
	return r.closed
}

func (r *Rig) onClose(f func() error) { r.stops = append(r.stops, f) }

// Processes are all that were started here.
func (r *Rig) Processes() []*Process {
	var all []*Process
	for _, p := range []*Process{r.Postgres, r.TemporalServer} {
		if p != nil {
			all = append(all, p)
		}
	}
	return append(append(all, r.APIs...), r.Workers...)
}

// Ended tells of the processes that ended though nobody had asked for it, with
// their last words; nil when there is none.
func (r *Rig) Ended() (err error) {
	for _, p := range r.Processes() {
		if n := p.EndedByItself(); n > 0 {
			err = errors.Join(err, fmt.Errorf("%s ended by itself %d times; it said: %s", p.Name, n, p.lastWords()))
		}
	}
	return err
}

// Ready waits until all processes are ready.
func (r *Rig) Ready(ctx context.Context) error {
	for _, p := range r.Processes() {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) startDatabase(ctx context.Context) error {
	switch r.options.Database {
	case SQLite:
		r.DatabaseURL = "sqlite:" + filepath.Join(r.options.Dir, "kaiwa.db")
		return nil
	case PostgreSQL:
		return r.startPostgres(ctx)
	}
	r.DatabaseURL = r.options.Database
	return nil
}

func (r *Rig) startTemporal(ctx context.Context) error {
	if r.TemporalAddress = r.options.Temporal; r.TemporalAddress != "" {
		return nil
	}
	address, err := r.ports.take()
	if err != nil {
		return err
	}
	r.TemporalAddress = address
	r.TemporalServer = r.process("temporal", r.options.KaiwaDev,
		[]string{"temporal", "--file", filepath.Join(r.options.Dir, "temporal.db"), "--addr", address, "--log-level", "warn"}, nil)
	r.TemporalServer.ready = func(ctx context.Context) error { return temporalAnswers(ctx, address) }
	if err := r.TemporalServer.Start(); err != nil {
		return err
	}
	return r.TemporalServer.Ready(ctx)
}

func (r *Rig) startLINE(ctx context.Context) error {
	sim, err := linesim.New(ctx, r.options.Simulator)
	if err != nil {
		return err
	}
	r.Simulator = sim
	r.onClose(sim.Close)
	if r.LINEURL, err = r.serve(sim.Handler()); err != nil {
		return err
	}
	sim.SetPublicURL(r.LINEURL)
	r.balancer = newBalancer()
	r.onClose(r.balancer.Close)
	r.Front, err = r.serve(r.balancer)
	return err
}

// serve serves a handler on a free port until Close.
func (r *Rig) serve(h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { _ = s.Serve(firstbyte.Listen(l, 2*time.Minute)) }() // ends with Close
	r.onClose(s.Close)
	return "http://" + l.Addr().String(), nil
}

func (r *Rig) migrate(ctx context.Context) error {
	var err error
	if r.SecretKeys, err = keyring.Generate("rig"); err != nil {
		return err
	}
	blobs := filepath.Join(r.options.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return err
	}
	r.env = append([]string{
		"HOME=" + r.options.Dir, "KAIWA_DATABASE_URL=" + r.DatabaseURL, "KAIWA_SECRET_KEYS=" + r.SecretKeys, "KAIWA_BLOB_URL=file://" + filepath.ToSlash(blobs),
		"KAIWA_PUBLIC_URL=" + r.Front, "KAIWA_ALLOW_PRIVATE_ADDRESSES=true", "KAIWA_LINE_API_URL=" + r.LINEURL, "KAIWA_LINE_DATA_API_URL=" + r.LINEURL,
		"TEMPORAL_ADDRESS=" + r.TemporalAddress, "KAIWA_LOG_LEVEL=warn",
	}, r.options.Env...)
	if err := r.Run(ctx, r.options.Kaiwa, "migrate"); err != nil {
		return err
	}
	keys, err := keyring.Parse(r.SecretKeys)
	if err != nil {
		return err
	}
	if r.Store, err = store.Open(ctx, r.DatabaseURL, store.Options{Keys: keys}); err != nil {
		return err
	}
	r.onClose(func() error { _ = r.Store.Close(); return nil }) // its server may have been killed
	return nil
}

// Run runs a command of a kaiwa binary to its end, with the installation's
// settings. The error has what it said.
func (r *Rig) Run(ctx context.Context, binary string, args ...string) error {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = r.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(binary), strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (r *Rig) startKaiwa(ctx context.Context) error {
	for range r.options.APIs {
		if _, err := r.AddAPI(); err != nil {
			return err
		}
	}
	for range r.options.Workers {
		if _, err := r.AddWorker(); err != nil {
			return err
		}
	}
	return r.Ready(ctx)
}

// AddAPI starts one more api process, with more settings; the balancer knows it
// at once. It is not to be called while others read APIs.
func (r *Rig) AddAPI(env ...string) (*Process, error) {
	p, err := r.add("api", len(r.APIs)+1, "KAIWA_HTTP_ADDR", env)
	if err != nil {
		return nil, err
	}
	r.APIs = append(r.APIs, p)
	return p, r.balancer.add(p)
}

// AddWorker starts one more worker process, with more settings.
func (r *Rig) AddWorker(env ...string) (*Process, error) {
	p, err := r.add("worker", len(r.Workers)+1, "KAIWA_WORKER_HTTP_ADDR", env)
	if err == nil {
		r.Workers = append(r.Workers, p)
	}
	return p, err
}

func (r *Rig) add(command string, n int, addressSetting string, env []string) (*Process, error) {
	address, err := r.ports.take()
	if err != nil {
		return nil, err
	}
	settings := append(append(append([]string{}, r.env...), addressSetting+"="+address), env...)
	p := r.process(fmt.Sprintf("%s-%d", command, n), r.options.Kaiwa, []string{command}, settings)
	p.url = "http://" + address
	p.ready = func(ctx context.Context) error { return answersReady(ctx, p.url) }
	return p, p.Start()
}

// process is one that is not started yet.
func (r *Rig) process(name, binary string, args, env []string) *Process {
	p := &Process{Name: name, binary: binary, args: args, env: env, log: filepath.Join(r.options.Dir, "logs", name+".log")}
	r.onClose(p.Kill)
	return p
}
