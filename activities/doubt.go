package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// doubtPause is how often a worker looks for replies in doubt.
	doubtPause = 2 * time.Second
	// doubtAge is how long ago a reply was last tried when others than its
	// workflow ask about it: longer than a call to LINE takes, so that none is
	// under way.
	doubtAge = 11 * time.Second
	// doubtsAtOnce bounds the replies a worker asks about at once, and in one look.
	doubtsAtOnce = 32
)

// AskAboutReplies looks for replies of which nobody has learned whether LINE took
// them, and asks LINE again, until ctx ends; then it finishes what it has begun.
//
// A reply can be asked about only while its token lives, and a conversation's own
// workflow is back at it only when Temporal is, has missed the worker that died,
// and the next one has replayed. Whoever has the database and LINE knows enough:
// the lane itself remains the workflow's.
func AskAboutReplies(ctx context.Context, a *Activities) {
	tick := time.NewTicker(doubtPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.askAboutReplies(ctx); err != nil && ctx.Err() == nil {
				a.logger.WarnContext(ctx, "replies in doubt were not looked for", slog.Any("error", err))
			}
		}
	}
}

// askAboutReplies looks once.
func (a *Activities) askAboutReplies(ctx context.Context) error {
	now := a.now()
	since, tokens := now.Add(-doubtAge), now.Add(-replyRetryWindow)
	ids, err := a.store.DoubtfulReplies(ctx, since, tokens, doubtsAtOnce)
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	for _, id := range ids {
		asking.Go(func() {
			// What LINE answers is written even if the worker is told to stop.
			ctx := context.WithoutCancel(ctx)
			if err := a.askAgain(ctx, id, since, tokens); err != nil {
				a.logger.WarnContext(ctx, "a reply in doubt was not asked about", slog.String("conversation", id), slog.Any("error", err))
			}
		})
	}
	asking.Wait()
	return nil
}

// askAgain makes one more attempt of a conversation's reply in doubt. If LINE
// does not answer this one either, the next look or the workflow goes on.
func (a *Activities) askAgain(ctx context.Context, conversationID string, since, tokens time.Time) error {
	b, err := a.store.AskAgain(ctx, conversationID, since, tokens)
	if err != nil || b == nil {
		return err
	}
	end, _, present, err := a.deliver(ctx, b, false)
	if err == nil && present && end != nil {
		a.logger.InfoContext(ctx, "a reply in doubt was asked about", slog.String("conversation", conversationID), slog.String("batch", b.ID),
			slog.Int64("attempt", b.Attempts), slog.String("state", end.State))
	}
	return err
}
