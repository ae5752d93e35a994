package activities

import (
	"context"
	"log/slog"
	"time"

	"kaiwa/internal/store"
)

// MatchInput asks for waiting conversations to be offered to agents.
type MatchInput struct {
	After string `json:"after,omitempty"` // where the last look ended, when it could not look at everything
}

// MatchOutput is what a look found and did.
type MatchOutput struct {
	Waiting int    `json:"waiting"`          // conversations that are not on offer
	Offered int    `json:"offered"`          // live offers
	Present int    `json:"present"`          // agents who are not offline
	Absent  int    `json:"absent,omitempty"` // agents who are, and hold conversations
	Made    int    `json:"made"`             // offers
	Ended   int    `json:"ended"`            // offers that ran out, or whose agent has gone
	NextMS  int64  `json:"next_ms"`          // when something happens by time alone, Unix milliseconds; 0 is never
	More    bool   `json:"more,omitempty"`
	After   string `json:"after,omitempty"`
}

// Match makes one look; see store.Match. Conversations that have something to do
// are woken: their customers hear who was found, an offer is accepted for its
// agent, or their agent is gone. When that is lost, the relay repeats it.
func (a *Activities) Match(ctx context.Context, in MatchInput) (MatchOutput, error) {
	begun := time.Now()
	res, err := a.store.Match(ctx, store.MatchRequest{After: in.After, Deadline: attemptDeadline(ctx)})
	if err != nil {
		return MatchOutput{}, final(err)
	}
	a.metrics.Look(res.Made, time.Since(begun))
	for _, c := range res.Chats {
		a.inbox.Notify(c.ChannelID, c.ChatKey)
	}
	if len(res.Skipped) > 0 {
		a.logger.Error("cannot be read, so nothing of it is offered", slog.Any("ids", res.Skipped))
	}
	out := MatchOutput{
		Waiting: res.Waiting, Offered: res.Offered, Present: res.Present, Absent: res.Absent, Made: res.Made, Ended: res.Ended, More: res.More, After: res.After,
	}
	if !res.NextAt.IsZero() {
		out.NextMS = res.NextAt.UnixMilli() + 1 // by then it is over
	}
	return out, nil
}
