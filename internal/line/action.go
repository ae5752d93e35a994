package line

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"kaiwa/internal/textlen"
)

// actionRules are what differs by where an action stands.
type actionRules struct {
	label    int  // graphemes, at most
	required bool // whether there must be a label
	quick    bool // on a quick reply, which may open the camera and ask for a place
}

var (
	templateAction      = actionRules{label: maxLabel, required: true}
	imageCarouselAction = actionRules{label: 12}
	defaultAction       = actionRules{label: maxLabel}
	flexAction          = actionRules{label: maxFlexLabel}
	flexButtonAction    = actionRules{label: maxFlexLabel, required: true}
)

const (
	maxFlexLabel = 40
	maxClipboard = 1000
)

// action checks one of LINE's action objects within a template, a flex message
// or a quick reply. Kinds of action it does not know are left to LINE.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#action-objects
func (c *check) action(at string, v any, rules actionRules) {
	a, ok := v.(map[string]any)
	if !ok {
		c.add(at, "must be an action object")
		return
	}
	if label, ok := c.optional(at, a, "label"); ok {
		c.graphemes(at+"/label", label, rules.label)
	} else if rules.required && a["label"] == nil {
		c.add(at+"/label", "must be 1 to %d characters, not 0", rules.label)
	}
	kind, _ := a["type"].(string)
	switch kind {
	case "":
		c.add(at+"/type", "is missing")
	case "message":
		said, _ := a["text"].(string)
		c.graphemes(at+"/text", said, maxActionText)
	case "uri":
		uri, _ := a["uri"].(string)
		c.actionURI(at+"/uri", uri)
		if v, there := a["altUri"]; there {
			alt, _ := v.(map[string]any)
			desktop, _ := alt["desktop"].(string)
			c.actionURI(at+"/altUri/desktop", desktop)
		}
	case "camera", "cameraRoll", "location":
		if !rules.quick {
			c.add(at+"/type", "must not be %s: only a quick reply may", kind)
		}
	case "richmenuswitch":
		c.add(at+"/type", "must not be richmenuswitch: only a rich menu may")
	case "postback":
		c.postback(at, a)
	case "datetimepicker":
		c.required(at, a, "data", maxPostback)
		c.moments(at, a)
	case "clipboard":
		c.required(at, a, "clipboardText", maxClipboard)
	}
}

// postback checks what an action of that type has beside its label.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#postback-action
func (c *check) postback(at string, a map[string]any) {
	c.required(at, a, "data", maxPostback)
	option, ok := c.optional(at, a, "inputOption")
	if ok && !slices.Contains(inputOptions, option) {
		c.add(at+"/inputOption", "must be %s", strings.Join(inputOptions, ", "))
	}
	given := map[string]bool{}
	for _, name := range []string{"displayText", "text", "fillInText"} {
		var s string
		if s, given[name] = c.optional(at, a, name); given[name] && uniseg.GraphemeClusterCount(s) > maxActionText {
			c.add(at+"/"+name, "must be at most %d characters, not %d", maxActionText, uniseg.GraphemeClusterCount(s))
		}
	}
	if given["displayText"] && given["text"] {
		c.add(at+"/text", "must be left out beside displayText")
	}
	if given["fillInText"] && option != "openKeyboard" {
		c.add(at+"/inputOption", "must be openKeyboard for fillInText to be filled in")
	}
}

// inputOptions are what a postback may do to the keyboard and the rich menu.
var inputOptions = []string{"closeRichMenu", "openRichMenu", "openKeyboard", "openVoice"}

// moments checks what a date or time may be chosen from.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#datetime-picker-action
func (c *check) moments(at string, a map[string]any) {
	mode, _ := a["mode"].(string)
	layout, known := map[string]string{"date": "2006-01-02", "time": "15:04", "datetime": "2006-01-02T15:04"}[mode]
	if !known {
		c.add(at+"/mode", "must be date, time or datetime")
		return
	}
	found := map[string]time.Time{}
	for _, name := range []string{"initial", "max", "min"} {
		s, ok := c.optional(at, a, name)
		if !ok {
			continue
		}
		m, err := time.Parse(layout, strings.ToUpper(s)) // LINE takes a small T, too
		if err != nil {
			c.add(at+"/"+name, "must be written as %s", layout)
			continue
		}
		if mode != "time" && (m.Year() < 1900 || m.Year() > 2100) {
			c.add(at+"/"+name, "must be in the years 1900 to 2100")
		}
		found[name] = m
	}
	low, hasLow := found["min"]
	high, hasHigh := found["max"]
	if hasLow && hasHigh && !low.Before(high) {
		c.add(at+"/min", "must be before max")
	}
}

// actionURI checks what tapping a button opens.
func (c *check) actionURI(at, raw string) {
	n := textlen.UTF16(raw)
	if n < 1 || n > maxActionURI {
		c.add(at, "must be 1 to %d characters (UTF-16 units), not %d", maxActionURI, n)
		return
	}
	u, err := url.Parse(raw)
	if err != nil {
		c.add(at, "is not a URI")
		return
	}
	if !percentEncoded(raw) {
		c.add(at, "must be percent-encoded")
		return
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	case u.Scheme == "line" || u.Scheme == "tel":
	default:
		c.add(at, "must be an http, https, line or tel URI")
	}
}

// required checks a text that an object must have, of 1 to limit UTF-16 units.
func (c *check) required(at string, o map[string]any, name string, limit int) {
	s, _ := o[name].(string)
	c.units(at+"/"+name, s, limit)
}

// optional returns a text an object may have; ok is false when it has not.
func (c *check) optional(at string, o map[string]any, name string) (s string, ok bool) {
	v, there := o[name]
	if !there || v == nil {
		return "", false
	}
	if s, ok = v.(string); !ok {
		c.add(at+"/"+name, "must be a text")
	}
	return s, ok
}
