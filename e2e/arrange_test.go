package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"kaiwa/cmd/kaiwa-dev/dev"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// echo is a bot that answers each message with one of its own, so that tests
// can tell which message an answer belongs to: the first by "welcome", m007 by
// "heard m007". It ends on "bye".
const echo = `{
	"version": 1, "default_locale": "en", "start": "first",
	"nodes": {
		"first": {"say": ["welcome"], "goto": "wait"},
		"wait": {"capture": {"into": "heard", "kind": "pattern", "pattern": "[a-z][0-9.]+", "goto": "answer"}},
		"answer": {"say": ["heard {$heard}"], "goto": "wait"},
		"bye": {"say": ["goodbye"], "end": true},
		"person": {"say": ["a person comes"], "handoff": {}}
	},
	"keywords": [{"match": "exact", "words": ["bye"], "goto": "bye"}],
	"handoff": {"node": "person", "words": ["person please"]}
}`

// arrange changes the seeded workstream and its bot. It must come before the
// first message: running steps keep a configuration for two seconds.
func (k *kaiwa) arrange(change func(w *store.Workstream, b *store.Bot)) {
	k.t.Helper()
	ctx := k.t.Context()
	channel, err := k.Store.Channel(ctx, k.Seeded.ChannelID)
	require.NoError(k.t, err)
	w, err := k.Store.Workstream(ctx, channel.WorkstreamID)
	require.NoError(k.t, err)
	b, err := k.Store.Bot(ctx, w.BotID)
	require.NoError(k.t, err)
	change(&w, &b)
	_, err = k.Store.UpdateBot(ctx, store.Origin{}, b.ID, b.Version, func(to *store.Bot) error { *to = b; return nil })
	require.NoError(k.t, err)
	_, err = k.Store.UpdateWorkstream(ctx, store.Origin{}, w.ID, w.Version, func(to *store.Workstream) error { *to = w; return nil })
	require.NoError(k.t, err)
}

// withEcho gives the conversations to the echo.
func withEcho(_ *store.Workstream, b *store.Bot) { b.Script = []byte(echo) }

// withoutBot lets conversations wait in the queue from the start.
func withoutBot(w *store.Workstream, _ *store.Bot) { w.BotID = "" }

// isQuiet waits until nothing is under way for the customer: every webhook is
// delivered, every event handled, and the workflow waits or has ended.
func (c customer) isQuiet() {
	c.k.t.Helper()
	require.NoError(c.k.t, c.k.Sim.WaitIdle(c.k.t.Context()))
	c.k.eventually(func() bool { return !c.hasUnhandled() && c.waits() }, "nothing is under way")
}

func (c customer) hasUnhandled() bool {
	chats, err := c.k.Store.UnhandledChats(c.k.t.Context(), time.Now().Add(time.Hour), 1000)
	return err != nil || slices.Contains(chats, store.Chat{ChannelID: c.k.Seeded.ChannelID, ChatKey: c.chatKey()})
}

// waits tells whether the customer's workflow has neither a task nor an
// activity under way.
func (c customer) waits() bool {
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	return err == nil && d.PendingWorkflowTask == nil && len(d.PendingActivities) == 0
}

// runs are the histories of all runs of the customer's workflow, oldest first.
func (c customer) runs() [][]*history.HistoryEvent {
	c.k.t.Helper()
	var ids []string
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	require.NoError(c.k.t, err)
	for id := d.WorkflowExecutionInfo.Execution.RunId; id != ""; {
		ids = append(ids, id)
		id = continuedFrom(c.k.run(c.workflowID(), id))
	}
	var out [][]*history.HistoryEvent
	for i := len(ids) - 1; i >= 0; i-- {
		out = append(out, c.k.run(c.workflowID(), ids[i]))
	}
	return out
}

// continuedFrom is the run that a run goes on from.
func continuedFrom(run []*history.HistoryEvent) string {
	return run[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
}

// run is the history of one run of a workflow, in one piece.
func (k *kaiwa) run(workflowID, runID string) []*history.HistoryEvent {
	k.t.Helper()
	iter := k.Temporal.GetWorkflowHistory(k.t.Context(), workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var out []*history.HistoryEvent
	for iter.HasNext() {
		e, err := iter.Next()
		require.NoError(k.t, err)
		out = append(out, e)
	}
	return out
}

// historyLength is how many events the customer's run has.
func (c customer) historyLength() int64 {
	c.k.t.Helper()
	d, err := c.k.Temporal.DescribeWorkflowExecution(c.k.t.Context(), c.workflowID(), "")
	require.NoError(c.k.t, err)
	return d.WorkflowExecutionInfo.HistoryLength
}

// burst has the customer write n messages that reach Kaiwa at once: in bodies
// of a hundred events, the most LINE puts into one.
func (c customer) burst(texts []string) {
	c.k.t.Helper()
	c.k.Sim.Hold(dev.SimChannelID)
	for _, text := range texts {
		c.writes(text)
	}
	n, err := c.k.Sim.Release(linesim.ReleaseOptions{ChannelID: dev.SimChannelID, Batch: 100})
	require.NoError(c.k.t, err)
	require.Equal(c.k.t, len(texts), n)
}

// echoes are the echo's answers to texts.
func echoes(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = "heard " + text
	}
	return out
}

// heard are the echo's answers on the customer's phone, in order.
func (c customer) heard() []string {
	c.k.t.Helper()
	var out []string
	for _, text := range c.reads() {
		if strings.HasPrefix(text, "heard ") {
			out = append(out, text)
		}
	}
	return out
}

// statements are what a store is asked, told apart by their words.
type statements struct {
	mu    sync.Mutex
	count map[string]int
}

func (s *statements) observe(q string) {
	words := strings.Join(strings.Fields(q), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[words]++
}

func (s *statements) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = nil
}

// background are statements that are asked by the clock, however many messages
// there are: by the relay, the sequencer, the reconciler, the sweeper, the look
// for replies in doubt, the one for channels' tokens, the statistics of webhooks and
// the caches of the configuration. The feed reads once for each batch of numbered
// events, and how many of a message's go together is the sequencer's pace.
var background = []string{
	"min(received_at) AS since FROM line_events", "FROM changed_rules ORDER BY", "FROM chats_to_wake ORDER BY",
	"FROM events WHERE seq IS NULL", "WHERE name = 'events'", "FROM events WHERE seq > $1",
	"count(*) AS unhandled", "WHERE status <> 'closed' AND id >", "'scrubbed_to'", "FROM line_events WHERE received_at <", "SET raw = $1, reply_token = ''",
	"FROM idempotency_keys", "FROM survey_invitations WHERE wanted_at > 0", "pg_notify", "FROM batches WHERE state = 'frozen' AND kind = 'reply' AND",
	"FROM channels c JOIN workstreams w", "FROM channels WHERE id", "FROM channels WHERE tend_at > 0", "INTO webhook_stats",
}

// foreground counts the statements that n messages cause, and lists them. What
// runs by time alone, such as the dispatcher's look every ten seconds, does not
// grow with the messages: what ran for less than every tenth is left out.
func (s *statements) foreground(n int) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	var list []string
	for words, ran := range s.count {
		if 10*ran < n || slices.ContainsFunc(background, func(b string) bool { return strings.Contains(words, b) }) {
			continue
		}
		total += ran
		list = append(list, fmt.Sprintf("%5d %.110s", ran, words))
	}
	slices.Sort(list)
	return total, strings.Join(list, "\n")
}

// about counts the statements that name a table.
func (s *statements) about(table string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for words, ran := range s.count {
		if strings.Contains(words, table) {
			n += ran
		}
	}
	return n
}

func observing(s *statements) func(*dev.Options) {
	return func(o *dev.Options) { o.Observe = s.observe }
}

// mostOpenTimers walks a history and tells how many timers are open at most.
func mostOpenTimers(events []*history.HistoryEvent) int {
	open, most := 0, 0
	for _, e := range events {
		switch e.EventType {
		case enums.EVENT_TYPE_TIMER_STARTED:
			open++
		case enums.EVENT_TYPE_TIMER_FIRED, enums.EVENT_TYPE_TIMER_CANCELED:
			open--
		}
		most = max(most, open)
	}
	return most
}

// allAccepted waits until LINE has taken everything.
func (c customer) allAccepted() {
	c.k.t.Helper()
	c.k.eventually(func() bool {
		for _, m := range c.transcript() {
			if m.State != conversation.MessageAccepted {
				return false
			}
		}
		return true
	}, "everything is sent")
}
