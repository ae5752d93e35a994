package bench

import (
	"context"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// inbound is scenario 1: from the webhook to the message being stored and
// visible on the stream of events, in conversations that an agent has.
func (r *run) inbound(ctx context.Context) error {
	chats := r.served[:r.size.lanes]
	if err := r.compare(ctx, 1, "one at a time", "messages/s", r.size.rounds, ratioAtLeast(0.7), atMost(6),
		r.visibleOneAtATime(chats, r.size.oneEach), r.bare.oneAtATime(r.local, r.size.oneEach)); err != nil {
		return err
	}
	if err := r.compare(ctx, 1, "flood", "messages/s", r.size.rounds, ratioAtLeast(1.4), atMost(2.5),
		r.visibleFlood(chats, r.size.floodEach), r.bare.flood(r.local, r.size.floodEach)); err != nil {
		return err
	}
	if err := r.lostWakeUps(ctx); err != nil {
		return err
	}
	return r.killedWorkers(ctx)
}

func words(int) string { return "こんにちは、注文の件です" }

// visibleOneAtATime is a load in which every customer waits for their message
// to be visible before they write the next.
func (r *run) visibleOneAtATime(chats []*chat, each int) measure {
	return func(ctx context.Context) (Load, error) {
		hooks, err := r.office.drafts(ctx, chats, each, words)
		if err != nil {
			return Load{}, err
		}
		return Closed(ctx, len(chats), each, func(ctx context.Context, lane, n int) error {
			m, err := r.office.write(ctx, chats[lane].channel, hooks[lane][n])
			if err != nil {
				return err
			}
			return m.wait(ctx)
		})
	}
}

func (r *run) visibleFlood(chats []*chat, each int) measure {
	return func(ctx context.Context) (Load, error) {
		hooks, err := r.office.drafts(ctx, chats, each, words)
		if err != nil {
			return Load{}, err
		}
		return Flood(ctx, len(chats), each, func(ctx context.Context, lane, n int) (func(context.Context) error, error) {
			m, err := r.office.write(ctx, chats[lane].channel, hooks[lane][n])
			return m.wait, err
		})
	}
}

// lostWakeUps stores events as an API does that dies before it wakes anybody,
// and waits until they are visible.
func (r *run) lostWakeUps(ctx context.Context) error {
	if r.size.lost == 0 {
		return nil
	}
	r.o.Progress("1 lost wake-ups")
	chats := r.served[:r.size.lost]
	hooks, err := r.office.drafts(ctx, chats, 1, words)
	if err != nil {
		return err
	}
	// Apart in time, so that they meet the relay at every phase of its round.
	var apart []time.Duration
	for i := range chats {
		apart = append(apart, time.Duration(i)*137*time.Millisecond)
	}
	load, err := Open(ctx, apart, func(ctx context.Context, n int) error {
		m := r.office.seen.expect(received(messageID(chats[n].channel, hooks[n][0])))
		split, err := line.SplitWebhook(hooks[n][0].Body)
		if err != nil {
			return err
		}
		e := split.Events[0]
		if _, err := r.rig.Store.AppendLINEEvents(ctx, chats[n].channel.id, time.Now(), []store.InboxEvent{{
			WebhookEventID: e.ID, ChatKey: e.ChatKey, Kind: e.Type, SourceType: e.SourceType, SourceID: e.SourceID, ReplyToken: e.ReplyToken, LineTime: e.Timestamp, Raw: e.Raw,
		}}); err != nil {
			return err
		}
		return m.wait(ctx)
	})
	if err != nil {
		return fmt.Errorf("lost wake-ups: %w", err)
	}
	r.report.Add(Figure{Scenario: 1, What: "a lost wake-up, until visible, worst", Value: load.Latencies.Max().Seconds(), Unit: "s", Bar: atMost(2.6),
		Details: map[string]float64{"p50_ms": millis(load.Latencies.At(.5)), "lost": float64(load.Done)}})
	return nil
}

// taskTimeout is how long Temporal waits for a worker that took a step of a
// conversation, before it gives the step to another.
const taskTimeout = 5 * time.Second

// killedWorkers kills the worker while customers write, and starts it again at
// once.
func (r *run) killedWorkers(ctx context.Context) error {
	if r.size.kills == 0 {
		return nil
	}
	r.o.Progress("1 killed workers")
	chats := r.served[:min(20, len(r.served))]
	all := NewLatencies()
	for range r.size.kills {
		hooks, err := r.office.drafts(ctx, chats, 15, words)
		if err != nil {
			return err
		}
		killed := make(chan error, 1)
		go func() {
			if err := sleep(ctx, 300*time.Millisecond); err != nil {
				killed <- err
				return
			}
			err := r.rig.Workers[0].Kill()
			if err == nil {
				err = r.rig.Workers[0].Start()
			}
			killed <- err
		}()
		load, err := Closed(ctx, len(chats), len(hooks[0]), func(ctx context.Context, lane, n int) error {
			m, err := r.office.write(ctx, chats[lane].channel, hooks[lane][n])
			if err != nil {
				return err
			}
			return m.wait(ctx)
		})
		if err != nil {
			return fmt.Errorf("killed workers: %w", err)
		}
		if err := <-killed; err != nil {
			return err
		}
		all.Record(load.Latencies.Max())
		if err := r.rig.Workers[0].Ready(ctx); err != nil {
			return err
		}
	}
	r.report.Add(Figure{Scenario: 1, What: "a killed worker, until visible, worst", Value: all.Max().Seconds(), Unit: "s", Bar: atMost((taskTimeout + 3*time.Second).Seconds()),
		Details: map[string]float64{"kills": float64(r.size.kills)}, Note: "the worker is started again at once; the start is part of it"})
	return r.resume(ctx)
}

// resume has every conversation do something with the worker that runs now. The
// first task of each waits until Temporal misses the one that was killed, which
// is no cost of what is measured next.
func (r *run) resume(ctx context.Context) error {
	if _, err := r.visibleOneAtATime(r.served, 1)(ctx); err != nil || len(r.botted) == 0 {
		return err
	}
	_, err := r.answeredOneAtATime(r.botted, 1)(ctx)
	return err
}

// chatKey names a chat as the database does.
func (c *chat) chatKey() string { return conversation.ChatKey("user", c.user) }
