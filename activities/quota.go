package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// quotaPart is which part of the way to the next warning a worker lets its
	// pushes go before it asks LINE for the quota again: so many workers may push
	// at once for one channel and yet see the warning come.
	quotaPart = 8
	// quotaAge is how old what a worker knows of a quota may be when it pushes.
	quotaAge = time.Hour
)

// quotas knows how many more pushes of each channel need no look at what LINE
// says of its quota. It is in memory only: a worker that knows nothing of a
// channel asks at its first push.
type quotas struct {
	mu    sync.Mutex
	known map[string]*knownQuota
	due   map[string]bool
	wake  chan struct{}
}

type knownQuota struct {
	left int64 // recipients of pushes that need no look
	at   time.Time
}

func newQuotas() *quotas {
	return &quotas{known: map[string]*knownQuota{}, due: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// pushed notes that LINE took a push to n people, and calls for a look when one
// is due. It never blocks.
func (q *quotas) pushed(channelID string, n int64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.known[channelID]
	if k != nil {
		if k.left -= n; k.left > 0 && now.Sub(k.at) < quotaAge {
			return
		}
	}
	q.due[channelID] = true
	select {
	case q.wake <- struct{}{}:
	default: // somebody is called already, and will find it
	}
}

// learned notes what LINE says of a channel's quota.
func (q *quotas) learned(kept store.ChannelQuota, now time.Time) {
	left := kept.UntilWarning()
	if left < 0 {
		left = int64(1) << 40 // nothing to warn of: time alone calls for a look
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known[kept.ChannelID] = &knownQuota{left: max(left/quotaPart, 1), at: now}
}

// take returns the channels that a look is due for.
func (q *quotas) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ids []string
	for id := range q.due {
		ids = append(ids, id)
	}
	clear(q.due)
	return ids
}

// WatchQuotas asks LINE for the quotas of the channels that this worker pushes
// for, as their use grows, until ctx ends. So warnings come though nobody looks,
// and a channel that pushes nothing costs nothing. A look that is lost is made at
// the next push.
func WatchQuotas(ctx context.Context, a *Activities) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.quotas.wake:
		}
		for _, id := range a.quotas.take() {
			if err := a.watchQuota(ctx, id); err != nil && ctx.Err() == nil {
				a.logger.WarnContext(ctx, "the quota was not asked for", slog.String("channel", id), slog.Any("error", err))
			}
		}
	}
}

func (a *Activities) watchQuota(ctx context.Context, channelID string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*quotaTime)
	defer cancel()
	plan, err := a.plans.get(ctx, channelID)
	if err != nil || plan.Channel.Status == store.ChannelDeleted {
		return err
	}
	asked := a.now()
	client, _, err := a.tokens.As(ctx, plan.Channel)
	if err != nil {
		return err
	}
	q, err := client.Quota(ctx)
	if err != nil {
		return err
	}
	_, err = a.keepQuota(ctx, channelID, q, asked)
	return err
}

// keepQuota stores what LINE said of a quota.
func (a *Activities) keepQuota(ctx context.Context, channelID string, q line.Quota, asked time.Time) (store.ChannelQuota, error) {
	kept, err := a.store.SaveQuota(ctx, channelID, q.Limit, q.Used, asked)
	if err == nil {
		a.quotas.learned(kept, asked)
	}
	return kept, err
}
