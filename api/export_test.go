package api

import (
	"context"
	"slices"
	"time"

	"kaiwa/internal/store"
)

// RouteForTest is a line of the route table with the role it needs.
type RouteForTest struct {
	Method, Path string
	Role         store.Role // "" for everybody
}

// Routes is the route table.
func Routes() []RouteForTest {
	list := make([]RouteForTest, len(routes))
	for i, r := range routes {
		list[i] = RouteForTest{Method: r.Method, Path: r.Path}
		if r.Permission != public {
			g := slices.IndexFunc(grants, func(g grant) bool { return g.Permission == r.Permission })
			list[i].Role = grants[g].Role
		}
	}
	return list
}

// CloseOrphans is what Run does from time to time.
func (s *Server) CloseOrphans(ctx context.Context) error { return s.closeOrphans(ctx) }

// Hasten shortens how long a request may take, and how often a stream of events
// gives a sign of life and looks at its token. Call it before the first request.
func (s *Server) Hasten(request, keepAlive, recheck time.Duration) {
	s.patience, s.streams.keepAlive, s.streams.recheck = request, keepAlive, recheck
}

// SweepAttachments is what Run does from time to time.
func (s *Server) SweepAttachments(ctx context.Context) error { return s.sweepAttachments(ctx) }

// FlushStats is what Run does from time to time.
func (s *Server) FlushStats(ctx context.Context) error { return s.flushStats(ctx) }

// AwaitLINE sets how long the answer to a message waits for LINE.
func (s *Server) AwaitLINE(d time.Duration) { s.acceptTime = d }
