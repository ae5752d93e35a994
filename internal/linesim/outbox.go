package linesim

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// outbox delivers webhook events. Events of one chat go one after the other,
// those of different chats side by side. Everything in it is also in the
// store as pending, so a killed process loses nothing.
type outbox struct {
	s      *Simulator
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	slots  chan struct{}
	wake   chan struct{}
	tick   time.Duration

	mu      sync.Mutex
	lanes   map[string][]*parcel // waiting, by lane; a key exists while its lane runs
	waiting parcelHeap           // scheduled for later
	holding map[string]bool      // channel ids; "" is every channel
	held    []*outEvent
	busy    int           // parcels in lanes, in flight or scheduled
	idle    chan struct{} // closed when busy falls to 0
	stopped bool
	lane    int
}

// parcel is what travels in one POST.
type parcel struct {
	channelID  string
	lane       string
	events     []*outEvent
	redelivery bool
	due        time.Time
	// What faults do to the coming attempt; struck once they were asked.
	struck, dropAnswer bool
	copies             int
}

const maxInFlight = 128

func newOutbox(s *Simulator, movableClock bool) *outbox {
	ctx, cancel := context.WithCancel(context.Background())
	o := &outbox{
		s: s, ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxInFlight), wake: make(chan struct{}, 1),
		lanes: map[string][]*parcel{}, holding: map[string]bool{}, idle: make(chan struct{}), tick: time.Hour,
	}
	if movableClock {
		// Somebody else moves the clock, so how long to wait is unknown.
		o.tick = 5 * time.Millisecond
	}
	close(o.idle)
	o.done.Go(o.schedule)
	return o
}

// resume takes up what a former process left: events that were never tried go
// out as new ones, the others are redelivered if the channel has that on.
func (o *outbox) resume(ctx context.Context) error {
	var left []*outEvent
	err := o.s.store.r.SelectContext(ctx, &left, `SELECT id, channel_id, chat_id, at_ms, body, reply_token, attempts, next_ms FROM events WHERE state = 'pending' ORDER BY at_ms, id`)
	if err != nil {
		return fmt.Errorf("read pending events: %w", err)
	}
	for _, e := range left {
		p := &parcel{channelID: e.ChannelID, lane: e.ChannelID + "|" + e.ChatID, events: []*outEvent{e}, redelivery: e.Attempts > 0}
		if c, ok := o.s.accounts.get(e.ChannelID); e.Attempts > 0 && ok && c.RedeliveryOff {
			if err := o.s.settle(p.events, "failed"); err != nil {
				return err
			}
			continue
		}
		o.mu.Lock()
		o.add(p, msTime(e.NextMS))
		o.mu.Unlock()
	}
	return nil
}

func (o *outbox) stop() {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	o.cancel()
	o.done.Wait()
}

func (o *outbox) enqueue(e *outEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.holding[""] || o.holding[e.ChannelID] {
		o.held = append(o.held, e)
		return
	}
	o.add(&parcel{channelID: e.ChannelID, lane: e.ChannelID + "|" + e.ChatID, events: []*outEvent{e}}, time.Time{})
}

// add is called with mu held.
func (o *outbox) add(p *parcel, due time.Time) {
	if o.stopped {
		return
	}
	if o.busy == 0 {
		o.idle = make(chan struct{})
	}
	o.busy++
	o.put(p, due)
}

// put is called with mu held, for a parcel that is already counted in busy.
func (o *outbox) put(p *parcel, due time.Time) {
	if due.After(o.s.now()) {
		p.due = due
		heap.Push(&o.waiting, p)
		select {
		case o.wake <- struct{}{}:
		default:
		}
		return
	}
	queue, running := o.lanes[p.lane]
	o.lanes[p.lane] = append(queue, p)
	if !running {
		o.done.Go(func() { o.run(p.lane) })
	}
}

func (o *outbox) run(lane string) {
	for {
		o.mu.Lock()
		queue := o.lanes[lane]
		if len(queue) == 0 || o.stopped {
			delete(o.lanes, lane)
			o.mu.Unlock()
			return
		}
		p := queue[0]
		o.lanes[lane] = queue[1:]
		o.mu.Unlock()

		select {
		case o.slots <- struct{}{}:
		case <-o.ctx.Done():
			continue
		}
		next := o.s.deliver(o.ctx, p)
		<-o.slots

		o.mu.Lock()
		if next.IsZero() {
			if o.busy--; o.busy == 0 {
				close(o.idle)
			}
		} else {
			o.put(p, next)
		}
		o.mu.Unlock()
	}
}

// schedule moves parcels whose time has come into their lanes.
func (o *outbox) schedule() {
	for {
		wait := o.tick
		o.mu.Lock()
		now := o.s.now()
		for len(o.waiting) > 0 {
			if first := o.waiting[0]; first.due.After(now) {
				wait = min(wait, first.due.Sub(now))
				break
			}
			p := heap.Pop(&o.waiting).(*parcel)
			o.put(p, time.Time{})
		}
		o.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-o.wake:
			timer.Stop()
		case <-o.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// WaitIdle returns when no delivery is pending or in flight, redeliveries that
// are still to come included, or when ctx is over. Held events do not count.
func (s *Simulator) WaitIdle(ctx context.Context) error {
	for {
		s.outbox.mu.Lock()
		idle, busy := s.outbox.idle, s.outbox.busy
		s.outbox.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries are still pending: %w", busy, ctx.Err())
		}
	}
}

// Hold keeps the channel's events back ("" for every channel) until Release.
func (s *Simulator) Hold(channelID string) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	s.outbox.holding[channelID] = true
}

// Held lists the ids of the events that are held back, oldest first.
func (s *Simulator) Held() []string {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	ids := make([]string, len(s.outbox.held))
	for i, e := range s.outbox.held {
		ids[i] = e.ID
	}
	return ids
}

// ReleaseOptions say how held events go out: strictly one POST after another.
type ReleaseOptions struct {
	// ChannelID limits it to one channel; "" is all.
	ChannelID string `json:"channel_id,omitempty"`
	// EventIDs releases just these, in this order, and goes on holding.
	EventIDs []string `json:"event_ids,omitempty"`
	// Order is "" (as they happened), "reverse" or "shuffle" (by Seed).
	Order string `json:"order,omitempty"`
	Seed  uint64 `json:"seed,omitempty"`
	// Batch is how many events share a body, of several users if it comes so;
	// 0 is one, below 0 all.
	Batch int `json:"batch,omitempty"`
	// KeepHolding holds what happens from now on.
	KeepHolding bool `json:"keep_holding,omitempty"`
}

// Release sends held events, and tells how many. It ends the holding unless
// EventIDs or KeepHolding say otherwise.
func (s *Simulator) Release(r ReleaseOptions) (int, error) {
	if !slices.Contains([]string{"", "reverse", "shuffle"}, r.Order) {
		return 0, fmt.Errorf("order %q must be reverse, shuffle or empty", r.Order)
	}
	return s.outbox.release(r)
}

func (o *outbox) releaseAll() {
	if _, err := o.release(ReleaseOptions{}); err != nil {
		o.s.log.Error("release held events", "error", err)
	}
}

func (o *outbox) release(r ReleaseOptions) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out, stay []*outEvent
	if len(r.EventIDs) > 0 {
		for _, id := range r.EventIDs {
			i := slices.IndexFunc(o.held, func(e *outEvent) bool { return e.ID == id })
			if i < 0 {
				return 0, fmt.Errorf("held event %q: %w", id, ErrNotFound)
			}
			out = append(out, o.held[i])
		}
		stay = slices.DeleteFunc(slices.Clone(o.held), func(e *outEvent) bool { return slices.Contains(r.EventIDs, e.ID) })
	} else {
		for _, e := range o.held {
			if r.ChannelID == "" || r.ChannelID == e.ChannelID {
				out = append(out, e)
			} else {
				stay = append(stay, e)
			}
		}
		if !r.KeepHolding {
			delete(o.holding, r.ChannelID)
			if r.ChannelID == "" {
				clear(o.holding)
			}
		}
	}
	o.held = stay
	switch r.Order {
	case "reverse":
		slices.Reverse(out)
	case "shuffle":
		rand.New(rand.NewPCG(r.Seed, r.Seed)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	o.lane++
	lane := fmt.Sprintf("release|%d", o.lane)
	for _, batch := range batches(out, r.Batch) {
		o.add(&parcel{channelID: batch[0].ChannelID, lane: lane, events: batch}, time.Time{})
	}
	return len(out), nil
}

// batches cuts events into bodies: one channel each, at most size events.
func batches(events []*outEvent, size int) [][]*outEvent {
	if size == 0 {
		size = 1
	}
	var out [][]*outEvent
	open := map[string]int{} // channel → its unfilled batch
	for _, e := range events {
		if i, ok := open[e.ChannelID]; ok && (size < 0 || len(out[i]) < size) {
			out[i] = append(out[i], e)
			continue
		}
		open[e.ChannelID] = len(out)
		out = append(out, []*outEvent{e})
	}
	return out
}

// Redeliver sends events of the channel again, whatever became of them, marked
// as redelivered, each in a body of its own.
func (s *Simulator) Redeliver(ctx context.Context, channelID string, eventIDs ...string) error {
	parcels := make([]*parcel, len(eventIDs))
	for i, id := range eventIDs {
		var e []*outEvent
		err := s.store.r.SelectContext(ctx, &e, `SELECT id, channel_id, chat_id, at_ms, body, reply_token, attempts, next_ms FROM events WHERE id = ? AND channel_id = ?`, id, channelID)
		if err != nil {
			return fmt.Errorf("read event %s: %w", id, err)
		}
		if len(e) == 0 {
			return fmt.Errorf("event %q of channel %s: %w", id, channelID, ErrNotFound)
		}
		parcels[i] = &parcel{channelID: channelID, lane: channelID + "|" + e[0].ChatID, events: e, redelivery: true}
	}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	for _, p := range parcels {
		s.outbox.add(p, time.Time{})
	}
	return nil
}

// SetRedelivery turns LINE's webhook redelivery on or off for the channel.
func (s *Simulator) SetRedelivery(ctx context.Context, channelID string, on bool) error {
	return s.ChangeChannel(ctx, channelID, func(c *Channel) { c.RedeliveryOff = !on })
}

type parcelHeap []*parcel

func (h parcelHeap) Len() int           { return len(h) }
func (h parcelHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h parcelHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *parcelHeap) Push(x any)        { *h = append(*h, x.(*parcel)) }
func (h *parcelHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	*h = old[:len(old)-1]
	return p
}
