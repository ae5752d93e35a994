package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc/codes"

	"kaiwa/internal/searchattr"
	"kaiwa/internal/settings"
	"kaiwa/internal/store"
)

const (
	// steadyPause is how often a worker that waits looks again: what it waits for
	// may have been away for a moment, and conversations wait, too.
	steadyPause = time.Second
	// slowPause is how often it says so in the end: it may wait for hours.
	slowPause = 15 * time.Second
)

// quiet paces what a process that waits says of it: at growing intervals.
type quiet struct {
	next  time.Time
	pause time.Duration
}

func (q *quiet) due() bool {
	now := time.Now()
	if now.Before(q.next) {
		return false
	}
	q.pause = min(max(2*q.pause, firstPause), slowPause)
	q.next = now.Add(q.pause)
	return true
}

// Temporal is the way to a namespace. Nothing is dialled before the first call,
// so that Temporal may be away.
type Temporal struct {
	// Client is the SDK's own: its workers take no other.
	Client    client.Client
	Address   string
	Namespace string
}

// NewTemporal makes the client that the settings describe; the error names the
// setting that is wrong. t may be nil. Close it.
func NewTemporal(s settings.Temporal, t *Telemetry, logger *slog.Logger) (*Temporal, error) {
	o, err := s.ClientOptions()
	if err != nil {
		return nil, err
	}
	if t != nil {
		if err := t.Temporal(&o); err != nil {
			return nil, err
		}
	}
	o.Logger = log.NewStructuredLogger(logger.With(slog.String("part", "temporal")))
	c, err := client.NewLazyClient(o)
	if err != nil {
		return nil, settings.Wrong("TEMPORAL_ADDRESS", "%s", err)
	}
	return &Temporal{c, o.HostPort, o.Namespace}, nil
}

// Close closes the connections.
func (t *Temporal) Close() { t.Client.Close() }

// Check looks once whether Temporal answers and has the namespace. What no
// waiting mends is a settings.Error that names the variable.
func (t *Temporal) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	_, err := t.Client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.Namespace})
	if err == nil {
		return nil
	}
	switch serviceerror.ToStatus(err).Code() {
	case codes.NotFound:
		return settings.Wrong("TEMPORAL_NAMESPACE", "Temporal at %s has no namespace %q; create it first: temporal operator namespace create %s", t.Address, t.Namespace, t.Namespace)
	case codes.Unauthenticated:
		return settings.Wrong("TEMPORAL_API_KEY", "Temporal at %s does not accept these credentials: %s", t.Address, said(err))
	case codes.PermissionDenied:
		return settings.Wrong("TEMPORAL_API_KEY", "these credentials may not use namespace %q of Temporal at %s: %s", t.Namespace, t.Address, said(err))
	}
	return fmt.Errorf("no answer from Temporal at %s (TEMPORAL_ADDRESS): %s", t.Address, said(err))
}

// said is what Temporal answered, or why it could not be reached, without what
// gRPC wraps it in.
func said(err error) string {
	text := serviceerror.ToStatus(err).Message()
	if _, cause, ok := strings.Cut(text, "Error while dialing: "); ok {
		return strings.TrimSuffix(cause, `"`)
	}
	return text
}

// Await waits until Temporal answers and has the namespace, for so long, or
// without end when patience is 0. What no waiting mends is a settings.Error at
// once.
func (t *Temporal) Await(ctx context.Context, patience time.Duration, logger *slog.Logger) error {
	until := time.Now().Add(patience)
	longest := longestPause
	if patience == 0 {
		longest = steadyPause
	}
	var tell quiet
	for pause := firstPause; ; pause = min(2*pause, longest) {
		err := t.Check(ctx)
		var wrong *settings.Error
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &wrong):
			return err
		case patience != 0 && time.Now().Add(pause).After(until):
			return err
		}
		if tell.due() {
			logger.Warn("waiting for Temporal", slog.String("address", t.Address), slog.Any("error", err))
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// LaunchWorker starts a worker when it can do its work: it waits, without end,
// for Temporal and for `kaiwa migrate`, and waits again when Temporal goes away
// before the worker has begun. What no waiting mends is a settings.Error at once.
func LaunchWorker(ctx context.Context, t *Temporal, o WorkerOptions) (*Worker, error) {
	for {
		if err := t.Await(ctx, 0, o.Logger); err != nil {
			return nil, err
		}
		if err := AwaitMigrated(ctx, o.Store, t, o.Logger); err != nil {
			return nil, err
		}
		w, err := StartWorker(ctx, o)
		if err == nil || !away(err) {
			return w, err
		}
		o.Logger.Warn("Temporal went away before the worker had begun", slog.Any("error", err))
		if err := sleep(ctx, steadyPause); err != nil {
			return nil, err
		}
	}
}

// away tells whether an error is that Temporal does not answer.
func away(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}

// AwaitMigrated waits, without end, until `kaiwa migrate` has brought the
// database's schema up to date and registered the search attributes: a worker
// of a newer version may be started before it is done.
func AwaitMigrated(ctx context.Context, st *store.Store, t *Temporal, logger *slog.Logger) error {
	var tell quiet
	for pause := firstPause; ; pause = min(2*pause, steadyPause) {
		lacks, err := unmigrated(ctx, st, t)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && lacks == "":
			return nil
		case !tell.due():
		case err != nil:
			logger.Warn("waiting: it cannot be told whether kaiwa migrate has run", slog.Any("error", err))
		default:
			logger.Warn("waiting for kaiwa migrate", slog.String("missing", lacks))
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// unmigrated says what kaiwa migrate has still to do, "" for nothing.
func unmigrated(ctx context.Context, st *store.Store, t *Temporal) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	current, err := st.SchemaCurrent(ctx)
	if err != nil {
		return "", fmt.Errorf("schema: %w", err)
	}
	if !current {
		return "the database's schema is older than this version", nil
	}
	names, err := searchattr.Missing(ctx, t.Client, t.Namespace)
	switch serviceerror.ToStatus(err).Code() {
	case codes.OK:
	case codes.PermissionDenied, codes.Unimplemented:
		return "", nil // not a worker's business where an operator keeps them
	default:
		return "", err
	}
	if len(names) > 0 {
		return "search attributes " + strings.Join(names, ", "), nil
	}
	return "", nil
}

// PrepareTemporal registers what Kaiwa needs in a namespace.
func PrepareTemporal(ctx context.Context, c client.Client, namespace string) error {
	return searchattr.Register(ctx, c, namespace)
}
