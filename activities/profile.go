package activities

import (
	"context"

	"kaiwa/internal/line"
)

// ProfileInput names a chat whose customer's profile is due.
type ProfileInput struct {
	ChannelID string `json:"channel_id"`
	ChatKey   string `json:"chat_key"`
}

// ProfileOutput says whether LINE told anything.
type ProfileOutput struct {
	Known bool `json:"known"`
}

// FetchProfile asks LINE who the customer is. A customer LINE tells nothing of
// (who blocks the account, or does not consent) stays without a name; that is
// an answer, not an error.
func (a *Activities) FetchProfile(ctx context.Context, in ProfileInput) (ProfileOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return ProfileOutput{}, final(err)
	}
	known, err := a.store.Profile(ctx, in.ChannelID, in.ChatKey)
	if err != nil {
		return ProfileOutput{}, final(err)
	}
	if !a.mayCall(ctx, in.ChannelID, "profile") {
		return ProfileOutput{}, lineError(tooFast("profile"))
	}
	over := a.pace.begin()
	p, err := a.line.As(plan.Channel.Token).Profile(ctx, known.LINEUserID)
	over(answered(err))
	if err != nil && line.ClassOf(err) != line.ClassNotFound {
		return ProfileOutput{}, lineError(err)
	}
	known.DisplayName, known.PictureURL, known.Language = p.DisplayName, p.PictureURL, p.Language
	if err := a.store.SaveProfile(ctx, known); err != nil {
		return ProfileOutput{}, final(err)
	}
	return ProfileOutput{Known: p.DisplayName != ""}, nil
}
