package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kaiwa/internal/automessage"
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
	// heldPause is how often a worker looks for channels whose automated messages
	// wait, to ask LINE whether there are more now; heldAtOnce bounds them.
	heldPause, heldAtOnce = 15 * time.Minute, 100
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
	q.call(channelID)
}

// look calls for a look at a channel's quota.
func (q *quotas) look(channelID string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.call(channelID)
}

// call is look for who holds the lock.
func (q *quotas) call(channelID string) {
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
// for, as their use grows, and hourly for those in which automated messages wait,
// until ctx ends. So warnings come though nobody looks, what waits goes when more
// was bought, and a channel that pushes nothing costs nothing. A look that is lost
// is made at the next push.
func WatchQuotas(ctx context.Context, a *Activities) {
	tick := time.NewTicker(heldPause)
	defer tick.Stop()
	for {
		if err := a.noteHeld(ctx); err != nil && ctx.Err() == nil {
			a.logger.WarnContext(ctx, "messages that wait were not looked for", slog.Any("error", err))
		}
		if !a.askForQuotas(ctx, tick.C) {
			return
		}
	}
}

// noteHeld calls for a look at the quotas of channels whose messages wait.
func (a *Activities) noteHeld(ctx context.Context) error {
	ids, err := a.store.HeldChannels(ctx, a.now().Add(-quotaAge), heldAtOnce)
	if err != nil {
		return err
	}
	for _, id := range ids {
		a.quotas.look(id)
	}
	return nil
}

// askForQuotas makes the looks that are called for until it is time to see what
// waits. It tells whether to go on.
func (a *Activities) askForQuotas(ctx context.Context, tick <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick:
			return true
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
	var q line.Quota
	if err := a.asChannel(ctx, plan.Channel, func(client *line.Client) (err error) {
		q, err = client.Quota(ctx)
		return err
	}); err != nil {
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

// tellSpent tells the agents of a conversation, once a month, that automated
// messages wait or are left out because too few paid ones are left. The messages
// say it themselves, so that nothing waits for these words.
func (a *Activities) tellSpent(ctx context.Context, b *store.Batch) {
	if err := a.noteSpent(ctx, b); err != nil {
		a.logger.WarnContext(ctx, "agents were not told of the quota", slog.String("conversation", b.ConversationID), slog.Any("error", err))
	}
}

func (a *Activities) noteSpent(ctx context.Context, b *store.Batch) error {
	conv, err := a.store.Conversation(ctx, b.ConversationID)
	if err != nil {
		return err
	}
	plan, err := a.plans.get(ctx, b.ChannelID)
	if err != nil {
		return err
	}
	drafts, err := a.drafts(ctx, plan, conv, automessage.QuotaSpent, "")
	if err != nil || len(drafts) == 0 {
		return err
	}
	month, _, _ := store.QuotaMonth(a.now())
	_, err = a.store.Note(ctx, store.NoteRequest{
		Cause: "quota/" + conv.ID + "/" + month, ConversationID: conv.ID, Automated: string(automessage.QuotaSpent), Text: drafts[0].Content.Text,
	})
	return err
}
