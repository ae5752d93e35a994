// Command kaiwa-dev runs the whole product on one machine: Temporal with its
// web UI, the API, the worker, a LINE Platform simulator with a phone page, and
// seeded data. It needs nothing but itself.
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

func main() {
	var s dev.Settings
	kong.Parse(&s, kong.Name("kaiwa-dev"), kong.Description("Kaiwa on one machine, with a LINE simulator. State is kept in the data directory."))
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "kaiwa-dev: "+err.Error())
		os.Exit(1)
	}
}

func run(s dev.Settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger, err := process.Logger(os.Stderr, s.LogLevel)
	if err != nil {
		return err
	}
	d, err := dev.Start(ctx, dev.Options{Settings: s, Console: console.Files(), Logger: logger})
	if err != nil {
		return err
	}
	defer d.Stop()
	if err := announce(d); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		stop() // a second Ctrl-C ends at once
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
