package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
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
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"kaiwa/internal/clamd/clamdtest"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/linesim"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// crashScript is a bot that greets, answers, ends and hands off.
const crashScript = `{
  "version": 1, "default_locale": "en", "start": "menu",
  "nodes": {
    "menu":   {"menu": {"text": "Welcome", "options": [{"label": "Hours", "goto": "hours"}, {"label": "Bye", "goto": "bye"}]}},
    "hours":  {"say": ["We open at nine"], "goto": "menu"},
    "bye":    {"say": ["Goodbye"], "end": true},
    "person": {"handoff": {"summary": "wants a person"}}
  },
  "handoff": {"node": "person"}
}`

// crashPlay is what the customer writes ("" sends a picture), and what the phone
// must then show: the same whether or not the process died on the way.
var crashPlay = []struct {
	writes string
	shows  []string
}{
	{"hi", []string{"Greetings", "Welcome"}},
	{"Hours", []string{"We open at nine", "Welcome"}},
	{"Bye", []string{"Goodbye"}},
	{"hi again", []string{"Greetings", "Welcome"}},
	{"talk to a person", []string{"Please wait", "You are in line"}},
	{"", nil},
}

// mortal is a kaiwa-dev in a process of its own that is started again whenever
// it dies. LINE and the eyes of the test live here, and survive it.
type mortal struct {
	t       *testing.T
	sim     *linesim.Simulator
	store   *store.Store
	channel store.Channel
	dir     string
	env     []string

	agents []string // two of them
	tokens [2]string
	asked  atomic.Int64 // how often the service that classifies was asked

	mu       sync.Mutex
	api      string // its address, of the latest start
	process  *exec.Cmd
	temporal string // its address, of the latest start
	deaths   int
	output   strings.Builder
	stopped  bool
	done     chan struct{}
}

const mortalLINE, mortalSecret, mortalToken = "1700000001", "crash-secret", "crash-token"

func newMortal(t *testing.T, dialect string, env ...string) *mortal {
	t.Helper()
	ctx := t.Context()
	binary, err := buildOnce()
	require.NoError(t, err)
	s, url := storetest.New(t, dialect)
	sim, err := linesim.New(ctx, linesim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	lineServer := httptest.NewServer(sim.Handler())
	t.Cleanup(lineServer.Close)

	on := true
	b, err := s.CreateBot(ctx, store.Origin{}, store.Bot{Name: "Guide", Kind: store.BotScript, Script: json.RawMessage(crashScript)})
	require.NoError(t, err)
	q, err := s.CreateQueue(ctx, store.Origin{}, store.Queue{
		Name: "Support", Priority: 1, Settings: store.QueueSettings{WaitInfo: store.WaitInfo{Position: true, IntervalSeconds: 86400}},
	})
	require.NoError(t, err)
	w := store.Workstream{Name: "Crash", Mode: store.ModePush, FallbackQueueID: q.ID, BotID: b.ID}
	w.Settings.AutomatedMessages = []store.AutomatedMessage{
		{Trigger: "greeting", Text: "Greetings", Enabled: &on}, {Trigger: "no_agent_available", Text: "Please wait", Enabled: &on},
		{Trigger: "queue_position", Text: "You are in line"},
		{Trigger: "survey_invitation", Text: "Please rate us"}, {Trigger: "survey_thanks", Text: "Thank you"},
	}
	m := &mortal{t: t, sim: sim, store: s, dir: t.TempDir(), done: make(chan struct{})}
	m.tokens, w.Settings.SurveyID = m.staff(s, q.ID)
	w.Settings.ClassificationRulesetIDs = []string{m.classifier(s)}
	w, err = s.CreateWorkstream(ctx, store.Origin{}, w)
	require.NoError(t, err)
	menu, err := sim.AddRichMenu(ctx, mortalLINE, linesim.RichMenu{Name: "served", Size: linesim.RichMenuSize{Width: 800, Height: 270}})
	require.NoError(t, err)
	botUser := "U" + strings.Repeat("c", 32)
	c, err := s.CreateChannel(ctx, store.Origin{}, store.Channel{
		Name: "Crash", LINEChannelID: mortalLINE, BotUserID: botUser, WorkstreamID: w.ID, Locale: "en", Status: store.ChannelActive,
		Secrets: []string{mortalSecret}, Token: mortalToken, RichMenus: store.RichMenus{Agent: menu, Queue: menu},
	})
	require.NoError(t, err)
	// LINE must know the account before anything is sent; where its webhook is
	// it learns at each start.
	require.NoError(t, sim.AddChannel(ctx, linesim.Channel{ID: mortalLINE, Secret: mortalSecret, AccessToken: mortalToken, BotUserID: botUser}))

	m.channel = c
	m.env = append(os.Environ(),
		"KAIWA_DATA_DIR="+m.dir, "KAIWA_DATABASE_URL="+url, "KAIWA_SECRET_KEYS="+storetest.KeySetting,
		"KAIWA_HTTP_ADDR=127.0.0.1:0", "KAIWA_TEMPORAL_ADDR=127.0.0.1:0", "KAIWA_TEMPORAL_UI_ADDR=127.0.0.1:0",
		"KAIWA_LINE_API_URL="+lineServer.URL, "KAIWA_LINE_DATA_API_URL="+lineServer.URL, "KAIWA_LINE_ACCESS_URL="+lineServer.URL, "KAIWA_CLAMD_ADDR="+clamdtest.Start(t).Address, "KAIWA_LOG_LEVEL=warn", "KAIWA_FAILPOINT_DIR="+m.dir)
	m.env = append(m.env, env...)
	go m.live(binary)
	t.Cleanup(m.end)
	return m
}

// classifier is a service that says what a conversation is about, and keeps no
// answers. It lives as long as the test. Its path is its own: the port may have
// been that of another test's product, whose LINE knocks there until that
// product is back elsewhere.
func (m *mortal) classifier(s *store.Store) (rulesetID string) {
	m.t.Helper()
	path := "/classify/" + conversation.NewID(conversation.PrefixFinding)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		m.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"intent": {"value": "person"}}`))
	}))
	m.t.Cleanup(server.Close)
	set, err := s.CreateRuleset(m.t.Context(), store.Origin{}, store.Ruleset{
		Name: "service", Kind: store.RulesetService, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		Service: &routing.Service{Kind: routing.ServiceHTTP, URL: server.URL + path, DeadlineMS: 3000, Intents: []routing.Intent{{Name: "person"}}},
	})
	require.NoError(m.t, err)
	return set.ID
}

// live starts the process again and again, until the test is over.
func (m *mortal) live(binary string) {
	defer close(m.done)
	for {
		cmd := exec.Command(binary)
		cmd.Env = m.env
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			m.note(err.Error())
			return
		}
		cmd.Stderr = noted{m}
		m.mu.Lock()
		if m.stopped {
			m.mu.Unlock()
			return
		}
		err = cmd.Start()
		m.process = cmd
		m.mu.Unlock()
		if err != nil {
			m.note(err.Error())
			return
		}
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "console and API"); ok {
				m.reachableAt(strings.TrimSpace(url))
			}
			if name, addr, ok := strings.Cut(strings.TrimSpace(lines.Text()), "  "); ok && name == "Temporal" {
				m.mu.Lock()
				m.temporal = strings.TrimSpace(addr)
				m.mu.Unlock()
			}
		}
		err = cmd.Wait()
		m.mu.Lock()
		m.deaths++
		m.mu.Unlock()
		m.note(fmt.Sprintf("--- the process ended: %v\n", err))
	}
}

// reachableAt tells LINE where the webhook is now.
func (m *mortal) reachableAt(url string) {
	m.mu.Lock()
	m.api = url
	m.mu.Unlock()
	err := m.sim.ChangeChannel(context.Background(), mortalLINE, func(c *linesim.Channel) {
		c.WebhookURL, c.WebhookActive = url+"/webhooks/line/"+m.channel.ID, true
	})
	if err != nil {
		m.note(err.Error())
	}
}

func (m *mortal) note(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.output.WriteString(s)
}

type noted struct{ m *mortal }

func (n noted) Write(p []byte) (int, error) { n.m.note(string(p)); return len(p), nil }

func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil && m.process.Process != nil {
		_ = m.process.Process.Kill()
	}
}

func (m *mortal) died() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deaths
}

func (m *mortal) end() {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.kill()
	<-m.done
	if m.t.Failed() {
		m.t.Log(m.output.String())
	}
}

// ready waits until LINE can reach the webhook.
func (m *mortal) ready() {
	m.t.Helper()
	require.Eventually(m.t, func() bool {
		for _, c := range m.sim.Channels() {
			if c.ID == mortalLINE && c.WebhookActive {
				res, err := http.Get(strings.Split(c.WebhookURL, "/webhooks/")[0] + "/readyz")
				if err != nil {
					return false
				}
				_ = res.Body.Close()
				return res.StatusCode == http.StatusOK
			}
		}
		return false
	}, patience, 50*time.Millisecond, "kaiwa-dev becomes ready")
}

// shows is what a customer's phone shows of the account's messages.
func (m *mortal) shows(user string) (out []string) {
	m.t.Helper()
	chat, err := m.sim.Chat(context.Background(), mortalLINE, user)
	require.NoError(m.t, err)
	for _, c := range chat {
		if c.Direction == "account" {
			out = append(out, c.Text())
		}
	}
	return out
}

// play has one customer go through crashPlay, each message once the ones
// before are answered.
func (m *mortal) play(user string) error {
	ctx := context.Background()
	var want []string
	var slowest time.Duration
	for _, step := range crashPlay {
		message := linesim.Message{Type: "text", Text: step.writes}
		if step.writes == "" {
			message = linesim.Message{Type: "image", Content: photo(m.t)}
		}
		if _, err := m.sim.Send(ctx, mortalLINE, user, message); err != nil {
			return err
		}
		want = append(want, step.shows...)
		began := time.Now()
		if err := m.until(func() bool { return len(m.shows(user)) >= len(want) }); err != nil {
			return fmt.Errorf("after %q the phone shows %q, not %q\n%s", step.writes, m.shows(user), want, m.told(user))
		}
		slowest = max(slowest, time.Since(began))
		// A picture is not answered. LINE delivers it again when nobody was
		// there; after the close it would begin the next conversation.
		if step.writes == "" {
			if err := m.until(func() bool {
				return slices.ContainsFunc(m.transcript(user), func(said store.Message) bool { return said.Type == "image" })
			}); err != nil {
				return fmt.Errorf("the picture does not arrive\n%s", m.told(user))
			}
		}
	}
	m.t.Logf("the slowest answer came after %s", slowest.Round(100*time.Millisecond))
	return nil
}

// adds holds phone, transcript and books against what was played.
func (m *mortal) adds(user string) error {
	var wrote, want []string
	for _, step := range crashPlay {
		wrote, want = append(wrote, step.writes), append(want, step.shows...)
	}
	wrote, want = append(wrote, "thanks"), append(want, crashServed...)
	if err := m.until(func() bool { return m.settled(user) == nil }); err != nil {
		return fmt.Errorf("not settled: %w", m.settled(user))
	}
	if have := m.shows(user); !slices.Equal(have, want) {
		return fmt.Errorf("the phone shows %q, not %q", have, want)
	}
	var said, sent []string
	for _, msg := range m.transcript(user) {
		if msg.Direction == conversation.Inbound {
			said = append(said, msg.Text)
		} else {
			sent = append(sent, msg.Text)
		}
	}
	if !slices.Equal(said, wrote) {
		return fmt.Errorf("the transcript has the customer say %q, not %q", said, wrote)
	}
	if !slices.Equal(sent, want) {
		return fmt.Errorf("the transcript has the account say %q, not %q", sent, want)
	}
	log, err := m.classifications(user)
	if err != nil {
		return err
	}
	if len(log) != 1 {
		return fmt.Errorf("classification came to %q, not to one thing", log)
	}
	return m.books(user)
}

// classifications is what the routing log says of classifying the customer's
// conversations.
func (m *mortal) classifications(user string) (outcomes []string, _ error) {
	for _, conv := range m.conversations(user) {
		lines, err := m.store.RoutingLog(context.Background(), conv.ID, store.Position{}, 1000)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if l.Stage == store.StageClassification {
				outcomes = append(outcomes, l.Outcome)
			}
		}
	}
	return outcomes, nil
}

// told is what Temporal tells of a customer's workflow, for when a test fails.
func (m *mortal) told(user string) string {
	m.mu.Lock()
	address := m.temporal
	m.mu.Unlock()
	c, err := client.Dial(client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out strings.Builder
	events := c.GetWorkflowHistory(ctx, conversation.WorkflowID(m.channel.ID, conversation.ChatKey("user", user)), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&out, "%s %3d %s\n", e.EventTime.AsTime().Format("15:04:05.000"), e.EventId, e.EventType)
	}
	return out.String()
}

// settled tells what is still to be done for a customer, nil when nothing is.
func (m *mortal) settled(user string) error {
	for _, msg := range m.transcript(user) {
		if msg.State == conversation.MessagePending {
			return fmt.Errorf("message %q is pending", msg.Text)
		}
		if msg.State != conversation.MessageAccepted {
			return fmt.Errorf("message %q is %s (%s)", msg.Text, msg.State, msg.FailureDetail)
		}
	}
	files := 0
	for _, msg := range m.transcript(user) {
		if msg.AttachmentID == "" {
			continue
		}
		files++
		if a, err := m.store.Attachment(context.Background(), msg.AttachmentID); err != nil || a.State != conversation.AttachmentStored {
			return fmt.Errorf("the picture is %s (%v)", a.State, err)
		} else if _, err := os.Stat(filepath.Join(m.dir, "blobs", a.BlobKey)); err != nil {
			return err
		}
	}
	if files != 1 {
		return fmt.Errorf("there are %d pictures", files)
	}
	list := m.conversations(user)
	if len(list) != 2 || list[0].Status != conversation.StatusClosed || list[1].Status != conversation.StatusClosed {
		return fmt.Errorf("%d conversations, the last %+v", len(list), list)
	}
	return nil
}

func (m *mortal) conversations(user string) (out []store.Conversation) {
	list, err := m.store.Conversations(context.Background(), store.ConversationFilter{}, store.Position{}, 1000)
	require.NoError(m.t, err)
	for _, c := range slices.Backward(list) {
		if c.ChatKey == conversation.ChatKey("user", user) {
			out = append(out, c)
		}
	}
	return out
}

func (m *mortal) transcript(user string) (out []store.Message) {
	for _, c := range m.conversations(user) {
		list, err := m.store.Messages(context.Background(), c.ID, store.MessagePosition{}, 1000)
		require.NoError(m.t, err)
		out = append(out, list...)
	}
	return out
}

// until waits until ok. Its patience begins anew whenever the process dies:
// what is asked is that a product which lives comes through, not how soon one
// does that is killed every second.
func (m *mortal) until(ok func() bool) error {
	deaths, deadline := m.died(), time.Now().Add(patience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if n := m.died(); n != deaths {
			deaths, deadline = n, time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			return context.DeadlineExceeded
		}
		<-tick.C
	}
	return nil
}

func (m *mortal) addCustomer() string {
	m.t.Helper()
	u := linesim.User{ID: linesim.NewUserID(), DisplayName: "Crash tester", Language: "en"}
	require.NoError(m.t, m.sim.AddUser(m.t.Context(), u))
	return u.ID
}

// crashing bounds how many products die at the same time: each is a Temporal
// server, and the machine may have two cores.
var crashing = make(chan struct{}, 6)

// The crash matrix (docs/durability.md). For every failpoint of a conversation, on every database (besides
// has the others): the process is killed there, is started again, and the customer gets each answer once, in
// order, and the transcript is whole.
func TestTheProcessMayDieAtAnyPointBetweenTwoDurableSteps(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		for _, point := range failpoint.Names() {
			if besides[family(point.Name)] != nil {
				continue
			}
			for pass := range passes(point.Name) {
				pass++
				t.Run(fmt.Sprintf("%s/%s:%d", dialect, point.Name, pass), func(t *testing.T) {
					t.Parallel()
					crashing <- struct{}{}
					defer func() { <-crashing }()
					m := newMortal(t, dialect, fmt.Sprintf("KAIWA_FAILPOINT=%s:%d", point.Name, pass))
					m.ready()
					user := m.addCustomer()
					require.NoError(t, m.play(user))
					require.NoError(t, m.serve(user))
					require.NoError(t, m.adds(user))
					// The last point is passed after all there is to see.
					require.NoError(t, m.until(func() bool { return m.died() > 0 }))
					require.FileExists(t, filepath.Join(m.dir, point.Name), "the process died there")
					require.Equal(t, 1, m.died())
					require.LessOrEqual(t, m.asked.Load(), int64(2), "the service is asked once more at most")
					if point.Name != "classify.after_answer" { // what is found may be lost with all workers, and with nothing less
						found, err := m.classifications(user)
						require.NoError(t, err)
						require.Equal(t, []string{"service_answered"}, found)
					}
				})
			}
		}
	}
}

// passes tells how often one play passes a point that is worth dying at: the
// first time, and each later time at which something else is under way.
func passes(point string) int {
	switch family(point) {
	case "transition":
		return 5 // handed off, routed, accepted, passed on, ended
	case "profile", "media", "match", "invite", "classify", "tend":
		return 1
	}
	return 2
}

// Kills at instants of chance, while eight customers talk and are served.
func TestTheProcessMayBeKilledAtRandom(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			crashing <- struct{}{}
			defer func() { <-crashing }()
			m := newMortal(t, dialect)
			m.ready()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			chance := rand.New(rand.NewPCG(seed, 0))
			users := make([]string, 8)
			for i := range users {
				users[i] = m.addCustomer()
			}
			kills := 0
			for _, part := range []struct {
				kills int
				play  func(user string) error
			}{{8, m.play}, {6, m.serve}, {0, m.adds}} {
				failures := make(chan error, len(users))
				for _, u := range users {
					go func() { failures <- part.play(u) }()
				}
				for range part.kills {
					m.ready()
					timer := time.NewTimer(time.Duration(200+chance.IntN(1500)) * time.Millisecond)
					<-timer.C
					m.kill()
				}
				for range users {
					require.NoError(t, <-failures)
				}
				kills += part.kills
			}
			require.NoError(t, m.until(func() bool { return m.died() >= kills }), "it died %d times", m.died())
		})
	}
}
