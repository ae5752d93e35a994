package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"kaiwa/cmd/kaiwa-dev/embedded"
	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// production is Kaiwa as it runs in production: processes of the real binary on
// PostgreSQL, with a balancer before the APIs. Temporal, LINE, the bot and the
// eyes of the test are in this process.
type production struct {
	t        *testing.T
	binary   string
	env      []string
	sim      *linesim.Simulator
	store    *store.Store
	channel  store.Channel
	balancer *balancer
	front    string // the balancer's address
}

const productionLINE, productionSecret, productionToken = "1800000001", "production-secret", "production-token"

func startProduction(t *testing.T) *production {
	t.Helper()
	ctx := t.Context()
	binary, err := buildKaiwaOnce()
	require.NoError(t, err)
	p := &production{t: t, binary: binary, balancer: &balancer{passed: map[string]int{}}}

	temporal, err := embedded.Start(ctx, embedded.Options{Path: filepath.Join(t.TempDir(), "temporal.db")})
	require.NoError(t, err)
	t.Cleanup(temporal.Stop)
	var databaseURL string
	p.store, databaseURL = storetest.New(t, "postgres")
	p.sim, err = linesim.New(ctx, linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.sim.Close()) })
	line := serveHandler(t, p.sim.Handler())
	p.front = serveHandler(t, p.balancer)
	p.channel = p.configure(serveHandler(t, http.HandlerFunc(hear)))

	require.NoError(t, p.sim.AddChannel(ctx, linesim.Channel{
		ID: productionLINE, Secret: productionSecret, AccessToken: productionToken, BotUserID: p.channel.BotUserID,
		WebhookURL: p.front + "/webhooks/line/" + p.channel.ID, WebhookActive: true,
	}))
	p.env = []string{
		"HOME=" + t.TempDir(), "KAIWA_DATABASE_URL=" + databaseURL, "KAIWA_SECRET_KEYS=" + storetest.KeySetting, "KAIWA_BLOB_URL=file://" + t.TempDir(),
		"KAIWA_HTTP_ADDR=127.0.0.1:0", "KAIWA_WORKER_HTTP_ADDR=127.0.0.1:0", "KAIWA_PUBLIC_URL=" + p.front, "KAIWA_ALLOW_PRIVATE_ADDRESSES=true",
		"KAIWA_LINE_API_URL=" + line, "KAIWA_LINE_DATA_API_URL=" + line, "TEMPORAL_ADDRESS=" + temporal.Addr(),
	}
	return p
}

func serveHandler(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// configure makes a channel whose customers talk to the bot at an address.
func (p *production) configure(botURL string) store.Channel {
	p.t.Helper()
	ctx, by := p.t.Context(), store.Origin{}
	b, err := p.store.CreateBot(ctx, by, store.Bot{Name: "Ears", Kind: store.BotWebhook, URL: botURL, Secret: "whsec_" + strings.Repeat("AAAA", 11)})
	require.NoError(p.t, err)
	q, err := p.store.CreateQueue(ctx, by, store.Queue{Name: "Support", Priority: 1})
	require.NoError(p.t, err)
	w, err := p.store.CreateWorkstream(ctx, by, store.Workstream{Name: "Shop", Mode: store.ModePush, FallbackQueueID: q.ID, BotID: b.ID})
	require.NoError(p.t, err)
	c, err := p.store.CreateChannel(ctx, by, store.Channel{
		Name: "Shop", LINEChannelID: productionLINE, BotUserID: "U" + strings.Repeat("d", 32), WorkstreamID: w.ID, Locale: "en", Status: store.ChannelActive,
		ChatMode: "bot", Secrets: []string{productionSecret}, Token: productionToken,
	})
	require.NoError(p.t, err)
	return c
}

// hear is a bot that answers each message with one of its own.
func hear(w http.ResponseWriter, r *http.Request) {
	var turn bot.Turn
	if err := json.NewDecoder(r.Body).Decode(&turn); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answers := []map[string]string{}
	for _, m := range turn.Messages {
		if m.Direction == conversation.Inbound {
			answers = append(answers, map[string]string{"type": "text", "text": "heard " + m.Text})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": answers}) // a worker that died meanwhile asks again
}

// balancer passes requests on to the APIs in turn, those that are known to be
// dead left out.
type balancer struct {
	turn   atomic.Int64
	mu     sync.Mutex
	apis   []string
	passed map[string]int // requests, by API
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	if len(b.apis) == 0 {
		b.mu.Unlock()
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	api := b.apis[int(b.turn.Add(1))%len(b.apis)]
	b.passed[api]++
	b.mu.Unlock()
	target, err := url.Parse(api)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }, // LINE delivers again
	}
	proxy.ServeHTTP(w, r)
}

// share is how many requests an API was given.
func (b *balancer) share(api string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.passed[api]
}

// change says which APIs there are.
func (b *balancer) change(apis ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.apis = apis
}

// member is one of the installation's processes.
type member struct {
	p      *production
	cmd    *exec.Cmd
	stderr notes
	ended  chan struct{}
	url    string
}

// notes are what a process says.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// launch starts a process and waits until it is ready.
func (p *production) launch(command string) *member {
	p.t.Helper()
	begun := time.Now()
	m := &member{p: p, cmd: exec.Command(p.binary, command), ended: make(chan struct{})}
	m.cmd.Env, m.cmd.Stderr = p.env, &m.stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(p.t, m.cmd.Start())
	go func() { _ = m.cmd.Wait(); close(m.ended) }() // the exit code is looked at
	p.t.Cleanup(func() {
		m.kill()
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", command, m.stderr.String())
		}
	})
	p.until(func() bool {
		if m.url == "" {
			if _, rest, ok := strings.Cut(m.stderr.String(), " address=127.0.0.1:"); ok {
				port, _, whole := strings.Cut(strings.ReplaceAll(rest, "\n", " "), " ")
				if whole {
					m.url = "http://127.0.0.1:" + port
				}
			}
			return false
		}
		return get(m.url+"/readyz", "", nil) == http.StatusOK
	}, "%s is ready", command)
	p.t.Logf("%s ready after %s", command, time.Since(begun).Round(time.Millisecond))
	return m
}

// kill is kill -9.
func (m *member) kill() {
	_ = m.cmd.Process.Kill() // it may have ended
	<-m.ended
}

// run runs a command to its end.
func (p *production) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(p.t.Context(), p.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
	_ = cmd.Run() // the exit code is looked at
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (p *production) until(ok func() bool, format string, args ...any) {
	p.t.Helper()
	require.Eventually(p.t, ok, patience, 20*time.Millisecond, append([]any{format}, args...)...)
}

// get asks for JSON and returns the status, 0 for no answer.
func get(url, token string, into any) int {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || into != nil && json.Unmarshal(body, into) != nil {
		return 0
	}
	return res.StatusCode
}

// heard are the bot's answers on a customer's phone, in order.
func (p *production) heard(user string) (out []string) {
	p.t.Helper()
	chat, err := p.sim.Chat(p.t.Context(), productionLINE, user)
	require.NoError(p.t, err)
	for _, m := range chat {
		if text, ok := strings.CutPrefix(m.Text(), "heard "); ok && m.Direction == "account" {
			out = append(out, text)
		}
	}
	return out
}

// heardInAll counts the answers on all phones.
func (p *production) heardInAll(users []string) (n int) {
	p.t.Helper()
	for _, u := range users {
		n += len(p.heard(u))
	}
	return n
}

// write has all customers write at the same time, each one text after the other.
func (p *production) write(users, texts []string) error {
	var all errgroup.Group
	for _, u := range users {
		all.Go(func() error {
			for _, text := range texts {
				if _, err := p.sim.SendText(context.Background(), productionLINE, u, text); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// everyMessageIsAnsweredOnce waits until all is said, and holds phones and
// transcripts against what was written. The answers are in one of the states.
func (p *production) everyMessageIsAnsweredOnce(users, texts []string, states ...conversation.MessageState) {
	p.t.Helper()
	require.NoError(p.t, p.sim.WaitIdle(p.t.Context()))
	p.until(func() bool { return p.heardInAll(users) >= len(users)*len(texts) }, "every message is answered")
	var all []store.Conversation
	p.until(func() bool {
		var err error
		all, err = p.store.Conversations(p.t.Context(), store.ConversationFilter{}, store.Position{}, 1000)
		require.NoError(p.t, err)
		return !slices.ContainsFunc(all, func(c store.Conversation) bool {
			return slices.ContainsFunc(p.transcript(c.ID), func(m store.Message) bool { return m.State == conversation.MessagePending })
		})
	}, "everything is sent")
	require.Len(p.t, all, len(users), "one conversation each")
	for _, u := range users {
		require.ElementsMatch(p.t, texts, p.heard(u), "answered exactly once")
		i := slices.IndexFunc(all, func(c store.Conversation) bool { return c.ChatKey == conversation.ChatKey("user", u) })
		require.GreaterOrEqual(p.t, i, 0)
		var said, answered []string
		for _, m := range p.transcript(all[i].ID) {
			if m.Direction == conversation.Inbound {
				said = append(said, m.Text)
			} else if text, ok := strings.CutPrefix(m.Text, "heard "); ok {
				answered = append(answered, text)
				require.Contains(p.t, states, m.State)
			}
		}
		require.Equal(p.t, texts, said, "the transcript has everything, in order")
		require.ElementsMatch(p.t, texts, answered, "and every answer")
	}
}

func (p *production) transcript(conversationID string) []store.Message {
	p.t.Helper()
	list, err := p.store.Messages(p.t.Context(), conversationID, store.MessagePosition{}, 500)
	require.NoError(p.t, err)
	return list
}

func TestProductionLosesNothingWhenProcessesAreKilled(t *testing.T) {
	t.Parallel()
	p := startProduction(t)

	code, _, stderr := p.run("migrate", "--temporal-namespace", "elsewhere")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, `kaiwa: TEMPORAL_NAMESPACE is wrong: Temporal at `)
	for range 2 {
		code, _, stderr = p.run("migrate")
		require.Equal(t, 0, code, stderr)
	}
	code, token, stderr := p.run("admin", "create", "--name", "Mai", "--email", "mai@example.com")
	require.Equal(t, 0, code, stderr)
	apis, workers := []*member{p.launch("api"), p.launch("api")}, []*member{p.launch("worker"), p.launch("worker")}
	p.balancer.change(apis[0].url, apis[1].url)

	users := make([]string, 20)
	for i := range users {
		users[i] = linesim.NewUserID()
		require.NoError(t, p.sim.AddUser(t.Context(), linesim.User{ID: users[i], DisplayName: fmt.Sprintf("Customer %d", i), Language: "en"}))
	}
	texts := numbered(10)
	begun := time.Now()
	require.NoError(t, p.write(users, texts[:5]))
	p.everyMessageIsAnsweredOnce(users, texts[:5], conversation.MessageAccepted)
	t.Logf("100 messages through two APIs and two workers in %s", time.Since(begun).Round(time.Millisecond))
	for _, api := range apis {
		require.GreaterOrEqual(t, p.balancer.share(api.url), 40, "both APIs have their share")
	}

	// Half-way through, one of each is killed; the balancer learns of it only
	// when its requests have failed.
	begun = time.Now()
	var writing errgroup.Group
	writing.Go(func() error { return p.write(users, texts[5:]) })
	p.until(func() bool { return p.heardInAll(users) >= 110 }, "some of the second hundred are answered")
	apis[0].kill()
	workers[0].kill()
	require.NoError(t, writing.Wait())
	p.until(func() bool {
		for _, d := range p.sim.Deliveries(linesim.DeliveryFilter{Limit: 50}) {
			if d.Status == http.StatusBadGateway {
				return true
			}
		}
		return p.heardInAll(users) >= 200 // all went through in time
	}, "the balancer notices")
	p.balancer.change(apis[1].url)
	// A worker that is killed between LINE's answer to a reply and its record
	// leaves what nobody can know, and says so.
	p.everyMessageIsAnsweredOnce(users, texts, conversation.MessageAccepted, conversation.MessageUncertain)
	t.Logf("100 messages, with a killed API and a killed worker, in %s", time.Since(begun).Round(time.Millisecond))

	// What is left serves, agrees with itself, and ends when it is told to.
	var page struct {
		Items []map[string]any `json:"items"`
	}
	require.Equal(t, http.StatusOK, get(apis[1].url+"/api/v1/conversations?limit=200", strings.TrimSpace(token), &page))
	require.Len(t, page.Items, len(users))
	code, report, stderr := p.run("doctor")
	require.Equal(t, 0, code, report+stderr)
	for _, m := range []*member{apis[1], workers[1]} {
		begun = time.Now()
		require.NoError(t, m.cmd.Process.Signal(syscall.SIGTERM))
		select {
		case <-m.ended:
		case <-time.After(patience):
		}
		require.Equal(t, 0, m.cmd.ProcessState.ExitCode(), m.stderr.String())
		t.Logf("%s stopped after %s", m.cmd.Args[1], time.Since(begun).Round(time.Millisecond))
	}
}
