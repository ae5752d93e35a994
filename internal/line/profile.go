package line

import "context"

// Profile is what a customer shows of themselves.
type Profile struct {
	RequestID     string
	UserID        string
	DisplayName   string
	PictureURL    string // "" without a picture
	StatusMessage string // "" without one, and for members of groups
	Language      string // BCP 47; "" when they do not share it, and for members of groups
}

// Profile returns a customer's profile. It is ClassNotFound for somebody who
// blocks the account, does not exist or does not consent: not a reason to lose
// their message.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-profile
func (c *Client) Profile(ctx context.Context, userID string) (Profile, error) {
	if !ValidUserID(userID) {
		return Profile{}, refused("not a LINE user id")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return Profile{}, err
	}
	_, p, err := sdk.GetProfileWithHttpInfo(userID)
	if err := x.fail(err); err != nil {
		return Profile{}, err
	}
	return Profile{
		RequestID: x.requestID(), UserID: clean(p.UserId), DisplayName: clean(p.DisplayName),
		PictureURL: clean(p.PictureUrl), StatusMessage: clean(p.StatusMessage), Language: clean(p.Language),
	}, nil
}

// MemberProfile returns the profile of a member of a group or room, who need
// not be a friend of the account. ClassNotFound: they left, or do not consent.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-group-member-profile
func (c *Client) MemberProfile(ctx context.Context, chatID, userID string) (Profile, error) {
	if !ValidUserID(userID) || !ValidChatID(chatID) || chatID[0] == 'U' {
		return Profile{}, refused("not the id of a group or room and of a user")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return Profile{}, err
	}
	out := Profile{}
	if chatID[0] == 'C' {
		_, p, err := sdk.GetGroupMemberProfileWithHttpInfo(chatID, userID)
		if err := x.fail(err); err != nil {
			return Profile{}, err
		}
		out.UserID, out.DisplayName, out.PictureURL = p.UserId, p.DisplayName, p.PictureUrl
	} else {
		_, p, err := sdk.GetRoomMemberProfileWithHttpInfo(chatID, userID)
		if err := x.fail(err); err != nil {
			return Profile{}, err
		}
		out.UserID, out.DisplayName, out.PictureURL = p.UserId, p.DisplayName, p.PictureUrl
	}
	out.RequestID = x.requestID()
	out.UserID, out.DisplayName, out.PictureURL = clean(out.UserID), clean(out.DisplayName), clean(out.PictureURL)
	return out, nil
}

// Group is what a group chat shows of itself.
type Group struct {
	RequestID  string
	Name       string
	PictureURL string // "" without a picture
}

// GroupSummary returns a group chat's name and picture. Rooms have neither.
// ClassNotFound: the account is not a member.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-group-summary
func (c *Client) GroupSummary(ctx context.Context, groupID string) (Group, error) {
	if !ValidChatID(groupID) || groupID[0] != 'C' {
		return Group{}, refused("not the id of a group")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return Group{}, err
	}
	_, g, err := sdk.GetGroupSummaryWithHttpInfo(groupID)
	if err := x.fail(err); err != nil {
		return Group{}, err
	}
	return Group{RequestID: x.requestID(), Name: clean(g.GroupName), PictureURL: clean(g.PictureUrl)}, nil
}

// MemberCount is how many people are in a group or room, the account not counted.
type MemberCount struct {
	RequestID string
	Members   int64
}

// CountMembers counts the people of a group or room: a push to it costs as many of
// the month's messages. ClassNotFound: the account is not a member.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-members-group-count
func (c *Client) CountMembers(ctx context.Context, chatID string) (MemberCount, error) {
	if !ValidChatID(chatID) || chatID[0] == 'U' {
		return MemberCount{}, refused("not the id of a group or room")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return MemberCount{}, err
	}
	var n int32
	if chatID[0] == 'C' {
		_, count, err := sdk.GetGroupMemberCountWithHttpInfo(chatID)
		if err := x.fail(err); err != nil {
			return MemberCount{}, err
		}
		n = count.Count
	} else {
		_, count, err := sdk.GetRoomMemberCountWithHttpInfo(chatID)
		if err := x.fail(err); err != nil {
			return MemberCount{}, err
		}
		n = count.Count
	}
	return MemberCount{RequestID: x.requestID(), Members: int64(n)}, nil
}

// Leave has the account leave a group or room. ClassNotFound: it is in none of
// that id, any more. It returns LINE's request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#leave-group
func (c *Client) Leave(ctx context.Context, chatID string) (requestID string, err error) {
	if !ValidChatID(chatID) || chatID[0] == 'U' {
		return "", refused("not the id of a group or room")
	}
	kind := "group"
	if chatID[0] == 'R' {
		kind = "room"
	}
	return c.plain(ctx, "/v2/bot/"+kind+"/"+chatID+"/leave", nil)
}

// LinkToken is a token for LINE's account link dialog: good once, for 10 minutes.
type LinkToken struct {
	RequestID string
	Token     string
}

// IssueLinkToken begins linking a customer's LINE account with another one.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#issue-link-token
func (c *Client) IssueLinkToken(ctx context.Context, userID string) (LinkToken, error) {
	if !ValidUserID(userID) {
		return LinkToken{}, refused("not a LINE user id")
	}
	sdk, x, err := c.sdk(ctx)
	if err != nil {
		return LinkToken{}, err
	}
	_, t, err := sdk.IssueLinkTokenWithHttpInfo(userID)
	if err := x.fail(err); err != nil {
		return LinkToken{}, err
	}
	return LinkToken{RequestID: x.requestID(), Token: t.LinkToken}, nil
}
