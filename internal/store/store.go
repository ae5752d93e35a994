// Package store is Kaiwa's database: the inbox of LINE's webhooks, the
// conversations and their transcripts, the outgoing batches, the configuration
// and the record of events. It speaks PostgreSQL and SQLite; one conformance
// suite runs against both.
//
// Times are BIGINT microseconds since the Unix epoch, UTC. Statements are
// written once, with $1-style parameters, where the dialects agree; the few
// places where they do not are methods of dialect.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
)

// Options are the parts of a Store that are not in its URL.
type Options struct {
	// Keys encrypt channel secrets at rest. Required.
	Keys *keyring.Ring
	// Observe, when set, is called before every SQL statement (BEGIN, COMMIT
	// and ROLLBACK are not statements here). Tests count with it.
	Observe func(statement string)
	// Watch is told of what happens, for metrics. What a transaction does that is
	// rolled back afterwards is told, too: that is rare.
	Watch Watch
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// MaxOpenConns bounds PostgreSQL connections; 0 means 20. SQLite has one
	// writer and a handful of readers whatever this says. Each role a process
	// leads (see RunAsLeader) holds one for good, so fewer than 5 are not taken.
	MaxOpenConns int
}

// Watch are functions that are told of what happens. They may be nil.
type Watch struct {
	OfferEnded func(state conversation.OfferState, after time.Duration)
	Waited     func(time.Duration) // in a queue, until an agent had the conversation
}

// Store is a database of Kaiwa. It is safe for concurrent use.
type Store struct {
	w, r    *sqlx.DB // SQLite: the one writer, and readers; PostgreSQL: the same pool
	d       dialect
	url     string
	keys    *keyring.Ring
	observe func(string)
	watch   Watch
	now     func() time.Time

	appends appends // webhooks that wait to be stored

	turns      turns         // SQLite: whose turn it is to write
	neighbours *neighbours   // SQLite: the other processes that do
	hints      *hintFile     // SQLite: how they are told
	groupTime  time.Duration // groupTime, except in tests

	told   atomic.Int32 // how often the record has grown since the sequencer was told
	closed context.Context
	close  context.CancelFunc

	statements atomic.Int64
}

// Open connects to a database: "sqlite:PATH", or "postgres://…" as lib/pq has
// it. It does not migrate; see Migrate.
func Open(ctx context.Context, databaseURL string, o Options) (*Store, error) {
	if o.Keys == nil {
		return nil, errors.New("store: Options.Keys is missing")
	}
	s := &Store{url: databaseURL, keys: o.Keys, observe: o.Observe, watch: o.Watch, now: o.Now, groupTime: groupTime}
	if s.now == nil {
		s.now = time.Now
	}
	s.closed, s.close = context.WithCancel(context.Background())
	var err error
	switch {
	case strings.HasPrefix(databaseURL, "sqlite:"):
		s.d = dialectSQLite
		err = s.openSQLite(strings.TrimPrefix(databaseURL, "sqlite:"))
	case strings.HasPrefix(databaseURL, "postgres://"), strings.HasPrefix(databaseURL, "postgresql://"):
		s.d = dialectPostgres
		err = s.openPostgres(databaseURL, o.MaxOpenConns)
	default:
		return nil, errors.New("the database URL must start with postgres:// or with sqlite: and a path")
	}
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("the database does not answer: %w", err)
	}
	return s, nil
}

func (s *Store) openSQLite(path string) error {
	if path == "" {
		return errors.New("after sqlite: the database URL has no path")
	}
	// synchronous=FULL: a commit is on disk before a webhook is answered 200. The
	// cache (32 MB a connection) holds the inner pages of large indexes, and 16 MB
	// of log at a time go into the file, so that pages that change often are
	// written there once for many commits.
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-32768)", "wal_autocheckpoint(4000)",
	}}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	s.w = openPool("sqlite", opener{&sqlite.Driver{}, dsn})
	s.neighbours, _ = meetNeighbours(path) // a path that is wrong is told by Ping
	s.hints = openHints(path)
	s.w.SetMaxOpenConns(1)
	s.r = openPool("sqlite", opener{&sqlite.Driver{}, dsn + "&mode=ro"})
	s.r.SetMaxOpenConns(4)
	s.r.SetMaxIdleConns(4)
	return nil
}

func (s *Store) openPostgres(databaseURL string, conns int) error {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return errors.New("the database URL is not a URL") // the error of Parse would show the password
	}
	q := u.Query()
	q.Set("binary_parameters", "yes") // one round trip a statement
	u.RawQuery = q.Encode()
	connector, err := pq.NewConnector(u.String())
	if err != nil {
		return err
	}
	s.w = openPool("postgres", connector)
	if conns == 0 {
		conns = 20
	}
	conns = max(conns, 5)
	s.w.SetMaxOpenConns(conns)
	s.w.SetMaxIdleConns(conns)
	s.w.SetConnMaxIdleTime(5 * time.Minute)
	s.r = s.w
	return nil
}

// openPool makes a pool of connections that keep their statements prepared.
func openPool(name string, c driver.Connector) *sqlx.DB {
	return sqlx.NewDb(sql.OpenDB(preparing{Connector: c, finalize: name == "sqlite"}), name)
}

// Keys returns the key ring, for what is handed out signed.
func (s *Store) Keys() *keyring.Ring { return s.keys }

// Close closes the connections.
func (s *Store) Close() error {
	s.close()
	err := s.w.Close()
	if s.r != nil && s.r != s.w {
		err = errors.Join(err, s.r.Close())
	}
	s.neighbours.close()
	s.hints.close()
	return err
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error { return s.w.PingContext(ctx) }

// Statements returns how many SQL statements were run since Open, BEGIN,
// COMMIT and ROLLBACK not counted.
func (s *Store) Statements() int64 { return s.statements.Load() }

// micros is a time as the database keeps it; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// conn runs statements: a transaction, or a pool for single statements.
// Every statement of the store goes through one, so that they can be counted.
type conn struct {
	s *Store
	x sqlx.ExtContext // nil: each statement in a transaction of its own
	// whole: no statement is interrupted, because SQLite would take back all of
	// the transaction; between two of them the context is looked at.
	whole bool
	// recorded, in a transaction, notes that there is something for the
	// sequencer once it is committed.
	recorded *bool
	// beside: what nobody waits for is not counted.
	beside bool
}

func (c conn) note(q string) {
	if c.beside {
		return
	}
	c.s.statements.Add(1)
	if c.s.observe != nil {
		c.s.observe(q)
	}
}

// begin prepares a statement's run.
func (c conn) begin(ctx context.Context, q string) (context.Context, error) {
	if c.whole {
		if err := ctx.Err(); err != nil {
			return ctx, fmt.Errorf("%w [%s]", err, firstWords(q))
		}
		ctx = context.WithoutCancel(ctx)
	}
	c.note(q)
	return ctx, nil
}

func (c conn) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	if c.x == nil {
		err = c.s.tx(ctx, func(c conn) error {
			n, err = c.exec(ctx, q, args...)
			return err
		})
		return n, err
	}
	if ctx, err = c.begin(ctx, q); err != nil {
		return 0, err
	}
	res, err := c.x.ExecContext(ctx, q, args...)
	if err != nil {
		return 0, fmt.Errorf("%w [%s]", err, firstWords(q))
	}
	return res.RowsAffected()
}

// get reads one row into dest (a struct or a scalar); found is false when
// there is none.
func (c conn) get(ctx context.Context, dest any, q string, args ...any) (found bool, err error) {
	if c.x == nil {
		err = c.s.tx(ctx, func(c conn) error {
			found, err = c.get(ctx, dest, q, args...)
			return err
		})
		return found, err
	}
	if ctx, err = c.begin(ctx, q); err != nil {
		return false, err
	}
	err = sqlx.GetContext(ctx, c.x, dest, q, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w [%s]", err, firstWords(q))
	}
	return true, nil
}

func (c conn) list(ctx context.Context, dest any, q string, args ...any) (err error) {
	if c.x == nil {
		return c.s.tx(ctx, func(c conn) error { return c.list(ctx, dest, q, args...) })
	}
	if ctx, err = c.begin(ctx, q); err != nil {
		return err
	}
	if err := sqlx.SelectContext(ctx, c.x, dest, q, args...); err != nil {
		return fmt.Errorf("%w [%s]", err, firstWords(q))
	}
	return nil
}

// firstWords names a statement in an error without its values.
func firstWords(q string) string {
	f := strings.Fields(q)
	if len(f) > 6 {
		f = f[:6]
	}
	return strings.Join(f, " ")
}

// write and read are single statements outside a transaction.
func (s *Store) write() conn {
	if s.d == dialectSQLite {
		return conn{s: s}
	}
	return conn{s: s, x: s.w}
}

func (s *Store) read() conn { return conn{s: s, x: s.r} }

// tx runs f in a transaction that may write, and commits when f returns nil.
// SQLite takes the write lock at BEGIN; PostgreSQL runs at READ COMMITTED, so
// that every statement sees what was committed before it, which the rule
// "lock first, in its own statement" relies on. On SQLite short transactions
// share a commit; see group.
func (s *Store) tx(ctx context.Context, f func(conn) error) error {
	return s.transact(ctx, false, f)
}

// txAlone is tx for what may take long: nobody else's answer waits for it.
func (s *Store) txAlone(ctx context.Context, f func(conn) error) error {
	return s.transact(ctx, true, f)
}

func (s *Store) transact(ctx context.Context, alone bool, f func(conn) error) error {
	recorded := false
	err := s.single(ctx, alone, func(c conn) error {
		c.recorded = &recorded
		return f(c)
	})
	if err == nil && recorded {
		s.recordGrew()
	}
	return err
}

// single runs f in one transaction.
func (s *Store) single(ctx context.Context, alone bool, f func(conn) error) error {
	if s.d == dialectSQLite {
		return s.grouped(ctx, alone, f)
	}
	tx, err := s.w.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this does nothing
	if err := f(conn{s: s, x: tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// late is what a store function answers when its attempt has outlived its
// deadline by the time it holds the lock: it changes nothing, because a later
// attempt may already have answered.
func (s *Store) late(deadline time.Time) error {
	if !deadline.IsZero() && s.now().After(deadline) {
		return conversation.Errorf(conversation.CodeLate, "The attempt outlived its deadline and changed nothing.")
	}
	return nil
}

// values builds "($1,$2),($3,$4)" for rows of n columns, counting from first.
func values(rows, n, first int) string {
	var b strings.Builder
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range n {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "$%d", first+i*n+j)
		}
		b.WriteByte(')')
	}
	return b.String()
}
