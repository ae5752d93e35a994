// Package process assembles Kaiwa's processes out of their parts: what `kaiwa
// api` and `kaiwa worker` run apart, and kaiwa-dev runs together.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	_ "gocloud.dev/blob/fileblob" // file:// buckets
	_ "gocloud.dev/blob/memblob"  // mem:// buckets

	"kaiwa/api"
	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/clamd"
	"kaiwa/internal/dispatch"
	"kaiwa/internal/engine"
	"kaiwa/internal/feed"
	"kaiwa/internal/firstbyte"
	"kaiwa/internal/inbox"
	"kaiwa/internal/line"
	"kaiwa/internal/netguard"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/sequencer"
	"kaiwa/internal/settings"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
	"kaiwa/worker"
)

// botCallTime bounds a call to a bot whatever its workstream allows; each turn
// has a deadline of its own.
const botCallTime = 5 * time.Minute

// mediaCallTime bounds the download of a file that is not at LINE.
const mediaCallTime = 10 * time.Minute

// drainTime is how long a process that is told to stop waits for requests
// under way.
const drainTime = 10 * time.Second

// Logger writes structured lines at the level that is set.
func Logger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, settings.Wrong("KAIWA_LOG_LEVEL", "it must be debug, info, warn or error")
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// OpenBlobs opens the bucket that is set, so that a wrong setting stops the start
// and not the first file.
func OpenBlobs(ctx context.Context, url string) (*blob.Bucket, error) {
	b, err := blob.Open(ctx, url)
	if err != nil {
		return nil, settings.Wrong("KAIWA_BLOB_URL", "%s", err)
	}
	return b, nil
}

// blobs is the bucket a process was given, or one it opens, and closes by close.
func blobs(ctx context.Context, given *blob.Bucket, url string) (b *blob.Bucket, closeIt func(), err error) {
	if given != nil {
		return given, func() {}, nil
	}
	b, err = OpenBlobs(ctx, url)
	return b, func() { _ = b.Close() }, err // what was written is written
}

// scanner is what looks at files, nil when nothing does.
func scanner(o settings.Outside, m *telemetry.Shared) (*attachment.Scanner, error) {
	if o.ClamdAddr == "" {
		return nil, nil
	}
	daemon, err := clamd.New(o.ClamdAddr)
	if err != nil {
		return nil, settings.Wrong("KAIWA_CLAMD_ADDR", "%s", err)
	}
	return attachment.NewScanner(daemon, func(outcome attachment.ScanOutcome, took time.Duration) { m.Scanned(string(outcome), took) }), nil
}

func lineAPI(o settings.Outside, t *Telemetry) *line.API {
	return line.New(line.Config{APIURL: o.LINEAPIURL, DataAPIURL: o.LINEDataAPIURL, Observe: t.shared.LINECall, Wrap: t.line})
}

func dispatcher(s *store.Store, c client.Client, chats *inbox.Signaller, m *telemetry.Shared, logger *slog.Logger) *dispatch.Dispatcher {
	return dispatch.New(&dispatch.Looker{Store: s, Notify: chats.Notify, Looked: m.Look, Logger: logger}, dispatch.Wake(c)).Counting(m.Kick)
}

// API is a running API process.
type API struct {
	Addr    net.Addr
	handler *api.Server
	delay   time.Duration // see settings.HTTP.DrainDelay
	server  *http.Server
	inbox   *inbox.Signaller
	surveys *inbox.Signaller
	people  *dispatch.Dispatcher
	stop    context.CancelFunc
	wg      sync.WaitGroup

	closeBucket func()
}

// APIOptions are what an API process stands on.
type APIOptions struct {
	HTTP      settings.HTTP
	Outside   settings.Outside
	Store     *store.Store
	Temporal  client.Client
	Console   fs.FS
	Logger    *slog.Logger
	Telemetry *Telemetry // optional: one of its own
	// Blobs, when given, is used instead of opening Outside.BlobURL.
	Blobs *blob.Bucket
	// Listener, when given, is served instead of HTTP.HTTPAddr.
	Listener net.Listener
	// DropWakeups, when given, tells which wake-ups are lost (for tests of the
	// relay).
	DropWakeups func() bool
	// Failed, when given, is called when the API can serve no longer.
	Failed func(error)
}

// StartAPI serves the API, the webhook and the console, and does what goes with
// them: waking workflows, relaying lost wake-ups, numbering events and telling
// their readers.
func StartAPI(ctx context.Context, o APIOptions) (*API, error) {
	if err := o.HTTP.Check(); err != nil {
		return nil, err
	}
	if err := o.Outside.Check(); err != nil {
		return nil, err
	}
	if o.Telemetry == nil {
		var err error
		if o.Telemetry, err = NewTelemetry(nil, o.Logger); err != nil {
			return nil, err
		}
	}
	shared := o.Telemetry.shared
	metrics, err := o.Telemetry.api(o.Store)
	if err != nil {
		return nil, err
	}
	bucket, closeBucket, err := blobs(ctx, o.Blobs, o.Outside.BlobURL)
	if err != nil {
		return nil, err
	}
	files, err := scanner(o.Outside, shared)
	if err != nil {
		closeBucket()
		return nil, err
	}
	listener := o.Listener
	if listener == nil {
		if listener, err = Listen("KAIWA_HTTP_ADDR", o.HTTP.HTTPAddr); err != nil {
			closeBucket()
			return nil, err
		}
	}
	wake := inbox.Temporal(o.Temporal)
	if drop := o.DropWakeups; drop != nil {
		deliver := wake
		wake = func(ctx context.Context, channelID, chatKey string) error {
			if drop() {
				return nil
			}
			return deliver(ctx, channelID, chatKey)
		}
	}
	signaller := inbox.NewSignaller(wake, o.Logger).Sparing(inbox.TemporalTasks(o.Temporal)).Counting(shared.Wakeups("chat"))
	surveys := inbox.NewSignaller(inbox.TemporalSurveys(o.Temporal), o.Logger).Sparing(inbox.TemporalSurveyTasks(o.Temporal)).Counting(shared.Wakeups("survey"))
	people := dispatcher(o.Store, o.Temporal, signaller, shared, o.Logger)
	events := feed.New(o.Store, o.Logger)
	handler, err := api.New(api.Config{
		Store: o.Store, LINE: lineAPI(o.Outside, o.Telemetry), Inbox: signaller, Surveys: surveys, Engine: engine.New(o.Temporal), Dispatcher: people, Feed: events, PublicURL: o.Outside.PublicURL, LINEAccessURL: o.Outside.LINEAccessURL,
		Blobs: bucket, Scanner: files, FilesURL: o.Outside.FilesURL,
		AllowPrivateAddresses: o.Outside.AllowPrivateAddresses, Logger: o.Logger, Metrics: o.Telemetry.Registry, Tracer: o.Telemetry.tracer, Console: o.Console,
	})
	if err != nil {
		_ = listener.Close()
		closeBucket()
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &API{Addr: listener.Addr(), handler: handler, delay: o.HTTP.DrainDelay, server: handler.HTTPServer(listener.Addr().String()), inbox: signaller, surveys: surveys, people: people, stop: stop, closeBucket: closeBucket}
	relay := inbox.NewRelay(o.Store, signaller, surveys, o.Logger).Counting(metrics.Relayed)
	a.wg.Go(func() { relay.Run(running) })
	a.wg.Go(func() { sequencer.Run(running, o.Store, o.Logger) })
	a.wg.Go(func() { events.Run(running) })
	a.wg.Go(func() { handler.Run(running) })
	a.wg.Go(func() {
		if err := a.server.Serve(firstbyte.Listen(listener, a.server.IdleTimeout)); err != nil && !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the HTTP server ended", slog.Any("error", err))
			if o.Failed != nil {
				o.Failed(fmt.Errorf("the HTTP server ended: %w", err))
			}
		}
	})
	return a, nil
}

// Stop is not ready from now on and serves for the drain delay; then it ends
// the streams of events, answers the requests under way, delivers the wake-ups
// of what was stored, and stops.
func (a *API) Stop() {
	a.handler.Drain()
	time.Sleep(a.delay)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // the rest is cut
	}
	// Together: each may take some seconds when Temporal is away.
	var flush sync.WaitGroup
	flush.Go(a.inbox.Close)
	flush.Go(a.surveys.Close)
	flush.Go(a.people.Close)
	flush.Wait()
	a.stop()
	a.wg.Wait()
	a.closeBucket()
}

// Worker is a running worker process.
type Worker struct {
	worker *worker.Worker
	inbox  *inbox.Signaller
	people *dispatch.Dispatcher
	stop   context.CancelFunc
	wg     sync.WaitGroup

	closeBucket func()
}

// WorkerOptions are what a worker process stands on.
type WorkerOptions struct {
	Outside   settings.Outside
	Store     *store.Store
	Temporal  client.Client
	Namespace string
	Logger    *slog.Logger
	Telemetry *Telemetry // optional: one of its own
	// Blobs, when given, is used instead of opening Outside.BlobURL.
	Blobs  *blob.Bucket
	Failed func(error)
}

// StartWorker runs workflows and activities, and the reconciler.
func StartWorker(ctx context.Context, o WorkerOptions) (*Worker, error) {
	if err := o.Outside.Check(); err != nil {
		return nil, err
	}
	if o.Telemetry == nil {
		var err error
		if o.Telemetry, err = NewTelemetry(nil, o.Logger); err != nil {
			return nil, err
		}
	}
	shared := o.Telemetry.shared
	metrics, err := o.Telemetry.worker()
	if err != nil {
		return nil, err
	}
	bucket, closeBucket, err := blobs(ctx, o.Blobs, o.Outside.BlobURL)
	if err != nil {
		return nil, err
	}
	files, err := scanner(o.Outside, shared)
	if err != nil {
		closeBucket()
		return nil, err
	}
	signaller := inbox.NewSignaller(inbox.Temporal(o.Temporal), o.Logger).Counting(shared.Wakeups("chat"))
	people := dispatcher(o.Store, o.Temporal, signaller, shared, o.Logger)
	w, err := worker.Start(worker.Options{
		Inbox: signaller, Dispatcher: people, WakeSurvey: inbox.TemporalSurveys(o.Temporal), PublicURL: o.Outside.PublicURL,
		Temporal: o.Temporal, Store: o.Store, LINE: lineAPI(o.Outside, o.Telemetry), Logger: o.Logger, Metrics: metrics, Tracer: o.Telemetry.tracer, Failed: o.Failed,
		BotHTTP: o.Telemetry.bots(netguard.NewClient(netguard.Options{
			AllowPrivate: o.Outside.AllowPrivateAddresses, Timeout: botCallTime,
		})),
		Blobs: bucket, Scanner: files,
		MediaHTTP: netguard.NewClient(netguard.Options{
			AllowPrivate: o.Outside.AllowPrivateAddresses, Timeout: mediaCallTime, MaxRedirects: 3, MaxResponseBytes: store.MaxAttachmentSize,
		}),
	})
	if err != nil {
		closeBucket()
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	out := &Worker{worker: w, inbox: signaller, people: people, stop: stop, closeBucket: closeBucket}
	reconciler := &reconcile.Reconciler{
		Store: o.Store, Temporal: o.Temporal, Namespace: o.Namespace, Wake: reconcile.Waker(inbox.Temporal(o.Temporal)),
		Kick: dispatch.Wake(o.Temporal), Logger: o.Logger, Observe: reconciled(metrics),
	}
	out.wg.Go(func() { reconciler.Run(running) })
	return out, nil
}

// Stop finishes what is under way and stops.
func (w *Worker) Stop() {
	w.stop()
	w.worker.Stop()
	var flush sync.WaitGroup
	flush.Go(w.inbox.Close)
	flush.Go(w.people.Close)
	flush.Wait()
	w.wg.Wait()
	w.closeBucket()
}

// Listen listens on an address a setting names. The error names the setting.
func Listen(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	if strings.Contains(err.Error(), "address already in use") {
		return nil, settings.Wrong(setting, "address %s is in use; take another port, or 0 for any free one", addr)
	}
	return nil, settings.Wrong(setting, "%s", err)
}
