package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kaiwa/internal/line"
)

// callsPerSecond are LINE's limits for one channel, of the endpoints that
// conversations call. Source:
// https://developers.line.biz/en/reference/messaging-api/#rate-limits
var callsPerSecond = map[string]int64{"reply": 2000, "push": 2000, "profile": 2000, "content": 2000, "loading": 100, "rich_menu": 2000}

// How a limit is shared out. Each worker makes a part of it without asking
// anybody; what is above that it takes in lots, out of three quarters of the
// limit, which all workers share by the database. So a channel that is not busy
// costs no statement, one that is costs one for so many calls, and ten workers
// together stay within the limit. LINE's own refusal remains for more.
const (
	ownPart = 40 // a fortieth of the limit, which is a lot, too
	shared  = 0.75
)

// rates counts the calls to LINE of this worker, by channel and endpoint, in
// the present second.
type rates struct {
	take func(ctx context.Context, channelID, endpoint string, second time.Time, n, together int64) (bool, error)
	mu   sync.Mutex
	used map[string]*callsIn
}

type callsIn struct {
	mu     sync.Mutex // held while a lot is taken: others of the same endpoint wait for it
	second int64
	left   int64
	over   bool // nothing was left to take in this second
}

// allow tells whether a call may be made now. When the database cannot be asked
// it may: LINE judges.
func (r *rates) allow(ctx context.Context, channelID, endpoint string, now time.Time) (bool, error) {
	limit := callsPerSecond[endpoint]
	lot := max(limit/ownPart, 1)
	c := r.of(channelID + "/" + endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	if second := now.Unix(); c.second != second {
		c.second, c.left, c.over = second, lot, false
	}
	if c.over {
		return false, nil
	}
	if c.left == 0 {
		granted, err := r.take(ctx, channelID, endpoint, now, lot, int64(shared*float64(limit)))
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

func (r *rates) of(key string) *callsIn {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.used[key]
	if c == nil {
		c = &callsIn{}
		r.used[key] = c
	}
	return c
}

// mayCall tells whether LINE's rate limit leaves room for a call.
func (a *Activities) mayCall(ctx context.Context, channelID, endpoint string) bool {
	ok, err := a.rates.allow(ctx, channelID, endpoint, a.now())
	if err != nil {
		a.logger.WarnContext(ctx, "calls to LINE are not counted", slog.String("channel", channelID), slog.Any("error", err))
	}
	return ok
}

// tooFast is the refusal of a call that LINE was not asked for, because it
// would have been above its rate limit.
func tooFast(endpoint string) *line.Error {
	return &line.Error{Class: line.ClassRateLimited, Message: "More calls of " + endpoint + " wait than LINE takes in a second."}
}
