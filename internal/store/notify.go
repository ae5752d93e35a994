package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/lib/pq"
)

// The channels of PostgreSQL's notifications.
const (
	eventsNumbered = "kaiwa_events"   // readers have something to read
	recordGrew     = "kaiwa_recorded" // the sequencer has something to number
)

const (
	// listenPing is how often a listener asks its connection for a sign of
	// life, and listenPatience how long the answer, or a new connection, may
	// take.
	listenPing     = 30 * time.Second
	listenPatience = 5 * time.Second
)

// notify tells every listener, once the transaction has committed. SQLite's
// listeners are in the process, see wakeLocal, or hear of it by a file, see
// hintFile.
func (c conn) notify(ctx context.Context, channel string) error {
	if c.s.d == dialectSQLite {
		return nil
	}
	_, err := c.exec(ctx, `SELECT pg_notify($1, '')`, channel)
	return err
}

// tellTime is how long a hint may take; the sequencer looks by itself, too. One
// process gives one every tellPause at most.
const (
	tellTime  = time.Second
	tellPause = 10 * time.Millisecond
)

// recordGrew tells the sequencer, in whichever process it is, that something
// was committed for it. It does not wait: PostgreSQL would let commits that
// notify wait for each other, so one notification follows what was committed
// while the one before was under way.
func (s *Store) recordGrew() {
	if s.d == dialectSQLite && s.wakeLocal(recordGrew) {
		return // there is one sequencer, and it is here
	}
	if s.told.Add(1) == 1 {
		go s.tellSequencer()
	}
}

func (s *Store) tellSequencer() {
	for {
		known := s.told.Load()
		if err := s.hint(); err != nil {
			s.told.Store(0)
			return
		}
		select {
		case <-time.After(tellPause):
		case <-s.closed.Done():
		}
		if s.told.CompareAndSwap(known, 0) {
			return
		}
	}
}

// hint tells other processes that the record grew.
func (s *Store) hint() error {
	if s.d == dialectSQLite {
		return s.hints.give()
	}
	ctx, cancel := context.WithTimeout(s.closed, tellTime)
	defer cancel()
	return conn{s: s, x: s.w, beside: true}.notify(ctx, recordGrew)
}

// ListenForRecords calls wake whenever something was committed that waits for
// its number; see ListenForEvents.
func (s *Store) ListenForRecords(ctx context.Context, wake func()) error {
	return s.listen(ctx, recordGrew, wake)
}

// ListenForEvents calls wake whenever a batch of events has been numbered, by
// this process or another, and once when it has begun to listen. It returns nil
// when ctx is done, and an error when it cannot listen any longer; call it
// again then. wake must not block.
//
// Between two calls, and when a connection dies silently, wake-ups are lost: a
// reader looks from time to time whatever it is told.
//
// On PostgreSQL it holds a connection of its own, beside the pool.
func (s *Store) ListenForEvents(ctx context.Context, wake func()) error {
	return s.listen(ctx, eventsNumbered, wake)
}

func (s *Store) listen(ctx context.Context, channel string, wake func()) error {
	if s.d == dialectSQLite {
		s.listenLocal(ctx, channel, wake)
		return nil
	}
	return s.listenPostgres(ctx, channel, wake)
}

func (s *Store) listenPostgres(ctx context.Context, channel string, wake func()) error {
	u, err := url.Parse(s.url)
	if err != nil {
		return errors.New("the database URL is not a URL") // the error of Parse would show the password
	}
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", fmt.Sprint(int(listenPatience.Seconds())))
	}
	u.RawQuery = q.Encode()
	told := make(chan *pq.Notification, 1)
	c, err := pq.NewListenerConn(u.String(), told)
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	over := make(chan struct{})
	go func() { // always reading: the driver gets no answer past an unread notification
		defer close(over)
		for range told {
			wake()
		}
	}()
	defer func() {
		_ = c.Close()
		<-over
	}()
	if err := within(ctx, func() error { _, err := c.Listen(channel); return err }, c.Close); err != nil {
		return unless(ctx, fmt.Errorf("listen for events: %w", err))
	}
	wake()
	ping := time.NewTicker(listenPing)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return fmt.Errorf("listen for events: the connection is lost: %w", c.Err())
		case <-ping.C:
			if err := within(ctx, c.Ping, c.Close); err != nil {
				return unless(ctx, fmt.Errorf("listen for events: the connection does not answer: %w", err))
			}
		}
	}
}

// unless is err, or nil when ctx has ended, which explains it.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// within runs ask, which cannot be told to stop, and cuts it short when it
// takes too long or ctx ends.
func within(ctx context.Context, ask, cut func() error) error {
	ctx, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = cut() })()
	return ask()
}

// localListeners are the listeners of SQLite databases, by URL and channel.
var localListeners = struct {
	sync.Mutex
	of map[localChannel]map[*func()]struct{}
}{of: map[localChannel]map[*func()]struct{}{}}

type localChannel struct{ url, channel string }

func (s *Store) listenLocal(ctx context.Context, channel string, wake func()) {
	l, k := &localListeners, localChannel{s.url, channel}
	l.Lock()
	if l.of[k] == nil {
		l.of[k] = map[*func()]struct{}{}
	}
	l.of[k][&wake] = struct{}{}
	l.Unlock()
	wake()
	if channel == recordGrew {
		s.hints.take(ctx, wake)
	}
	<-ctx.Done()
	l.Lock()
	defer l.Unlock()
	if delete(l.of[k], &wake); len(l.of[k]) == 0 {
		delete(l.of, k)
	}
}

// wakeLocal tells the listeners in this process, and whether there are any.
func (s *Store) wakeLocal(channel string) bool {
	localListeners.Lock()
	defer localListeners.Unlock()
	listeners := localListeners.of[localChannel{s.url, channel}]
	for wake := range listeners {
		(*wake)()
	}
	return len(listeners) > 0
}
