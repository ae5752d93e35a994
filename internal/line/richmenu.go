package line

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
)

var richMenuIDShape = regexp.MustCompile(`^richmenu-[0-9A-Za-z]{1,64}$`)

// ValidRichMenuID tells whether id has the shape of a rich menu's: "richmenu-" and
// at LINE 32 hexadecimal digits. Requests carry no other: an id is part of a URL's
// path.
func ValidRichMenuID(id string) bool { return richMenuIDShape.MatchString(id) }

// RichMenu is a menu below a chat, as it was created by the Messaging API. Those
// of the LINE Official Account Manager are not told of and cannot be linked.
type RichMenu struct {
	ID            string
	Name          string // for whoever manages it; customers do not see it
	ChatBarText   string // on the bar that opens it
	Selected      bool   // it is open at first
	Width, Height int    // pixels of its image
	Areas         int    // that can be tapped
}

// RichMenus lists the channel's rich menus: LINE allows 1,000.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-rich-menu-list
func (c *Client) RichMenus(ctx context.Context) ([]RichMenu, error) {
	var list struct {
		Menus []richMenu `json:"richmenus"`
	}
	if err := c.get(ctx, "/v2/bot/richmenu/list", &list); err != nil {
		return nil, err
	}
	menus := make([]RichMenu, 0, len(list.Menus))
	for _, m := range list.Menus {
		menus = append(menus, m.clean())
	}
	return menus, nil
}

// RichMenu returns one of the channel's rich menus. ClassNotFound: there is none
// of this id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#get-rich-menu
func (c *Client) RichMenu(ctx context.Context, id string) (RichMenu, error) {
	if !ValidRichMenuID(id) {
		return RichMenu{}, refused("not a rich menu's id")
	}
	var m richMenu
	err := c.get(ctx, "/v2/bot/richmenu/"+id, &m)
	return m.clean(), err
}

// RichMenuImage downloads a rich menu's image, a JPEG or PNG of at most 1 MB.
// ClassNotFound: it has none, without which nobody can be shown it, or there is no
// such menu. Read Body to io.EOF and close it.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#download-rich-menu-image
func (c *Client) RichMenuImage(ctx context.Context, id string) (ContentStream, error) {
	if !ValidRichMenuID(id) {
		return ContentStream{}, refused("not a rich menu's id")
	}
	return c.download(ctx, "/v2/bot/richmenu/"+id+"/content")
}

// LinkRichMenu shows a customer a rich menu instead of the account's default one,
// and of any that was linked before. ClassRefused and ClassNotFound: there is no
// such menu, it has no image, or the customer is nobody to the account. It returns
// LINE's request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#link-rich-menu-to-user
func (c *Client) LinkRichMenu(ctx context.Context, userID, id string) (requestID string, err error) {
	if !ValidUserID(userID) || !ValidRichMenuID(id) {
		return "", refused("not the id of a user and of a rich menu")
	}
	return c.plain(ctx, "/v2/bot/user/"+userID+"/richmenu/"+id, nil)
}

// UnlinkRichMenu shows a customer the account's default rich menu again, if it
// has one. It returns LINE's request id.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#unlink-rich-menu-from-user
func (c *Client) UnlinkRichMenu(ctx context.Context, userID string) (requestID string, err error) {
	if !ValidUserID(userID) {
		return "", refused("not a LINE user id")
	}
	a, err := c.bare(ctx, http.MethodDelete, "/v2/bot/user/"+userID+"/richmenu")
	if err != nil {
		return "", err
	}
	return a.requestID(), nil
}

// richMenu is LINE's rich menu response object.
type richMenu struct {
	ID          string `json:"richMenuId"`
	Name        string `json:"name"`
	ChatBarText string `json:"chatBarText"`
	Selected    bool   `json:"selected"`
	Size        struct {
		Width  int `json:"width"`
		Height int `json:"height"`
	} `json:"size"`
	Areas []json.RawMessage `json:"areas"`
}

func (m richMenu) clean() RichMenu {
	return RichMenu{
		ID: clean(m.ID), Name: clean(m.Name), ChatBarText: clean(m.ChatBarText), Selected: m.Selected,
		Width: m.Size.Width, Height: m.Size.Height, Areas: len(m.Areas),
	}
}

// get reads a JSON object. Not by the SDK where that knows each action by its
// type, so that one to come would fail the whole answer.
func (c *Client) get(ctx context.Context, path string, into any) error {
	a, err := c.bare(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	if a.err == nil {
		a.err = json.Unmarshal(a.body, into)
	}
	if a.err != nil {
		return &Error{Class: ClassServer, Status: a.status, RequestID: a.requestID(), Message: "LINE's answer could not be read", Err: a.err}
	}
	return nil
}

// bare is a call without a body.
func (c *Client) bare(ctx context.Context, method, path string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.api.apiURL+path, nil)
	if err != nil {
		return nil, refused("LINE's address is not usable: %v", err)
	}
	a, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if a.status/100 != 2 {
		return nil, errorOf(a)
	}
	return a, nil
}
