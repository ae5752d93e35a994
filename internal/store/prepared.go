package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// preparedMost is how many statements a connection keeps prepared: more than the
// hot paths have, and few enough that a database server with hundreds of
// connections has room for them.
const preparedMost = 256

// preparing makes connections that prepare a statement when they see its text
// for the second time, and keep it: parsing and planning cost about as much as
// most of the store's statements do, and on SQLite more.
type preparing struct {
	driver.Connector
	// finalize: statements have to be closed before their connection is. A server
	// forgets them with it, and might not answer.
	finalize bool
}

// opener is the driver.Connector of a driver that has none.
type opener struct {
	driver driver.Driver
	dsn    string
}

func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }

func (o opener) Driver() driver.Driver { return o.driver }

// fullConn is what the connections of both drivers can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// fullStmt is what their prepared statements can do.
type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// Connect opens a connection.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return c, nil
	}
	cache, err := simplelru.NewLRU(preparedMost, func(_ string, k *kept) { k.close() })
	if err != nil {
		return nil, err // of a size that is not positive
	}
	own := &preparedConn{fullConn: full, kept: cache, finalize: p.finalize}
	if checker, ok := c.(driver.NamedValueChecker); ok {
		return &checkingConn{own, checker}, nil
	}
	return own, nil
}

// preparedConn is a connection that keeps statements prepared. As any driver's,
// it is used by one goroutine at a time.
type preparedConn struct {
	fullConn
	kept     *simplelru.LRU[string, *kept]
	finalize bool
	// stale: a statement was given up while it ran. The server's cancelling of it
	// may come late and meet the next one.
	stale bool
}

// checkingConn is one of a driver that looks at arguments itself.
type checkingConn struct {
	*preparedConn
	driver.NamedValueChecker
}

// kept is a text that was seen, with its statement from the second time on.
type kept struct {
	stmt fullStmt
	busy bool // its rows are being read
}

func (k *kept) close() {
	if k.stmt != nil {
		_ = k.stmt.Close() // of a connection that is closed, it is gone
	}
}

// prepared returns the statement of a text, nil where it is to be run without
// one: the first time, and while its rows are read.
func (c *preparedConn) prepared(ctx context.Context, q string) (*kept, error) {
	k, seen := c.kept.Get(q)
	switch {
	case !seen:
		c.kept.Add(q, &kept{})
		return nil, nil
	case k.busy:
		return nil, nil
	case k.stmt != nil:
		return k, nil
	}
	stmt, err := c.fullConn.PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	full, ok := stmt.(fullStmt)
	if !ok {
		return nil, stmt.Close()
	}
	k.stmt = full
	return k, nil
}

// ExecContext runs a statement. One without arguments may be a script, which
// cannot be prepared.
func (c *preparedConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		return c.fullConn.ExecContext(ctx, q, args)
	}
	k, err := c.prepared(ctx, q)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return c.fullConn.ExecContext(ctx, q, args)
	}
	res, err := k.stmt.ExecContext(ctx, args)
	c.ran(ctx, q, err)
	return res, err
}

// QueryContext runs a query.
func (c *preparedConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	k, err := c.prepared(ctx, q)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return c.fullConn.QueryContext(ctx, q, args)
	}
	rows, err := k.stmt.QueryContext(ctx, args)
	c.ran(ctx, q, err)
	if err != nil {
		return nil, err
	}
	k.busy = true
	return &preparedRows{Rows: rows, done: func(err error) {
		k.busy = false
		c.ran(ctx, q, err)
	}}, nil
}

// ran looks at how a prepared statement ended. One that failed is forgotten:
// the tables may have changed below it.
func (c *preparedConn) ran(ctx context.Context, q string, err error) {
	switch {
	case ctx.Err() != nil:
		c.stale = true
	case err != nil:
		c.kept.Remove(q)
	}
}

// IsValid tells whether the connection may be used again.
func (c *preparedConn) IsValid() bool { return !c.stale && c.fullConn.IsValid() }

// Close closes the connection and, with it, what is prepared.
func (c *preparedConn) Close() error {
	if c.finalize {
		c.kept.Purge()
	}
	return c.fullConn.Close()
}

// preparedRows are rows of a prepared statement.
type preparedRows struct {
	driver.Rows
	err  error
	done func(error)
}

// Next reads a row.
func (r *preparedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return err
}

// Close ends the reading.
func (r *preparedRows) Close() error {
	err := r.Rows.Close()
	r.done(errors.Join(r.err, err))
	return err
}
