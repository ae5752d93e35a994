package linesim

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/rivo/uniseg"
)

// flexChecker holds a Flex Message against LINE's rules. LINE reports these
// apart from other faults, with paths such as /body/contents/0/text. Source:
// https://developers.line.biz/en/reference/messaging-api/#flex-message
type flexChecker struct {
	details []errorDetail
}

const (
	maxBubble   = 30 << 10
	maxCarousel = 50 << 10
	maxBubbles  = 12
)

func (v *validator) flexMessage(contents map[string]any, path string, index int) {
	if _, ok := contents["type"].(string); !ok {
		v.text(contents, path, "type", textRule{required: true})
		return
	}
	f := &flexChecker{}
	f.container(contents)
	if len(f.details) > 0 && v.flex == nil {
		v.flex = &flexFault{index: index, details: f.details}
	}
}

func (f *flexChecker) add(path, message string) {
	if path == "" {
		path = "/"
	}
	f.details = append(f.details, errorDetail{Message: message, Property: path})
}

func (f *flexChecker) container(c map[string]any) {
	switch c["type"] {
	case "bubble":
		f.bubble(c, "")
	case "carousel":
		if size(c) > maxCarousel {
			f.add("", "too large; the limit of a carousel is 50 KB")
		}
		bubbles, ok := c["contents"].([]any)
		if !ok || len(bubbles) == 0 {
			f.add("/contents", "must be specified")
			return
		}
		if len(bubbles) > maxBubbles {
			f.add("/contents", "size must be between 1 and 12")
		}
		for i, b := range bubbles {
			path := "/contents/" + strconv.Itoa(i)
			bubble, ok := b.(map[string]any)
			if !ok || bubble["type"] != "bubble" {
				f.add(path+"/type", "invalid property")
				continue
			}
			f.bubble(bubble, path)
		}
	default:
		f.add("/type", "invalid property")
	}
}

func size(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return 0 // it was parsed from JSON a moment ago
	}
	return len(b)
}

func (f *flexChecker) bubble(b map[string]any, path string) {
	if size(b) > maxBubble {
		f.add(path, "too large; the limit of a bubble is 30 KB")
	}
	blocks := 0
	for _, name := range []string{"header", "hero", "body", "footer"} {
		value, ok := b[name]
		if !ok || value == nil {
			continue
		}
		blocks++
		allowed := []string{"box"}
		if name == "hero" {
			allowed = []string{"box", "image", "video"}
		}
		f.component(value, path+"/"+name, allowed)
	}
	if blocks == 0 {
		f.add(path, "At least one block must be specified")
	}
	f.oneOf(b, path, "size", "nano", "micro", "deca", "hecto", "kilo", "mega", "giga")
	f.oneOf(b, path, "direction", "ltr", "rtl")
	f.action(b, path, false)
}

var (
	inBox      = []string{"box", "button", "image", "text", "separator", "filler"}
	inBaseline = []string{"icon", "text", "filler"}
)

func (f *flexChecker) component(value any, path string, allowed []string) {
	c, ok := value.(map[string]any)
	if !ok {
		f.add(path, "invalid property")
		return
	}
	kind, ok := c["type"].(string)
	if !ok || kind == "" {
		f.add(path+"/type", "must be specified")
		return
	}
	if !slices.Contains(allowed, kind) {
		f.add(path, "invalid property")
		return
	}
	switch kind {
	case "box":
		f.box(c, path)
	case "button":
		f.action(c, path, true)
		f.oneOf(c, path, "style", "primary", "secondary", "link")
		f.oneOf(c, path, "height", "sm", "md")
	case "image":
		f.link(c, path, "url")
		f.action(c, path, false)
	case "icon":
		f.link(c, path, "url")
	case "video":
		f.link(c, path, "url")
		f.link(c, path, "previewUrl")
		if alt, ok := c["altContent"]; ok {
			f.component(alt, path+"/altContent", []string{"box", "image"})
		} else {
			f.add(path+"/altContent", "must be specified")
		}
	case "text":
		f.words(c, path)
	}
}

func (f *flexChecker) box(c map[string]any, path string) {
	layout, ok := c["layout"].(string)
	if !ok || layout == "" {
		f.add(path+"/layout", "must be specified")
	} else {
		f.oneOf(c, path, "layout", "horizontal", "vertical", "baseline")
	}
	contents, ok := c["contents"].([]any)
	if !ok {
		f.add(path+"/contents", "must be specified")
		return
	}
	allowed := inBox
	if layout == "baseline" {
		allowed = inBaseline
	}
	for i, child := range contents {
		f.component(child, path+"/contents/"+strconv.Itoa(i), allowed)
	}
	f.action(c, path, false)
}

func (f *flexChecker) words(c map[string]any, path string) {
	text, hasText := c["text"].(string)
	spans, hasSpans := c["contents"].([]any)
	if (!hasText || text == "") && !hasSpans {
		f.add(path+"/text", "must be specified")
	}
	for i, s := range spans {
		span, ok := s.(map[string]any)
		if !ok || span["type"] != "span" {
			f.add(path+"/contents/"+strconv.Itoa(i), "invalid property")
		}
	}
	f.oneOf(c, path, "weight", "regular", "bold")
	f.oneOf(c, path, "align", "start", "end", "center")
	f.action(c, path, false)
}

func (f *flexChecker) oneOf(c map[string]any, path, name string, values ...string) {
	value, ok := c[name]
	if !ok || value == nil {
		return
	}
	if s, ok := value.(string); !ok || !slices.Contains(values, s) {
		f.add(path+"/"+name, "invalid property")
	}
}

func (f *flexChecker) link(c map[string]any, path, name string) {
	s, ok := c[name].(string)
	if !ok || s == "" {
		f.add(path+"/"+name, "must be specified")
		return
	}
	if problem := linkProblem(s); problem != "" {
		f.add(path+"/"+name, problem)
	}
}

// action checks an action inside a Flex Message; only buttons must have one,
// with a label of at most 40 graphemes.
func (f *flexChecker) action(c map[string]any, path string, required bool) {
	path += "/action"
	value, ok := c["action"]
	if !ok || value == nil {
		if required {
			f.add(path, "must be specified")
		}
		return
	}
	a, ok := value.(map[string]any)
	if !ok {
		f.add(path, "invalid property")
		return
	}
	kind, ok := a["type"].(string)
	if !ok || !slices.Contains(actionTypes, kind) {
		f.add(path+"/type", "invalid property")
		return
	}
	label, hasLabel := a["label"].(string)
	if required && (!hasLabel || label == "") {
		f.add(path+"/label", "must be specified")
	}
	if uniseg.GraphemeClusterCount(label) > 40 {
		f.add(path+"/label", "must be at most 40 characters")
	}
	field, limit := map[string]string{"postback": "data", "message": "text", "uri": "uri", "datetimepicker": "data", "clipboard": "clipboardText"}[kind], 300
	if kind == "uri" || kind == "clipboard" {
		limit = 1000
	}
	s, ok := a[field].(string)
	switch {
	case !ok || s == "":
		f.add(path+"/"+field, "must be specified")
	case len(utf16.Encode([]rune(s))) > limit:
		f.add(path+"/"+field, "must be at most "+strconv.Itoa(limit)+" characters")
	case kind == "uri":
		if u, err := url.Parse(s); err != nil || !slices.Contains([]string{"http", "https", "line", "tel"}, u.Scheme) {
			f.add(path+"/uri", "invalid uri scheme")
		}
	}
}
