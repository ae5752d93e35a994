package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// assignment is scenario 5.
func (r *run) assignment(ctx context.Context) error {
	if err := r.offersOnArrival(ctx); err != nil {
		return err
	}
	if err := r.delivered(ctx); err != nil {
		return err
	}
	return r.matched(ctx)
}

// crew is a workstream, a queue and an account of their own, with agents.
func (r *run) crew(ctx context.Context, name, lineID string, agents, capacity int) (channel, []agent, error) {
	queue, err := r.office.post(ctx, "/queues", map[string]any{"name": name, "priority": 10})
	if err != nil {
		return channel{}, nil, err
	}
	stream, err := r.office.post(ctx, "/workstreams", map[string]any{
		"name": name, "mode": "push", "fallback_queue_id": queue, "settings": map[string]any{"assignment": keeping(map[string]any{"offer_timeout_seconds": 600})},
	})
	if err != nil {
		return channel{}, nil, err
	}
	c, err := r.office.connect(ctx, lineID, stream)
	if err != nil {
		return channel{}, nil, err
	}
	staff, err := r.office.hire(ctx, name, queue, agents, capacity)
	return c, staff, err
}

// offersOnArrival has new customers come while agents are free, and measures
// from when a conversation came to its queue until it is offered.
func (r *run) offersOnArrival(ctx context.Context) error {
	const rate, capacity = 50, 100
	r.o.Progress(fmt.Sprintf("5 offers at %d arrivals/s", rate))
	arrivals := Arrivals(r.seed(5), rate, r.size.arrivalsFor)
	c, staff, err := r.crew(ctx, "arrivals", "1900000005", 2+len(arrivals)/capacity, capacity)
	if err != nil {
		return err
	}
	chats, err := r.office.customers(ctx, c, len(arrivals))
	if err != nil {
		return err
	}
	hooks, err := r.office.drafts(ctx, chats, 1, words)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	offered := map[string]offer{}
	var count awaited
	all := count.expect("all are offered")
	r.office.noteQueued(true)
	defer r.office.noteQueued(false)
	r.office.whenOffered(func(f offer) {
		mu.Lock()
		defer mu.Unlock()
		if _, before := offered[f.conversationID]; before {
			return // again: its agent has gone
		}
		if offered[f.conversationID] = f; len(offered) == len(arrivals) {
			count.happened("all are offered", f.seenAt)
		}
	})
	defer r.office.whenOffered(nil)
	if err := r.office.present(ctx, staff, conversation.PresenceAvailable); err != nil {
		return err
	}
	what := fmt.Sprintf("queue to offer at %d arrivals/s", rate)
	done := r.watchProcessor(5, what)
	before, err := r.tally(ctx)
	if err != nil {
		return err
	}
	if _, err := Open(ctx, arrivals, func(ctx context.Context, n int) error { return r.office.deliver(ctx, c, hooks[n][0]) }); err != nil {
		return err
	}
	if err := all.wait(ctx); err != nil {
		return err
	}
	done()
	after, err := r.tally(ctx)
	if err != nil {
		return err
	}
	if err := r.office.present(ctx, staff, conversation.PresenceOffline); err != nil {
		return err
	}
	took := NewLatencies()
	mu.Lock()
	defer mu.Unlock()
	for id, f := range offered {
		came, ok := r.office.cameToQueue(id)
		if !ok {
			return fmt.Errorf("conversation %s was offered and never came to a queue", id)
		}
		took.Record(f.createdAt.Sub(came))
	}
	r.latency(5, what, took, .5, nil)
	r.latency(5, what, took, .99, atMost(500))
	if did := after.minus(before); did.looks > 0 {
		r.report.Add(Figure{
			Scenario: 5, What: fmt.Sprintf("a look at %d arrivals/s, mean", rate), Value: millis(did.lookTime) / did.looks, Unit: "ms",
			Details: map[string]float64{"looks": did.looks}, Note: fmt.Sprintf("%.0f looks by all processes, waiting for their turn included", did.looks),
		})
	}
	return nil
}

// noteQueued has the office note when conversations come to their queues.
func (o *office) noteQueued(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued = nil; on {
		o.queued = map[string]time.Time{}
	}
}

func (o *office) cameToQueue(conversationID string) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.queued[conversationID]
	return at, ok
}

// delivered has customers wait, then agents come for all of them, and measures
// how fast offers reach the stream of events, beside as many bare workflows
// each of which takes one signal.
func (r *run) delivered(ctx context.Context) error {
	const capacity = 100
	n := r.size.deliveries
	r.o.Progress(fmt.Sprintf("5 %d offers", n))
	c, staff, err := r.crew(ctx, "deliveries", "1900000006", (n+capacity-1)/capacity, capacity)
	if err != nil {
		return err
	}
	chats, err := r.office.customers(ctx, c, n)
	if err != nil {
		return err
	}
	hooks, err := r.office.drafts(ctx, chats, 1, words)
	if err != nil {
		return err
	}
	if _, err := Closed(ctx, min(16, n), (n+15)/16, func(ctx context.Context, lane, k int) error {
		i := lane + 16*k
		if i >= n {
			return nil
		}
		m, err := r.office.write(ctx, c, hooks[i][0])
		if err != nil {
			return err
		}
		return m.wait(ctx)
	}); err != nil {
		return err
	}
	if err := r.waiting(ctx, c, n); err != nil {
		return err
	}
	ids, err := r.bare.workflows(ctx, "offers", n, bareInput{Local: true})
	if err != nil {
		return err
	}
	bare, err := Closed(ctx, min(hands, n), (n+hands-1)/hands, func(ctx context.Context, lane, k int) error {
		i := lane + hands*k
		if i >= n {
			return nil
		}
		if err := r.bare.signal(ctx, ids[i]); err != nil {
			return err
		}
		return r.bare.ran(ctx, ids[i])
	})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	made := map[string]bool{}
	var count awaited
	all := count.expect("all are offered")
	r.office.whenOffered(func(f offer) {
		mu.Lock()
		defer mu.Unlock()
		if made[f.conversationID] = true; len(made) == n {
			count.happened("all are offered", f.seenAt)
		}
	})
	defer r.office.whenOffered(nil)
	begun := time.Now()
	if err := r.office.present(ctx, staff, conversation.PresenceAvailable); err != nil {
		return err
	}
	if err := all.wait(ctx); err != nil {
		return err
	}
	took := all.at.Sub(begun)
	// What is delivered is shown by the workflows, too, a moment later.
	perMinute := float64(n) / took.Minutes()
	r.report.Add(Figure{
		Scenario: 5, What: fmt.Sprintf("%d offers delivered", n), Value: perMinute, Unit: "offers/min", Baseline: float64(n) / bare.Took.Minutes(), Bar: ratioAtLeast(0.5),
		Note: "the baseline is one signal each to as many bare workflows that run a local activity which does nothing",
	})
	return r.office.present(ctx, staff, conversation.PresenceOffline)
}

// waiting returns once so many of a channel's conversations have a queue.
func (r *run) waiting(ctx context.Context, c channel, n int) error {
	late := time.Now().Add(patience)
	for {
		st, err := r.rig.Store.DispatchState(ctx, time.Now().Add(time.Minute))
		if err != nil || st.Waiting >= n {
			return err
		}
		if time.Now().After(late) {
			return fmt.Errorf("%d of %d conversations of channel %s wait: %w", st.Waiting, n, c.id, errTooSlow)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// matched is what the database alone does: conversations that wait in 50 queues,
// a third of them for skills, and agents with room for all of them.
func (r *run) matched(ctx context.Context) (err error) {
	const queues, skills = 50, 10
	r.o.Progress(fmt.Sprintf("5 %d waiting, %d agents, %d queues", r.size.waiting, r.size.staff, queues))
	st, remove, err := r.aside(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	by := store.Origin{AgentName: "kaiwa bench"}
	var skillIDs, queueIDs []string
	for i := range skills {
		k, err := st.CreateSkill(ctx, by, store.Skill{Name: fmt.Sprintf("Skill %d", i)})
		if err != nil {
			return err
		}
		skillIDs = append(skillIDs, k.ID)
	}
	for i := range queues {
		q, err := st.CreateQueue(ctx, by, store.Queue{Name: fmt.Sprintf("Queue %d", i), Priority: int64(1 + i%5), Assignment: routing.HighestCapacity})
		if err != nil {
			return err
		}
		queueIDs = append(queueIDs, q.ID)
	}
	stream, err := st.CreateWorkstream(ctx, by, store.Workstream{Name: "Crowd", Mode: store.ModePush, FallbackQueueID: queueIDs[0]})
	if err != nil {
		return err
	}
	crowd, err := st.CreateChannel(ctx, by, store.Channel{
		Name: "Crowd", LINEChannelID: "1900000007", WorkstreamID: stream.ID, Locale: "en", Status: store.ChannelDisabled, ChatMode: "bot", Secrets: []string{"bench"}, Token: "bench",
	})
	if err != nil {
		return err
	}
	var all errgroup.Group
	all.SetLimit(4)
	capacity := int64(r.size.waiting/r.size.staff) + 2
	for i := range r.size.staff {
		all.Go(func() error {
			a, err := st.CreateAgent(ctx, by, store.Agent{
				Name: fmt.Sprintf("Crowd %d", i), Email: fmt.Sprintf("crowd-%d@example.com", i), Role: store.RoleAgent, Locale: "en", Capacity: capacity,
				Skills: []store.AgentSkill{{SkillID: skillIDs[i%skills], Level: 5}, {SkillID: skillIDs[(i+3)%skills], Level: 8}},
			})
			if err != nil {
				return err
			}
			for k := range 5 {
				if err := st.AddMember(ctx, by, queueIDs[(i+7*k)%queues], a.ID); err != nil {
					return err
				}
			}
			_, err = st.SetPresence(ctx, a.ID, conversation.PresenceAvailable, true)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	var rows []store.Populated
	for i := range r.size.waiting {
		p := store.Populated{ChannelID: crowd.ID, WorkstreamID: stream.ID, Number: i, Phase: conversation.PhaseQueued, QueueID: queueIDs[i%queues], Messages: 1}
		if i%3 == 0 {
			p.Skills = []conversation.SkillNeed{{SkillID: skillIDs[i%skills], Level: 3}}
		}
		rows = append(rows, p)
	}
	if err := st.Populate(ctx, rows); err != nil {
		return err
	}
	begun := time.Now()
	made, looks, after := 0, 0, ""
	slowest := NewLatencies()
	for {
		look := time.Now()
		res, err := st.Match(ctx, store.MatchRequest{After: after})
		if err != nil {
			return err
		}
		slowest.Record(time.Since(look))
		made, looks, after = made+res.Made, looks+1, res.After
		if res.Made == 0 || !res.More {
			break
		}
	}
	took := time.Since(begun)
	r.report.Add(Figure{
		Scenario: 5, What: fmt.Sprintf("matches committed, %d waiting, %d agents, %d queues", r.size.waiting, r.size.staff, queues),
		Value: float64(made) / took.Minutes(), Unit: "matches/min", Bar: atLeast(50_000),
		Details: map[string]float64{"matches": float64(made), "looks": float64(looks), "look_p50_ms": millis(slowest.At(.5)), "look_max_ms": millis(slowest.Max())},
		Note:    fmt.Sprintf("the database only: %d of %d matched in %d looks, the slowest %.0f ms", made, r.size.waiting, looks, millis(slowest.Max())),
	})
	return nil
}

// aside is a second database on the same server, which no process of Kaiwa's
// knows.
func (r *run) aside(ctx context.Context) (_ *store.Store, remove func() error, err error) {
	url, drop, err := r.sql.another(ctx, r.dir)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, url, store.Options{Keys: r.rig.Store.Keys()})
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	remove = func() error { return errors.Join(st.Close(), drop()) }
	if err := st.Migrate(ctx); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return st, remove, nil
}
