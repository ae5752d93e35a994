package line

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The limits of flex messages; sizes in bytes of JSON as sent.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#flex-message
const (
	maxBubbles  = 12
	maxBubble   = 30 << 10
	maxCarousel = 50 << 10
)

// flex checks a flex container: its size, its bubbles, and within them, wherever
// they stand, every action, every URL of a picture or video, and what a box or a
// text must have. How components may nest is left to LINE, which adds to it.
func (c *check) flex(at string, raw json.RawMessage) {
	o, ok := c.document(at, raw)
	if !ok {
		return
	}
	switch o["type"] {
	case "bubble":
		c.size(at, raw, maxBubble)
		c.bubble(at, o)
	case "carousel":
		c.size(at, raw, maxCarousel)
		var sent struct {
			Contents []json.RawMessage `json:"contents"`
		}
		_ = json.Unmarshal(raw, &sent) // what is no list has no bubbles
		bubbles, _ := o["contents"].([]any)
		if n := len(bubbles); n < 1 || n > maxBubbles {
			c.add(at+"/contents", "must be 1 to %d bubbles, not %d", maxBubbles, n)
		}
		for i, v := range bubbles {
			at := fmt.Sprintf("%s/contents/%d", at, i)
			b, ok := v.(map[string]any)
			if !ok || b["type"] != "bubble" {
				c.add(at, "must be a bubble")
				continue
			}
			if hero, ok := b["hero"].(map[string]any); ok && hero["type"] == "video" {
				c.add(at+"/hero/type", "must not be video in a carousel")
			}
			c.size(at, sent.Contents[i], maxBubble)
			c.bubble(at, b)
		}
	default:
		c.add(at+"/type", "must be bubble or carousel")
	}
}

// size checks valid JSON as it is sent, which is without white space.
func (c *check) size(at string, raw json.RawMessage, limit int) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		c.add(at, "must be a JSON object")
	}
	if b.Len() > limit {
		c.add(at, "must be at most %d bytes of JSON, not %d", limit, b.Len())
	}
}

func (c *check) bubble(at string, o map[string]any) {
	if o["header"] == nil && o["hero"] == nil && o["body"] == nil && o["footer"] == nil {
		c.add(at, "must have a header, hero, body or footer")
	}
	c.component(at, o)
}

// component walks down a flex component. document has bounded the depth.
func (c *check) component(at string, o map[string]any) {
	kind, _ := o["type"].(string)
	rules := flexAction
	if kind == "button" {
		rules = flexButtonAction
		if o["action"] == nil {
			c.add(at+"/action", "is missing")
		}
	}
	if kind == "image" || kind == "icon" || kind == "video" {
		s, _ := o["url"].(string)
		c.mediaURL(at+"/url", s)
	}
	switch kind {
	case "text":
		_, spans := o["contents"].([]any)
		if s, _ := o["text"].(string); s == "" && !spans {
			c.add(at+"/text", "must not be empty")
		}
	case "box":
		if layout, _ := o["layout"].(string); layout == "" {
			c.add(at+"/layout", "is missing")
		}
		if _, ok := o["contents"].([]any); !ok {
			c.add(at+"/contents", "must be a list")
		}
	case "video":
		s, _ := o["previewUrl"].(string)
		c.mediaURL(at+"/previewUrl", s)
		if alt, ok := o["altContent"].(map[string]any); !ok || alt["type"] != "image" && alt["type"] != "box" {
			c.add(at+"/altContent", "must be an image or a box, for apps that play no video")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) { // so that complaints come in the same order every time
		at := at + "/" + pointerToken(name)
		switch v := o[name].(type) {
		case map[string]any:
			if name == "action" {
				c.action(at, v, rules)
			} else {
				c.component(at, v)
			}
		case []any:
			for i, x := range v {
				if child, ok := x.(map[string]any); ok {
					c.component(fmt.Sprintf("%s/%d", at, i), child)
				}
			}
		}
	}
}

// pointerToken escapes a name for a JSON pointer (RFC 6901).
func pointerToken(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
