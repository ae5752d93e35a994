package line

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// The limits of templates; texts in graphemes.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#template-messages
const (
	maxTemplateTitle   = 40
	maxButtonsText     = 160
	maxConfirmText     = 240
	maxColumnText      = 120
	maxTextBelowImage  = 60 // buttons and columns that have a title or an image
	maxButtonsActions  = 4
	maxColumns         = 10
	maxColumnActions   = 3
	confirmActions     = 2
	maxDocumentNesting = 100
)

// document decodes JSON that somebody wrote for LINE and that goes out as it
// is, and checks what holds for all of it: an object, text a database takes,
// no deeper than maxDocumentNesting.
func (c *check) document(at string, raw json.RawMessage) (map[string]any, bool) {
	before := len(c.fields)
	if len(raw) == 0 {
		c.add(at, "is missing")
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if !json.Valid(raw) || !utf8.Valid(raw) || dec.Decode(&v) != nil {
		c.add(at, "must be a JSON object")
		return nil, false
	}
	o, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be a JSON object")
		return nil, false
	}
	c.texts(at, o, 0)
	return o, len(c.fields) == before
}

// texts walks through a document for what no text may hold.
func (c *check) texts(at string, v any, depth int) {
	if depth > maxDocumentNesting {
		c.add(at, "is nested too deeply")
		return
	}
	switch v := v.(type) {
	case string:
		c.clean(at, v)
	case []any:
		for i, x := range v {
			c.texts(fmt.Sprintf("%s/%d", at, i), x, depth+1)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) { // so that complaints come in the same order every time
			c.clean(at, name)
			c.texts(at+"/"+pointerToken(name), v[name], depth+1)
		}
	}
}

func (c *check) template(at string, raw json.RawMessage) {
	t, ok := c.document(at, raw)
	if !ok {
		return
	}
	switch t["type"] {
	case "buttons":
		c.pictures(at, t)
		c.card(at, t, maxButtonsText, maxButtonsActions)
	case "confirm":
		s, _ := t["text"].(string)
		c.graphemes(at+"/text", s, maxConfirmText)
		c.actions(at+"/actions", t["actions"], confirmActions, confirmActions)
	case "carousel":
		actions := -1
		columns := c.columns(at, t)
		c.pictures(at, t)
		for i, column := range columns {
			at := fmt.Sprintf("%s/columns/%d", at, i)
			for _, name := range []string{"thumbnailImageUrl", "title"} {
				if (column[name] == nil) != (columns[0][name] == nil) {
					c.add(at+"/"+name, "must stand in all columns or in none")
				}
			}
			n := c.card(at, column, maxColumnText, maxColumnActions)
			if actions >= 0 && n != actions {
				c.add(at+"/actions", "must be as many as in the first column")
			}
			if actions < 0 {
				actions = n
			}
		}
	case "image_carousel":
		for i, column := range c.columns(at, t) {
			at := fmt.Sprintf("%s/columns/%d", at, i)
			s, _ := column["imageUrl"].(string)
			c.mediaURL(at+"/imageUrl", s)
			c.action(at+"/action", column["action"], imageCarouselAction)
		}
	default:
		c.add(at+"/type", "must be buttons, confirm, carousel or image_carousel")
	}
}

// pictures checks how the pictures of a template are shown.
func (c *check) pictures(at string, t map[string]any) {
	if ratio, ok := c.optional(at, t, "imageAspectRatio"); ok && ratio != "rectangle" && ratio != "square" {
		c.add(at+"/imageAspectRatio", "must be rectangle or square")
	}
	if size, ok := c.optional(at, t, "imageSize"); ok && size != "cover" && size != "contain" {
		c.add(at+"/imageSize", "must be cover or contain")
	}
}

// card checks what a buttons template and a column of a carousel have in
// common, and returns how many actions it has.
func (c *check) card(at string, o map[string]any, maxText, maxActions int) int {
	title, hasTitle := c.optional(at, o, "title")
	if hasTitle {
		c.graphemes(at+"/title", title, maxTemplateTitle)
	}
	image, hasImage := c.optional(at, o, "thumbnailImageUrl")
	if hasImage {
		c.mediaURL(at+"/thumbnailImageUrl", image)
	}
	if hasTitle || hasImage {
		maxText = maxTextBelowImage
	}
	text, _ := o["text"].(string)
	c.graphemes(at+"/text", text, maxText)
	if a, there := o["defaultAction"]; there {
		c.action(at+"/defaultAction", a, defaultAction)
	}
	return c.actions(at+"/actions", o["actions"], 1, maxActions)
}

func (c *check) actions(at string, v any, least, most int) int {
	actions, _ := v.([]any)
	if n := len(actions); n < least || n > most {
		c.add(at, "must be %d to %d actions, not %d", least, most, n)
	}
	for i, a := range actions {
		c.action(fmt.Sprintf("%s/%d", at, i), a, templateAction)
	}
	return len(actions)
}

func (c *check) columns(at string, t map[string]any) []map[string]any {
	list, _ := t["columns"].([]any)
	if n := len(list); n < 1 || n > maxColumns {
		c.add(at+"/columns", "must be 1 to %d columns, not %d", maxColumns, n)
		return nil
	}
	columns := make([]map[string]any, len(list))
	for i, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			c.add(fmt.Sprintf("%s/columns/%d", at, i), "must be an object")
			return nil
		}
		columns[i] = o
	}
	return columns
}
