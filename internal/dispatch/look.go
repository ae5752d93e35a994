package dispatch

import (
	"context"
	"log/slog"
	"time"

	"kaiwa/internal/store"
)

// Looker looks who waits and who is free.
type Looker struct {
	Store *store.Store
	// Notify wakes the workflow of a chat. A wake-up that gets lost is repeated.
	Notify func(channelID, chatKey string)
	// Looked, when set, is told how many offers a look made and how long it took.
	Looked func(offers int, took time.Duration)
	Logger *slog.Logger
}

// Look makes one look; see store.Match. Conversations whose customers hear who
// was found are woken.
func (l *Looker) Look(ctx context.Context, req store.MatchRequest) (store.MatchResult, error) {
	begun := time.Now()
	res, err := l.Store.Match(ctx, req)
	if err != nil {
		return store.MatchResult{}, err
	}
	if l.Looked != nil {
		l.Looked(res.Made, time.Since(begun))
	}
	for _, c := range res.Chats {
		l.Notify(c.ChannelID, c.ChatKey)
	}
	if len(res.Skipped) > 0 {
		l.Logger.ErrorContext(ctx, "cannot be read, so nothing of it is offered", slog.Any("ids", res.Skipped))
	}
	return res, nil
}
