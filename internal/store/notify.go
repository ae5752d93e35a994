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

// eventsNumbered is the channel of PostgreSQL's notifications.
const eventsNumbered = "kaiwa_events"

const (
	// listenPing is how often a listener asks its connection for a sign of
	// life, and listenPatience how long the answer, or a new connection, may
	// take.
	listenPing     = 30 * time.Second
	listenPatience = 5 * time.Second
)

// notifyEvents tells every listener, once the transaction has committed, that
// there are new numbers. SQLite's listeners are in the process; see wakeLocal.
func (c conn) notifyEvents(ctx context.Context) error {
	if c.s.d == dialectSQLite {
		return nil
	}
	_, err := c.exec(ctx, `SELECT pg_notify($1, '')`, eventsNumbered)
	return err
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
	if s.d == dialectSQLite {
		s.listenLocal(ctx, wake)
		return nil
	}
	return s.listenPostgres(ctx, wake)
}

func (s *Store) listenPostgres(ctx context.Context, wake func()) error {
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
	if err := within(ctx, func() error { _, err := c.Listen(eventsNumbered); return err }, c.Close); err != nil {
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

// localListeners are the listeners of SQLite databases, by URL.
var localListeners = struct {
	sync.Mutex
	of map[string]map[*func()]struct{}
}{of: map[string]map[*func()]struct{}{}}

func (s *Store) listenLocal(ctx context.Context, wake func()) {
	l := &localListeners
	l.Lock()
	if l.of[s.url] == nil {
		l.of[s.url] = map[*func()]struct{}{}
	}
	l.of[s.url][&wake] = struct{}{}
	l.Unlock()
	wake()
	<-ctx.Done()
	l.Lock()
	defer l.Unlock()
	if delete(l.of[s.url], &wake); len(l.of[s.url]) == 0 {
		delete(l.of, s.url)
	}
}

// wakeLocal tells the listeners in this process.
func (s *Store) wakeLocal() {
	localListeners.Lock()
	defer localListeners.Unlock()
	for wake := range localListeners.of[s.url] {
		(*wake)()
	}
}
