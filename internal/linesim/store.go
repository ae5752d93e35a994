package linesim

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"
	_ "modernc.org/sqlite" // the "sqlite" driver
)

//go:embed schema.sql
var schema string

// store is the SQLite file behind the simulator. Writes go one at a time
// through a single connection; reads of a file have connections of their own
// so that a long transcript never holds up a push. An in-memory database
// exists only on its one connection, so there the two are the same.
type store struct {
	w, r *sqlx.DB

	mu    sync.Mutex // one write transaction at a time, without SQLITE_BUSY
	stmts sync.Map   // query → *sqlx.Stmt on w
}

func openStore(ctx context.Context, path string) (*store, error) {
	w, err := sqlx.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	// The connection is the in-memory database: it must never be recycled.
	w.SetMaxOpenConns(1)
	w.SetMaxIdleConns(1)
	if _, err := w.ExecContext(ctx, schema); err != nil {
		return nil, fmt.Errorf("create tables in %q: %w", path, closing(w, err))
	}
	st := &store{w: w, r: w}
	if path != "" {
		if st.r, err = sqlx.Open("sqlite", dataSource(path)); err != nil {
			return nil, fmt.Errorf("open %q for reading: %w", path, closing(w, err))
		}
		st.r.SetMaxOpenConns(4)
		st.r.SetMaxIdleConns(4)
	}
	return st, nil
}

// closing closes db after a failed start; the start's error is the one to tell.
func closing(db *sqlx.DB, err error) error {
	if cerr := db.Close(); cerr != nil {
		return fmt.Errorf("%w (and closing: %w)", err, cerr)
	}
	return err
}

// dataSource sets WAL with synchronous=NORMAL: a committed transaction
// survives kill -9 of the process, which is what the simulator promises; only
// a power cut could lose the last ones.
func dataSource(path string) string {
	pragmas := "_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	if path == "" {
		return "file::memory:?" + pragmas
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas
}

func (st *store) close() error {
	var problems []string
	st.stmts.Range(func(_, v any) bool {
		if err := v.(*sqlx.Stmt).Close(); err != nil {
			problems = append(problems, err.Error())
		}
		return true
	})
	if st.r != st.w {
		if err := st.r.Close(); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if err := st.w.Close(); err != nil {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		return fmt.Errorf("close store: %s", strings.Join(problems, "; "))
	}
	return nil
}

// txn is a write transaction whose statements stay prepared between uses.
type txn struct {
	st *store
	tx *sqlx.Tx
}

// write runs fn in one transaction. It does not end with the caller's context:
// a request that LINE has begun is finished even if the client hangs up.
// Inside fn only t may be used, never the store's read side.
func (st *store) write(fn func(t *txn) error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	tx, err := st.w.Beginx()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(&txn{st: st, tx: tx}); err != nil {
		if rerr := tx.Rollback(); rerr != nil {
			return fmt.Errorf("%w (and rollback: %w)", err, rerr)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (t *txn) stmt(query string) (*sqlx.Stmt, error) {
	if v, ok := t.st.stmts.Load(query); ok {
		return t.tx.Stmtx(v), nil
	}
	// Prepared on the pool it would wait for the connection this very
	// transaction holds, so the first use prepares inside it and the next
	// transaction finds the lasting one.
	return t.tx.Preparex(query)
}

func (t *txn) exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, fmt.Errorf("prepare %q: %w", query, err)
	}
	res, err := s.Exec(args...)
	if err != nil {
		return 0, fmt.Errorf("exec %q: %w", query, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("exec %q: %w", query, err)
	}
	return n, nil
}

// get scans the first row; sql.ErrNoRows when there is none.
func (t *txn) get(dest any, query string, args ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return fmt.Errorf("prepare %q: %w", query, err)
	}
	return s.Get(dest, args...)
}

func (t *txn) list(dest any, query string, args ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return fmt.Errorf("prepare %q: %w", query, err)
	}
	return s.Select(dest, args...)
}

// prepare keeps the statements of the hot paths for the life of the store.
func (st *store) prepare(queries ...string) error {
	for _, q := range queries {
		s, err := st.w.Preparex(q)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", q, err)
		}
		st.stmts.Store(q, s)
	}
	return nil
}
