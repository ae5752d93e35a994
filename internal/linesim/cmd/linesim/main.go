// Command linesim runs the LINE Platform simulator on its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kaiwa/internal/firstbyte"
	"kaiwa/internal/linesim"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "where to listen; port 0 picks a free one")
	path := flag.String("file", "", "SQLite file that keeps the state; empty keeps it in memory")
	demo := flag.Bool("demo", false, "seed an account and customers with every kind of message")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *path, *demo); err != nil {
		fmt.Fprintln(os.Stderr, "linesim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, path string, demo bool) (err error) {
	s, err := linesim.New(ctx, linesim.Options{Path: path, Logger: slog.Default(), MaxCalls: 10000, MaxDeliveries: 10000})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	s.SetPublicURL(base)
	mux := http.NewServeMux()
	mux.Handle("/", s.Handler())
	// A bot that takes every webhook and says nothing, for the demo's account.
	mux.HandleFunc("POST "+demoBot, func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(firstbyte.Listen(listener, 2*time.Minute)) }()
	fmt.Println("linesim ready at", base)
	if demo {
		if err := seed(ctx, s, base); err != nil {
			return err
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		// The phone page's event streams never end by themselves.
		return server.Close()
	}
}
