package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// growth is scenario 6: what a message costs in a long conversation, and with
// many conversations in the database.
func (r *run) growth(ctx context.Context) error {
	if err := r.longConversation(ctx); err != nil {
		return err
	}
	if err := r.idleMemory(ctx); err != nil {
		return err
	}
	return r.manyConversations(ctx)
}

// window is over how many messages the cost of one is taken.
const window = 20

// cost is what a message costs at some place of a conversation.
type cost struct {
	took   time.Duration // the median
	events float64       // of the workflow's history
}

// longConversation writes one long conversation and looks at the cost of its
// messages on the way.
func (r *run) longConversation(ctx context.Context) error {
	c := r.served[len(r.served)-1]
	r.o.Progress("6 a long conversation")
	written := 0
	write := func(n int) error { // as fast as they are taken, in between
		hooks, err := r.office.drafts(ctx, []*chat{c}, n, words)
		if err != nil {
			return err
		}
		marks := make([]*mark, n)
		for i, w := range hooks[0] {
			if marks[i], err = r.office.write(ctx, c.channel, w); err != nil {
				return err
			}
		}
		written += n
		return waitAll(ctx, marks)
	}
	var first cost
	for i, at := range r.size.longest {
		if n := at - window/2 - written; n > 0 {
			if err := write(n); err != nil {
				return err
			}
		}
		here, err := r.costOfMessages(ctx, c)
		if err != nil {
			return err
		}
		written += window
		what := fmt.Sprintf("message %d of a conversation", at)
		took := Figure{Scenario: 6, What: what + ", until visible", Value: millis(here.took), Unit: "ms"}
		events := Figure{Scenario: 6, What: what, Value: here.events, Unit: "history events"}
		if i == 0 {
			first = here
		} else {
			took.Baseline, events.Baseline = millis(first.took), first.events
		}
		if i > 0 && i == len(r.size.longest)-1 {
			took.Bar, events.Bar = ratioAtMost(1.3), ratioAtMost(1)
		}
		r.report.Add(took)
		r.report.Add(events)
	}
	return nil
}

// costOfMessages writes some, each after the one before is visible and the
// workflow rests. A history that goes on in a new run meanwhile is looked at
// once more.
func (r *run) costOfMessages(ctx context.Context, c *chat) (cost, error) {
	id := conversation.WorkflowID(c.channel.id, c.chatKey())
	for {
		run, before, err := r.resting(ctx, id)
		if err != nil {
			return cost{}, err
		}
		hooks, err := r.office.drafts(ctx, []*chat{c}, window, words)
		if err != nil {
			return cost{}, err
		}
		var took []float64
		var same string
		var after int64
		for _, w := range hooks[0] {
			begun := time.Now()
			m, err := r.office.write(ctx, c.channel, w)
			if err != nil {
				return cost{}, err
			}
			if err := m.wait(ctx); err != nil {
				return cost{}, err
			}
			took = append(took, float64(m.at.Sub(begun)))
			if same, after, err = r.resting(ctx, id); err != nil {
				return cost{}, err
			}
		}
		if same == run {
			return cost{time.Duration(median(took)), float64(after-before) / window}, nil
		}
	}
}

// resting waits until a workflow has nothing under way, and tells its run and
// how many events that has.
func (r *run) resting(ctx context.Context, id string) (runID string, events int64, err error) {
	late := time.Now().Add(patience)
	for {
		d, err := r.client.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return "", 0, err
		}
		if d.PendingWorkflowTask == nil && len(d.PendingActivities) == 0 {
			return d.WorkflowExecutionInfo.Execution.RunId, d.WorkflowExecutionInfo.HistoryLength, nil
		}
		if time.Now().After(late) {
			return "", 0, fmt.Errorf("workflow %s does not rest: %w", id, errTooSlow)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return "", 0, err
		}
	}
}

// idleMemory measures what open conversations take that nothing happens in.
func (r *run) idleMemory(ctx context.Context) error {
	r.o.Progress("6 idle conversations")
	n := r.size.idle
	before, err := r.memory()
	if err != nil {
		return err
	}
	chats, err := r.office.customers(ctx, r.bots, n)
	if err != nil {
		return err
	}
	if err := r.office.greet(ctx, chats); err != nil {
		return err
	}
	if err := sleep(ctx, 10*breath); err != nil { // collectors of garbage take their time
		return err
	}
	after, err := r.memory()
	if err != nil {
		return err
	}
	r.report.Add(Figure{
		Scenario: 6, What: fmt.Sprintf("memory of an idle open conversation, over %d", n), Value: float64(after["worker"]-before["worker"]) / float64(n) / 1024, Unit: "KB, worker",
		Details: map[string]float64{
			"api_kb": float64(after["api"]-before["api"]) / float64(n) / 1024, "worker_mb": float64(after["worker"]) / (1 << 20), "api_mb": float64(after["api"]) / (1 << 20),
		},
		Note: "resident memory after and before; a worker keeps 10,000 workflows at most, the others are read again when something happens",
	})
	return nil
}

// memory is what the processes have resident.
func (r *run) memory() (map[string]int64, error) {
	api, err := r.rig.APIs[0].RSS()
	if err != nil {
		return nil, err
	}
	worker, err := r.rig.Workers[0].RSS()
	return map[string]int64{"api": api, "worker": worker}, err
}

// manyConversations fills the database, and measures the same load before and
// after, and reading while a load goes on.
func (r *run) manyConversations(ctx context.Context) error {
	chats := r.served[:r.size.lanes]
	load := r.visibleOneAtATime(chats, r.size.oneEach)
	bare := r.bare.oneAtATime(r.local, r.size.oneEach)
	r.o.Progress("6 throughput before")
	before, _, err := sideBySide(ctx, r.size.throughputRounds, r.watched(6, "throughput before", load), r.watched(6, "throughput before, baseline", bare))
	if err != nil {
		return err
	}
	long, err := r.populate(ctx)
	if err != nil {
		return err
	}
	r.o.Progress("6 throughput after")
	after, _, err := sideBySide(ctx, r.size.throughputRounds, r.watched(6, "throughput after", load), r.watched(6, "throughput after, baseline", bare))
	if err != nil {
		return err
	}
	r.report.Add(Figure{
		Scenario: 6, What: fmt.Sprintf("one at a time with %d open and %d messages", r.size.open, r.size.messages), Value: after[0], Unit: "messages/s", Baseline: before[0], Bar: ratioAtLeast(0.8),
		Note:    "the baseline is the same before the database was filled",
		Details: map[string]float64{"bare_before": before[1], "bare_after": after[1]},
	})
	return r.reads(ctx, long)
}

// populate fills the database and returns the ids of the long conversations.
func (r *run) populate(ctx context.Context) (long []string, err error) {
	const longOnes, longMessages = 100, 500
	staff := min(1000, r.size.open/20)
	r.o.Progress(fmt.Sprintf("6 %d open conversations, %d messages", r.size.open, r.size.messages))
	st, by := r.rig.Store, store.Origin{AgentName: "kaiwa bench"}
	stream, err := st.CreateWorkstream(ctx, by, store.Workstream{Name: "Many", Mode: store.ModePick, FallbackQueueID: r.queue})
	if err != nil {
		return nil, err
	}
	many, err := st.CreateChannel(ctx, by, store.Channel{
		Name: "Many", LINEChannelID: "1900000008", WorkstreamID: stream.ID, Locale: "ja", Status: store.ChannelDisabled, ChatMode: "bot", Secrets: []string{"bench"}, Token: "bench",
	})
	if err != nil {
		return nil, err
	}
	agents := make([]string, staff)
	var all errgroup.Group
	all.SetLimit(4)
	for i := range agents {
		all.Go(func() error {
			a, err := st.CreateAgent(ctx, by, store.Agent{Name: fmt.Sprintf("Many %d", i), Email: fmt.Sprintf("many-%d@example.com", i), Role: store.RoleAgent, Locale: "ja"})
			agents[i] = a.ID
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	r.anybody = agents[7]
	rest := max(1, r.size.open-longOnes)
	each := max(1, (r.size.messages-longOnes*longMessages)/rest)
	later := time.Now().Add(24 * time.Hour)
	const part = 2000 // a transaction; between them others write
	for from := 0; from < r.size.open; from += part {
		var list []store.Populated
		for i := from; i < min(from+part, r.size.open); i++ {
			p := store.Populated{
				ChannelID: many.ID, WorkstreamID: stream.ID, Number: i, Phase: conversation.PhaseServed, QueueID: r.queue,
				AgentID: agents[i%staff], Messages: each, UpdatedAt: later,
			}
			if i < longOnes {
				p.Messages = longMessages
			}
			if i%10 == 9 {
				p.Phase, p.AgentID = conversation.PhaseWaiting, ""
			}
			list = append(list, p)
		}
		if err := st.Populate(ctx, list); err != nil {
			return nil, err
		}
	}
	if err := st.Analyze(ctx); err != nil {
		return nil, err
	}
	for i := range min(longOnes, r.size.open) {
		long = append(long, store.PopulatedID(many.ID, i))
	}
	return long, nil
}

// reads measures lists and transcripts while messages arrive.
func (r *run) reads(ctx context.Context, long []string) error {
	const messages, lists, transcripts = 50, 10, 20 // a second
	r.o.Progress(fmt.Sprintf("6 lists and transcripts at %d messages/s", messages))
	arrivals := Arrivals(r.seed(60), messages, r.size.readsFor)
	_, pick, err := r.spread(ctx, r.served, len(arrivals), words)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(r.seed(61), 1))
	paths := []string{"/conversations?limit=50", "/conversations?limit=50&status=active", "/conversations?limit=50&status=open", "/conversations?limit=50&queue_id=" + r.queue,
		"/conversations?limit=50&agent_id=" + r.anybody, "/conversations?limit=50&status=active&queue_id=" + r.queue}
	var which []string
	for range Arrivals(r.seed(62), transcripts, r.size.readsFor) {
		which = append(which, "/conversations/"+long[rng.IntN(len(long))]+"/messages?limit=50")
	}
	var got [3]Load
	var errs [3]error
	done := r.watchProcessor(6, fmt.Sprintf("lists and transcripts at %d messages/s", messages))
	var all sync.WaitGroup
	all.Go(func() {
		got[0], errs[0] = Open(ctx, arrivals, func(ctx context.Context, n int) error {
			c, w, _ := pick(n)
			return r.office.deliver(ctx, c.channel, w)
		})
	})
	all.Go(func() {
		got[1], errs[1] = Open(ctx, Arrivals(r.seed(63), lists, r.size.readsFor), func(ctx context.Context, n int) error {
			return r.office.call(ctx, r.office.admin(), http.MethodGet, paths[n%len(paths)], nil, nil)
		})
	})
	all.Go(func() {
		got[2], errs[2] = Open(ctx, Arrivals(r.seed(62), transcripts, r.size.readsFor), func(ctx context.Context, n int) error {
			return r.office.call(ctx, r.office.admin(), http.MethodGet, which[n], nil, nil)
		})
	})
	all.Wait()
	done()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	r.latency(6, fmt.Sprintf("list of conversations, %d open", r.size.open), got[1].Latencies, .95, atMost(100))
	r.latency(6, "transcript, 50 of 500 messages", got[2].Latencies, .95, atMost(10))
	r.latency(6, fmt.Sprintf("acknowledged meanwhile, at %d/s", messages), got[0].Latencies, .99, nil)
	return nil
}
