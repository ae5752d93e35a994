package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/linesim"
	"kaiwa/internal/rig"
)

// adversary carries a plan out.
type adversary struct {
	rig      *rig.Rig
	bot      *service
	operator *operator
	tally    *tally
	diary    *slog.Logger // of what was done when, to be read beside the processes' logs

	mu      sync.Mutex
	dead    map[string]*sync.Mutex // by process: one death at a time
	outages []outcome.Outage
}

// attack carries the plan out until it is done or ctx ends, and then has
// everything run and answer again.
func (a *adversary) attack(ctx context.Context, strikes []strike) error {
	begun := time.Now()
	var all errgroup.Group
	for _, s := range strikes {
		if !rest(ctx, time.Until(begun.Add(s.at))) {
			break
		}
		all.Go(func() error {
			if err := a.strike(ctx, s); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s %s: %w", s.blow, s.target, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// peace ends whatever is arranged, and has everything run.
func (a *adversary) peace(ctx context.Context) error {
	a.rig.Simulator.ResetFaults()
	for _, p := range a.rig.Processes() {
		if err := p.Resume(); err != nil {
			return err
		}
		if err := p.Start(); err != nil && !errors.Is(err, rig.ErrRuns) {
			return err
		}
	}
	return a.rig.Ready(ctx)
}

func (a *adversary) strike(ctx context.Context, s strike) error {
	a.diary.Info(string(s.blow), "target", s.target, "lasts", s.lasts, "delay", s.delay, "times", s.times)
	every := func(f linesim.Fault) linesim.Fault {
		f.ForMS, f.Times = s.lasts.Milliseconds(), s.times
		return f
	}
	sim := a.rig.Simulator
	faults := func(list ...linesim.Fault) error {
		a.tally.add(string(s.blow), 1)
		_, err := sim.Faults(list...)
		return err
	}
	webhook := linesim.WebhookEndpoint
	delay := s.delay.Milliseconds()
	switch s.blow {
	case kills:
		return a.kill(ctx, s)
	case pauses:
		return a.pause(ctx, s)
	case slowBefore:
		return faults(linesim.Fault{Kind: linesim.FaultSlow, DelayMS: delay, ForMS: s.lasts.Milliseconds()})
	case slowAfter:
		return faults(linesim.Fault{Kind: linesim.FaultSlow, DelayMS: delay, ForMS: s.lasts.Milliseconds(), AfterProcessing: true})
	case fails:
		return faults(every(linesim.Fault{Kind: linesim.FaultStatus, Status: http.StatusInternalServerError}))
	case failsAfter:
		return faults(every(linesim.Fault{Kind: linesim.FaultStatus, Status: http.StatusBadGateway, AfterProcessing: true}))
	case limits:
		return faults(every(linesim.Fault{Kind: linesim.FaultRateLimit}))
	case cutsBefore:
		return faults(every(linesim.Fault{Kind: linesim.FaultDropRequest}))
	case cutsAfter:
		return faults(every(linesim.Fault{Kind: linesim.FaultDropAnswer}))
	case doubles:
		return faults(linesim.Fault{Kind: linesim.FaultDuplicate, Endpoint: webhook, Copies: 1 + int(s.choice%3), Times: s.times})
	case delays:
		return faults(linesim.Fault{Kind: linesim.FaultDelay, Endpoint: webhook, DelayMS: delay, Times: s.times})
	case forgets:
		return faults(linesim.Fault{Kind: linesim.FaultDropAnswer, Endpoint: webhook, Times: s.times})
	case shuffles:
		sim.Hold("")
		rest(ctx, s.lasts)
		a.tally.add(string(s.blow), 1)
		_, err := sim.Release(linesim.ReleaseOptions{Order: "shuffle", Seed: s.choice, Batch: 1 + s.times%10})
		return err
	case repeats:
		return a.repeat(ctx, s)
	case hangs:
		a.bot.hang(s.lasts)
	case fools:
		a.bot.fail(s.lasts)
	case cancels, terminates, resets:
		return a.operator.operate(ctx, s)
	default:
		return errors.New("there is no such blow")
	}
	a.tally.add(string(s.blow), 1)
	return nil
}

// process is one by its name.
func (a *adversary) process(name string) (*rig.Process, *sync.Mutex, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead == nil {
		a.dead = map[string]*sync.Mutex{}
	}
	if a.dead[name] == nil {
		a.dead[name] = &sync.Mutex{}
	}
	for _, p := range a.rig.Processes() {
		if p.Name == name {
			return p, a.dead[name], nil
		}
	}
	return nil, nil, errors.New("there is no such process")
}

// outage notes that a process is away, from now until the function that it
// returns is called.
func (a *adversary) outage(p *rig.Process) (over func()) {
	from := time.Now().UnixMicro()
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.outages = append(a.outages, outcome.Outage{Process: p.Name, From: from, To: time.Now().UnixMicro()})
	}
}

func (a *adversary) kill(ctx context.Context, s strike) error {
	p, dead, err := a.process(s.target)
	if err != nil {
		return err
	}
	dead.Lock()
	defer dead.Unlock()
	defer a.outage(p)()
	if err := p.Kill(); err != nil {
		return err
	}
	a.tally.add(string(kills), 1)
	a.tally.add(string(kills)+": "+s.target, 1)
	rest(ctx, s.lasts)
	return p.Start()
}

func (a *adversary) pause(ctx context.Context, s strike) error {
	p, _, err := a.process(s.target)
	if err != nil {
		return err
	}
	defer a.outage(p)()
	if err := p.Pause(); err != nil {
		return err
	}
	a.tally.add(string(pauses), 1)
	rest(ctx, s.lasts)
	return p.Resume()
}

// repeat delivers some of the last events again.
func (a *adversary) repeat(ctx context.Context, s strike) error {
	recent := a.rig.Simulator.Deliveries(linesim.DeliveryFilter{Limit: 200})
	if len(recent) == 0 {
		return nil
	}
	a.tally.add(string(s.blow), 1)
	for i := range s.times {
		d := recent[(s.choice+uint64(i)*7)%uint64(len(recent))]
		for _, id := range d.EventIDs {
			if err := a.rig.Simulator.Redeliver(ctx, d.ChannelID, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// deeds are what was done on purpose, for the judge.
func (a *adversary) deeds() *outcome.Deeds {
	a.operator.mu.Lock()
	defer a.operator.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	return &outcome.Deeds{Operations: slices.Clone(a.operator.done), Outages: slices.Clone(a.outages)}
}
