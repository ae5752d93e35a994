package rig

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	_ "github.com/lib/pq" // driver "postgres"

	"kaiwa/internal/postgres"
)

// startPostgres makes a scratch cluster with the durability that production has
// and starts its server, which listens on a socket only.
func (r *Rig) startPostgres(ctx context.Context) error {
	bin, err := postgres.Binaries()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kaiwa-pg-") // its user must be able to get there
	if err != nil {
		return err
	}
	r.onClose(func() error { return os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir = dir
	if err := postgres.Prepare(initdb, dir); err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	query := url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	r.DatabaseURL = (&url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: query.Encode()}).String()
	r.Postgres = r.process("postgres", filepath.Join(bin, "postgres"), []string{
		"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB",
	}, []string{"LC_ALL=C"})
	r.Postgres.family = true
	r.Postgres.prepare = func(cmd *exec.Cmd) error {
		cmd.Dir = dir
		return postgres.Prepare(cmd, dir)
	}
	db, err := sql.Open("postgres", r.DatabaseURL)
	if err != nil {
		return err
	}
	r.onClose(func() error { _ = db.Close(); return nil }) // a connection to a killed server does not close well
	r.Postgres.ready = db.PingContext
	if err := r.Postgres.Start(); err != nil {
		return err
	}
	return r.Postgres.Ready(ctx)
}
