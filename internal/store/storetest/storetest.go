// Package storetest gives tests databases: fresh, migrated, their own, on
// SQLite and on PostgreSQL.
//
// KAIWA_TEST_POSTGRES may name a PostgreSQL server to use, as the URL of a
// superuser. Without it each test process starts a scratch server from the
// installed binaries at the first use, and that server goes away with the
// process, however it ends.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/keyring"
	"kaiwa/internal/store"
)

// Dialects lists the databases Kaiwa speaks.
func Dialects() []string { return []string{"sqlite", "postgres"} }

// Each runs f as a subtest on every database, each with a store of its own.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	for _, dialect := range Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, _ := New(t, dialect)
			f(t, s)
		})
	}
}

// New opens a fresh, migrated database that is dropped when the test ends. The
// URL opens it again, with the key ring of Keys.
func New(t testing.TB, dialect string, options ...func(*store.Options)) (s *store.Store, url string) {
	t.Helper()
	switch dialect {
	case "sqlite":
		url = newSQLite(t)
	case "postgres":
		url = newPostgres(t)
	default:
		require.Failf(t, "unknown dialect", "%q", dialect)
	}
	return Open(t, url, options...), url
}

// Open opens a database again, as another process would.
func Open(t testing.TB, url string, options ...func(*store.Options)) *store.Store {
	t.Helper()
	o := store.Options{Keys: Keys()}
	for _, option := range options {
		option(&o)
	}
	s, err := store.Open(context.Background(), url, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// KeySetting is the key ring of the tests, as KAIWA_SECRET_KEYS has it.
const KeySetting = "test:a2Fpd2EgdGVzdHMgb25seSwgMzIgYnl0ZXMgbG9uZyE="

// Keys is the key ring that the stores of this package are opened with.
func Keys() *keyring.Ring {
	ring, err := keyring.Parse(KeySetting)
	if err != nil {
		panic(err) // the constant above is wrong
	}
	return ring
}

// newSQLite copies a database that was migrated once.
func newSQLite(t testing.TB) string {
	t.Helper()
	content, err := sqliteTemplate()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kaiwa.db")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return "sqlite:" + path
}

var sqliteTemplate = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "kaiwa-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "kaiwa.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func migrate(url string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, url, store.Options{Keys: Keys()})
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		_ = s.Close()
		return fmt.Errorf("migrate the template: %w", err)
	}
	return s.Close()
}
