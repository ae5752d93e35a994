package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kaiwa/internal/bench"
	"kaiwa/internal/settings"
)

// benchCommand measures this very binary: it starts its api and worker, with a
// LINE simulator in this process, on a Temporal and a database that are there
// for nothing else.
type benchCommand struct {
	DatabaseURL string `name:"database-url" aliases:"kaiwa-database-url" env:"KAIWA_DATABASE_URL" placeholder:"URL" help:"a scratch database, postgres://… or sqlite:PATH; one that has conversations is refused"`
	Temporal    string `name:"temporal-address" env:"TEMPORAL_ADDRESS" placeholder:"HOST:PORT" help:"a scratch Temporal; its namespace default is used"`
	Only        []int  `placeholder:"N,…" help:"these scenarios: 1 inbound, 2 bot answer, 3 agent message, 4 acknowledgement, 5 assignment, 6 growth, 7 agents watching; all when not given"`
	Seed        uint64 `default:"1" help:"the same seed gives the same load"`
	Quick       bool   `help:"smaller sizes: a minute, to see that it works rather than how fast it is"`
	JSON        string `name:"json" placeholder:"FILE" help:"also write the report there as JSON"`
	Profile     string `placeholder:"DIR" help:"write a CPU profile of api and worker there for each scenario"`
	Strict      bool   `help:"exit 1 when a bar is missed"`
}

// Help is what --help adds.
func (*benchCommand) Help() string {
	return "It prints a table: what was measured, beside its baseline on the same Temporal and database, and the bar it is held against. " +
		"Which scenarios there are, and what the figures mean, is told in docs/performance.md. make bench starts the scratch services as well."
}

// Run measures and prints the report.
func (c *benchCommand) Run(ctx context.Context, out streams) error {
	switch {
	case c.DatabaseURL == "":
		return settings.Missing("KAIWA_DATABASE_URL", "a scratch database: postgres://… or sqlite:PATH")
	case c.Temporal == "":
		return settings.Missing("TEMPORAL_ADDRESS", "a scratch Temporal, such as the one that kaiwa-dev temporal runs")
	}
	for _, n := range c.Only {
		if n < 1 || n > bench.Scenarios {
			return usage("--only has %d: the scenarios are 1 to %d", n, bench.Scenarios)
		}
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	size := bench.Full
	if c.Quick {
		size = bench.Quick
	}
	if c.Profile != "" {
		if err := os.MkdirAll(c.Profile, 0o755); err != nil {
			return usage("--profile: %s", err)
		}
		if c.Profile, err = filepath.Abs(c.Profile); err != nil {
			return err
		}
	}
	begun := time.Now()
	report, err := bench.Run(ctx, bench.Options{
		Kaiwa: binary, Version: version(), Temporal: c.Temporal, Database: c.DatabaseURL, Only: c.Only, Seed: c.Seed, Size: size, Profile: c.Profile,
		Progress: func(what string) {
			_, _ = fmt.Fprintf(out.Err, "%7s  %s\n", time.Since(begun).Round(time.Second), what) // there is nowhere else to say it
		},
	})
	if errors.Is(err, bench.ErrInUse) {
		return settings.Wrong("KAIWA_DATABASE_URL", "%s", err)
	}
	if report != nil && len(report.Figures) > 0 { // also what was measured before an error
		err = errors.Join(err, report.Print(out.Out), c.writeJSON(report))
	}
	if err == nil && c.Strict {
		err = report.AllMet()
	}
	return err
}

func (c *benchCommand) writeJSON(report *bench.Report) error {
	if c.JSON == "" {
		return nil
	}
	f, err := os.Create(c.JSON)
	if err != nil {
		return err
	}
	return errors.Join(report.JSON(f), f.Close())
}
