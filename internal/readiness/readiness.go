// Package readiness tells whether a process can serve: what it depends on, and
// how each of these does. However often it is asked, the dependencies are asked
// about once a second, one question at a time each.
package readiness

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// State is how a dependency does.
type State string

// The states.
const (
	OK          State = "ok"
	Unavailable State = "unavailable" // it does not answer, or not in time
	Outdated    State = "outdated"    // the schema: kaiwa migrate has to run
	Starting    State = "starting"    // the process waits for something before it
	Stopped     State = "stopped"     // it ended, and does not come back by itself
)

// Status is how the process does.
type Status string

// The statuses.
const (
	Ready    Status = "ready"
	NotReady Status = "not_ready"
	Draining Status = "draining" // it was told to stop
)

const (
	// lookTime bounds one look at all dependencies.
	lookTime = 2 * time.Second
	// readyFor and notReadyFor are how long a report is repeated.
	readyFor    = time.Second
	notReadyFor = 250 * time.Millisecond
)

// Check looks at one dependency. The error is for the log, and nobody else.
type Check func(context.Context) (State, error)

// Answers is the Check of what either answers or does not.
func Answers(ask func(context.Context) error) Check {
	return func(ctx context.Context) (State, error) {
		if err := ask(ctx); err != nil {
			return Unavailable, err
		}
		return OK, nil
	}
}

// Schema is the Check of the database's schema, by what tells whether it is
// current. It looks until it was once: after that it can only be newer.
func Schema(current func(context.Context) (bool, error)) Check {
	var seen atomic.Bool
	return func(ctx context.Context) (State, error) {
		if seen.Load() {
			return OK, nil
		}
		is, err := current(ctx)
		switch {
		case err != nil:
			return Unavailable, err
		case !is:
			return Outdated, nil
		}
		seen.Store(true)
		return OK, nil
	}
}

// Dependency is one of a report. It holds nothing that an outsider may not know.
type Dependency struct {
	Name  string `json:"name"`
	State State  `json:"state"`
}

// Report is what a look found.
type Report struct {
	Status       Status       `json:"status"`
	Dependencies []Dependency `json:"dependencies"`
}

// Readiness is a process's. It is safe for concurrent use.
type Readiness struct {
	logger *slog.Logger

	mu       sync.Mutex
	parts    []*part
	draining bool
	until    time.Time     // what is known is repeated
	looking  chan struct{} // closed when the look under way has ended; nil without one
}

// part is one dependency.
type part struct {
	name  string
	check Check // nil: nothing to look at yet
	busy  bool  // a check of it is under way, perhaps an earlier look's
	state State
}

// New returns the Readiness of a process with these dependencies, in the order
// of its reports. Each is Starting until Watch says how to look at it.
func New(logger *slog.Logger, names ...string) *Readiness {
	r := &Readiness{logger: logger}
	for _, name := range names {
		r.parts = append(r.parts, &part{name: name, state: Starting})
	}
	return r
}

// Watch says how a dependency is looked at from now on.
func (r *Readiness) Watch(name string, check Check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Time{}
	for _, p := range r.parts {
		if p.name == name {
			p.check = check
			return
		}
	}
	panic("readiness: no dependency " + name) // a mistake of the program
}

// Drain says that the process was told to stop: it is not ready from now on.
func (r *Readiness) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// Draining tells whether the process was told to stop.
func (r *Readiness) Draining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}

// Report tells how things are, by a look that is a second old at most. A look
// takes two seconds at most; what has not answered by then is Unavailable.
func (r *Readiness) Report(ctx context.Context) Report {
	r.mu.Lock()
	for !time.Now().Before(r.until) {
		if r.looking == nil {
			r.looking = make(chan struct{})
			go r.look()
		}
		looking := r.looking
		r.mu.Unlock()
		select {
		case <-looking:
		case <-ctx.Done():
			r.mu.Lock()
			report := r.report()
			r.mu.Unlock()
			return report
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	return r.report()
}

// report is the last look's, with what needs no look.
func (r *Readiness) report() Report {
	out := Report{Status: Ready, Dependencies: make([]Dependency, len(r.parts))}
	for i, p := range r.parts {
		out.Dependencies[i] = Dependency{p.name, p.state}
		if p.state != OK {
			out.Status = NotReady
		}
	}
	if r.draining {
		out.Status = Draining
	}
	return out
}

// look looks at everything at once.
func (r *Readiness) look() {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	found := make(chan struct{}, len(r.parts))
	waiting := 0
	r.mu.Lock()
	for _, p := range r.parts {
		switch {
		case p.check == nil:
		case p.busy: // it has not answered the last time
			r.set(p, Unavailable, context.DeadlineExceeded)
		default:
			waiting++
			p.busy = true
			go func(check Check) {
				state, err := check(ctx)
				r.mu.Lock()
				p.busy = false
				r.set(p, state, err)
				r.mu.Unlock()
				found <- struct{}{}
			}(p.check)
		}
	}
	r.mu.Unlock()
	for ; waiting > 0; waiting-- {
		select {
		case <-found:
		case <-ctx.Done():
			waiting = 1
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := readyFor
	for _, p := range r.parts {
		if p.busy {
			r.set(p, Unavailable, context.DeadlineExceeded)
		}
		if p.state != OK {
			wait = notReadyFor
		}
	}
	r.until = time.Now().Add(wait)
	close(r.looking)
	r.looking = nil
}

// set notes a state, and says in the log when it is another than before.
func (r *Readiness) set(p *part, state State, err error) {
	was := p.state
	if p.state = state; was == state || was == Starting && state == OK {
		return
	}
	level := slog.LevelWarn
	if state == OK {
		level = slog.LevelInfo
	}
	r.logger.Log(context.Background(), level, "a dependency has changed", slog.String("dependency", p.name), slog.String("state", string(state)), slog.Any("error", err))
}

// ServeHTTP answers a probe: 200 when ready, 503 when not.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	report := r.Report(req.Context())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(report.HTTPStatus())
	_ = json.NewEncoder(w).Encode(report) // who asked is gone
}

// HTTPStatus is what a probe is answered.
func (r Report) HTTPStatus() int {
	if r.Status == Ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
