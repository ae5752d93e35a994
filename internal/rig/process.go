package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// restartPause is how long a process that ended by itself stays away: what
// looks after processes in production starts them again, too.
const restartPause = 250 * time.Millisecond

// Process is one of the installation's processes. It may be killed and started
// again on the same address; one that ends by itself is started again. All
// methods may be used concurrently.
type Process struct {
	// Name is such as "api-1", "worker-2", "temporal" or "postgres".
	Name string

	args, env []string
	log, url  string
	// family also signals the process's children; prepare changes the command
	// before it is run.
	family  bool
	prepare func(*exec.Cmd) error
	ready   func(context.Context) error

	byItself atomic.Int64

	mu     sync.Mutex // held while the process is started or ended
	binary string
	now    *incarnation // nil while it does not run
}

// incarnation is one life of a process.
type incarnation struct {
	cmd    *exec.Cmd
	wanted atomic.Bool // whether it is to be started again when it ends
	ended  chan struct{}
}

// ErrRuns is returned by Start for a process that runs.
var ErrRuns = errors.New("it runs already")

// Start starts the process and does not wait until it is ready.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		return fmt.Errorf("%s: %w", p.Name, ErrRuns)
	}
	return p.start()
}

func (p *Process) start() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own
	i := &incarnation{cmd: exec.Command(p.binary, p.args...), ended: make(chan struct{})}
	i.cmd.Env, i.cmd.Stdout, i.cmd.Stderr = p.env, out, out
	i.wanted.Store(true)
	endWithUs(i.cmd)
	if p.prepare != nil {
		if err := p.prepare(i.cmd); err != nil {
			return err
		}
	}
	if err := i.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	p.now = i
	go p.attend(i)
	return nil
}

// attend waits for the end of an incarnation, and follows it with another when
// nobody wanted the end.
func (p *Process) attend(i *incarnation) {
	_ = i.cmd.Wait() // the exit code is asked for by who stops it
	close(i.ended)
	if !i.wanted.Load() {
		return
	}
	p.byItself.Add(1)
	for {
		time.Sleep(restartPause)
		p.mu.Lock()
		if p.now != i || !i.wanted.Load() {
			p.mu.Unlock()
			return
		}
		err := p.start()
		p.mu.Unlock()
		if err == nil {
			return
		}
	}
}

// end signals the process and waits until it is gone. A process that does not
// run is left alone.
func (p *Process) end(signal syscall.Signal, wait func(*incarnation) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.now
	if i == nil {
		return nil
	}
	i.wanted.Store(false)
	if err := p.signal(i, signal); err != nil {
		return err
	}
	if err := wait(i); err != nil {
		return err
	}
	p.now = nil
	return nil
}

// Kill is kill -9, of PostgreSQL with all its children; it returns when the
// process is gone.
func (p *Process) Kill() error {
	var children []int
	if p.family {
		children = childrenOf(p.PID())
	}
	return p.end(syscall.SIGKILL, func(i *incarnation) error {
		<-i.ended
		return awaitGone(children)
	})
}

// Stop is SIGTERM; it returns when the process has ended, with an error when
// that was not with exit code 0, or when ctx ended before.
func (p *Process) Stop(ctx context.Context) error {
	return p.end(syscall.SIGTERM, func(i *incarnation) error {
		select {
		case <-i.ended:
			if code := i.cmd.ProcessState.ExitCode(); code != 0 {
				p.now = nil
				return fmt.Errorf("%s ended with exit code %d: %s", p.Name, code, p.lastWords())
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s does not stop: %w", p.Name, ctx.Err())
		}
	})
}

// Pause is SIGSTOP, for PostgreSQL of its children too.
func (p *Process) Pause() error { return p.signalNow(pauseSignal) }

// Resume is SIGCONT.
func (p *Process) Resume() error { return p.signalNow(resumeSignal) }

func (p *Process) signalNow(signal syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return nil
	}
	return p.signal(p.now, signal)
}

func (p *Process) signal(i *incarnation, signal syscall.Signal) error {
	pids := []int{i.cmd.Process.Pid}
	if p.family && signal != syscall.SIGTERM {
		pids = append(pids, childrenOf(i.cmd.Process.Pid)...)
	}
	select {
	case <-i.ended:
		return nil
	default:
	}
	for _, pid := range pids {
		if err := sendSignal(pid, signal); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// Use says which binary the next Start runs.
func (p *Process) Use(binary string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binary = binary
}

// Alive tells whether the process runs; a paused one does.
func (p *Process) Alive() bool {
	p.mu.Lock()
	i := p.now
	p.mu.Unlock()
	if i == nil {
		return false
	}
	select {
	case <-i.ended:
		return false
	default:
		return true
	}
}

// EndedByItself counts how often the process ended though nobody had asked for
// it.
func (p *Process) EndedByItself() int { return int(p.byItself.Load()) }

// Ready waits until the process does its work. The error has the process's last
// words.
func (p *Process) Ready(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w); it said: %s", p.Name, ctx.Err(), err, p.lastWords())
		case <-tick.C:
		}
	}
}

// lastWords is the end of the log.
func (p *Process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// URL is where the process serves HTTP, "" when it does not.
func (p *Process) URL() string { return p.url }

// Log is the path of the process's log.
func (p *Process) Log() string { return p.log }

// PID is the process's number, 0 while it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return 0
	}
	return p.now.cmd.Process.Pid
}

// RSS is the process's resident memory in bytes.
func (p *Process) RSS() (int64, error) {
	pid := p.PID()
	if pid == 0 {
		return 0, fmt.Errorf("%s does not run", p.Name)
	}
	return residentBytes(pid)
}
