package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kaiwa/internal/rig"
)

// benchCommand runs `kaiwa bench` on SQLite and on PostgreSQL, each with scratch
// services of its own.
type benchCommand struct {
	Kaiwa     string   `default:"bin/kaiwa" placeholder:"FILE" help:"the kaiwa binary that is measured"`
	Databases []string `default:"sqlite,postgres" enum:"sqlite,postgres" help:"on which it is measured, one after the other"`
	JSON      string   `name:"json" placeholder:"DIR" help:"also write the reports there, as bench-sqlite.json and bench-postgres.json"`
	Args      []string `arg:"" optional:"" help:"after --, given to kaiwa bench, such as --quick --only=1,4"`
}

// Run measures on each of the databases.
func (c *benchCommand) Run(ctx context.Context) error {
	for _, database := range c.Databases {
		if err := c.measure(ctx, database); err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

// serviceStart bounds the start of the scratch services.
const serviceStart = 2 * time.Minute

func (c *benchCommand) measure(ctx context.Context, database string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kaiwa-bench-services-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	starting, cancel := context.WithTimeout(ctx, serviceStart)
	defer cancel()
	services, err := rig.StartServices(starting, rig.Options{Dir: dir, KaiwaDev: self, Database: database})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.Close()) }()
	args := append([]string{"bench"}, c.Args...)
	if c.JSON != "" {
		if err := os.MkdirAll(c.JSON, 0o755); err != nil {
			return err
		}
		args = append(args, "--json="+filepath.Join(c.JSON, "bench-"+database+".json"))
	}
	// It ends by itself when it is told to, and its processes with it.
	cmd := exec.Command(c.Kaiwa, args...)
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+services.TemporalAddress, "KAIWA_DATABASE_URL="+services.DatabaseURL)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) }) // it may have ended
	defer stop()
	return cmd.Wait()
}
