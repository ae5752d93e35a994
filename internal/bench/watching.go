package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/conversation"
)

// watching is scenario 7: agents who each have a conversation and an open
// stream of events, and how soon theirs tells them that their customer wrote.
func (r *run) watching(ctx context.Context) error {
	n := r.size.watchers
	staff, err := r.office.hire(ctx, "watcher", r.queue, n, 1)
	if err != nil {
		return err
	}
	chats, err := r.office.customers(ctx, r.support, n)
	if err != nil {
		return err
	}
	if err := r.office.serve(ctx, chats, staff); err != nil {
		return err
	}
	var told awaited
	var mu sync.Mutex
	var readers []*follower
	defer func() {
		var all sync.WaitGroup
		for _, f := range readers {
			all.Go(f.close)
		}
		all.Wait()
	}()
	var all errgroup.Group
	all.SetLimit(16)
	for _, c := range chats {
		all.Go(func() error {
			f, err := follow(ctx, r.office.client, r.office.api(), c.agent.token, func(kind string) bool { return kind == "message.received" }, func(e event, at time.Time) {
				if e.ConversationID == c.conversationID { // not what happens to be visible to them as well
					told.happened(received(e.SubjectID), at)
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				readers = append(readers, f)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, rate := range []float64{5, 20} {
		r.o.Progress(fmt.Sprintf("7 %d streams, %.0f messages/s", n, rate))
		arrivals := Arrivals(r.seed(700+uint64(rate)), rate, r.size.watchFor)
		_, pick, err := r.spread(ctx, chats, len(arrivals), words)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d streams, webhook to event at %.0f/s", n, rate)
		done := r.watchProcessor(7, what)
		load, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
			c, w, _ := pick(n)
			m := told.expect(received(messageID(c.channel, w)))
			if err := r.office.deliver(ctx, c.channel, w); err != nil {
				return err
			}
			return m.wait(ctx)
		})
		if err != nil {
			return err
		}
		done()
		r.latency(7, what, load.Latencies, .5, nil)
		r.latency(7, what, load.Latencies, .99, nil)
	}
	return r.office.present(ctx, staff, conversation.PresenceOffline)
}
