package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"kaiwa/internal/readiness"
	"kaiwa/internal/settings"
)

// healthCommand asks a process on this machine, so that a container needs no
// other tool for its health check.
type healthCommand struct {
	Addr    string        `env:"KAIWA_HTTP_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"of the api process, or of a worker (KAIWA_WORKER_HTTP_ADDR)"`
	Ready   bool          `help:"ask /readyz, whether it can serve, instead of /healthz, whether it lives"`
	Timeout time.Duration `default:"3s" help:"how long to wait for the answer"`
}

// Run asks once.
func (c *healthCommand) Run(ctx context.Context, out streams) error {
	if err := settings.Addr("KAIWA_HTTP_ADDR", c.Addr); err != nil {
		return err
	}
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	url := "http://" + reachable(c.Addr) + path
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return settings.Wrong("KAIWA_HTTP_ADDR", "%s", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	var said readiness.Report
	if err := errors.Join(json.NewDecoder(io.LimitReader(res.Body, maxReport)).Decode(&said), res.Body.Close()); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s%s", url, res.Status, lacks(said))
	}
	_, err = fmt.Fprintln(out.Out, url+" says "+res.Status)
	return err
}

// maxReport bounds what is read of the answer, in bytes.
const maxReport = 64 << 10

// lacks is what keeps a process from being ready, in words.
func lacks(r readiness.Report) string {
	words := ": " + string(r.Status)
	for _, d := range r.Dependencies {
		if d.State != readiness.OK {
			words += ", " + d.Name + " " + string(d.State)
		}
	}
	return words
}

// reachable is a listening address as a client on this machine can use it.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
