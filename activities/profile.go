package activities

import (
	"context"

	"kaiwa/internal/callrate"
	"kaiwa/internal/line"
)

// ProfileInput names a chat whose customer's profile is due.
type ProfileInput struct {
	ChannelID string `json:"channel_id"`
	ChatKey   string `json:"chat_key"`
	Refresh   bool   `json:"refresh,omitempty"` // it is known, and agents are to learn of a change
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
	if !a.rates.May(ctx, in.ChannelID, callrate.Profile) {
		return ProfileOutput{}, lineError(callrate.TooFast(callrate.Profile))
	}
	client, _, err := a.tokens.As(ctx, plan.Channel)
	if err != nil {
		return ProfileOutput{}, lineError(err)
	}
	over := a.pace.begin()
	p, err := whoIs(ctx, client, known.LINEUserID)
	over(answered(err))
	if err != nil && line.ClassOf(err) != line.ClassNotFound {
		return ProfileOutput{}, lineError(err)
	}
	known.DisplayName, known.PictureURL, known.Language = p.DisplayName, p.PictureURL, p.Language
	if err := a.store.SaveProfile(ctx, known, in.Refresh); err != nil {
		return ProfileOutput{}, final(err)
	}
	return ProfileOutput{Known: p.DisplayName != ""}, nil
}

// whoIs is what LINE tells of whom a conversation is held with: a user, or a
// group, which has a name and a picture. Rooms have neither.
func whoIs(ctx context.Context, client *line.Client, id string) (line.Profile, error) {
	switch {
	case line.ValidUserID(id) || !line.ValidChatID(id):
		return client.Profile(ctx, id)
	case id[0] == 'R':
		return line.Profile{}, nil
	}
	g, err := client.GroupSummary(ctx, id)
	return line.Profile{DisplayName: g.Name, PictureURL: g.PictureURL}, err
}

// MembersInput names members of a group or room whose names are due.
type MembersInput struct {
	ChannelID string   `json:"channel_id"`
	IDs       []string `json:"ids"`
	Refresh   bool     `json:"refresh,omitempty"` // as of ProfileInput
}

// FetchMembers asks LINE for the names of people in a group or room. Those LINE
// tells nothing of stay without one.
func (a *Activities) FetchMembers(ctx context.Context, in MembersInput) error {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return final(err)
	}
	members, err := a.store.ChatMembers(ctx, in.IDs)
	if err != nil {
		return final(err)
	}
	client, _, err := a.tokens.As(ctx, plan.Channel)
	if err != nil {
		return lineError(err)
	}
	for _, m := range members {
		if !a.rates.May(ctx, in.ChannelID, callrate.Profile) {
			return lineError(callrate.TooFast(callrate.Profile))
		}
		over := a.pace.begin()
		p, err := client.MemberProfile(ctx, m.SourceID, m.LINEUserID)
		over(answered(err))
		if err != nil && line.ClassOf(err) != line.ClassNotFound {
			return lineError(err)
		}
		if err := a.store.SaveChatMember(ctx, m.ID, p.DisplayName, p.PictureURL, in.Refresh); err != nil {
			return final(err)
		}
	}
	return nil
}
