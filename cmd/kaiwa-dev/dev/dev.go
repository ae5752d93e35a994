package dev

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/cmd/process"
	"kaiwa/internal/firstbyte"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// Options are what Start needs beside settings.
type Options struct {
	Settings Settings
	Console  fs.FS
	Logger   *slog.Logger // nil: as the settings say, to standard error
	// DropWakeups, when given, tells which wake-ups are lost (for tests).
	DropWakeups func() bool
	// HistoryLimit, when given, is after how many events a workflow is told to
	// continue as new (for tests).
	HistoryLimit int
	// Observe, when given, is called before every SQL statement (for tests).
	Observe func(statement string)
	// Tracer, when given, makes the spans (for tests).
	Tracer *telemetry.Tracer
	// NoSeed leaves out the seeded data.
	NoSeed bool
}

// Dev is the running product.
type Dev struct {
	Settings Settings // completed: real addresses, generated keys
	Store    *store.Store
	Temporal client.Client
	Sim      *linesim.Simulator // nil when LINE is elsewhere

	APIURL, SimulatorURL, TemporalUIURL string
	TemporalAddr                        string
	Seeded                              Seeded

	listener  net.Listener // the API's, from the start on
	telemetry *process.Telemetry
	failed    chan error
	stops     []func() // run in reverse order
}

// Start starts everything and returns once it can serve. When a part fails to
// start, what has been started is stopped.
func Start(ctx context.Context, o Options) (_ *Dev, err error) {
	if err := o.Settings.complete(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		if o.Logger, err = process.Logger(os.Stderr, o.Settings.LogLevel); err != nil {
			return nil, err
		}
	}
	d := &Dev{Settings: o.Settings, failed: make(chan error, 8)}
	if o.Tracer == nil {
		if o.Tracer, err = telemetry.NewTracer(ctx, "kaiwa-dev"); err != nil {
			return nil, err
		}
	}
	if d.telemetry, err = process.NewTelemetry(o.Tracer, o.Logger); err != nil {
		return nil, err
	}
	d.onStop(d.telemetry.Stop)
	defer func() {
		if err != nil {
			d.Stop()
		}
	}()
	// Who listens where comes first: a busy address is told before anything
	// slow is begun.
	for _, step := range []func(context.Context, Options) error{d.listen, d.startSimulator, d.startTemporal, d.startStore, d.startKaiwa} {
		if err := step(ctx, o); err != nil {
			return nil, err
		}
	}
	if err := d.waitReady(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Failed receives what made a part end by itself.
func (d *Dev) Failed() <-chan error { return d.failed }

// Stop stops everything, the last started first.
func (d *Dev) Stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
	d.stops = nil
}

func (d *Dev) onStop(f func()) { d.stops = append(d.stops, f) }

func (d *Dev) listen(context.Context, Options) error {
	listener, err := process.Listen("KAIWA_HTTP_ADDR", d.Settings.HTTPAddr)
	if err != nil {
		return err
	}
	d.onStop(func() { _ = listener.Close() }) // served, it is closed already
	d.listener, d.APIURL = listener, "http://"+reachable(listener.Addr())
	return nil
}

func (d *Dev) startTemporal(ctx context.Context, o Options) error {
	server, err := embedded.Start(ctx, embedded.Options{
		Path: filepath.Join(d.Settings.DataDir, "temporal.db"), Addr: d.Settings.TemporalAddr, UIAddr: d.Settings.TemporalUIAddr, Logger: o.Logger,
		SuggestContinueAsNewAfter: o.HistoryLimit,
	})
	if err != nil {
		return err
	}
	d.onStop(server.Stop)
	d.TemporalAddr, d.TemporalUIURL = server.Addr(), server.UIURL()
	options := client.Options{
		HostPort: server.Addr(), Namespace: embedded.DefaultNamespace, Logger: log.NewStructuredLogger(o.Logger.With(slog.String("part", "temporal"))),
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	}
	if err := d.telemetry.Temporal(&options); err != nil {
		return err
	}
	d.Temporal, err = client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("the embedded Temporal does not answer: %w", err)
	}
	d.onStop(d.Temporal.Close)
	return process.PrepareTemporal(ctx, d.Temporal, embedded.DefaultNamespace)
}

func (d *Dev) startStore(ctx context.Context, o Options) error {
	var err error
	if d.Store, err = process.OpenStore(ctx, d.Settings.Common, func(s *store.Options) { s.Observe = o.Observe }, d.telemetry.Store); err != nil {
		return err
	}
	d.onStop(func() { _ = d.Store.Close() })
	if err := d.telemetry.Opened(d.Store); err != nil {
		return err
	}
	return d.Store.Migrate(ctx)
}

func (d *Dev) startSimulator(ctx context.Context, o Options) error {
	if d.Settings.LINEAPIURL != "" {
		return nil // LINE is elsewhere
	}
	sim, err := linesim.New(ctx, linesim.Options{
		Path: filepath.Join(d.Settings.DataDir, "line-simulator.db"), Logger: o.Logger, MaxCalls: 10_000, MaxDeliveries: 10_000,
	})
	if err != nil {
		return err
	}
	d.Sim = sim
	d.onStop(func() { _ = sim.Close() })
	listener, err := process.Listen("KAIWA_SIMULATOR_ADDR", d.Settings.SimulatorAddr)
	if err != nil {
		return err
	}
	d.SimulatorURL = "http://" + listener.Addr().String()
	sim.SetPublicURL(d.SimulatorURL)
	d.Settings.LINEAPIURL, d.Settings.LINEDataAPIURL, d.Settings.LINEAccessURL = d.SimulatorURL, d.SimulatorURL, d.SimulatorURL
	server := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(firstbyte.Listen(listener, 2*time.Minute)) }() // ends with Close below
	d.onStop(func() { _ = server.Close() })
	return nil
}

func (d *Dev) startKaiwa(ctx context.Context, o Options) error {
	if d.Settings.PublicURL == "" {
		d.Settings.PublicURL = d.APIURL
	}
	d.Settings.AllowPrivateAddresses = true
	if !o.NoSeed {
		var err error
		if d.Seeded, err = seed(ctx, d); err != nil {
			return err
		}
	}
	blobs, err := process.OpenBlobs(ctx, d.Settings.BlobURL)
	if err != nil {
		return err
	}
	d.onStop(func() { _ = blobs.Close() }) // what was written is written
	worker, err := process.StartWorker(ctx, process.WorkerOptions{
		Blobs: blobs, Outside: d.Settings.Outside, Store: d.Store, Temporal: d.Temporal, Namespace: embedded.DefaultNamespace, Logger: o.Logger, Telemetry: d.telemetry,
		Failed: func(err error) {
			select {
			case d.failed <- err:
			default: // one failure is enough to end
			}
		},
	})
	if err != nil {
		return err
	}
	d.onStop(worker.Stop)
	api, err := process.StartAPI(ctx, process.APIOptions{
		Blobs: blobs, HTTP: d.Settings.HTTP, Outside: d.Settings.Outside, Store: d.Store, Temporal: d.Temporal, Console: o.Console, Logger: o.Logger, Telemetry: d.telemetry,
		Listener: d.listener, DropWakeups: o.DropWakeups,
	})
	if err != nil {
		return err
	}
	d.onStop(api.Stop)
	return nil
}

// reachable is an address a client on this machine can use.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// waitReady waits until the API says that it can serve.
func (d *Dev) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.APIURL+"/readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kaiwa did not become ready: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
