package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // driver "postgres"
	"github.com/stretchr/testify/require"

	"kaiwa/internal/postgres"
	"kaiwa/internal/store"
)

// cluster is a server with a migrated template database.
type cluster struct {
	admin    *sqlx.DB // connected to the maintenance database
	url      *url.URL
	template string
}

var (
	theCluster = sync.OnceValues(openCluster)
	databases  atomic.Int64
)

// newPostgres makes a database from the template and drops it with the test.
func newPostgres(t testing.TB) string {
	t.Helper()
	c, err := theCluster()
	require.NoError(t, err)
	name := fmt.Sprintf("kaiwa_test_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), databases.Add(1))
	_, err = c.admin.Exec("CREATE DATABASE " + name + " TEMPLATE " + c.template)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
		require.NoError(t, err)
	})
	return c.database(name)
}

func (c *cluster) database(name string) string {
	u := *c.url
	u.Path = "/" + name
	return u.String()
}

func openCluster() (*cluster, error) {
	server := os.Getenv("KAIWA_TEST_POSTGRES")
	if server == "" {
		var err error
		if server, err = startPostgres(); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("KAIWA_TEST_POSTGRES is not a URL")
	}
	c := &cluster{url: u}
	if c.admin, err = sqlx.Open("postgres", server); err != nil {
		return nil, err
	}
	c.admin.SetMaxOpenConns(4)
	return c, c.makeTemplate()
}

// makeTemplate migrates a template once per schema. Test processes that share
// a server wait for each other; it gets its name when it is complete, so that
// one that died half-way leaves nothing to trip over.
func (c *cluster) makeTemplate() error {
	ctx := context.Background()
	digest, err := store.SchemaDigest()
	if err != nil {
		return err
	}
	c.template = "kaiwa_template_" + digest
	conn, err := c.admin.Connx(ctx)
	if err != nil {
		return fmt.Errorf("the PostgreSQL server for tests does not answer: %w", err)
	}
	defer func() { _ = conn.Close() }()
	const lock = 0x6b61697761 // "kaiwa"
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", lock) }()
	var there bool
	if err := conn.GetContext(ctx, &there, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", c.template); err != nil || there {
		return err
	}
	draft := c.template + "_draft"
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + draft + " WITH (FORCE)", "CREATE DATABASE " + draft} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := migrate(c.database(draft)); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+draft+" RENAME TO "+c.template)
	return err
}

// The server runs under a shell that waits for its standard input to close,
// which happens when the test process ends, be it by SIGKILL. It then stops the
// server at once and removes its files.
const guardian = `
set -e
dir=$1 bin=$2
trap '' INT HUP TERM
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log"; rm -rf "$dir"; exit 1; }
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c max_connections=400 -c shared_buffers=64MB -c max_wal_size=1GB -c autovacuum=off -c jit=off </dev/null >"$dir/postgres.log" 2>&1 &
server=$!
i=0
until "$bin/pg_isready" -q -h "$dir"; do
	i=$((i + 1))
	if [ $i -gt 300 ] || ! kill -0 $server 2>/dev/null; then cat "$dir/postgres.log"; rm -rf "$dir"; exit 1; fi
	sleep 0.05
done
echo ready
cat >/dev/null || true
kill -QUIT $server 2>/dev/null || true
wait $server 2>/dev/null || true
rm -rf "$dir"
`

// startPostgres starts a scratch server and returns its URL.
func startPostgres() (string, error) {
	bin, err := postgres.Binaries()
	if err != nil {
		return "", fmt.Errorf("%w, or set KAIWA_TEST_POSTGRES to the URL of a superuser", err)
	}
	dir, err := os.MkdirTemp("", "kaiwa-pg-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("/bin/sh", "-c", guardian, "postgres-for-tests", dir, bin)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for the guardian
	if err := postgres.Prepare(cmd, dir); err != nil {
		return "", err
	}
	input, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	untilExit = append(untilExit, input)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start PostgreSQL for tests: %w", err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			q := url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}
			return (&url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: q.Encode()}).String(), nil
		}
		said.WriteString(lines.Text() + "\n")
	}
	return "", fmt.Errorf("PostgreSQL for tests did not start: %s", said.String())
}

// untilExit is what only the end of this process may close; being collected as
// garbage would close it too.
var untilExit []io.Closer
