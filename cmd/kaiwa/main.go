// Command kaiwa is Kaiwa in production: the API, the worker, and what goes with
// running them. PostgreSQL, Temporal and LINE are elsewhere.
//
// It exits 0 when what was asked for was done, or ended because it was told to;
// 1 when it failed; 2 when a setting, a flag or an argument is missing or wrong.
// Why is one sentence on standard error.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are what the binary can do.
type commands struct {
	API      apiCommand      `cmd:"" name:"api" help:"Serve the REST API, LINE's webhook and the console."`
	Worker   workerCommand   `cmd:"" help:"Run workflows and activities, and the reconciler."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's schema and the search attributes in Temporal up to date. May run again at any time."`
	Admin    adminCommand    `cmd:"" help:"Create the first administrator, issue a token."`
	Doctor   doctorCommand   `cmd:"" help:"Look whether everything Kaiwa needs is there and agrees; change nothing."`
	Health   healthCommand   `cmd:"" help:"Ask a running process whether it is alive, for container health checks."`
	Bench    benchCommand    `cmd:"" help:"Measure this binary on scratch services, and hold it against baselines and bars."`
	Simulate simulateCommand `cmd:"" help:"Play how long customers would wait, with these queues, rules and agents."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// streams are where a command writes: what was asked for to Out, everything
// else to Err.
type streams struct {
	Out, Err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	code := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run carries out a command line and returns the exit code.
func run(ctx context.Context, args []string, out streams) int {
	if err := forgetEmpty(); err != nil {
		return fail(out.Err, err)
	}
	parser, err := kong.New(&commands{},
		kong.Name("kaiwa"), kong.Description("Customer-service conversations for LINE. Settings are flags, or environment variables of the same name; flags win. "+
			"It exits 0 when done, 1 when it failed, 2 when a setting or argument is missing or wrong."),
		kong.Writers(out.Out, out.Err), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out))
	if err != nil {
		return fail(out.Err, err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fail(out.Err, &usageError{err})
	}
	return fail(out.Err, command.Run())
}

// forgetEmpty makes variables that are set to nothing, as compose files do, the
// same as variables that are not set.
func forgetEmpty() error {
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if value == "" && (strings.HasPrefix(name, "KAIWA_") || strings.HasPrefix(name, "TEMPORAL_")) {
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("environment: %w", err)
			}
		}
	}
	return nil
}
