// Command kaiwa-dev runs the whole product on one machine: Temporal with its
// web UI, the API, the worker, a LINE Platform simulator with a phone page, and
// seeded data. It needs nothing but itself. `kaiwa-dev temporal` is its Temporal
// alone; `kaiwa-dev chaos` kills all of it while customers write.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/cmd/process"
	"kaiwa/console"
)

// commands are what the binary can do; without one it runs everything.
type commands struct {
	Run      runCommand      `cmd:"" default:"withargs" help:"Run everything."`
	Temporal temporalCommand `cmd:"" help:"Run Temporal alone, on a SQLite file."`
	Chaos    chaosCommand    `cmd:"" help:"Play conversations while everything is killed, and check what is left."`
	Bench    benchCommand    `cmd:"" help:"Run kaiwa bench on scratch services."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	parsed := kong.Parse(&commands{}, kong.Name("kaiwa-dev"), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Kaiwa on one machine, with a LINE simulator. State is kept in the data directory."))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "kaiwa-dev: "+err.Error())
		os.Exit(1)
	}
}

// runCommand runs everything.
type runCommand struct {
	dev.Settings
}

// Run runs until it is told to stop.
func (c *runCommand) Run(ctx context.Context) error {
	logger, err := process.Logger(os.Stderr, c.LogLevel)
	if err != nil {
		return err
	}
	d, err := dev.Start(ctx, dev.Options{Settings: c.Settings, Console: console.Files(), Logger: logger})
	if err != nil {
		return err
	}
	defer d.Stop()
	if err := announce(d); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Println("stopping …")
		return nil
	case err := <-d.Failed():
		return err
	}
}

// announce prints where everything is.
func announce(d *dev.Dev) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) {
		_, _ = fmt.Fprintf(w, format+"\n", args...) // Flush reports what failed
	}
	line("")
	line("  console and API\t%s", d.APIURL)
	if d.SimulatorURL != "" {
		line("  phone page (LINE simulator)\t%s", d.SimulatorURL)
	}
	line("  Temporal UI\t%s", d.TemporalUIURL)
	line("  Temporal\t%s", d.TemporalAddr)
	line("  data directory\t%s", d.Settings.DataDir)
	line("")
	for _, s := range d.Seeded.SignIns {
		line("  %s\t%s\tBearer %s", s.Name, s.Role, s.Token)
	}
	line("")
	line("kaiwa ready")
	return w.Flush()
}
