package activities

import (
	"context"

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
	// Lingers says that the run goes on for a while when there is nothing to do.
	// Looks that were recorded before that was so do not have it.
	Lingers bool `json:"lingers,omitempty"`
}

// Match makes one look; see dispatch.Looker.
func (a *Activities) Match(ctx context.Context, in MatchInput) (MatchOutput, error) {
	res, err := a.looker.Look(ctx, store.MatchRequest{After: in.After, Deadline: attemptDeadline(ctx)})
	if err != nil {
		return MatchOutput{}, final(err)
	}
	out := MatchOutput{
		Waiting: res.Waiting, Offered: res.Offered, Present: res.Present, Absent: res.Absent, Made: res.Made, Ended: res.Ended, More: res.More, After: res.After,
		Lingers: true,
	}
	if !res.NextAt.IsZero() {
		out.NextMS = res.NextAt.UnixMilli() + 1 // by then it is over
	}
	return out, nil
}
