// Package feed reads the record of events for all its readers in one process:
// once, however many they are. It keeps the latest events for those who follow;
// who lags further behind pages through the database at their own pace, so a
// slow one costs no memory.
package feed

import (
	"context"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"kaiwa/internal/store"
)

const (
	// floor is how often the feed looks whatever it was told, and how long it
	// waits before it listens again.
	floor = time.Second
	// To wake a reader takes its time, so under load one look of each takes many
	// batches: readers are woken again after readerPace for each of them, but
	// within minPace and maxPace.
	readerPace       = 50 * time.Microsecond
	minPace, maxPace = 2 * time.Millisecond, 50 * time.Millisecond
	// kept is how many events are kept, and batch how many are read at once.
	kept  = 4000
	batch = 1000
)

// Feed is one look at the record for all readers of a process. It is safe for
// concurrent use.
type Feed struct {
	store *store.Store
	log   *slog.Logger

	mu      sync.Mutex
	more    chan struct{}
	readers int
	from    int64               // the events after this one are kept
	last    int64               // up to here; before the first look both are -1
	events  []*Item             // in order
	awaits  map[string][]*await // by what they wait for something about
}

// await is somebody who waits for one thing to happen.
type await struct {
	kinds []string
	tells chan struct{}
}

func (a *await) tell() {
	select {
	case a.tells <- struct{}{}:
	default: // it is told already
	}
}

// Item is an event that is kept.
type Item struct {
	store.Watched
	once  sync.Once
	shown []byte
	err   error
}

// Shown is the event as readers are shown it, made by show for the first of
// them.
func (i *Item) Shown(show func(store.Event) ([]byte, error)) ([]byte, error) {
	i.once.Do(func() { i.shown, i.err = show(i.Event) })
	return i.shown, i.err
}

// New makes a Feed that wakes nobody before Run.
func New(s *store.Store, log *slog.Logger) *Feed {
	return &Feed{store: s, log: log, more: make(chan struct{}), from: -1, last: -1, awaits: map[string][]*await{}}
}

// Follow has events kept until leave is called: without anybody who follows
// none are read.
func (f *Feed) Follow() (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.readers--
	})
}

// Await returns a channel that tells when an event of one of some kinds has
// happened to a subject, from the call on; nothing else is told there. It tells
// as well when events were not looked through, so who is told looks what is so.
// The caller calls leave when it waits no more.
func (f *Feed) Await(subjectID string, kinds ...string) (tells <-chan struct{}, leave func()) {
	a := &await{kinds: kinds, tells: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awaits[subjectID] = append(f.awaits[subjectID], a)
	return a.tells, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		left := slices.DeleteFunc(f.awaits[subjectID], func(other *await) bool { return other == a })
		if f.awaits[subjectID] = left; len(left) == 0 {
			delete(f.awaits, subjectID)
		}
	}
}

// After returns the events after a position that an agent may see, at most so
// many ("" sees everything), where they were looked through to, and whether
// there are more. ok is false when not all of them are kept: the database has
// them.
func (f *Feed) After(after int64, agentID string, limit int) (items []*Item, next int64, more, ok bool) {
	f.mu.Lock()
	from, last, events := f.from, f.last, f.events
	f.mu.Unlock()
	if from < 0 || after < from {
		return nil, after, false, false
	}
	i := sort.Search(len(events), func(i int) bool { return events[i].Seq > after })
	for _, item := range events[i:] {
		if len(items) == limit {
			return items, items[limit-1].Seq, true, true
		}
		if item.VisibleTo(agentID) {
			items = append(items, item)
		}
	}
	return items, max(after, last), false, true
}

// look reads what is new, and tells whether there was anything. Where nobody
// follows, it keeps nothing; where nobody waits either, it reads nothing.
func (f *Feed) look(ctx context.Context) (bool, error) {
	f.mu.Lock()
	followed, awaited, last := f.readers > 0, len(f.awaits) > 0, f.last
	f.mu.Unlock()
	switch {
	case last >= 0 && followed:
		return pages(last, func(after int64) ([]store.Watched, error) { return f.store.WatchEvents(ctx, after, batch) }, f.keep)
	case last >= 0 && awaited:
		return pages(last, func(after int64) ([]store.Event, error) { return f.store.Events(ctx, after, batch, "") }, f.pass)
	}
	now, err := f.store.LastEvent(ctx)
	if err != nil || now == last {
		return false, err
	}
	f.skip(now)
	return true, nil
}

// pages reads events after a position in batches and gives each to take.
func pages[E any](after int64, read func(after int64) ([]E, error), take func([]E) (last int64)) (any bool, err error) {
	for {
		events, err := read(after)
		if err != nil || len(events) == 0 {
			return any, err
		}
		after, any = take(events), true
		if len(events) < batch {
			return true, nil
		}
	}
}

// keep adds events.
func (f *Feed) keep(read []store.Watched) (last int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = read[len(read)-1].Seq
	// Readers look at what they were given: it is never written to.
	events := f.events[:len(f.events):len(f.events)]
	if over := len(events) + len(read) - kept; over > 0 {
		f.from = events[over-1].Seq
		events = events[over:]
	}
	for _, w := range read {
		events = append(events, &Item{Watched: w})
		f.tell(w.Event)
	}
	f.events = events
	return f.last
}

// pass tells of events, and begins anew after them.
func (f *Feed) pass(read []store.Event) (last int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beginAfter(read[len(read)-1].Seq)
	for _, e := range read {
		f.tell(e)
	}
	return f.last
}

// skip begins anew after events that are not read.
func (f *Feed) skip(last int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beginAfter(last)
	for _, awaits := range f.awaits { // theirs may be among them
		for _, a := range awaits {
			a.tell()
		}
	}
}

func (f *Feed) beginAfter(last int64) { f.last, f.from, f.events = last, last, nil }

// tell tells those who wait for an event.
func (f *Feed) tell(e store.Event) {
	for _, a := range f.awaits[e.SubjectID] {
		if slices.Contains(a.kinds, e.Type) {
			a.tell()
		}
	}
}

// More returns a channel that is closed when there are events that were not
// there at the time of the call. Whoever takes it before it reads misses
// nothing.
func (f *Feed) More() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.more
}

func (f *Feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.more)
	f.more = make(chan struct{})
}

// pace is the shortest time between two wake-ups of the readers.
func (f *Feed) pace() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return min(max(time.Duration(f.readers)*readerPace, minPace), maxPace)
}

// Run watches the record until ctx is done. While nothing happens it costs one
// statement a second, however many read, and a few a batch of events.
func (f *Feed) Run(ctx context.Context) {
	hint := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { f.listen(ctx, hint) })
	tick := time.NewTicker(floor)
	defer tick.Stop()
	away := false
	for {
		found, err := f.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !away:
			away = true
			f.log.Warn("the record of events cannot be read; it is tried again every second", slog.Any("error", err))
		case err == nil:
			away = false
			if found {
				f.wake()
				if !pause(ctx, f.pace()) {
					return
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-hint:
		case <-tick.C:
		}
	}
}

// listen turns what the database tells into hints. Without it readers are a
// second late.
func (f *Feed) listen(ctx context.Context, hint chan<- struct{}) {
	var lost atomic.Bool
	for ctx.Err() == nil {
		err := f.store.ListenForEvents(ctx, func() {
			lost.Store(false)
			select {
			case hint <- struct{}{}:
			default: // one is waiting already
			}
		})
		if err != nil && !lost.Swap(true) {
			f.log.Warn("the database does not tell of new events; they are looked for every second", slog.Any("error", err))
		}
		pause(ctx, floor)
	}
}

// pause waits, and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
