package api

import (
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"kaiwa/internal/conversation"
)

// maxBuckets bounds memory: beyond it, full buckets, which know nothing, go.
const maxBuckets = 10_000

// limits is a token bucket for each API token, in this process.
type limits struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// take takes one from the bucket, or says how long to wait.
func (l *limits) take(id string) (wait time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[id]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			for id, b := range l.buckets {
				if b.TokensAt(now) >= float64(l.burst) {
					delete(l.buckets, id)
				}
			}
		}
		b = rate.NewLimiter(l.rate, l.burst)
		l.buckets[id] = b
	}
	r := b.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func tooManyRequests(c echo.Context, wait time.Duration) error {
	seconds := int(math.Ceil(wait.Seconds()))
	c.Response().Header().Set("Retry-After", strconv.Itoa(seconds))
	return conversation.Errorf(codeRateLimited, "The token makes too many requests. Try again in %d seconds.", seconds)
}
