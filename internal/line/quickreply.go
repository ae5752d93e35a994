package line

import (
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
)

type quickReply struct {
	Items []quickReplyItem `json:"items"`
}

type quickReplyItem struct {
	Type     string `json:"type"`
	ImageURL string `json:"imageUrl,omitempty"`
	Action   any    `json:"action"` // action, or LINE's object as it was given
}

type action struct {
	Type        string `json:"type"`
	Label       string `json:"label"`
	Text        string `json:"text,omitempty"`
	Data        string `json:"data,omitempty"`
	DisplayText string `json:"displayText,omitempty"`
	URI         string `json:"uri,omitempty"`
}

// quickActions are the actions a quick reply may have: all but that which
// switches rich menus.
//
// Source: https://developers.line.biz/en/docs/messaging-api/using-quick-reply/#action
var quickActions = []string{"postback", "message", "uri", "datetimepicker", "camera", "cameraRoll", "location", "clipboard"}

func (c *check) quickReplies(at string, replies []conversation.QuickReply) *quickReply {
	if len(replies) == 0 {
		return nil
	}
	if len(replies) > maxQuickReplies {
		c.add(at, "must have at most %d items", maxQuickReplies)
		return nil
	}
	out := &quickReply{}
	for i, r := range replies {
		at := fmt.Sprintf("%s/%d", at, i)
		item := quickReplyItem{Type: "action", ImageURL: r.ImageURL}
		if r.ImageURL != "" {
			c.mediaURL(at+"/image_url", r.ImageURL)
		}
		c.graphemes(at+"/label", r.Label, maxLabel)
		a := action{Label: r.Label}
		given := 0
		for _, is := range []bool{r.Text != "" || r.Data != "", r.URI != "", len(r.Action) > 0} {
			if is {
				given++
			}
		}
		switch {
		case given != 1:
			c.add(at, "must have exactly one of text, data (which text may accompany), uri and action")
		case len(r.Action) > 0:
			item.Action = c.quickAction(at+"/action", r.Action, r.Label)
			out.Items = append(out.Items, item)
			continue
		case r.URI != "":
			a.Type, a.URI = "uri", r.URI
			c.actionURI(at+"/uri", r.URI)
		case r.Data != "":
			a.Type, a.Data = "postback", c.units(at+"/data", r.Data, maxPostback)
			if r.Text != "" {
				a.DisplayText = r.Text
				c.graphemes(at+"/text", r.Text, maxActionText)
			}
		default:
			a.Type, a.Text = "message", r.Text
			c.graphemes(at+"/text", r.Text, maxActionText)
		}
		item.Action = a
		out.Items = append(out.Items, item)
	}
	return out
}

// quickAction is one of LINE's action objects as a quick reply has it: with the
// label that stands beside it.
func (c *check) quickAction(at string, raw json.RawMessage, label string) map[string]any {
	o, ok := c.document(at, raw)
	if !ok {
		return nil
	}
	kind, _ := o["type"].(string)
	if !slices.Contains(quickActions, kind) {
		c.add(at+"/type", "must be postback, message, uri, datetimepicker, camera, cameraRoll, location or clipboard")
		return nil
	}
	if _, there := o["label"]; there {
		c.add(at+"/label", "must be left out: the label stands beside the action")
		return nil
	}
	c.action(at, o, actionRules{quick: true})
	o["label"] = label
	return o
}
