package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/readiness"
)

// What readiness depends on.
const (
	dependsOnDatabase = "database"
	dependsOnSchema   = "schema"
	dependsOnTemporal = "temporal"
)

// watch says how to look at what the server depends on.
func (s *Server) watch() {
	s.ready = readiness.New(s.log, dependsOnDatabase, dependsOnSchema, dependsOnTemporal)
	s.ready.Watch(dependsOnDatabase, readiness.Answers(s.store.Ping))
	s.ready.Watch(dependsOnSchema, readiness.Schema(s.store.SchemaCurrent))
	s.ready.Watch(dependsOnTemporal, readiness.Answers(s.engine.Ready))
}

// Drain says that the server will stop: it is not ready from now on, and has
// each connection end with its next answer, so that whoever balances load goes
// elsewhere. It serves until its HTTPServer is shut down.
func (s *Server) Drain() { s.ready.Drain() }

// getHealth tells that the process is alive, whatever it depends on.
func (s *Server) getHealth(c echo.Context) error {
	return c.JSON(http.StatusOK, Health{Status: HealthStatusOk})
}

// getReadiness tells whether the server can serve.
func (s *Server) getReadiness(c echo.Context) error {
	report := s.ready.Report(c.Request().Context())
	return c.JSON(report.HTTPStatus(), report)
}

func (s *Server) getMetrics(c echo.Context) error { return s.metrics.handler(c) }
