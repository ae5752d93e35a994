package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"kaiwa/internal/linesim"
)

const (
	// hands is how many webhooks are under way at once when as many as possible
	// are wanted.
	hands = 64
	// generous is more events a second than this machine acknowledges, for which
	// webhooks are made ahead.
	generous = 5000
	// closedPort is where no Temporal listens.
	closedPort = "127.0.0.1:9"
)

// acknowledgement is scenario 4: how soon a webhook is answered, at which rate,
// and what becomes of the backlog.
func (r *run) acknowledgement(ctx context.Context) error {
	if err := r.sql.copyInbox(ctx); err != nil {
		return err
	}
	refused := r.office.refused.Load()
	var running *Latencies
	for _, rate := range []float64{50, 100, 200} {
		took, err := r.acknowledgedAt(ctx, rate)
		if err != nil {
			return err
		}
		if rate == 100 {
			running = took
		}
		if err := r.drained(ctx); err != nil {
			return err
		}
	}
	if err := r.mostAcknowledged(ctx); err != nil {
		return err
	}
	if err := r.backlogs(ctx); err != nil {
		return err
	}
	if err := r.withoutTemporal(ctx, running); err != nil {
		return err
	}
	r.report.Add(Figure{Scenario: 4, What: "webhooks not acknowledged at once, of all above", Value: float64(r.office.refused.Load() - refused), Unit: "webhooks", Note: "they are delivered again, as LINE does, and count until they are"})
	return nil
}

// spread makes webhooks for arrivals, each chat's in its order.
func (r *run) spread(ctx context.Context, chats []*chat, n int, text func(int) string) (each int, pick func(n int) (c *chat, w linesim.Webhook, number int), err error) {
	each = 1 + n/len(chats)
	hooks, err := r.office.drafts(ctx, chats, each, text)
	return each, func(n int) (*chat, linesim.Webhook, int) {
		i, k := n%len(chats), n/len(chats)
		return chats[i], hooks[i][k], i*each + k
	}, err
}

// acknowledgedAt measures acknowledgements at a rate, beside bare INSERTs.
func (r *run) acknowledgedAt(ctx context.Context, rate float64) (*Latencies, error) {
	what := fmt.Sprintf("acknowledged at %.0f/s", rate)
	r.o.Progress("4 " + what)
	arrivals := Arrivals(r.seed(400+uint64(rate)), rate, r.size.ackFor)
	_, pick, err := r.spread(ctx, r.served, len(arrivals), words)
	if err != nil {
		return nil, err
	}
	done := r.watchProcessor(4, what)
	load, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
		c, w, _ := pick(n)
		return r.office.deliver(ctx, c.channel, w)
	})
	if err != nil {
		return nil, err
	}
	done()
	if err := r.drained(ctx); err != nil {
		return nil, err
	}
	defer r.watchProcessor(4, what+", baseline")()
	bare, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
		c, w, _ := pick(n)
		return r.insert(ctx, c, w)
	})
	if err != nil {
		return nil, err
	}
	var p99, p999 *Bar
	if rate == 100 {
		p99, p999 = atMost(r.here(30, 50)), atMost(500)
	}
	for _, p := range []struct {
		share float64
		bar   *Bar
	}{{.5, nil}, {.99, p99}, {.999, p999}} {
		r.latency(4, what, load.Latencies, p.share, p.bar)
		f := &r.report.Figures[len(r.report.Figures)-1]
		f.Baseline = millis(bare.Latencies.At(p.share))
		f.Ratio = f.Value / f.Baseline
	}
	return load.Latencies, nil
}

// insert is what a webhook costs at the least: one INSERT of its row.
func (r *run) insert(ctx context.Context, c *chat, w linesim.Webhook) error {
	return r.sql.insertInbox(ctx, c.channel.id, w.WebhookEventID, c.chatKey(), c.user, w.ReplyToken, time.Now().UnixMicro(), w.Body)
}

// drained returns once nothing is unhandled.
func (r *run) drained(ctx context.Context) error {
	late := time.Now().Add(patience)
	for {
		st, err := r.rig.Store.InboxState(ctx, time.Now().Add(time.Minute))
		if err != nil || st.Unhandled == 0 {
			return err
		}
		if time.Now().After(late) {
			return fmt.Errorf("%d events are still unhandled: %w", st.Unhandled, errTooSlow)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// mostAcknowledged is the highest rate, and what it leaves behind.
func (r *run) mostAcknowledged(ctx context.Context) error {
	r.o.Progress("4 highest rate")
	n := int(generous * r.size.maxFor.Seconds())
	_, pick, err := r.spread(ctx, r.served, n, words)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("highest rate held for %s", r.size.maxFor)
	done := r.watchProcessor(4, what)
	load, err := r.asManyAsPossible(ctx, func(ctx context.Context, i int) error {
		if i >= n {
			return fmt.Errorf("more than %d events a second were acknowledged: more webhooks must be made ahead", generous)
		}
		c, w, _ := pick(i)
		return r.office.deliver(ctx, c.channel, w)
	})
	if err != nil {
		return err
	}
	done()
	begun := time.Now()
	if err := r.drained(ctx); err != nil {
		return err
	}
	drain := time.Since(begun)
	done = r.watchProcessor(4, what+", baseline")
	bare, err := r.asManyAsPossible(ctx, func(ctx context.Context, i int) error {
		c, w, _ := pick(i % n)
		w.WebhookEventID += fmt.Sprint("-", i/n)
		return r.insert(ctx, c, w)
	})
	if err != nil {
		return err
	}
	done()
	r.report.Add(Figure{
		Scenario: 4, What: what, Value: load.PerSecond(), Unit: "events/s", Baseline: bare.PerSecond(),
		Bar: atLeast(r.here(2000, 1000)), Note: "one event a webhook, 64 webhooks under way at once, while conversations take them in; the baseline is bare INSERTs, as many at once",
		Details: map[string]float64{"p50_ms": millis(load.Latencies.At(.5)), "p99_ms": millis(load.Latencies.At(.99)), "p999_ms": millis(load.Latencies.At(.999))},
	})
	r.report.Add(Figure{Scenario: 4, What: fmt.Sprintf("its backlog, after %d events", load.Done), Value: drain.Seconds(), Unit: "s"})
	return nil
}

// asManyAsPossible does numbered things as fast as it goes.
func (r *run) asManyAsPossible(ctx context.Context, do func(ctx context.Context, i int) error) (Load, error) {
	var begun atomic.Int64
	return ClosedFor(ctx, hands, r.size.maxFor, func(ctx context.Context, _, _ int) error { return do(ctx, int(begun.Add(1))-1) })
}

// backlogs takes events in at a thousand a second, and measures how long after
// the last one everything is done.
func (r *run) backlogs(ctx context.Context) error {
	const rate = 1000
	over := time.Duration(r.size.backlog) * time.Second / rate
	for _, b := range []struct {
		what  string
		chats []*chat
		bar   float64
		text  func(int) string
		mark  func(c *chat, w linesim.Webhook, text string) *mark
	}{
		{"agents serving, until visible", r.served, 10, words, func(c *chat, w linesim.Webhook, _ string) *mark {
			return r.office.seen.expect(received(messageID(c.channel, w)))
		}},
		{"the bot answering, until answered", r.botted, 30, r.numbered("f"), func(_ *chat, _ linesim.Webhook, text string) *mark { return r.answerMark(text) }},
	} {
		r.o.Progress("4 backlog, " + b.what)
		arrivals := Arrivals(r.seed(40), rate, over)
		_, pick, err := r.spread(ctx, b.chats, len(arrivals), b.text)
		if err != nil {
			return err
		}
		marks := make([]*mark, len(arrivals))
		for n := range arrivals {
			c, w, number := pick(n)
			marks[n] = b.mark(c, w, b.text(number))
		}
		done := r.watchProcessor(4, "backlog, "+b.what)
		load, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
			c, w, _ := pick(n)
			return r.office.deliver(ctx, c.channel, w)
		})
		if err != nil {
			return err
		}
		acknowledged := time.Now()
		if err := waitAll(ctx, marks); err != nil {
			return err
		}
		done()
		r.report.Add(Figure{
			Scenario: 4, What: fmt.Sprintf("%d events at %d/s, %s", load.Done, rate, b.what), Value: max(0, last(marks).Sub(acknowledged).Seconds()), Unit: "s", Bar: atMost(b.bar),
			Details: map[string]float64{"acknowledged_p50_ms": millis(load.Latencies.At(.5)), "acknowledged_p99_ms": millis(load.Latencies.At(.99)), "took_s": load.Took.Seconds()},
		})
	}
	return nil
}

// withoutTemporal is the same at a hundred a second by an api process whose
// Temporal does not answer, and how soon what it stored is taken up.
func (r *run) withoutTemporal(ctx context.Context, running *Latencies) error {
	r.o.Progress("4 without Temporal")
	api, worker := r.rig.APIs[0], r.rig.Workers[0]
	for _, p := range []interface{ Stop(context.Context) error }{api, worker} {
		if err := p.Stop(ctx); err != nil {
			return err
		}
	}
	alone, err := r.rig.AddAPI("TEMPORAL_ADDRESS=" + closedPort)
	if err != nil {
		return err
	}
	if err := r.listens(ctx, alone.URL()); err != nil {
		return err
	}
	arrivals := Arrivals(r.seed(41), 100, r.size.ackFor)
	_, pick, err := r.spread(ctx, r.served, len(arrivals), words)
	if err != nil {
		return err
	}
	marks := make([]*mark, len(arrivals))
	for n := range arrivals {
		c, w, _ := pick(n)
		marks[n] = r.office.seen.expect(received(messageID(c.channel, w)))
	}
	done := r.watchProcessor(4, "the same with Temporal stopped, at 100/s")
	load, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
		c, w, _ := pick(n)
		return r.office.deliverTo(ctx, alone.URL(), c.channel, w)
	})
	if err != nil {
		return err
	}
	done()
	if err := alone.Stop(ctx); err != nil {
		return err
	}
	begun := time.Now()
	for _, p := range []interface {
		Start() error
		Ready(context.Context) error
	}{api, worker} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for _, p := range []interface{ Ready(context.Context) error }{api, worker} {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	ready := time.Now()
	if err := waitAll(ctx, marks); err != nil {
		return err
	}
	r.latency(4, "the same with Temporal stopped, at 100/s", load.Latencies, .99, atMost(r.here(30, 50)))
	r.latency(4, "the same with Temporal stopped, at 100/s", load.Latencies, .999, atMost(500))
	r.report.Add(Figure{Scenario: 4, What: "with Temporal stopped to with Temporal, p99 at 100/s", Value: millis(load.Latencies.At(.99)), Unit: "ms", Baseline: millis(running.At(.99)), Bar: ratioAtMost(1.2)})
	r.report.Add(Figure{Scenario: 4, What: fmt.Sprintf("all %d of them visible, after everything is ready again", load.Done), Value: max(0, last(marks).Sub(ready).Seconds()), Unit: "s",
		Details: map[string]float64{"restart_s": ready.Sub(begun).Seconds()}})
	return nil
}

// listens waits until an API answers that it lives, be it not ready.
func (r *run) listens(ctx context.Context, url string) error {
	late := time.Now().Add(patience)
	for {
		res, err := r.office.client.Get(url + "/healthz")
		if err == nil {
			return res.Body.Close()
		}
		if time.Now().After(late) {
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
