package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store/storetest"
)

// patience is how long a test waits for what must happen: far longer than it
// takes, so that a slow machine fails nothing.
const patience = 60 * time.Second

// binary is the real thing, built once.
var binary string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "kaiwa-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "kaiwa")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.release=v0.0.0-test", "-o", binary, "kaiwa/cmd/kaiwa").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build kaiwa: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// env is a process's environment. Nothing of the test's own is in it.
type env map[string]string

// with is the environment with one variable changed; "" unsets it.
func (e env) with(name, value string) env {
	out := env{}
	for k, v := range e {
		out[k] = v
	}
	if out[name] = value; value == "" {
		delete(out, name)
	}
	return out
}

// complete is an environment in which everything is set, and nothing answers at
// Temporal's address.
func complete(t *testing.T, databaseURL string) env {
	t.Helper()
	return env{
		"HOME":                 t.TempDir(),
		"KAIWA_DATABASE_URL":   databaseURL,
		"KAIWA_SECRET_KEYS":    storetest.KeySetting,
		"KAIWA_BLOB_URL":       (&url.URL{Scheme: "file", Path: t.TempDir()}).String(),
		"KAIWA_HTTP_ADDR":      "127.0.0.1:0",
		"KAIWA_PUBLIC_URL":     "http://127.0.0.1:8080",
		"KAIWA_START_TIMEOUT":  "30s",
		"TEMPORAL_ADDRESS":     "127.0.0.1:1",
		"KAIWA_FILES_URL":      "", // set to nothing is not set
		"TEMPORAL_TLS":         "",
		"KAIWA_LINE_API_URL":   "http://127.0.0.1:1",
		"TEMPORAL_CONFIG_FILE": filepath.Join(t.TempDir(), "none.toml"),
	}
}

// process is a kaiwa in a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr lines
	ended  chan struct{}
}

// start starts a process; it is killed with the test if it has not ended.
func start(t *testing.T, e env, args ...string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan struct{})}
	p.stderr.changed = make(chan struct{}, 1)
	p.cmd = exec.Command(binary, args...)
	p.cmd.Dir = t.TempDir()
	for name, value := range e {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code is looked at
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, usually
		<-p.ended
	})
	return p
}

// run runs a command to its end.
func run(t *testing.T, e env, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, e, args...)
	code = p.exit()
	return code, p.stdout.String(), p.stderr.String()
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the process does not end", p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop tells the process to stop and returns the exit code.
func (p *process) stop() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.exit()
}

// says waits for a line on standard error and returns it.
func (p *process) says(part string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		for _, line := range strings.Split(p.stderr.String(), "\n") {
			if strings.Contains(line, part) {
				return line
			}
		}
		select {
		case <-p.stderr.changed:
		case <-p.ended:
			require.Contains(p.t, p.stderr.String(), part, "the process ended")
		case <-ctx.Done():
			require.Contains(p.t, p.stderr.String(), part)
			return ""
		}
	}
}

// url waits until the process listens and returns where, taken from the line
// with these words.
func (p *process) url(words string) string {
	p.t.Helper()
	_, rest, ok := strings.Cut(p.says(words), " address=")
	require.True(p.t, ok)
	addr, _, _ := strings.Cut(rest, " ")
	return "http://" + addr
}

// lines collects what a process writes and tells when there is more.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(b)
	select {
	case l.changed <- struct{}{}:
	default: // it is known already that there is more
	}
	return n, err
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
