package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/conversation"
)

// readyTime bounds each part of the question whether the server can serve.
const readyTime = 2 * time.Second

// getHealth tells that the process is alive, whatever it depends on.
func (s *Server) getHealth(c echo.Context) error {
	return c.JSON(http.StatusOK, Health{Status: HealthStatusOk})
}

// getReadiness tells whether the server can serve: the database answers with a
// current schema, and the engine answers.
func (s *Server) getReadiness(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTime)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "The database does not answer.", Err: err}
	}
	if err := s.schemaIsCurrent(ctx); err != nil {
		return err
	}
	if err := s.engine.Ready(ctx); err != nil {
		s.log.Warn("the workflow engine is not ready", "error", err)
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "Temporal does not answer.", Err: err}
	}
	return c.JSON(http.StatusOK, Health{Status: HealthStatusReady})
}

// schemaIsCurrent looks until it has seen a current schema once: after that it
// can only be newer.
func (s *Server) schemaIsCurrent(ctx context.Context) error {
	if s.schemaSeen.Load() {
		return nil
	}
	current, err := s.store.SchemaCurrent(ctx)
	if err != nil {
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "The database does not tell its schema.", Err: err}
	}
	if !current {
		return conversation.Errorf(conversation.CodeUnavailable, "The database's schema is older than this version of Kaiwa. Run kaiwa migrate.")
	}
	s.schemaSeen.Store(true)
	return nil
}

func (s *Server) getMetrics(c echo.Context) error { return s.metrics.handler(c) }
