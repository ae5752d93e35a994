package main

import (
	"context"
	"fmt"
	"os"

	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/cmd/process"
)

// temporalCommand runs the embedded Temporal alone, for processes of `kaiwa`
// beside it: one machine, not production.
type temporalCommand struct {
	File     string `name:"file" required:"" placeholder:"PATH" help:"SQLite file that keeps the state; made when missing"`
	Addr     string `name:"addr" default:"127.0.0.1:7233" help:"where Temporal listens; port 0 picks a free one"`
	UIAddr   string `name:"ui-addr" placeholder:"HOST:PORT" help:"where its web UI listens; nowhere when not set"`
	LogLevel string `name:"log-level" default:"info" help:"debug, info, warn or error"`

	PprofAddr string `name:"pprof-addr" env:"KAIWA_PPROF_ADDR" placeholder:"HOST:PORT" help:"where Go's profiles (/debug/pprof/) listen, without authentication; nowhere when not set"`
}

// Run runs until it is told to stop.
func (c *temporalCommand) Run(ctx context.Context) error {
	logger, err := process.Logger(os.Stderr, c.LogLevel)
	if err != nil {
		return err
	}
	stopProfiles, err := process.ServeProfiles(c.PprofAddr, logger)
	if err != nil {
		return err
	}
	defer stopProfiles()
	server, err := embedded.Start(ctx, embedded.Options{Path: c.File, Addr: c.Addr, UIAddr: c.UIAddr, Logger: logger})
	if ctx.Err() != nil && err != nil {
		return nil // told to stop before it had begun
	}
	if err != nil {
		return err
	}
	defer server.Stop()
	if server.UIURL() != "" {
		fmt.Println("Temporal UI at", server.UIURL())
	}
	fmt.Println("temporal ready at", server.Addr())
	<-ctx.Done()
	return nil
}
