// Package chaos plays whole conversations, from one seed, against Kaiwa's
// production shape, while processes are killed and paused, LINE fails, webhooks
// come twice, late and in disorder, bots hang and operators step in. Then it
// lets everything settle, and holds what is left against what is promised.
package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"golang.org/x/sync/errgroup"

	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/firstbyte"
	"kaiwa/internal/linesim"
	"kaiwa/internal/rig"
)

// Options say how a run is to be.
type Options struct {
	// Kaiwa and KaiwaDev are the binaries; From, when given, is an older kaiwa
	// that the run starts with and that is replaced under traffic.
	Kaiwa, KaiwaDev, From string
	// Dir is where everything is kept; it must be empty or not be there.
	Dir  string
	Seed uint64
	// Length is how long customers write. Starting, settling and checking come on
	// top.
	Length time.Duration
	// Database is rig.PostgreSQL, with two of each process, or rig.SQLite, with
	// one.
	Database string
	// EventsPerSecond are the customers' together, KillEvery the mean time
	// between two kills; 0 means the default.
	EventsPerSecond float64
	KillEvery       time.Duration
	// Calm is how long at the beginning every process lives, so that it can be seen
	// how soon conversations are offered then: afterwards hardly a moment is 11 s
	// away from a kill. 0 is a quarter of the length, at most a minute; none of an
	// upgrade.
	Calm time.Duration
	// Unanswered also loses LINE's answers: then messages may end uncertain.
	Unanswered bool
	// Promptly is how long a conversation may wait in calm times though an agent is
	// there, 0 a second: more on a machine that does other things beside.
	Promptly time.Duration
	// Out is told how it goes.
	Out io.Writer
}

const (
	defaultEventsPerSecond = 28
	defaultKillEvery       = 8 * time.Second
	// agentsAtWork and customersAbout are as many as make that pace possible.
	agentsAtWork, customersAbout = 10, 100
	// mending is how long what an operator did may take to mend before the end:
	// the reconciler looks once a minute.
	mending = time.Minute
	// closingTime bounds the serving of who is left, settleTime the wait for
	// everything that moves by itself.
	closingTime, settleTime = 90 * time.Second, 150 * time.Second
	progressEvery           = 10 * time.Second
)

// Playtime is how long customers may write in a run that is to take no longer
// than all.
func Playtime(all time.Duration) time.Duration {
	return all - min(all*3/10, 150*time.Second)
}

// Report is what came of a run.
type Report struct {
	Seed     uint64
	Events   int // of LINE, each counted once
	Kills    int
	Done     []outcome.Done
	Verdicts []outcome.Verdict
	// Findings are everything that is not as promised.
	Findings []outcome.Finding
	Outcome  *outcome.Outcome
}

// run is one on its way.
type run struct {
	Options
	rig      *rig.Rig
	tally    *tally
	office   *office
	pace     *pace
	temporal client.Client
	begun    time.Time
}

// Run runs it. The error is nil when there was an outcome to judge, whatever
// the verdict; everything that was started has ended by then.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.EventsPerSecond == 0 {
		o.EventsPerSecond = defaultEventsPerSecond
	}
	if o.KillEvery == 0 {
		o.KillEvery = defaultKillEvery
	}
	if o.Calm == 0 && o.From == "" {
		o.Calm = min(o.Length/4, time.Minute)
	}
	r := &run{Options: o, tally: newTally(), begun: time.Now()}
	defer func() {
		if r.rig != nil {
			err = errors.Join(err, r.rig.Close())
		}
	}()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	defer r.temporal.Close()
	return r.play(ctx)
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Out, "%5.0fs  "+format+"\n", append([]any{time.Since(r.begun).Seconds()}, args...)...)
}

// start starts the installation.
func (r *run) start(ctx context.Context) (err error) {
	kaiwa, processes := r.Kaiwa, 2
	if r.From != "" {
		kaiwa = r.From
	}
	if r.Database == rig.SQLite {
		processes = 1
	}
	r.rig, err = rig.Start(ctx, rig.Options{
		Dir: r.Dir, Kaiwa: kaiwa, KaiwaDev: r.KaiwaDev, Database: r.Database, APIs: processes, Workers: processes,
		Progress: func(step string) { r.say("starting %s", step) },
	})
	if err != nil {
		return err
	}
	r.temporal, err = client.NewLazyClient(client.Options{HostPort: r.rig.TemporalAddress, Namespace: "default", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	return err
}

// play is the plot: people come, are fallen upon, leave; what is left settles,
// and is judged.
func (r *run) play(ctx context.Context) (*Report, error) {
	bot := &service{tally: r.tally}
	botURL, stop, err := serve(bot)
	if err != nil {
		return nil, err
	}
	defer stop()
	r.office = &office{seed: r.Seed, front: r.rig.Front, tally: r.tally, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	boss, err := furnish(ctx, r.office, r.rig.Simulator, r.rig.Store, botURL, agentsAtWork)
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	opened := *boss.desk
	opened.name = "operator"
	diary, err := os.Create(filepath.Join(r.Dir, "logs", "adversary.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = diary.Close() }() // what is in it is for people
	enemy := &adversary{rig: r.rig, bot: bot, tally: r.tally, diary: slog.New(slog.NewTextHandler(diary, nil)), operator: &operator{desk: &opened, temporal: r.temporal, namespace: "default"}}

	r.say("customers come: %d, to %d agents, for %s; seed %d", customersAbout, agentsAtWork, r.Length, r.Seed)
	working, goHome := context.WithCancel(ctx)
	defer goHome()
	people, working := errgroup.WithContext(working)
	for _, a := range r.office.agents {
		people.Go(func() error { return a.work(working) })
	}
	seeing, look := context.WithCancel(ctx)
	defer look()
	var watching errgroup.Group
	watching.Go(func() error { boss.watch(seeing); return nil })
	defer func() { look(); _ = watching.Wait() }() // it returns no error

	if err := r.besiege(working, enemy, boss); err != nil {
		goHome()
		return nil, errors.Join(err, people.Wait())
	}
	if err := r.close(working); err != nil {
		goHome()
		return nil, errors.Join(err, people.Wait())
	}
	goHome()
	if err := people.Wait(); err != nil {
		return nil, err
	}
	return r.judge(ctx, enemy, boss)
}

// besiege is the part with the customers and the adversary.
func (r *run) besiege(ctx context.Context, enemy *adversary, boss *supervisor) error {
	r.pace = newPace(r.EventsPerSecond)
	phones := map[string]*phone{}
	var customers []*customer
	for n := range customersAbout {
		c := newCustomer(r.Seed, n, r.rig.Simulator, lineChannels[n%len(lineChannels)].ID, r.pace)
		if err := r.rig.Simulator.AddUser(ctx, c.user()); err != nil {
			return err
		}
		phones[c.channel+c.id] = c.phone
		customers = append(customers, c)
	}
	r.rig.Simulator.Observe(func(c linesim.Call) {
		if p := phones[c.ChannelID+c.To]; p != nil && c.Accepted {
			p.shows(c)
		}
	})
	defer r.rig.Simulator.Observe(nil)

	play, curtain := context.WithTimeout(ctx, r.Length)
	defer curtain()
	all, play := errgroup.WithContext(play)
	for _, c := range customers {
		all.Go(func() error { return c.play(play) })
	}
	all.Go(func() error { return boss.work(play) })
	all.Go(func() error {
		return enemy.attack(play, plan(r.Seed, warfare{
			processes: r.names(), length: r.Length, calm: r.Calm, killEvery: r.KillEvery, unanswered: r.Unanswered, operate: min(mending, r.Length/2),
		}))
	})
	if r.From != "" {
		all.Go(func() error { return r.upgrade(play, enemy) })
	}
	all.Go(func() error { r.progress(play); return nil })
	if err := all.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if n := r.tally.count(replaced); r.From != "" && n < len(r.rig.APIs)+len(r.rig.Workers) {
		return fmt.Errorf("only %d processes were upgraded before the customers left; take more time", n)
	}
	r.say("customers leave, and everything is started again")
	ctx, cancel := context.WithTimeout(ctx, closingTime)
	defer cancel()
	return enemy.peace(ctx)
}

func (r *run) names() (out []string) {
	for _, p := range r.rig.Processes() {
		out = append(out, p.Name)
	}
	return out
}

// progress says now and then how it stands, until ctx ends.
func (r *run) progress(ctx context.Context) {
	for rest(ctx, progressEvery) {
		r.say("%d events, %d kills, %d agents' messages, %d offers accepted", r.pace.events(), r.tally.count(string(kills)), r.tally.count("agents' messages"), r.tally.count("offers: accept"))
	}
}

// close has the agents serve who is left to the end.
func (r *run) close(ctx context.Context) error {
	r.office.closing.Store(true)
	ctx, cancel := context.WithTimeout(ctx, closingTime)
	defer cancel()
	last, told := "", time.Time{}
	for {
		left, err := r.left(ctx)
		if err != nil {
			return fmt.Errorf("the agents are not done: %s: %w", last, err)
		}
		if left == "" {
			return nil
		}
		if last = left; time.Since(told) > progressEvery/2 {
			r.say("agents serve who is left: %s", left)
			told = time.Now()
		}
		for _, a := range r.office.agents {
			a.nudge()
		}
		if !rest(ctx, longestPause) {
			return fmt.Errorf("the agents are not done within %s: %s", closingTime, left)
		}
	}
}

// left says who still needs people.
func (r *run) left(ctx context.Context) (string, error) {
	counts := map[string]int{}
	for _, status := range []string{"open", "active", "wrap_up"} {
		var list items
		if err := r.office.agents[0].reads(ctx, "/conversations?limit=200&status="+status, &list); err != nil {
			return "", err
		}
		for _, c := range list.Items {
			if c.Owner == "agent" || c.Owner == "queue" {
				counts[status]++
			}
		}
	}
	var out []string
	for _, status := range []string{"open", "active", "wrap_up"} {
		if n := counts[status]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, status))
		}
	}
	return strings.Join(out, ", "), nil
}

// judge waits until nothing moves any more, and holds what is left against
// what is promised.
func (r *run) judge(ctx context.Context, enemy *adversary, boss *supervisor) (*Report, error) {
	from := outcome.Sources{Simulator: r.rig.Simulator, Store: r.rig.Store, Temporal: r.temporal, Deeds: r.deeds(enemy)}
	unsettled, err := r.settle(ctx, from)
	if err != nil {
		return nil, err
	}
	r.say("judging")
	o, err := outcome.Collect(ctx, from)
	switch {
	case errors.Is(err, outcome.ErrMoving): // a finding of its own; what was read is judged
		unsettled = append(unsettled, err.Error())
	case err != nil:
		return nil, err
	}
	out := &Report{Seed: r.Seed, Kills: r.tally.count(string(kills)), Verdicts: outcome.Judge(o), Outcome: o}
	for _, w := range o.LINE.Webhooks {
		if w.Acknowledged() {
			out.Events++
		}
	}
	boss.witness.reach(ctx, o.Database.Events)
	out.Verdicts = append(out.Verdicts, own(unsettled, r.tally, boss.witness.told(), fates(r.rig.Processes()), o.Database)...)
	for _, v := range out.Verdicts {
		out.Findings = append(out.Findings, v.Findings...)
	}
	out.Done = append([]outcome.Done{{What: "webhook events acknowledged", N: out.Events}}, r.tally.lines()...)
	return out, nil
}

// deeds are what was done on purpose, and what is allowed for.
func (r *run) deeds(enemy *adversary) *outcome.Deeds {
	d := enemy.deeds()
	d.Uncertain, d.Promptly = r.Unanswered, r.Promptly
	return d
}

// settle waits until nothing moves by itself; it returns what still does when
// its time is over.
func (r *run) settle(ctx context.Context, from outcome.Sources) ([]string, error) {
	r.say("settling")
	until := time.Now().Add(settleTime)
	told := ""
	for {
		left, err := outcome.Settled(ctx, from)
		if err != nil {
			return nil, err
		}
		if len(left) == 0 || time.Now().After(until) {
			return left, nil
		}
		if left[0] != told {
			r.say("settling: %s", left[0])
			told = left[0]
		}
		if !rest(ctx, longestPause) {
			return nil, ctx.Err()
		}
	}
}

// serve serves a handler on a free port of this machine.
func serve(h http.Handler) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(firstbyte.Listen(l, 2*time.Minute)) }() // ends with Close
	return "http://" + l.Addr().String(), func() { _ = s.Close() }, nil
}

// Print prints what was done and found, for people.
func (p *Report) Print(w io.Writer) error {
	if err := outcome.Report(w, p.Outcome, p.Done, p.Verdicts); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nseed %d: %d webhook events, %d kills, %d findings\n", p.Seed, p.Events, p.Kills, len(p.Findings))
	return err
}

// Save writes the outcome and the findings into a directory.
func (p *Report) Save(dir string) error {
	for name, what := range map[string]any{"outcome.json": p.Outcome, "findings.json": p.Findings} {
		b, err := json.MarshalIndent(what, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
