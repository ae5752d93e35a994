package callrate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/accesstoken"
	"kaiwa/internal/callrate"
	"kaiwa/internal/courtesy"
	"kaiwa/internal/line"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// LINE's limit of the endpoint that the processes call, for a second and a
// channel; the simulator has it of its own.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#rate-limits
const loadingLimit = 100

// What processes may make of it in a second of the clock: all of them together
// what they share, in whole lots, and each what is its own.
const inLots, itsOwn = 36, 1

const (
	accountID, accountToken = "1000000001", "line-token"
	callerSetting           = "CALLRATE_TEST_CALLER"
	atOnce                  = 8 // calls of one process
)

// caller is what a process is told when it is started.
type caller struct {
	DatabaseURL, LINEURL, ChannelID, UserID string
}

// order has a process try n calls at a time.
type order struct {
	Now int64 // Unix microseconds
	N   int
}

// TestCaller is not a test of its own: it is the process that
// TestProcessesOfTheirOwnStayWithinLINEsLimit starts, twice. It calls LINE as
// Kaiwa's processes do, by the clock of the orders that it reads.
func TestCaller(t *testing.T) {
	setting := os.Getenv(callerSetting)
	if setting == "" {
		t.Skip("Runs only as a child of the test that starts it.")
	}
	var is caller
	require.NoError(t, json.Unmarshal([]byte(setting), &is))
	s := storetest.Open(t, is.DatabaseURL)
	var clock atomic.Int64
	now := func() time.Time { return time.UnixMicro(clock.Load()) }
	logger := slog.New(slog.DiscardHandler)
	api := line.New(line.Config{APIURL: is.LINEURL, DataAPIURL: is.LINEURL, HTTPClient: &http.Client{Timeout: time.Minute}})
	c := &courtesy.Courtesy{Store: s, Tokens: accesstoken.New(api, now), Rates: callrate.New(s.TakeCalls, now, logger), Logger: logger, Now: now}
	channel, err := s.Channel(t.Context(), is.ChannelID)
	require.NoError(t, err)
	fmt.Println("\nready")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var o order
		require.NoError(t, json.Unmarshal(orders.Bytes(), &o))
		clock.Store(o.Now)
		var left atomic.Int64
		left.Store(int64(o.N))
		var calls sync.WaitGroup
		for range min(atOnce, o.N) {
			calls.Go(func() {
				for left.Add(-1) >= 0 {
					c.Loading(t.Context(), channel, store.Conversation{ID: "cnv_1", LINEUserID: is.UserID}, time.Minute)
				}
			})
		}
		calls.Wait()
		fmt.Println("\ndone")
	}
}

// process is a running caller.
type process struct {
	t       *testing.T
	user    string
	command *exec.Cmd
	orders  io.Writer
	said    *bufio.Scanner
}

// calls has the process try n calls; done waits until it has.
func (p *process) calls(now time.Time, n int) {
	p.t.Helper()
	require.NoError(p.t, json.NewEncoder(p.orders).Encode(order{now.UnixMicro(), n}))
}

func (p *process) done() { p.t.Helper(); p.says("done") }

func (p *process) says(word string) {
	p.t.Helper()
	for p.said.Scan() {
		if p.said.Text() == word {
			return
		}
	}
	require.Fail(p.t, "the process ended", "%v", p.said.Err())
}

// office is LINE and two processes that call it for one channel.
type office struct {
	t     *testing.T
	sim   *linesim.Simulator
	clock atomic.Int64
	a, b  *process
}

func newOffice(t *testing.T, s *store.Store, databaseURL string) *office {
	t.Helper()
	o := &office{t: t}
	o.clock.Store(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).UnixMicro())
	var err error
	o.sim, err = linesim.New(t.Context(), linesim.Options{Now: o.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.sim.Close()) })
	simulator := httptest.NewServer(o.sim.Handler())
	t.Cleanup(simulator.Close)
	w, err := s.CreateWorkstream(t.Context(), store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush})
	require.NoError(t, err)
	c, err := s.CreateChannel(t.Context(), store.Origin{}, store.Channel{
		Name: "Shop", LINEChannelID: accountID, BotUserID: "U" + strings.Repeat("b", 32), WorkstreamID: w.ID, Locale: "en",
		Status: store.ChannelActive, Secrets: []string{"line-secret"}, Token: accountToken,
	})
	require.NoError(t, err)
	require.NoError(t, o.sim.AddChannel(t.Context(), linesim.Channel{ID: accountID, Secret: "line-secret", AccessToken: accountToken, BotUserID: c.BotUserID}))
	begin := func() *process {
		self, err := os.Executable()
		require.NoError(t, err)
		p := &process{t: t, user: linesim.NewUserID(), command: exec.Command(self, "-test.run=^TestCaller$")}
		require.NoError(t, o.sim.AddUser(t.Context(), linesim.User{ID: p.user, DisplayName: "Aoi"}))
		setting, err := json.Marshal(caller{databaseURL, simulator.URL, c.ID, p.user})
		require.NoError(t, err)
		p.command.Env = append(os.Environ(), callerSetting+"="+string(setting))
		p.command.Stderr = os.Stderr
		p.orders, err = p.command.StdinPipe()
		require.NoError(t, err)
		out, err := p.command.StdoutPipe()
		require.NoError(t, err)
		p.said = bufio.NewScanner(out)
		require.NoError(t, p.command.Start())
		t.Cleanup(p.kill)
		p.says("ready")
		return p
	}
	o.a, o.b = begin(), begin()
	return o
}

// kill is kill -9; a process may be killed twice.
func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait() // which says that it was killed
	}
}

func (o *office) now() time.Time { return time.UnixMicro(o.clock.Load()).UTC() }

func (o *office) pass(d time.Duration) { o.clock.Add(d.Microseconds()) }

// made are the calls of a process that LINE got from a time on.
func (o *office) made(p *process, from time.Time) (n int) {
	for _, c := range o.sim.Calls(linesim.CallFilter{Endpoint: "loading"}) {
		if !c.At.Before(from) && strings.Contains(string(c.Body), p.user) {
			n++
		}
	}
	return n
}

// together has both processes try n calls each, at once.
func (o *office) together(n int) (byA, byB int) {
	o.t.Helper()
	from, hadA, hadB := o.now(), o.made(o.a, o.now()), o.made(o.b, o.now())
	o.a.calls(from, n)
	o.b.calls(from, n)
	o.a.done()
	o.b.done()
	return o.made(o.a, from) - hadA, o.made(o.b, from) - hadB
}

// within holds LINE's record against its limit: it has refused nothing, and no
// second has too many calls, wherever it begins.
func (o *office) within() {
	o.t.Helper()
	calls := o.sim.Calls(linesim.CallFilter{Endpoint: "loading"})
	require.NotEmpty(o.t, calls)
	for _, c := range calls {
		require.Equal(o.t, http.StatusAccepted, c.Status, "%s", c.Response)
	}
	for i, first := range calls {
		n := 0
		for _, c := range calls[i:] {
			if c.At.Sub(first.At) < time.Second {
				n++
			}
		}
		require.LessOrEqual(o.t, n, loadingLimit, "in the second that begins at %s", first.At)
	}
}

// Two processes want far more calls than LINE takes, over the same channel: they
// share what there is, and when one is killed the other has all of it.
func TestProcessesOfTheirOwnStayWithinLINEsLimit(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			o := newOffice(t, s, url)
			const many = 2 * loadingLimit // by each

			// One after the other, neither is left without.
			for _, p := range []*process{o.a, o.b} {
				p.calls(o.now(), 10)
				p.done()
				require.Equal(t, 10, o.made(p, o.now()))
			}
			byA, byB := o.together(many)
			o.within()
			require.Equal(t, inLots+2*itsOwn, 20+byA+byB)

			// At once, at the worst times: in the last moment of a second and the first
			// of the next.
			for range 5 {
				o.pass(2*time.Second - time.Millisecond)
				byA, byB = o.together(many)
				require.Equal(t, inLots+2*itsOwn, byA+byB)
				require.GreaterOrEqual(t, min(byA, byB), itsOwn)
				o.pass(time.Millisecond)
				byA, byB = o.together(many)
				require.Equal(t, inLots+2*itsOwn, byA+byB)
				o.within()
			}
			for range 20 {
				o.pass(300 * time.Millisecond)
				o.together(many)
			}
			o.within()

			// One is killed while it calls. What it has taken of this second is gone
			// with it, and the next is the other's.
			o.pass(time.Second)
			o.a.calls(o.now(), 1<<40)
			require.Eventually(t, func() bool { return o.made(o.a, o.now()) > itsOwn }, time.Minute, time.Millisecond)
			o.a.kill()
			o.b.calls(o.now(), many)
			o.b.done()
			for range 3 {
				o.pass(time.Second)
				o.b.calls(o.now(), many)
				o.b.done()
				require.Equal(t, inLots+itsOwn, o.made(o.b, o.now()))
			}
			o.within()
		})
	}
}
