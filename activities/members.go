package activities

import (
	"context"
	"log/slog"
	"time"

	"kaiwa/internal/callrate"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

const (
	// membersFresh is how long a count of a group's members holds when nobody is
	// said to have joined or left.
	membersFresh = 24 * time.Hour
	// membersRetry is when LINE is asked again after it did not count them.
	membersRetry = 10 * time.Minute
	// membersTime bounds the question: a message waits for it.
	membersTime = 2 * time.Second
)

// countMembers asks LINE how many people are in the group or room that a batch
// would be pushed to. When LINE does not say, the push goes by what is known.
func (a *Activities) countMembers(ctx context.Context, b *store.Batch, quick bool) error {
	limit := membersTime
	if quick {
		limit = quickCall
	}
	members, err := a.membersOf(ctx, b, limit)
	due := a.now().Add(membersFresh)
	if err != nil {
		a.logger.WarnContext(ctx, "the members of a group were not counted", slog.String("conversation", b.ConversationID), slog.Any("error", err))
		due = a.now().Add(membersRetry)
	}
	return a.store.SaveMembers(ctx, b, members, due)
}

func (a *Activities) membersOf(ctx context.Context, b *store.Batch, limit time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	plan, err := a.plans.get(ctx, b.ChannelID)
	if err != nil {
		return 0, err
	}
	if !a.rates.May(ctx, b.ChannelID, callrate.Members) {
		return 0, callrate.TooFast(callrate.Members)
	}
	var n line.MemberCount
	err = a.asChannel(ctx, plan.Channel, a.paced(func(client *line.Client) (err error) {
		n, err = client.CountMembers(ctx, b.Recipient)
		return err
	}))
	return n.Members, err
}
