package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"kaiwa/internal/searchattr"
	"kaiwa/internal/store/storetest"
)

// each runs f on every database, with its URL.
func each(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			_, url := storetest.New(t, dialect)
			f(t, url)
		})
	}
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, databaseURL string) {
		temporal := startTemporal(t)
		e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr)
		for range 2 {
			code, stdout, stderr := run(t, e, "migrate")
			require.Equal(t, 0, code, stderr)
			require.Equal(t, "database: the schema is current\nTemporal: namespace \"default\" has the search attributes\n", stdout)
			require.Equal(t, len(searchattr.Keys()), temporal.registered())
		}
		current, err := storetest.Open(t, databaseURL).SchemaCurrent(t.Context())
		require.NoError(t, err)
		require.True(t, current)
	})
}

func TestAnEmptyDatabaseIsMigrated(t *testing.T) {
	t.Parallel()
	databaseURL := "sqlite:" + filepath.Join(t.TempDir(), "new.db")
	e := complete(t, databaseURL)
	code, _, stderr := run(t, e, "admin", "create", "--name", "Mai", "--email", "mai@example.com")
	require.Equal(t, 1, code)
	require.Equal(t, "kaiwa: the database's schema is older than this version: run kaiwa migrate first\n", stderr)
	code, _, stderr = run(t, e, "migrate", "--database-only")
	require.Equal(t, 0, code, stderr)
	code, _, stderr = run(t, e, "admin", "create", "--name", "Mai", "--email", "mai@example.com")
	require.Equal(t, 0, code, stderr)
}

func TestMigrateSaysWhatIsWrongWithTemporal(t *testing.T) {
	t.Parallel()
	_, databaseURL := storetest.New(t, "sqlite")
	temporal := startTemporal(t)
	e := complete(t, databaseURL).with("TEMPORAL_ADDRESS", temporal.Addr)

	code, _, stderr := run(t, e.with("TEMPORAL_NAMESPACE", "elsewhere"), "migrate")
	require.Equal(t, 2, code)
	require.Equal(t, `kaiwa: TEMPORAL_NAMESPACE is wrong: Temporal at `+temporal.Addr+` has no namespace "elsewhere"; create it first: temporal operator namespace create elsewhere`+"\n", stderr)

	temporal.Refuse = serviceerror.NewPermissionDenied("Request unauthorized.", "")
	code, _, stderr = run(t, e, "migrate")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, `may not create search attributes in namespace "default"`)
	require.Contains(t, stderr, "KaiwaChannel=Keyword")

	code, stdout, stderr := run(t, e.with("TEMPORAL_ADDRESS", "127.0.0.1:1").with("KAIWA_START_TIMEOUT", "300ms"), "migrate")
	require.Equal(t, 1, code)
	require.Equal(t, "database: the schema is current\n", stdout)
	require.Contains(t, stderr, "kaiwa: no answer from Temporal at 127.0.0.1:1 (TEMPORAL_ADDRESS): dial tcp 127.0.0.1:1: connect: connection refused\n")
}

func TestADatabaseThatIsAwayIsWaitedForWithinBounds(t *testing.T) {
	t.Parallel()
	e := complete(t, "postgres://127.0.0.1:1/kaiwa?sslmode=disable").with("KAIWA_START_TIMEOUT", "300ms")
	for _, command := range []string{"api", "worker", "migrate"} {
		code, _, stderr := run(t, e, command)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "waiting for the database")
		require.Contains(t, stderr, "kaiwa: the database of KAIWA_DATABASE_URL did not answer within 300ms: dial tcp 127.0.0.1:1: connect: connection refused\n")
	}
}

func TestADatabaseThatComesUpIsUsed(t *testing.T) {
	t.Parallel()
	_, databaseURL := storetest.New(t, "postgres")
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	query := u.Query()
	socket := query.Get("host")
	if !filepath.IsAbs(socket) {
		t.Skip("the PostgreSQL server for tests is not reached by a socket")
	}
	// The server appears where the process looks for it only after it has begun
	// to wait.
	later := filepath.Join(t.TempDir(), "socket")
	query.Set("host", later)
	u.RawQuery = query.Encode()
	p := start(t, complete(t, u.String()), "migrate", "--database-only")
	p.says("waiting for the database")
	require.NoError(t, os.Symlink(socket, later))
	require.Equal(t, 0, p.exit(), p.stderr.String())
}

func TestADatabaseThatRefusesIsAWrongSettingAtOnce(t *testing.T) {
	t.Parallel()
	_, databaseURL := storetest.New(t, "postgres")
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.Path = "/nobody_made_this"
	code, _, stderr := run(t, complete(t, u.String()), "api")
	require.Equal(t, 2, code)
	require.Equal(t, "kaiwa: KAIWA_DATABASE_URL is wrong: database \"nobody_made_this\" does not exist\n", stderr)
}
