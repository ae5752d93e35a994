package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/cors"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/ui"
	"go.temporal.io/api/workflowservice/v1"
)

// uiStopTimeout is how long open requests may take to end when the UI closes.
const uiStopTimeout = time.Second

// webUI is Temporal's web UI. It is put together from the parts of the
// ui-server module as its own server.NewServer does; that one ends the process
// when its port is taken, cannot listen on any free port, and leaves its
// connection to the server open.
type webUI struct {
	url     string
	server  *http.Server
	backend interface{ Close() error }
	served  chan struct{}
	logger  *slog.Logger
}

// serveUI serves on l, which it owns from then on, for the server at frontend.
func serveUI(l net.Listener, frontend, namespace string, logger *slog.Logger) (*webUI, error) {
	provider, err := config.NewConfigProviderWithRefresh(&config.Config{
		TemporalGRPCAddress: frontend,
		EnableUI:            true,
		DefaultNamespace:    namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		// Plain HTTP: browsers would not all keep a secure cookie.
		CORS: config.CORS{CookieInsecure: true},
	})
	if err != nil {
		return nil, fmt.Errorf("temporal UI configuration: %w", err)
	}
	backend, err := api.CreateGRPCConnection(provider)
	if err != nil {
		return nil, fmt.Errorf("temporal UI connection to %s: %w", frontend, err)
	}
	handler, err := uiHandler(provider, api.TemporalAPIHandler(provider, []api.Middleware{
		headers.WithForwardHeaders([]string{"Caller-Type"}),
	}, backend), api.WorkflowRawHistoryHandler(workflowservice.NewWorkflowServiceClient(backend)), logger)
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}

	addr := l.Addr().(*net.TCPAddr)
	u := &webUI{
		url: "http://" + net.JoinHostPort(dialable(addr.IP.String()), strconv.Itoa(addr.Port)),
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		},
		backend: backend,
		served:  make(chan struct{}),
		logger:  logger,
	}
	go func() {
		defer close(u.served)
		if err := u.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("temporal UI ended", "error", err)
		}
	}()
	return u, nil
}

func uiHandler(provider *config.ConfigProviderWithRefresh, proxy, rawHistory echo.HandlerFunc, logger *slog.Logger) (http.Handler, error) {
	bundle, err := ui.Assets()
	if err != nil {
		return nil, fmt.Errorf("temporal UI assets: %w", err)
	}
	assets, err := fs.Sub(bundle, "local") // the other bundle is Temporal Cloud's
	if err != nil {
		return nil, fmt.Errorf("temporal UI assets: %w", err)
	}

	e := echo.New()
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{
		LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
			logger.Error("temporal UI", "error", err, "stack", string(stack))
			return err
		},
	}))
	e.Use(middleware.Gzip())
	e.Use(cors.CORSMiddleware(cors.CORSConfig{
		AllowHeaders: []string{
			echo.HeaderOrigin, echo.HeaderContentType, echo.HeaderAccept, echo.HeaderXCSRFToken, "Caller-Type",
		},
		AllowCredentials: true,
		ConfigProvider:   provider,
	}))
	e.Use(middleware.Secure())
	e.Use(csrf.EnsureTokenCookie(false))
	e.Use(middleware.CSRFWithConfig(csrf.MiddlewareConfig(provider, false)))

	route.SetHealthRoute(e)
	v1 := e.Group("/api/v1")
	v1.GET("/settings", api.GetSettings(provider))
	v1.GET(api.WorkflowRawHistoryUrl, rawHistory)
	v1.Match([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, "/*", proxy)
	if err := route.SetUIRoutes(e, "", assets); err != nil {
		return nil, fmt.Errorf("temporal UI routes: %w", err)
	}
	route.SetRenderRoute(e, "")
	return e, nil
}

// close ends the UI: open requests have uiStopTimeout, then they are cut.
func (u *webUI) close() {
	ctx, cancel := context.WithTimeout(context.Background(), uiStopTimeout)
	defer cancel()
	err := u.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = u.server.Close()
	}
	if err := errors.Join(err, u.backend.Close()); err != nil {
		u.logger.Warn("temporal UI did not close cleanly", "error", err)
	}
	<-u.served
}
