// Package callrate keeps the calls to LINE of all processes together within
// LINE's rate limits.
package callrate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kaiwa/internal/line"
)

// The endpoints that are counted.
const (
	Reply      = "reply"
	Push       = "push"
	Profile    = "profile" // of users, group members and groups alike
	Members    = "members" // how many there are in a group
	Content    = "content"
	Loading    = "loading"
	MarkAsRead = "mark_as_read"
	RichMenu   = "rich_menu"
)

// perSecond are LINE's limits for one channel, of the endpoints that
// conversations call. Source:
// https://developers.line.biz/en/reference/messaging-api/#rate-limits
var perSecond = map[string]int64{Reply: 2000, Push: 2000, Profile: 2000, Content: 2000, Members: 2000, Loading: 100, MarkAsRead: 2000, RichMenu: 2000}

// How a limit is shared out. Each process makes a part of it without asking
// anybody; what is above that it takes in lots, which all processes share by the
// database. So a channel that is not busy costs no statement, one that is costs
// one for so many calls.
//
// Calls are counted by the clock's seconds, and LINE's may begin anywhere between
// two of those: whatever second LINE counts has calls of at most two of ours. So
// ours have half of the limit each, of which three quarters are shared, and ten
// processes together stay within the limit. LINE's own refusal remains for more.
const (
	ownPart = 80 // an eightieth of the limit is each process's own
	lotPart = 40 // a fortieth is a lot
	shared  = 0.75 / 2
)

// Take takes n calls of an endpoint out of those that all processes may make
// together within a second; store.Store.TakeCalls does.
type Take func(ctx context.Context, channelID, endpoint string, second time.Time, n, together int64) (bool, error)

// Limits counts the calls to LINE of this process, by channel and endpoint, in
// the present second. It is safe for concurrent use.
type Limits struct {
	take   Take
	now    func() time.Time
	logger *slog.Logger

	mu   sync.Mutex
	used map[string]*callsIn
}

type callsIn struct {
	mu     sync.Mutex // held while a lot is taken: others of the same endpoint wait for it
	second int64
	left   int64
	over   bool // nothing was left to take in this second
}

// New returns Limits; now nil is time.Now.
func New(take Take, now func() time.Time, logger *slog.Logger) *Limits {
	if now == nil {
		now = time.Now
	}
	return &Limits{take: take, now: now, logger: logger, used: map[string]*callsIn{}}
}

// May tells whether LINE's rate limit leaves room for a call now. When the
// database cannot be asked it does: LINE judges.
func (l *Limits) May(ctx context.Context, channelID, endpoint string) bool {
	ok, err := l.allow(ctx, channelID, endpoint, l.now())
	if err != nil {
		l.logger.WarnContext(ctx, "calls to LINE are not counted", slog.String("channel", channelID), slog.Any("error", err))
	}
	return ok
}

func (l *Limits) allow(ctx context.Context, channelID, endpoint string, now time.Time) (bool, error) {
	limit := perSecond[endpoint]
	own, lot := max(limit/ownPart, 1), max(limit/lotPart, 1)
	c := l.of(channelID + "/" + endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	if second := now.Unix(); c.second != second {
		c.second, c.left, c.over = second, own, false
	}
	if c.over {
		return false, nil
	}
	if c.left == 0 {
		granted, err := l.take(ctx, channelID, endpoint, now, lot, int64(shared*float64(limit)))
		if err != nil {
			return true, err
		}
		if c.over = !granted; c.over {
			return false, nil
		}
		c.left = lot
	}
	c.left--
	return true, nil
}

func (l *Limits) of(key string) *callsIn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.used[key]
	if c == nil {
		c = &callsIn{}
		l.used[key] = c
	}
	return c
}

// TooFast is the refusal of a call that LINE was not asked for, because it
// would have been above its rate limit.
func TooFast(endpoint string) *line.Error {
	return &line.Error{Class: line.ClassRateLimited, Message: "More calls of " + endpoint + " wait than LINE takes in a second."}
}
