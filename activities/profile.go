package activities

import (
	"context"
	"errors"

	"kaiwa/internal/accesstoken"
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
// an answer, not an error. While LINE takes no access token of the channel, so
// does everybody; they are asked about when that is over.
func (a *Activities) FetchProfile(ctx context.Context, in ProfileInput) (ProfileOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return ProfileOutput{}, final(err)
	}
	known, err := a.store.Profile(ctx, in.ChannelID, in.ChatKey)
	if err != nil || known.Held {
		return ProfileOutput{}, final(err)
	}
	if !a.rates.May(ctx, in.ChannelID, callrate.Profile) {
		return ProfileOutput{}, lineError(callrate.TooFast(callrate.Profile))
	}
	var p line.Profile
	err = a.asChannel(ctx, plan.Channel, a.paced(func(client *line.Client) error {
		var err error
		p, err = whoIs(ctx, client, known.LINEUserID)
		return err
	}))
	if errors.Is(err, accesstoken.ErrHeld) {
		return ProfileOutput{}, nil
	}
	if err != nil && !tellsNothing(err) {
		return ProfileOutput{}, err
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

// tellsNothing is whether a call failed by a refusal that another one would meet,
// too, such as 404 for who blocks the account: that is LINE's answer.
func tellsNothing(err error) bool {
	var refusal *line.Error
	return errors.As(err, &refusal) && !refusal.Retryable()
}

// MembersInput names members of a group or room whose names are due.
type MembersInput struct {
	ChannelID string   `json:"channel_id"`
	IDs       []string `json:"ids"`
	Refresh   bool     `json:"refresh,omitempty"` // as of ProfileInput
}

// FetchMembers asks LINE for the names of people in a group or room. Those LINE
// tells nothing of stay without one; one of whom it does not answer holds back no
// other. While LINE takes no access token of the channel, nobody is asked about;
// they are when that is over.
func (a *Activities) FetchMembers(ctx context.Context, in MembersInput) error {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return final(err)
	}
	members, err := a.store.ChatMembers(ctx, in.IDs, in.Refresh)
	if err != nil {
		return final(err)
	}
	var failed error
	for _, m := range members {
		if !a.rates.May(ctx, in.ChannelID, callrate.Profile) {
			return lineError(callrate.TooFast(callrate.Profile))
		}
		var p line.Profile
		err := a.asChannel(ctx, plan.Channel, a.paced(func(client *line.Client) error {
			var err error
			p, err = client.MemberProfile(ctx, m.SourceID, m.LINEUserID)
			return err
		}))
		if errors.Is(err, accesstoken.ErrHeld) {
			return nil
		}
		if err != nil && !tellsNothing(err) {
			failed = err
			continue
		}
		if err := a.store.SaveChatMember(ctx, m.ID, p.DisplayName, p.PictureURL, in.Refresh); err != nil {
			return final(err)
		}
	}
	return failed
}
