package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"kaiwa/internal/linesim"
	"kaiwa/internal/store/storetest"
)

// The paths of messages, each beside a bare workflow on the same server in the
// same run: the ratio is what counts, and what a machine's speed leaves alone.
// Run with -benchtime 300x or more; each conversation takes its part.
func BenchmarkPaths(b *testing.B) {
	for _, dialect := range storetest.Dialects() {
		for _, path := range []struct {
			name    string
			arrange func(*pathBench)
			bare    string
		}{
			{"inbound", (*pathBench).inbound, "signal+local"},
			{"bot", (*pathBench).bot, "signal+activity"},
			{"agent", (*pathBench).agent, "update+activity"},
		} {
			b.Run(dialect+"/"+path.name, func(b *testing.B) {
				p := newPathBench(b, dialect)
				path.arrange(p)
				p.startBare(path.bare)
				for _, flood := range []bool{false, true} {
					name := "one"
					if flood {
						name = "flood"
					}
					b.Run(name, func(b *testing.B) { p.run(b, flood) })
				}
			})
		}
	}
}

const pathConversations = 50

type pathBench struct {
	*kaiwa
	b         *testing.B
	sql       statements
	secret    string
	webhook   string
	customers []customer
	ids       []string // of their conversations
	say       func(i int) (done string)
	arrived   *arrivals
	sent      atomic.Int64

	bare     func(i int)
	bareDone *arrivals
}

// arrivals counts what arrived, by subject.
type arrivals struct {
	mu    sync.Mutex
	cond  *sync.Cond
	count map[string]int
	total int
}

func newArrivals() *arrivals {
	a := &arrivals{count: map[string]int{}}
	a.cond = sync.NewCond(&a.mu)
	return a
}

func (a *arrivals) note(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[subject]++
	a.total++
	a.cond.Broadcast()
}

func (a *arrivals) of(subject string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count[subject]
}

func (a *arrivals) await(subject string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.count[subject] < n {
		a.cond.Wait()
	}
}

func newPathBench(b *testing.B, dialect string) *pathBench {
	p := &pathBench{b: b}
	p.kaiwa = start(b, dialect, observing(&p.sql))
	ch, err := p.Store.Channel(b.Context(), p.Seeded.ChannelID)
	require.NoError(b, err)
	p.secret, p.webhook = ch.Secrets[0], p.APIURL+"/webhooks/line/"+p.Seeded.ChannelID
	p.arrived, p.bareDone = newArrivals(), newArrivals()
	return p
}

var benchHTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// post delivers one event of a customer as LINE would.
func (p *pathBench) post(user, text string) {
	n := p.sent.Add(1)
	body, err := json.Marshal(map[string]any{"destination": "", "events": []any{map[string]any{
		"type": "message", "mode": "active", "timestamp": time.Now().UnixMilli(), "webhookEventId": fmt.Sprintf("01BENCH%019d", n),
		"deliveryContext": map[string]any{"isRedelivery": false}, "source": map[string]any{"type": "user", "userId": user},
		"replyToken": linesim.NewUserID()[1:], "message": map[string]any{"type": "text", "id": fmt.Sprint(900000000 + n), "quoteToken": "q", "text": text},
	}}})
	require.NoError(p.b, err)
	mac := hmac.New(sha256.New, []byte(p.secret))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, p.webhook, bytes.NewReader(body))
	require.NoError(p.b, err)
	req.Header.Set("X-Line-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := benchHTTP.Do(req)
	require.NoError(p.b, err)
	_ = res.Body.Close()
	require.Equal(p.b, 200, res.StatusCode)
}

// follow reads the event stream, and notes conversations by kinds of event.
func (p *pathBench) follow(kind string) {
	req, err := http.NewRequestWithContext(p.b.Context(), http.MethodGet, p.APIURL+"/api/v1/events/stream?after=latest", nil)
	require.NoError(p.b, err)
	req.Header.Set("Authorization", "Bearer kaiwa-dev-admin")
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.b, err)
	require.Equal(p.b, 200, res.StatusCode)
	go func() {
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e struct {
				Type         string `json:"type"`
				Conversation string `json:"conversation_id"`
			}
			if json.Unmarshal([]byte(data), &e) == nil && e.Type == kind {
				p.arrived.note(e.Conversation)
			}
		}
	}()
}

func (p *pathBench) begin(text string) {
	for range pathConversations {
		p.customers = append(p.customers, p.newCustomer("Emma"))
	}
	for _, c := range p.customers {
		c.writes(text)
	}
	for _, c := range p.customers {
		c.isAnswered(1)
		c.isQuiet()
		p.ids = append(p.ids, c.conversations()[0].ID)
	}
}

func (p *pathBench) inbound() {
	p.arrange(withEcho)
	p.begin("person please")
	p.follow("message.received")
	p.say = func(i int) string { p.post(p.customers[i].id, "hello there"); return p.ids[i] }
}

func (p *pathBench) bot() {
	p.arrange(withEcho)
	p.begin("a0")
	p.follow("message.accepted")
	p.say = func(i int) string { p.realToken(i, "b1"); return p.ids[i] }
}

// realToken has the simulator deliver the message, so that LINE knows its reply token.
func (p *pathBench) realToken(i int, text string) { p.customers[i].writes(text) }

func (p *pathBench) agent() {
	p.arrange(picked)
	p.begin("person please")
	kenta := p.as("kaiwa-dev-kenta")
	for _, id := range p.ids {
		kenta.does("pick", id, nil)
	}
	for _, c := range p.customers {
		c.isQuiet()
	}
	p.follow("message.accepted")
	p.say = func(i int) string {
		status, m := kenta.says(p.ids[i], "answer")
		require.Contains(p.b, stored, status, m)
		return p.ids[i]
	}
}

func (p *pathBench) startBare(kind string) {
	w := worker.New(p.Temporal, "bare", worker.Options{
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	nothing := func(_ context.Context, id string) error { p.bareDone.note(id); return nil }
	w.RegisterActivity(nothing)
	local, regular := func(ctx workflow.Context, id string) {
		_ = workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{ScheduleToCloseTimeout: time.Minute}), nothing, id).Get(ctx, nil)
	}, func(ctx workflow.Context, id string) {
		_ = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute}), nothing, id).Get(ctx, nil)
	}
	bare := func(ctx workflow.Context) error {
		id := workflow.GetInfo(ctx).WorkflowExecution.ID
		if kind == "update+activity" {
			if err := workflow.SetUpdateHandler(ctx, "say", func(ctx workflow.Context) error { regular(ctx, id); return nil }); err != nil {
				return err
			}
		}
		signals := workflow.GetSignalChannel(ctx, "wake")
		for {
			signals.Receive(ctx, nil)
			if kind == "signal+local" {
				local(ctx, id)
			} else {
				regular(ctx, id)
			}
		}
	}
	w.RegisterWorkflowWithOptions(bare, workflow.RegisterOptions{Name: "bare"})
	require.NoError(p.b, w.Start())
	p.b.Cleanup(w.Stop)
	for i := range pathConversations {
		_, err := p.Temporal.ExecuteWorkflow(p.b.Context(), client.StartWorkflowOptions{ID: bareID(i), TaskQueue: "bare"}, "bare")
		require.NoError(p.b, err)
	}
	p.bare = func(i int) {
		if kind == "update+activity" {
			h, err := p.Temporal.UpdateWorkflow(p.b.Context(), client.UpdateWorkflowOptions{WorkflowID: bareID(i), UpdateName: "say", WaitForStage: client.WorkflowUpdateStageCompleted})
			require.NoError(p.b, err)
			require.NoError(p.b, h.Get(p.b.Context(), nil))
			return
		}
		require.NoError(p.b, p.Temporal.SignalWorkflow(p.b.Context(), bareID(i), "", "wake", nil))
	}
}

func bareID(i int) string { return fmt.Sprintf("bare/%d", i) }

// load has all conversations say n messages together, each one after the other,
// waiting for what comes of it, or not.
func load(n int, flood bool, say func(i int), subject func(i int) string, done *arrivals) time.Duration {
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range pathConversations {
		wg.Go(func() {
			mine := n / pathConversations
			if i < n%pathConversations {
				mine++
			}
			before := done.of(subject(i))
			for k := range mine {
				say(i)
				if !flood {
					done.await(subject(i), before+k+1)
				}
			}
			done.await(subject(i), before+mine)
		})
	}
	wg.Wait()
	return time.Since(begun)
}

func (p *pathBench) run(b *testing.B, flood bool) {
	p.b = b
	id := func(i int) string { return p.ids[i] }
	const rounds = 3
	load(pathConversations, flood, func(i int) { p.say(i) }, id, p.arrived)
	load(pathConversations, flood, p.bare, bareID, p.bareDone)
	p.sql.reset()
	b.ResetTimer()
	var ours, bares time.Duration
	for range rounds {
		ours += load(b.N/rounds+1, flood, func(i int) { p.say(i) }, id, p.arrived)
		b.StopTimer()
		bares += load(b.N/rounds+1, flood, p.bare, bareID, p.bareDone)
		b.StartTimer()
	}
	b.StopTimer()
	n := rounds * (b.N/rounds + 1)
	asked, _ := p.sql.foreground(n)
	b.ReportMetric(float64(n)/ours.Seconds(), "msg/s")
	b.ReportMetric(float64(n)/bares.Seconds(), "bare/s")
	b.ReportMetric(bares.Seconds()/ours.Seconds(), "×bare")
	b.ReportMetric(float64(asked)/float64(n), "sql/msg")
}
