package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// probe keeps the balancer informed as balancers are, of each API on its own:
// whoever is not ready is left out, unless nobody is, as when Temporal is slow to
// answer them all. Who is told to stop is left out in any case.
func (b *balancer) probe(ctx context.Context, apis func() []string) {
	var mu sync.Mutex
	health := map[string]string{} // as the API last said
	asked := map[string]bool{}    // it has not answered yet
	var probes sync.WaitGroup
	defer probes.Wait()
	for ctx.Err() == nil {
		var ready, alive []string
		mu.Lock()
		for _, api := range apis() {
			switch health[api] {
			case "ready":
				ready = append(ready, api)
			case "not_ready":
				alive = append(alive, api)
			}
			if asked[api] {
				continue
			}
			asked[api] = true
			probes.Go(func() {
				var says struct{ Status string }
				get(api+"/readyz", "", &says)
				mu.Lock()
				defer mu.Unlock()
				health[api], asked[api] = says.Status, false
			})
		}
		mu.Unlock()
		if len(ready) == 0 {
			ready = alive
		}
		b.change(ready...)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// terminate is SIGTERM, and a clean end.
func (m *member) terminate() {
	m.p.t.Helper()
	begun := time.Now()
	require.NoError(m.p.t, m.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-m.ended:
	case <-time.After(patience):
	}
	require.Equal(m.p.t, 0, m.cmd.ProcessState.ExitCode(), m.stderr.String())
	m.p.t.Logf("%s stopped after %s", m.cmd.Args[1], time.Since(begun).Round(time.Millisecond))
}

// fleet are the processes of one kind.
type fleet struct {
	mu      sync.Mutex
	members []*member
}

func (f *fleet) urls() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		out = append(out, m.url)
	}
	return out
}

// roll replaces the processes one after the other.
func (f *fleet) roll(p *production, command string) {
	p.t.Helper()
	for i := range f.members {
		f.members[i].terminate()
		fresh := p.launch(command)
		f.mu.Lock()
		f.members[i] = fresh
		f.mu.Unlock()
	}
}

// reader reads the stream of events as agents' consoles do: whoever is cut comes
// back to where it was.
type reader struct {
	mu     sync.Mutex
	seqs   []int64
	opened int
	fails  []string
}

func (r *reader) follow(ctx context.Context, front, token string) {
	last := "0"
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, front+"/api/v1/events/stream", nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Last-Event-ID", last)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		r.mu.Lock()
		r.opened++
		if res.StatusCode != http.StatusOK {
			r.fails = append(r.fails, res.Status)
		}
		r.mu.Unlock()
		event := false
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			switch id, isID := strings.CutPrefix(lines.Text(), "id: "); {
			case isID:
				last = id
			case strings.HasPrefix(lines.Text(), "event: "):
				event = true
			case lines.Text() == "" && event:
				event = false
				seq, err := strconv.ParseInt(last, 10, 64)
				if err != nil {
					return
				}
				r.mu.Lock()
				r.seqs = append(r.seqs, seq)
				r.mu.Unlock()
			}
		}
		_ = res.Body.Close()
	}
}

func (r *reader) read() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seqs)
}

func TestARollingRestartIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	p := startProduction(t)
	p.env = append(p.env, "KAIWA_DRAIN_DELAY=3s")
	code, _, stderr := p.run("migrate")
	require.Equal(t, 0, code, stderr)
	code, token, stderr := p.run("admin", "create", "--name", "Mai", "--email", "mai@example.com")
	require.Equal(t, 0, code, stderr)
	token = strings.TrimSpace(token)
	apis := &fleet{members: []*member{p.launch("api"), p.launch("api")}}
	workers := &fleet{members: []*member{p.launch("worker"), p.launch("worker")}}

	ctx, stop := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { p.balancer.probe(ctx, apis.urls) })
	p.until(func() bool { return get(p.front+"/healthz", "", nil) == http.StatusOK }, "the balancer knows the APIs")
	console := &reader{}
	beside.Go(func() { console.follow(ctx, p.front, token) })

	// Customers write, each when the last answer has come; somebody reads lists.
	var rolled atomic.Bool
	users := make([]string, 8)
	said := make([]int, len(users))
	var load errgroup.Group
	for i := range users {
		users[i] = linesim.NewUserID()
		require.NoError(t, p.sim.AddUser(t.Context(), linesim.User{ID: users[i], DisplayName: fmt.Sprintf("Customer %d", i), Language: "en"}))
		load.Go(func() error {
			for said[i] < 200 && !rolled.Load() {
				if _, err := p.sim.SendText(ctx, productionLINE, users[i], fmt.Sprintf("m%03d", said[i])); err != nil {
					return err
				}
				said[i]++
				for begun := time.Now(); len(p.heard(users[i])) < said[i]; time.Sleep(20 * time.Millisecond) {
					if time.Since(begun) > patience {
						return fmt.Errorf("message %d of customer %d is not answered", said[i], i)
					}
				}
				time.Sleep(100 * time.Millisecond) // they think
			}
			return nil
		})
	}
	refused := map[int]int{} // by status
	load.Go(func() error {
		for !rolled.Load() {
			if status := get(p.front+"/api/v1/conversations?limit=20", token, nil); status != http.StatusOK {
				refused[status]++
			}
			time.Sleep(25 * time.Millisecond) // a token may ask 50 times a second
		}
		return nil
	})

	for range 2 {
		apis.roll(p, "api")
		workers.roll(p, "worker")
	}
	rolled.Store(true)
	require.NoError(t, load.Wait())

	require.NoError(t, p.sim.WaitIdle(t.Context()))
	require.Empty(t, refused, "no request fails")
	total := 0
	for _, d := range p.sim.Deliveries(linesim.DeliveryFilter{}) {
		require.Equal(t, http.StatusOK, d.Status, "no webhook fails: %s", d.Error)
		total++
	}
	for i, u := range users {
		p.everyMessageOfIsAnsweredOnce(u, numbered(said[i]), conversation.MessageAccepted)
	}
	t.Logf("%d webhooks while every process was replaced twice; %d tasks ran into their time-out", total, p.timedOut())

	last, err := p.store.LastEvent(t.Context())
	require.NoError(t, err)
	p.until(func() bool { seqs := console.read(); return len(seqs) > 0 && seqs[len(seqs)-1] >= last }, "the console has everything")
	for i, seq := range console.read() {
		require.EqualValues(t, i+1, seq, "every event once, in order")
	}
	require.GreaterOrEqual(t, console.opened, 3, "it was cut by each API it was on")
	require.Empty(t, console.fails)
}

// everyMessageOfIsAnsweredOnce waits until all that a customer said is answered,
// and holds phone and transcript against it.
func (p *production) everyMessageOfIsAnsweredOnce(user string, texts []string, states ...conversation.MessageState) {
	p.t.Helper()
	p.until(func() bool { return len(p.heard(user)) >= len(texts) }, "every message is answered")
	require.Equal(p.t, texts, p.heard(user), "answered exactly once")
	all, err := p.store.Conversations(p.t.Context(), store.ConversationFilter{}, store.Position{}, 1000)
	require.NoError(p.t, err)
	i := slices.IndexFunc(all, func(c store.Conversation) bool { return c.ChatKey == conversation.ChatKey("user", user) })
	require.GreaterOrEqual(p.t, i, 0)
	p.until(func() bool {
		return !slices.ContainsFunc(p.transcript(all[i].ID), func(m store.Message) bool { return m.State == conversation.MessagePending })
	}, "everything is sent")
	for _, m := range p.transcript(all[i].ID) {
		require.Contains(p.t, states, m.State)
	}
}

// timedOut counts in the workflows' histories what a process that is killed
// leaves in them. A few remain when processes stop by themselves: Temporal may be
// handing a task to a worker in the instant in which that says goodbye.
func (p *production) timedOut() (n int) {
	p.t.Helper()
	address, found := "", false
	for _, v := range p.env {
		if address, found = strings.CutPrefix(v, "TEMPORAL_ADDRESS="); found {
			break
		}
	}
	temporal, err := client.DialContext(p.t.Context(), client.Options{HostPort: address})
	require.NoError(p.t, err)
	defer temporal.Close()
	all, err := p.store.Conversations(p.t.Context(), store.ConversationFilter{}, store.Position{}, 1000)
	require.NoError(p.t, err)
	require.NotEmpty(p.t, all)
	for _, c := range all {
		iter := temporal.GetWorkflowHistory(p.t.Context(), c.WorkflowID(), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for iter.HasNext() {
			e, err := iter.Next()
			require.NoError(p.t, err)
			if e.GetWorkflowTaskTimedOutEventAttributes().GetTimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE || e.GetActivityTaskStartedEventAttributes().GetLastFailure() != nil {
				n++
			}
		}
	}
	return n
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := startProduction(t)
	p.env = append(p.env, "KAIWA_DRAIN_DELAY=5m")
	code, _, stderr := p.run("migrate")
	require.Equal(t, 0, code, stderr)
	api := p.launch("api")
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGTERM))
	p.until(func() bool { return get(api.url+"/readyz", "", nil) == http.StatusServiceUnavailable }, "it drains")
	require.Equal(t, http.StatusOK, get(api.url+"/healthz", "", nil), "and serves on")
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGTERM))
	<-api.ended
	require.False(t, api.cmd.ProcessState.Success())
}
