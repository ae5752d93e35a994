// Package embedded runs the real Temporal server and its web UI inside this
// process, on a SQLite file or in memory: one machine, one shard, loopback.
// It is what `kaiwa-dev` and the end-to-end tests stand on; production runs
// Temporal on its own.
//
// Importing it links the whole server (minutes to build from nothing), so
// only cmd/kaiwa-dev and end-to-end tests may.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	// DefaultNamespace is used when Options name none.
	DefaultNamespace = "default"
	// DefaultRetention is how long closed workflows stay when Options do not say.
	DefaultRetention = 30 * 24 * time.Hour
	// MinRetention is Temporal's own lower limit.
	MinRetention = time.Hour

	// readyTimeout bounds the wait for the frontend to serve the namespace; it
	// takes well under a second on an idle machine.
	readyTimeout = time.Minute
	// stopTimeout bounds Stop. A healthy server takes one to three seconds: it
	// gives open calls a second to end and then cuts them.
	stopTimeout = 15 * time.Second
)

// Options say where the server keeps its state and where it listens.
type Options struct {
	// Path of the SQLite file (WAL: "-wal", "-shm" and "-lock" files appear
	// beside it). Its directory is created when missing. Empty means in memory:
	// everything is gone at Stop.
	Path string
	// Addr is the frontend's host:port. Port 0 picks a free one; empty means
	// 127.0.0.1 and a free port.
	Addr string
	// UIAddr is the web UI's host:port. Port 0 picks a free one; empty means no UI.
	UIAddr string
	// Namespace is created when missing. Empty means DefaultNamespace.
	Namespace string
	// Retention of closed workflows, at least MinRetention; 0 means
	// DefaultRetention. A namespace that exists is changed to it.
	Retention time.Duration
	// SuggestContinueAsNewAfter is how many events a history may have before the
	// server tells its workflow to continue as new; 0 leaves Temporal's 4,096.
	// Tests lower it.
	SuggestContinueAsNewAfter int
	// Logger receives the server's logs; nil discards them. The server is
	// noisy, so what it calls info arrives as debug and what it calls debug
	// lower still: a logger at its usual level shows warnings and errors.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	o.Retention = cmp.Or(o.Retention, DefaultRetention)
	if o.Retention < MinRetention {
		return o, fmt.Errorf("temporal: retention %s is below the minimum of %s", o.Retention, MinRetention)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Server is a running Temporal server. It ends with Stop or with the process;
// a process that is killed loses nothing the server had acknowledged.
type Server struct {
	addr   string
	uiURL  string
	logger *slog.Logger

	life     *lifecycle
	lock     *fileLock
	temporal temporal.Server
	ui       *webUI
	stop     sync.Once
}

// Start returns once the frontend answers for the namespace, at most readyTimeout
// after the services have started. Errors: an address in use or not usable (the
// message names the setting), a file that another server holds or that cannot be
// opened, ctx ended. Nothing keeps running after an error.
//
// Restarting on the same file continues where it was, on whatever ports.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{logger: o.Logger, life: newLifecycle()}
	if err := s.start(ctx, o); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	var err error
	if o.Path != "" {
		if s.lock, err = lockFile(o.Path); err != nil {
			return err
		}
	}

	// All addresses are held before anything slow or lasting is done, so that a
	// busy one is told at once.
	ports, err := reservePorts(ctx, o.Addr)
	if err != nil {
		return err
	}
	defer ports.close()
	var uiListener net.Listener
	if o.UIAddr != "" {
		if uiListener, err = listenUI(ctx, o.UIAddr); err != nil {
			return err
		}
		// The UI's server closes it in the end; until there is one, we do.
		defer func() {
			if s.ui == nil {
				_ = uiListener.Close()
			}
		}()
	}

	store, err := openStore(ctx, o.Path, o.Namespace, o.Retention)
	if err != nil {
		return err
	}
	s.addr = ports.frontendAddr()
	if err := s.startTemporal(serverConfig(ports, store), ports, dynamicConfig(o)); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, o.Namespace, o.Retention); err != nil {
		return err
	}
	if uiListener != nil {
		if s.ui, err = serveUI(uiListener, s.addr, o.Namespace, o.Logger); err != nil {
			return err
		}
		s.uiURL = s.ui.url
	}
	s.life.enter(working)
	return nil
}

// startTemporal gives the reserved ports back and starts the services on them.
func (s *Server) startTemporal(cfg *config.Config, ports *ports, dynamic dynamicconfig.Client) error {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, svc := range cfg.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(
			net.JoinHostPort(dialable(svc.RPC.BindOnIP), strconv.Itoa(svc.RPC.GRPCPort)))
	}
	if err := ports.release(); err != nil {
		return err
	}
	err := s.life.assemble(func() error {
		srv, err := temporal.NewServer(
			temporal.WithConfig(cfg),
			temporal.ForServices(temporal.DefaultServices),
			temporal.WithStaticHosts(hosts),
			temporal.WithLogger(newLogger(s.logger, s.life)),
			temporal.WithDynamicConfigClient(dynamic),
			temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
			temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
				return authorization.NewNoopClaimMapper()
			}),
		)
		if err == nil { // with an error, srv is not nil but holds nothing
			s.temporal = srv
		}
		return err
	})
	if err == nil {
		s.life.enter(starting)
		err = inGoroutine(s.temporal.Start)
	}
	if reason := s.life.gaveUp(); reason != nil {
		err = reason
	}
	if err != nil {
		return fmt.Errorf("start temporal on %s: %w", s.addr, err)
	}
	return nil
}

// inGoroutine returns what f returns, or an error when f gives up by ending its
// goroutine.
func inGoroutine(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("the server gave up")
		defer func() { result <- err }()
		err = f()
	}()
	return <-result
}

// Addr is the host:port clients dial. A server that listens on every interface
// is told as loopback.
func (s *Server) Addr() string { return s.addr }

// UIURL is the web UI's address without a trailing slash, "" without UI. A run
// is at UIURL()/namespaces/NAMESPACE/workflows/WORKFLOW/RUN/history.
func (s *Server) UIURL() string { return s.uiURL }

// Stop closes the UI and the server, in one to three seconds and never more
// than fifteen; what a server that hangs leaves behind ends with the process. It
// may be called again, and concurrently.
//
// One database connection per Start stays open until the process ends: the
// server's SQLite pool keeps it by design. The file may be opened again at once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.life.enter(stopping)
		if s.ui != nil {
			s.ui.close()
		}
		if s.temporal != nil {
			s.stopTemporal()
		}
		if s.lock != nil {
			s.lock.release()
		}
	})
}

func (s *Server) stopTemporal() {
	done := make(chan error, 1)
	go func() { done <- inGoroutine(s.temporal.Stop) }()
	select {
	case err := <-done:
		if err != nil {
			s.logger.Warn("temporal did not stop cleanly", "error", err)
		}
	case <-time.After(stopTimeout):
		s.logger.Warn("temporal did not stop in time", "after", stopTimeout)
	}
}
