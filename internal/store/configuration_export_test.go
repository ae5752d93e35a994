package store

import (
	"context"
	"strings"
)

// The statements whose plans are looked at.
var (
	AuthenticateQueryForTest = authenticateQuery
	PlanQueryForTest         = planQuery
	RoutingFactsQueryForTest = routingFactsQuery
)

// ExecForTest runs a statement that no method of the store runs.
func (s *Store) ExecForTest(ctx context.Context, q string, args ...any) error {
	_, err := s.write().exec(ctx, q, args...)
	return err
}

// QueryForTest reads one text as it is stored.
func (s *Store) QueryForTest(ctx context.Context, q string, args ...any) (string, error) {
	var text string
	_, err := s.read().get(ctx, &text, q, args...)
	return text, err
}

// ExplainForTest is how the database would run a statement on tables too large
// to be read whole.
func (s *Store) ExplainForTest(ctx context.Context, q string, args ...any) (plan string, err error) {
	err = s.tx(ctx, func(c conn) error {
		if s.d == dialectSQLite {
			var steps []struct {
				ID      int64  `db:"id"`
				Parent  int64  `db:"parent"`
				NotUsed int64  `db:"notused"`
				Detail  string `db:"detail"`
			}
			err := c.list(ctx, &steps, "EXPLAIN QUERY PLAN "+q, args...)
			for _, s := range steps {
				plan += s.Detail + "\n"
			}
			return err
		}
		if _, err := c.exec(ctx, "SET LOCAL enable_seqscan = off"); err != nil {
			return err
		}
		// EXPLAIN takes no parameters.
		var lines []string
		err := c.list(ctx, &lines, "EXPLAIN "+strings.ReplaceAll(q, "$1", "'x'"))
		plan = strings.Join(lines, "\n")
		return err
	})
	return plan, err
}
