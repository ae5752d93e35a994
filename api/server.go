package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/accountlink"
	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/courtesy"
	"kaiwa/internal/feed"
	"kaiwa/internal/line"
	"kaiwa/internal/readiness"
	"kaiwa/internal/store"
	"kaiwa/internal/telemetry"
)

// Notifier wakes the workflow of a chat. It never blocks, and a wake-up may get
// lost: whatever is stored is found again.
type Notifier interface {
	Notify(channelID, chatKey string)
	// Taking says that a webhook is being stored, until stored is called: that
	// comes before wake-ups.
	Taking() (stored func())
}

// Dispatcher offers waiting conversations to agents. Kick says that something
// changed that it goes by; it never blocks, and may get lost without harm.
type Dispatcher interface {
	Kick(ctx context.Context)
}

// SurveyNotifier wakes the workflow of the survey after a conversation. It
// never blocks, and a wake-up may get lost without harm.
type SurveyNotifier interface {
	Notify(channelID, conversationID string)
}

// Engine is what the API needs of the workflow engine.
type Engine interface {
	// Act asks the workflow to close a conversation and waits
	// for its answer. The same update id gets the same answer. Its errors are
	// Errors with the life table's codes, CodeUnavailable when the engine does
	// not answer.
	Act(ctx context.Context, workflowID, updateID string, req conversation.ActionRequest) (conversation.ActionAnswer, error)
	// Ready tells whether the engine answers; the error is for the log.
	Ready(ctx context.Context) error
}

// Config is what a Server is made of. All but the optional parts are required.
type Config struct {
	Store      *store.Store
	LINE       *line.API
	Inbox      Notifier
	Engine     Engine
	Dispatcher Dispatcher
	// Feed wakes the streams of events. It is run beside the server.
	Feed *feed.Feed
	// Surveys wakes the workflow of the survey after a conversation.
	Surveys SurveyNotifier
	// PublicURL is how LINE reaches this server, without a slash at the end.
	PublicURL string
	// LINEAccessURL is where LINE's account link dialog is, without a slash at the
	// end; optional: LINE's.
	LINEAccessURL string
	// Blobs is where files are kept.
	Blobs *blob.Bucket
	// Scanner looks at files that agents upload. Optional: nobody does.
	Scanner *attachment.Scanner
	// FilesURL is how LINE and browsers reach files, if other than by PublicURL:
	// an origin that serves nothing else. Optional.
	FilesURL string
	// AllowPrivateAddresses lets bots be on private and loopback addresses.
	AllowPrivateAddresses bool

	Logger  *slog.Logger         // optional: slog.Default()
	Metrics *prometheus.Registry // optional: one of its own, with Go's and the process's metrics
	Tracer  *telemetry.Tracer    // optional: no traces
	// Console is the web console's files; optional.
	Console fs.FS
	// ChannelTTL is how long a webhook trusts what it knows of its channel when
	// another process may have changed it; optional: 5 s.
	ChannelTTL time.Duration
	// WebhookBudget is the time a webhook has for the database: LINE waits 2 s
	// for the answer. Optional: 1.5 s.
	WebhookBudget time.Duration
	// TokenRate and TokenBurst bound the requests of one token, in requests a
	// second and at once; optional: 50 and 200.
	TokenRate  float64
	TokenBurst int
	// TokenStreams bounds the streams of events that one token has open in this
	// process; optional: 20.
	TokenStreams int
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	echo       *echo.Echo
	store      *store.Store
	line       *line.API
	tokens     *accesstoken.Keeper
	courtesy   *courtesy.Courtesy
	inbox      Notifier
	engine     Engine
	dispatcher Dispatcher
	feed       *feed.Feed
	surveys    SurveyNotifier
	blobs      *blob.Bucket
	scanner    *attachment.Scanner
	publicURL  string
	accessURL  string
	filesURL   string
	filesHost  string // see elsewhere
	private    bool
	log        *slog.Logger
	metrics    *metrics
	tracer     *telemetry.Tracer
	console    http.Handler
	channels   *channelCache
	stats      *webhookStats
	budget     time.Duration
	limits     *limits
	streams    *streams
	patience   time.Duration // with a request
	acceptTime time.Duration // how long the answer to a message waits for LINE

	signs signs

	ready *readiness.Readiness
}

// New makes a Server. It fails when something required is missing, or when the
// specification and the route table do not agree.
func New(c Config) (*Server, error) {
	for name, missing := range map[string]bool{
		"Store": c.Store == nil, "LINE": c.LINE == nil, "Inbox": c.Inbox == nil, "Engine": c.Engine == nil,
		"Dispatcher": c.Dispatcher == nil, "Feed": c.Feed == nil, "Surveys": c.Surveys == nil, "Blobs": c.Blobs == nil, "PublicURL": c.PublicURL == "",
	} {
		if missing {
			return nil, fmt.Errorf("api: Config.%s is missing", name)
		}
	}
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	s := &Server{
		echo: echo.New(), store: c.Store, line: c.LINE, tokens: accesstoken.New(c.LINE, nil), inbox: c.Inbox, engine: c.Engine, dispatcher: c.Dispatcher, feed: c.Feed, surveys: c.Surveys,
		blobs: c.Blobs, scanner: c.Scanner, publicURL: strings.TrimRight(c.PublicURL, "/"), accessURL: strings.TrimRight(cmp.Or(c.LINEAccessURL, accountlink.DefaultAccessURL), "/"), filesURL: strings.TrimRight(c.FilesURL, "/"), filesHost: filesHost(c.FilesURL, c.PublicURL),
		private: c.AllowPrivateAddresses, log: c.Logger, tracer: c.Tracer, budget: c.WebhookBudget, patience: requestTime, acceptTime: acceptTime,
		limits: &limits{rate: rate.Limit(c.TokenRate), burst: c.TokenBurst, buckets: map[string]*rate.Limiter{}},
	}
	if s.filesURL == "" {
		s.filesURL, s.filesHost = s.publicURL, ""
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.budget == 0 {
		s.budget = 1500 * time.Millisecond
	}
	if s.limits.rate == 0 {
		s.limits.rate = 50
	}
	if s.limits.burst == 0 {
		s.limits.burst = 200
	}
	if c.TokenStreams == 0 {
		c.TokenStreams = 20
	}
	s.streams = newStreams(c.TokenStreams)
	if c.ChannelTTL == 0 {
		c.ChannelTTL = 5 * time.Second
	}
	s.courtesy = &courtesy.Courtesy{Store: c.Store, Tokens: s.tokens, Rates: callrate.New(c.Store.TakeCalls, nil, s.log), Logger: s.log, Now: time.Now}
	s.channels, s.stats = newChannelCache(c.ChannelTTL, c.Store.Channel), newWebhookStats()
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
		c.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	if s.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, err
	}
	s.watch()
	if c.Console != nil {
		s.console = consoleHandler(c.Console)
	}
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.HTTPErrorHandler = s.handleError
	s.echo.IPExtractor = echo.ExtractIPDirect() // a header could say anything
	s.echo.Pre(s.accompany)
	return s, s.register(spec)
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// HTTPServer is an http.Server for this handler with time-outs fit for the
// internet. Its Shutdown ends the streams of events, which would go on for ever.
func (s *Server) HTTPServer(addr string) *http.Server {
	server := &http.Server{
		Addr: addr, Handler: s,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: requestTime + 30*time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken TLS handshakes and the like
	}
	server.RegisterOnShutdown(s.streams.end)
	return server
}

// sweepEvery is how often Run cleans up.
const sweepEvery = 5 * time.Minute

// Run does what the API has to do beside serving, until ctx ends: it forgets
// what is out of date, goes on closing the conversations of deleted channels, tells
// LINE what was read and is not known there, and stores what it counted of webhooks. Several processes may run it.
func (s *Server) Run(ctx context.Context) {
	var counting sync.WaitGroup
	defer counting.Wait()
	counting.Go(func() { s.runStats(ctx) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.store.SweepConfiguration(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweeping the configuration failed; it is tried again", "error", err)
		}
		if err := s.store.ExpireAccountLinks(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("account links whose time is over were not ended; it is tried again", "error", err)
		}
		if err := s.sweepAttachments(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweeping attachments failed; it is tried again", "error", err)
		}
		if err := s.closeOrphans(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("conversations of a deleted channel are still live; it is tried again", "error", err)
		}
		if err := s.courtesy.TellDue(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("LINE was not told what agents have read; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// requestTime is how long a request may take.
const requestTime = 30 * time.Second

// accompany goes around every request: its id, its time limit, its headers,
// its line in the log, its metrics, and the end of a panic.
func (s *Server) accompany(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (_ error) {
		start := time.Now()
		r := c.Request()
		var span trace.Span
		if s.tracer != nil && traced(r) {
			ctx, begun := s.tracer.Request(r, strings.HasPrefix(r.URL.Path, "/api/"))
			span, r = begun, r.WithContext(ctx)
		}
		ctx, id := withRequestID(r.Context(), r.Header.Get(echo.HeaderXRequestID))
		limit := s.patience
		if transfers(r) {
			limit = transferTime
		}
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, keyConnection, ctx), limit)
		defer cancel()
		r = r.WithContext(ctx)
		c.SetRequest(r)
		h := c.Response().Header()
		h.Set(echo.HeaderXRequestID, id)
		if s.ready.Draining() {
			h.Set("Connection", "close") // whoever asks again asks another process
		}
		s.secure(h, r)
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p) // net/http's own way to end a request
				}
				s.log.Error("panic", "request_id", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				c.Error(conversation.Errorf(codeInternal, "The request failed for a reason that is not yours. If it stays, give an administrator the request id."))
			}
			s.finish(c, id, time.Since(start))
			if span != nil {
				telemetry.Served(span, known(r.Method), cmp.Or(c.Path(), "unknown"), c.Response().Status)
			}
		}()
		if s.elsewhere(r) {
			c.Error(conversation.Errorf(conversation.CodeNotFound, "There is nothing at this address."))
			return nil
		}
		err := next(c)
		switch {
		case err == nil:
		case s.console != nil && errors.Is(err, echo.ErrNotFound) && forConsole(r):
			s.console.ServeHTTP(c.Response(), r)
		default:
			c.Error(err)
		}
		return nil
	}
}

// traced tells whether a request is worth a span: it is no probe, and it ends.
func traced(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics", "/api/v1/events/stream":
		return false
	}
	return !forConsole(r)
}

// finish writes the request's line in the log. Neither bodies nor queries are
// in it: they hold what customers wrote and who they are.
func (s *Server) finish(c echo.Context, id string, took time.Duration) {
	path, status := c.Path(), c.Response().Status
	if path == "" {
		path = "unknown"
	}
	s.metrics.request(c.Request().Method, path, status, took)
	level := slog.LevelInfo
	switch {
	case path == "/healthz" || path == "/readyz" || path == "/metrics":
		level = slog.LevelDebug
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	asked := c.Request().URL.EscapedPath()
	if path == surveyRoute || path == linkRoute || strings.HasPrefix(path, filesPath) { // who has the link of a file has the file
		asked = path
	}
	i := caller(c.Request().Context())
	s.log.Log(c.Request().Context(), level, "request", "method", c.Request().Method, "route", path, "path", asked, "status", status,
		"bytes", c.Response().Size, "ms", took.Milliseconds(), "request_id", id, "token_id", i.Token.ID, "agent_id", i.Agent.ID, "address", c.RealIP())
}

// secure sets the headers that keep browsers from doing harm. There is no CORS:
// the console comes from the same origin.
func (s *Server) secure(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(s.publicURL, "https://") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if s.console != nil && forConsole(r) {
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' "+s.filesURL+" https: data: blob:; media-src 'self' "+s.filesURL+" https: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
		return
	}
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
}
