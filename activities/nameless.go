package activities

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kaiwa/internal/store"
)

const (
	// meetAtOnce bounds the people of each kind that one look reads, meetTogether
	// the calls about them at the same time.
	meetAtOnce, meetTogether = 100, 8
	// meetTime is how long a look begins calls, so that other channels have their
	// turn, and meetCall what each may take.
	meetTime, meetCall = 4 * time.Second, 3 * time.Second
	// meetFor is for how long after a channel is restored LINE is asked about those
	// of whom it did not answer. Afterwards their next message asks.
	meetFor = time.Hour
)

var (
	// errMore is that there is more to do than one look does.
	errMore = errors.New("more is to be done")
	// errUnmet is that LINE did not answer about somebody.
	errUnmet = errors.New("LINE did not answer about all whose names are missing")
)

// meetings are how far this process has come with the nameless of each channel;
// whoever takes its place begins anew. It is safe for concurrent use.
type meetings struct {
	mu   sync.Mutex
	byID map[string]meeting // by the channel's id
}

// meeting is one way through the nameless of a channel.
type meeting struct {
	resumed time.Time // what it is for: the channel's ResumedAt
	after   store.NamelessAfter
	unmet   bool // LINE did not answer about somebody
}

func (m *meetings) of(c store.Channel) meeting {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := m.byID[c.ID]; at.resumed.Equal(c.ResumedAt) {
		return at
	}
	return meeting{resumed: c.ResumedAt}
}

func (m *meetings) keep(c store.Channel, at meeting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID == nil {
		m.byID = map[string]meeting{}
	}
	m.byID[c.ID] = at
}

func (m *meetings) end(c store.Channel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byID, c.ID)
}

// meetNameless asks LINE about people whom it was not asked about while the
// channel was held, some at each look. One of whom LINE does not answer holds back
// nobody: they are asked about again when all others were.
func (a *Activities) meetNameless(ctx context.Context, c store.Channel) error {
	at := a.meetings.of(c)
	n, err := a.store.Nameless(ctx, c.ID, at.after, meetAtOnce)
	if err != nil {
		return err
	}
	more := len(n.Chats) == meetAtOnce || len(n.Members) == meetAtOnce
	begun := time.Now()
	var together errgroup.Group
	together.SetLimit(meetTogether)
	var unmet atomic.Bool
	var panicked atomic.Pointer[any]
	meet := func(ask func(context.Context) error) (met bool) {
		if time.Since(begun) >= meetTime || ctx.Err() != nil {
			more = true
			return false
		}
		together.Go(func() error {
			defer func() {
				if p := recover(); p != nil {
					panicked.Store(&p)
				}
			}()
			call, cancel := context.WithTimeout(ctx, meetCall)
			defer cancel()
			if err := ask(call); err != nil {
				unmet.Store(true)
				a.logger.DebugContext(ctx, "a name is still missing", slog.String("channel", c.ID), slog.Any("error", err))
			}
			return nil
		})
		return true
	}
	for _, chat := range n.Chats {
		if !meet(func(ctx context.Context) error {
			_, err := a.FetchProfile(ctx, ProfileInput{ChannelID: c.ID, ChatKey: chat})
			return err
		}) {
			break
		}
		at.after.Chat = chat
	}
	for _, member := range n.Members {
		if !meet(func(ctx context.Context) error {
			return a.FetchMembers(ctx, MembersInput{ChannelID: c.ID, IDs: []string{member}})
		}) {
			break
		}
		at.after.Member = member
	}
	_ = together.Wait() // the errors are noted
	if p := panicked.Load(); p != nil {
		panic(*p) // it is for who called
	}
	at.unmet = at.unmet || unmet.Load()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case more:
		a.meetings.keep(c, at)
		return errMore
	case at.unmet && a.now().Sub(c.ResumedAt) < meetFor:
		a.meetings.keep(c, meeting{resumed: c.ResumedAt})
		return errUnmet
	}
	a.meetings.end(c)
	return nil
}
