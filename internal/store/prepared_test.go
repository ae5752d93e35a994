package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainDriver is a database that notes what it is asked for, and how.
type plainDriver struct {
	driver.Connector
	said  []string
	fails error
}

func (d *plainDriver) Connect(context.Context) (driver.Conn, error) { return &plainConn{d: d}, nil }

type plainConn struct {
	fullConn
	d *plainDriver
}

func (c *plainConn) ExecContext(_ context.Context, q string, _ []driver.NamedValue) (driver.Result, error) {
	c.d.said = append(c.d.said, "plain "+q)
	return driver.RowsAffected(1), c.d.fails
}

func (c *plainConn) QueryContext(_ context.Context, q string, _ []driver.NamedValue) (driver.Rows, error) {
	c.d.said = append(c.d.said, "plain "+q)
	return noRows{}, c.d.fails
}

func (c *plainConn) PrepareContext(_ context.Context, q string) (driver.Stmt, error) {
	c.d.said = append(c.d.said, "prepare "+q)
	return &plainStmt{c.d, q}, nil
}

func (c *plainConn) IsValid() bool { return true }
func (c *plainConn) Close() error  { c.d.said = append(c.d.said, "disconnect"); return nil }

type plainStmt struct {
	d *plainDriver
	q string
}

func (s *plainStmt) Close() error                               { s.d.said = append(s.d.said, "close "+s.q); return nil }
func (s *plainStmt) NumInput() int                              { return -1 }
func (s *plainStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s *plainStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

func (s *plainStmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	s.d.said = append(s.d.said, "prepared "+s.q)
	return driver.RowsAffected(1), s.d.fails
}

func (s *plainStmt) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	s.d.said = append(s.d.said, "prepared "+s.q)
	return noRows{}, s.d.fails
}

type noRows struct{}

func (noRows) Columns() []string         { return nil }
func (noRows) Next([]driver.Value) error { return io.EOF }
func (noRows) Close() error              { return nil }

func prepare(t *testing.T) (*plainDriver, *preparedConn) {
	t.Helper()
	d := &plainDriver{}
	c, err := preparing{Connector: d, finalize: true}.Connect(t.Context())
	require.NoError(t, err)
	require.IsType(t, &preparedConn{}, c)
	return d, c.(*preparedConn)
}

var someArgs = []driver.NamedValue{{Ordinal: 1, Value: "a"}}

func TestAStatementIsPreparedWhenItComesAgain(t *testing.T) {
	t.Parallel()
	d, c := prepare(t)
	for range 3 {
		_, err := c.ExecContext(t.Context(), "UPDATE", someArgs)
		require.NoError(t, err)
	}
	_, err := c.ExecContext(t.Context(), "SAVEPOINT", nil)
	require.NoError(t, err)
	_, err = c.ExecContext(t.Context(), "SAVEPOINT", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"plain UPDATE", "prepare UPDATE", "prepared UPDATE", "prepared UPDATE", "plain SAVEPOINT", "plain SAVEPOINT"}, d.said)
	require.NoError(t, c.Close())
	require.Equal(t, []string{"close UPDATE", "disconnect"}, d.said[6:])
}

func TestAPreparedStatementIsNotUsedWhileItsRowsAreRead(t *testing.T) {
	t.Parallel()
	d, c := prepare(t)
	ask := func() driver.Rows {
		rows, err := c.QueryContext(t.Context(), "SELECT", someArgs)
		require.NoError(t, err)
		return rows
	}
	require.NoError(t, ask().Close())
	open := ask()
	require.NoError(t, ask().Close())
	require.NoError(t, open.Close())
	require.NoError(t, ask().Close())
	require.Equal(t, []string{"plain SELECT", "prepare SELECT", "prepared SELECT", "plain SELECT", "prepared SELECT"}, d.said)
}

func TestAPreparedStatementThatFailsIsForgotten(t *testing.T) {
	t.Parallel()
	d, c := prepare(t)
	run := func() error {
		_, err := c.ExecContext(t.Context(), "UPDATE", someArgs)
		return err
	}
	require.NoError(t, run())
	require.NoError(t, run())
	d.fails = errors.New("the table has changed")
	require.ErrorIs(t, run(), d.fails)
	d.fails = nil
	require.NoError(t, run())
	require.NoError(t, run())
	require.Equal(t, []string{"plain UPDATE", "prepare UPDATE", "prepared UPDATE", "prepared UPDATE", "close UPDATE", "plain UPDATE", "prepare UPDATE", "prepared UPDATE"}, d.said)
	require.True(t, c.IsValid(), "the connection is not to blame")
}

// The driver cancels by a message of its own, which may meet the statement after.
func TestAConnectionWhoseStatementWasGivenUpIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	_, c := prepare(t)
	_, err := c.ExecContext(t.Context(), "UPDATE", someArgs)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := c.QueryContext(ctx, "UPDATE", someArgs)
	require.NoError(t, err)
	require.True(t, c.IsValid())
	cancel()
	require.NoError(t, rows.Close())
	require.False(t, c.IsValid())
	require.Equal(t, 1, c.kept.Len(), "nothing more is said to a server that may hang")
}

func TestAServerForgetsStatementsWithTheirConnection(t *testing.T) {
	t.Parallel()
	d := &plainDriver{}
	opened, err := preparing{Connector: d}.Connect(t.Context())
	require.NoError(t, err)
	c := opened.(*preparedConn)
	for range 2 {
		_, err := c.ExecContext(t.Context(), "UPDATE", someArgs)
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
	require.Equal(t, []string{"plain UPDATE", "prepare UPDATE", "prepared UPDATE", "disconnect"}, d.said)
}

func TestOnlySoManyStatementsStayPrepared(t *testing.T) {
	t.Parallel()
	d, c := prepare(t)
	for i := range preparedMost + 1 {
		q := "SELECT " + string(rune('a'+i))
		for range 2 {
			_, err := c.ExecContext(t.Context(), q, someArgs)
			require.NoError(t, err)
		}
	}
	require.Equal(t, preparedMost, c.kept.Len())
	require.Contains(t, d.said, "close SELECT a")
	require.NotContains(t, d.said, "close SELECT b")
}
