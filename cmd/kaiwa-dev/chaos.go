package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"kaiwa/internal/chaos"
	"kaiwa/internal/rig"
)

// chaosCommand plays conversations against the production shape while its parts
// are killed, and checks what is left.
type chaosCommand struct {
	Minutes    float64       `env:"CHAOS_MINUTES" default:"10" help:"how long all of it may take, about"`
	Seed       uint64        `env:"CHAOS_SEED" help:"what everything follows from; any when 0"`
	Database   string        `enum:"postgres,sqlite" default:"postgres" help:"postgres (a scratch cluster, two api and two worker processes) or sqlite (one of each)"`
	Rate       float64       `placeholder:"N" help:"webhook events a second"`
	KillEvery  time.Duration `placeholder:"TIME" help:"mean time between two kills"`
	Unanswered bool          `help:"LINE's answers get lost, too: then messages may end uncertain, which are counted"`
	Kaiwa      string        `placeholder:"PATH" help:"the kaiwa binary; beside this one when not given"`
	From       string        `placeholder:"PATH" help:"an older kaiwa binary, which the run begins with and which is replaced under traffic"`
	Dir        string        `placeholder:"PATH" help:"where logs and databases go; they are then kept. A scratch directory, kept after findings only, when not given"`
}

// Run runs it; findings are an error.
func (c *chaosCommand) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if c.Kaiwa == "" {
		c.Kaiwa = filepath.Join(filepath.Dir(self), "kaiwa")
	}
	for _, binary := range []string{c.Kaiwa, c.From} {
		if _, err := os.Stat(binary); binary != "" && err != nil {
			return fmt.Errorf("there is no kaiwa binary: %w", err)
		}
	}
	if c.Minutes <= 0 {
		return errors.New("CHAOS_MINUTES must be more than 0")
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()>>16 | 1 // short enough to be typed
	}
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "kaiwa-chaos-"); err != nil {
			return err
		}
	}
	database := rig.PostgreSQL
	if c.Database == "sqlite" {
		database = rig.SQLite
	}
	report, err := chaos.Run(ctx, chaos.Options{
		Kaiwa: c.Kaiwa, KaiwaDev: self, From: c.From, Dir: dir, Seed: c.Seed, Length: chaos.Playtime(time.Duration(c.Minutes * float64(time.Minute))),
		Database: database, EventsPerSecond: c.Rate, KillEvery: c.KillEvery, Unanswered: c.Unanswered, Out: os.Stdout,
	})
	if err == nil {
		err = report.Print(os.Stdout)
	}
	if err == nil && len(report.Findings) > 0 {
		err = errors.Join(fmt.Errorf("%d findings", len(report.Findings)), report.Save(dir))
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted; nothing was judged")
	}
	if err == nil || ctx.Err() != nil {
		if c.Dir == "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return err
	}
	return fmt.Errorf("%w; seed %d; logs and outcome are in %s", err, c.Seed, dir)
}
