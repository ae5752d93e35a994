package line

import "net/url"

// actionRules is what a label must be, which differs by where an action stands.
type actionRules struct {
	label    int  // graphemes, at most
	required bool // whether there must be one
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

// action checks one of LINE's action objects within a template or a flex
// message. Kinds of action it does not know are left to LINE.
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
		c.required(at, a, "text", maxActionText)
	case "uri":
		uri, _ := a["uri"].(string)
		c.actionURI(at+"/uri", uri)
	case "postback":
		c.required(at, a, "data", maxPostback)
		for _, name := range []string{"displayText", "text", "fillInText"} {
			if s, ok := c.optional(at, a, name); ok && UTF16Len(s) > maxActionText {
				c.add(at+"/"+name, "must be at most %d characters (UTF-16 units), not %d", maxActionText, UTF16Len(s))
			}
		}
	case "datetimepicker":
		c.required(at, a, "data", maxPostback)
		if mode, _ := a["mode"].(string); mode != "date" && mode != "time" && mode != "datetime" {
			c.add(at+"/mode", "must be date, time or datetime")
		}
	case "clipboard":
		c.required(at, a, "clipboardText", maxClipboard)
	}
}

// actionURI checks what tapping a button opens.
func (c *check) actionURI(at, raw string) {
	n := UTF16Len(raw)
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
