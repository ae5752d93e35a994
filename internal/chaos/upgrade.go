package chaos

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/rig"
)

const (
	// migrating is how long the migration is tried, stopping how long a process
	// that is told to end may take: it finishes what is under way.
	migrating, stopping = 2 * time.Minute, time.Minute
)

// replaced counts processes that run the new binary.
const replaced = "processes upgraded"

// upgrade brings the installation from the old binary to the new one, as
// docs/running.md says: the schema first, then one process after the other, the
// workers before the APIs. Customers write on, and the adversary does not rest.
func (r *run) upgrade(ctx context.Context, enemy *adversary) error {
	step := r.Length / 10
	if !rest(ctx, step) {
		return nil
	}
	r.say("upgrade: the schema")
	if err := r.migrate(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	for _, list := range [][]*rig.Process{r.rig.Workers, r.rig.APIs} {
		for _, p := range list {
			if !rest(ctx, step) {
				return nil
			}
			r.say("upgrade: %s", p.Name)
			if err := enemy.replace(ctx, p, r.Kaiwa); err != nil {
				return err
			}
		}
	}
	r.say("upgrade: done")
	return nil
}

// migrate runs the new binary's migration until it comes through: the database
// may be dead just now.
func (r *run) migrate(ctx context.Context) error {
	until := time.Now().Add(migrating)
	for {
		err := r.rig.Run(ctx, r.Kaiwa, "migrate")
		if err == nil || time.Now().After(until) {
			return err
		}
		r.say("upgrade: again, for %s", err)
		if !rest(ctx, longestPause) {
			return nil
		}
	}
}

// replace ends a process the gentle way, and starts another binary in its place.
func (a *adversary) replace(ctx context.Context, p *rig.Process, binary string) error {
	_, dead, err := a.process(p.Name)
	if err != nil {
		return err
	}
	dead.Lock()
	defer dead.Unlock()
	gently, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
	defer cancel()
	defer a.outage(p)()
	if err := p.Stop(gently); err != nil {
		a.tally.fault(outcome.Finding{Subject: p.Name, Detail: fmt.Sprintf("told to end: %s", err)})
		if err := p.Kill(); err != nil {
			return err
		}
	}
	p.Use(binary)
	a.tally.add(replaced, 1)
	return p.Start()
}
