package line

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// The limits of imagemaps.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#imagemap-message
const (
	imagemapWidth    = 1040 // pixels: the width everything in it is measured by
	maxImagemap      = 50   // actions
	maxImagemapText  = 400
	maxImagemapLabel = 30 // of the link at the end of a video

	maxImagemapSpoken = 100 // the label of an area, for those who hear it
)

// imagemap is what of a message object an imagemap has beside its alternative
// text.
type imagemap struct {
	BaseURL  string          `json:"baseUrl,omitempty"`
	BaseSize json.RawMessage `json:"baseSize,omitempty"`
	Actions  json.RawMessage `json:"actions,omitempty"`
	Video    json.RawMessage `json:"video,omitempty"`
}

// imagemap checks LINE's baseUrl, baseSize, actions and video, which go out as
// they are.
func (c *check) imagemap(at string, raw json.RawMessage) imagemap {
	var m imagemap
	o, ok := c.document(at, raw)
	if !ok {
		return m
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains([]string{"baseUrl", "baseSize", "actions", "video"}, name) {
			c.add(at+"/"+pointerToken(name), "is not known here: an imagemap has baseUrl, baseSize, actions and video")
		}
	}
	base, _ := o["baseUrl"].(string)
	c.mediaURL(at+"/baseUrl", base)
	size, _ := o["baseSize"].(map[string]any)
	if width := c.whole(at+"/baseSize/width", size["width"], 1); width >= 1 && width != imagemapWidth {
		c.add(at+"/baseSize/width", "must be %d", imagemapWidth)
	}
	c.whole(at+"/baseSize/height", size["height"], 1)
	actions, isList := o["actions"].([]any)
	if !isList || len(actions) > maxImagemap {
		c.add(at+"/actions", "must be a list of at most %d actions", maxImagemap)
	}
	for i, v := range actions {
		c.imagemapAction(fmt.Sprintf("%s/actions/%d", at, i), v)
	}
	if v, there := o["video"]; there {
		c.imagemapVideo(at+"/video", v)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		c.add(at, "must be LINE's imagemap")
	}
	return m
}

func (c *check) imagemapAction(at string, v any) {
	a, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be an action object")
		return
	}
	switch a["type"] {
	case "uri":
		uri, _ := a["linkUri"].(string)
		c.actionURI(at+"/linkUri", uri)
	case "message":
		c.required(at, a, "text", maxImagemapText)
	case "clipboard":
		c.required(at, a, "clipboardText", maxClipboard)
	default:
		c.add(at+"/type", "must be uri, message or clipboard")
	}
	if label, ok := c.optional(at, a, "label"); ok {
		c.units(at+"/label", label, maxImagemapSpoken)
	}
	c.area(at+"/area", a["area"])
}

func (c *check) imagemapVideo(at string, v any) {
	o, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be an object")
		return
	}
	for _, name := range []string{"originalContentUrl", "previewImageUrl"} {
		s, _ := o[name].(string)
		c.mediaURL(at+"/"+name, s)
	}
	c.area(at+"/area", o["area"])
	if v, there := o["externalLink"]; there {
		link, _ := v.(map[string]any)
		uri, _ := link["linkUri"].(string)
		c.actionURI(at+"/externalLink/linkUri", uri)
		c.required(at+"/externalLink", link, "label", maxImagemapLabel)
	}
}

// area checks a rectangle, in pixels.
func (c *check) area(at string, v any) {
	o, _ := v.(map[string]any)
	for _, name := range []string{"x", "y"} {
		c.whole(at+"/"+name, o[name], 0)
	}
	for _, name := range []string{"width", "height"} {
		c.whole(at+"/"+name, o[name], 1)
	}
}

// whole checks a whole number of at least least, and returns it.
func (c *check) whole(at string, v any, least int64) int64 {
	number, _ := v.(json.Number)
	n, err := number.Int64()
	if err != nil || n < least || n > 1<<31-1 {
		c.add(at, "must be a whole number of at least %d", least)
	}
	return n
}
