package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// starts counts the stores opened by this process. The server's plugin pools
// connections by their data source name and never closes one; a name of its own
// gives every start a fresh connection, so a file that was deleted or replaced
// in between is not answered from the old one.
var starts atomic.Int64

// openStore prepares the database at path ("" in memory): its schema when it
// has none, and the namespace when it lacks. An existing namespace is left as it is.
func openStore(ctx context.Context, path, namespace string, retention time.Duration) (*config.SQL, error) {
	store := &config.SQL{
		PluginName: sqlite.PluginName,
		ConnectAttributes: map[string]string{
			"busy_timeout": "5000", // ms
			// No pragma of SQLite's, and therefore ignored by it.
			"kaiwa_start": strconv.FormatInt(starts.Add(1), 10),
		},
		// More than one connection was measured slower, with WAL too.
		MaxConns:     1,
		MaxIdleConns: 1,
	}
	if path == "" {
		// The plugin gives databases in memory their schema by itself.
		store.DatabaseName = uuid.NewString()
		store.ConnectAttributes["mode"] = "memory"
		store.ConnectAttributes["cache"] = "private"
	} else {
		name, err := fileName(path)
		if err != nil {
			return nil, err
		}
		store.DatabaseName = name
		store.ConnectAttributes["mode"] = "rwc"
		store.ConnectAttributes["journal_mode"] = "wal"
		// A power cut may undo the last commits, a killed process does not.
		store.ConnectAttributes["synchronous"] = "normal"
		if err := createSchema(ctx, name); err != nil {
			return nil, fmt.Errorf("temporal database %s: %w", path, err)
		}
	}

	ns, err := sqliteschema.NewNamespaceConfig(clusterName, namespace, false, nil)
	if err != nil {
		return nil, fmt.Errorf("namespace %q: %w", namespace, err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqliteschema.CreateNamespaces(store, ns); err != nil {
		return nil, fmt.Errorf("create namespace %q: %w", namespace, err)
	}
	return store, nil
}

// fileName is path as it stands in a SQLite URI, absolute so that it means the
// same after a change of directory.
func fileName(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("temporal database %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return "", fmt.Errorf("temporal database %s: %w", path, err)
	}
	return (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath(), nil
}

// createSchema makes the tables of an empty file in one transaction. The
// plugin's own set-up commits them one by one and takes the first existing one
// for the whole: a process killed in between would leave a file that never
// starts again.
func createSchema(ctx context.Context, name string) (err error) {
	db, err := sql.Open("sqlite", "file:"+name+"?mode=rwc&_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if closeErr := db.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close: %w", closeErr)
		}
	}()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	var tables int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return rollback(tx, fmt.Errorf("look for tables: %w", err))
	}
	if tables > 0 {
		return rollback(tx, nil)
	}
	if err := sqliteschema.SetupSchemaOnDB(schemaTx{tx: tx, ctx: ctx}); err != nil {
		return rollback(tx, fmt.Errorf("create schema: %w", err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit schema: %w", err)
	}
	return nil
}

func rollback(tx *sql.Tx, cause error) error {
	if err := tx.Rollback(); err != nil && cause == nil {
		return fmt.Errorf("rollback: %w", err)
	}
	return cause
}

// schemaTx is the one method of AdminDB that the schema's set-up calls.
type schemaTx struct {
	sqlplugin.AdminDB
	tx  *sql.Tx
	ctx context.Context
}

func (t schemaTx) Exec(stmt string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, strings.TrimSpace(stmt), args...)
	return err
}
