package linesim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/rivo/uniseg"
)

var chatIDPattern = regexp.MustCompile(`^[UCR][0-9a-f]{32}$`)

// validator holds messages against LINE's rules and collects every fault with
// its property path, as LINE does. Source:
// https://developers.line.biz/en/reference/messaging-api/#message-objects
type validator struct {
	details []errorDetail
	// wrongType is the first property of another JSON type: LINE's parser
	// stops there.
	wrongType string
	// flex is the first Flex Message that is wrong: LINE checks those one by
	// one, after the rest.
	flex *flexFault
}

type flexFault struct {
	index   int
	details []errorDetail
}

func newValidator() *validator { return &validator{} }

func (v *validator) add(property, format string, args ...any) {
	v.details = append(v.details, errorDetail{Message: fmt.Sprintf(format, args...), Property: property})
}

func (v *validator) invalid(property string) {
	if v.wrongType == "" {
		v.wrongType = property
	}
}

// refusal is LINE's 400, or nil when all is well.
func (v *validator) refusal() *answer {
	var a answer
	switch {
	case v.wrongType != "":
		a = refuse(http.StatusBadRequest, fmt.Sprintf("The property, '%s', in the request body is invalid (line: -, column: -)", v.wrongType))
	case len(v.details) > 0:
		a = refuse(http.StatusBadRequest, fmt.Sprintf("The request body has %d error(s)", len(v.details)), v.details...)
	case v.flex != nil:
		a = refuse(http.StatusBadRequest, fmt.Sprintf("A message (messages[%d]) in the request body is invalid", v.flex.index), v.flex.details...)
	default:
		return nil
	}
	return &a
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// textRule bounds a string. Length counts UTF-16 units, or graphemes (what a
// reader calls a character) for labels and template texts. Source:
// https://developers.line.biz/en/docs/messaging-api/text-character-count/
type textRule struct {
	required  bool
	max       int // 0: none
	graphemes bool
	oneOf     []string
}

func (v *validator) text(m map[string]any, path, name string, r textRule) string {
	path = join(path, name)
	value, ok := m[name]
	if !ok || value == nil {
		if r.required {
			v.add(path, "May not be empty")
		}
		return ""
	}
	s, ok := value.(string)
	if !ok {
		v.invalid(path)
		return ""
	}
	if s == "" && r.required {
		v.add(path, "May not be empty")
		return ""
	}
	n := len(utf16.Encode([]rune(s)))
	if r.graphemes {
		n = uniseg.GraphemeClusterCount(s)
	}
	if r.max > 0 && n > r.max {
		v.add(path, "Length must be between 0 and %d", r.max)
	}
	if len(r.oneOf) > 0 && s != "" && !slices.Contains(r.oneOf, s) {
		v.add(path, "Must be one of the following values: [%s]", strings.Join(r.oneOf, ", "))
	}
	return s
}

func (v *validator) number(m map[string]any, path, name string, required bool, low, high float64) {
	path = join(path, name)
	value, ok := m[name]
	if !ok || value == nil {
		if required {
			v.add(path, "May not be null")
		}
		return
	}
	n, ok := value.(json.Number)
	if !ok {
		v.invalid(path)
		return
	}
	f, err := n.Float64()
	if err != nil {
		v.invalid(path)
		return
	}
	if f < low || f > high {
		v.add(path, "Must be between %v and %v", low, high)
	}
}

func (v *validator) object(m map[string]any, path, name string, required bool) (map[string]any, string) {
	path = join(path, name)
	value, ok := m[name]
	if !ok || value == nil {
		if required {
			v.add(path, "May not be null")
		}
		return nil, path
	}
	o, ok := value.(map[string]any)
	if !ok {
		v.invalid(path)
	}
	return o, path
}

// list gives the objects of an array, whose size must be within low and high.
func (v *validator) list(m map[string]any, path, name string, required bool, low, high int) ([]map[string]any, string) {
	path = join(path, name)
	value, ok := m[name]
	if !ok || value == nil {
		if required {
			v.add(path, "May not be empty")
		}
		return nil, path
	}
	items, ok := value.([]any)
	if !ok {
		v.invalid(path)
		return nil, path
	}
	if len(items) < low || len(items) > high {
		v.add(path, "Size must be between %d and %d", low, high)
	}
	out := make([]map[string]any, len(items))
	for i, item := range items {
		if out[i], ok = item.(map[string]any); !ok {
			v.invalid(at(path, i))
			return nil, path
		}
	}
	return out, path
}

// link checks a URL the LINE app will load: HTTPS, at most 2,000 characters.
// http is let through for the machine the simulator runs on.
func (v *validator) link(m map[string]any, path, name string, required bool) {
	s := v.text(m, path, name, textRule{required: required, max: 2000})
	if s == "" {
		return
	}
	if problem := linkProblem(s); problem != "" {
		v.add(join(path, name), "%s", problem)
	}
}

func linkProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "invalid uri"
	case u.Scheme == "https" || (u.Scheme == "http" && isLoopback(u.Hostname())):
	default:
		return "invalid uri scheme"
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return "invalid uri" // must be percent-encoded
		}
	}
	return ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (v *validator) userIDs(req map[string]any, name string, limit int) []string {
	value, ok := req[name].([]any)
	if !ok {
		if req[name] == nil {
			v.add(name, "May not be empty")
		} else {
			v.invalid(name)
		}
		return nil
	}
	if len(value) < 1 || len(value) > limit {
		v.add(name, "Size must be between 1 and %d", limit)
	}
	ids := []string{}
	for i, item := range value {
		id, ok := item.(string)
		if !ok || !userIDPattern.MatchString(id) {
			v.invalid(at(name, i))
			return nil
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

var messageTypes = []string{"text", "textV2", "sticker", "image", "video", "audio", "location", "imagemap", "template", "flex", "coupon"}

// messages checks and returns the call's 1 to 5 messages.
func (v *validator) messages(req map[string]any) []map[string]any {
	if flag, ok := req["notificationDisabled"]; ok && flag != nil {
		if _, ok := flag.(bool); !ok {
			v.invalid("notificationDisabled")
		}
	}
	list, path := v.list(req, "", "messages", true, 1, 5)
	for i, m := range list {
		v.message(m, at(path, i), i)
	}
	return list
}

func (v *validator) message(m map[string]any, path string, index int) {
	kind := v.text(m, path, "type", textRule{required: true, oneOf: messageTypes})
	switch kind {
	case "text":
		v.text(m, path, "text", textRule{required: true, max: 5000})
		v.emojis(m, path)
	case "textV2":
		v.textV2(m, path)
	case "sticker":
		v.text(m, path, "packageId", textRule{required: true})
		v.text(m, path, "stickerId", textRule{required: true})
	case "image":
		v.link(m, path, "originalContentUrl", true)
		v.link(m, path, "previewImageUrl", true)
	case "video":
		v.link(m, path, "originalContentUrl", true)
		v.link(m, path, "previewImageUrl", true)
		v.text(m, path, "trackingId", textRule{max: 100})
		if id, _ := m["trackingId"].(string); !trackingIDPattern.MatchString(id) {
			v.add(join(path, "trackingId"), "Invalid characters")
		}
	case "audio":
		v.link(m, path, "originalContentUrl", true)
		v.number(m, path, "duration", true, 1, 1<<53)
	case "location":
		v.text(m, path, "title", textRule{required: true, max: 100})
		v.text(m, path, "address", textRule{required: true, max: 100})
		v.number(m, path, "latitude", true, -90, 90)
		v.number(m, path, "longitude", true, -180, 180)
	case "imagemap":
		v.imagemap(m, path)
	case "template":
		v.template(m, path)
	case "flex":
		v.text(m, path, "altText", textRule{required: true, max: 1500})
		if contents, cpath := v.object(m, path, "contents", true); contents != nil {
			v.flexMessage(contents, cpath, index)
		}
	case "coupon":
		v.text(m, path, "couponId", textRule{required: true})
		v.text(m, path, "deliveryTag", textRule{max: 30})
	}
	v.quickReply(m, path)
	v.sender(m, path)
	v.text(m, path, "quoteToken", textRule{})
}

// emojis stand where the text has "$". Source:
// https://developers.line.biz/en/reference/messaging-api/#text-message
func (v *validator) emojis(m map[string]any, path string) {
	list, epath := v.list(m, path, "emojis", false, 0, 20)
	text, ok := m["text"].(string)
	if !ok {
		return
	}
	units := utf16.Encode([]rune(text))
	for i, e := range list {
		v.text(e, at(epath, i), "productId", textRule{required: true})
		v.text(e, at(epath, i), "emojiId", textRule{required: true})
		n, ok := e["index"].(json.Number)
		if !ok {
			v.invalid(join(at(epath, i), "index"))
			return
		}
		index, err := strconv.Atoi(n.String())
		if err != nil || index < 0 || index >= len(units) || units[index] != '$' {
			v.add(join(at(epath, i), "index"), "The character at the index must be $")
		}
	}
}

var placeholder = regexp.MustCompile(`\{([0-9A-Za-z_]{1,20})\}`)

func (v *validator) textV2(m map[string]any, path string) {
	text := v.text(m, path, "text", textRule{required: true, max: 5000})
	substitution, spath := v.object(m, path, "substitution", false)
	// {{ and }} stand for the braces themselves.
	bare := strings.NewReplacer("{{", "", "}}", "").Replace(text)
	for _, match := range placeholder.FindAllStringSubmatch(bare, -1) {
		if _, ok := substitution[match[1]]; !ok {
			v.add(join(spath, match[1]), "Must be specified for the placeholder {%s}", match[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(substitution)) {
		o, opath := v.object(substitution, spath, name, true)
		if o == nil {
			continue
		}
		switch v.text(o, opath, "type", textRule{required: true, oneOf: []string{"mention", "emoji"}}) {
		case "emoji":
			v.text(o, opath, "productId", textRule{required: true})
			v.text(o, opath, "emojiId", textRule{required: true})
		case "mention":
			if target, tpath := v.object(o, opath, "mentionee", true); target != nil {
				if v.text(target, tpath, "type", textRule{required: true, oneOf: []string{"user", "all"}}) == "user" {
					v.text(target, tpath, "userId", textRule{required: true})
				}
			}
		}
	}
}

func (v *validator) sender(m map[string]any, path string) {
	sender, spath := v.object(m, path, "sender", false)
	if sender == nil {
		return
	}
	if name := v.text(sender, spath, "name", textRule{max: 20}); strings.EqualFold(strings.TrimSpace(name), "LINE") {
		v.add(join(spath, "name"), "The name must not be LINE")
	}
	v.link(sender, spath, "iconUrl", false)
}

func (v *validator) quickReply(m map[string]any, path string) {
	quick, qpath := v.object(m, path, "quickReply", false)
	if quick == nil {
		return
	}
	items, ipath := v.list(quick, qpath, "items", true, 1, 13)
	for i, item := range items {
		v.text(item, at(ipath, i), "type", textRule{required: true, oneOf: []string{"action"}})
		v.link(item, at(ipath, i), "imageUrl", false)
		if action, apath := v.object(item, at(ipath, i), "action", true); action != nil {
			v.action(action, apath, actionRule{label: 20, labelRequired: true, quick: true})
		}
	}
}

// actionRule is what differs with where an action sits.
type actionRule struct {
	label         int // graphemes
	labelRequired bool
	quick         bool // in a quick reply: camera, camera roll and location too
	menu          bool // in a rich menu: switching to another one, too
}

// actionTypes leaves out richmenuswitch, which only rich menus have.
var actionTypes = []string{"postback", "message", "uri", "datetimepicker", "clipboard"}

// momentShapes are how a datetime picker writes its dates and times, by mode.
var momentShapes = map[string]*regexp.Regexp{
	"date":     regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`),
	"time":     regexp.MustCompile(`^\d{2}:\d{2}$`),
	"datetime": regexp.MustCompile(`^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}$`),
}

// action checks an action. Source:
// https://developers.line.biz/en/reference/messaging-api/#action-objects
func (v *validator) action(a map[string]any, path string, r actionRule) {
	types := actionTypes
	if r.quick {
		types = append(slices.Clone(types), "camera", "cameraRoll", "location")
	}
	if r.menu {
		types = append(slices.Clone(types), "richmenuswitch")
	}
	kind := v.text(a, path, "type", textRule{required: true, oneOf: types})
	v.text(a, path, "label", textRule{required: r.labelRequired, max: r.label, graphemes: true})
	switch kind {
	case "postback":
		v.text(a, path, "data", textRule{required: true, max: 300})
		shown := v.text(a, path, "displayText", textRule{max: 300, graphemes: true})
		said := v.text(a, path, "text", textRule{max: 300, graphemes: true})
		if shown != "" && said != "" {
			v.add(join(path, "displayText"), "displayText and text cannot both be used")
		}
		v.text(a, path, "fillInText", textRule{max: 300, graphemes: true})
		v.text(a, path, "inputOption", textRule{oneOf: []string{"closeRichMenu", "openRichMenu", "openKeyboard", "openVoice"}})
	case "message":
		v.text(a, path, "text", textRule{required: true, max: 300, graphemes: true})
	case "uri":
		v.opens(a, path, "uri", true)
		if alt, apath := v.object(a, path, "altUri", false); alt != nil {
			v.opens(alt, apath, "desktop", false)
		}
	case "datetimepicker":
		v.text(a, path, "data", textRule{required: true, max: 300})
		mode := v.text(a, path, "mode", textRule{required: true, oneOf: []string{"date", "time", "datetime"}})
		for _, name := range []string{"initial", "max", "min"} {
			s := v.text(a, path, name, textRule{})
			if shape := momentShapes[mode]; s != "" && shape != nil && (!shape.MatchString(s) || mode != "time" && (s < "1900" || s >= "2101")) {
				v.add(join(path, name), "Must be a valid %s", mode)
			}
		}
	case "clipboard":
		v.text(a, path, "clipboardText", textRule{required: true, max: 1000})
	case "richmenuswitch":
		v.text(a, path, "richMenuAliasId", textRule{required: true, max: 32})
		v.text(a, path, "data", textRule{required: true, max: 300})
	}
}

// opens checks what tapping something opens.
func (v *validator) opens(m map[string]any, path, name string, required bool) {
	s := v.text(m, path, name, textRule{required: required, max: 1000})
	u, err := url.Parse(s)
	if s != "" && (err != nil || !slices.Contains([]string{"http", "https", "line", "tel"}, u.Scheme)) {
		v.add(join(path, name), "invalid uri scheme")
	}
}

func (v *validator) imagemap(m map[string]any, path string) {
	v.link(m, path, "baseUrl", true)
	v.text(m, path, "altText", textRule{required: true, max: 1500})
	if size, spath := v.object(m, path, "baseSize", true); size != nil {
		v.number(size, spath, "width", true, 1040, 1040)
		v.number(size, spath, "height", true, 1, 1<<31)
	}
	actions, apath := v.list(m, path, "actions", true, 0, 50)
	for i, a := range actions {
		p := at(apath, i)
		switch v.text(a, p, "type", textRule{required: true, oneOf: []string{"uri", "message", "clipboard"}}) {
		case "uri":
			v.opens(a, p, "linkUri", true)
		case "message":
			v.text(a, p, "text", textRule{required: true, max: 400})
		case "clipboard":
			v.text(a, p, "clipboardText", textRule{required: true, max: 1000})
		}
		v.text(a, p, "label", textRule{max: 100})
		v.area(a, p)
	}
	video, vpath := v.object(m, path, "video", false)
	if video == nil {
		return
	}
	v.link(video, vpath, "originalContentUrl", true)
	v.link(video, vpath, "previewImageUrl", true)
	v.area(video, vpath)
	if link, lpath := v.object(video, vpath, "externalLink", false); link != nil {
		v.opens(link, lpath, "linkUri", true)
		v.text(link, lpath, "label", textRule{required: true, max: 30})
	}
}

func (v *validator) area(m map[string]any, path string) {
	area, path := v.object(m, path, "area", true)
	if area == nil {
		return
	}
	for _, side := range []string{"x", "y", "width", "height"} {
		v.number(area, path, side, true, 0, 1<<31)
	}
}

// template checks the four template messages. Source:
// https://developers.line.biz/en/reference/messaging-api/#template-messages
func (v *validator) template(m map[string]any, path string) {
	v.text(m, path, "altText", textRule{required: true, max: 1500})
	t, path := v.object(m, path, "template", true)
	if t == nil {
		return
	}
	switch v.text(t, path, "type", textRule{required: true, oneOf: []string{"buttons", "confirm", "carousel", "image_carousel"}}) {
	case "buttons":
		v.card(t, path, 160, 60)
		v.actions(t, path, 1, 4)
	case "confirm":
		v.text(t, path, "text", textRule{required: true, max: 240, graphemes: true})
		v.actions(t, path, 2, 2)
	case "carousel":
		columns, cpath := v.list(t, path, "columns", true, 1, 10)
		count := -1
		for i, column := range columns {
			for _, name := range []string{"thumbnailImageUrl", "title"} {
				if (column[name] == nil) != (columns[0][name] == nil) {
					v.add(join(at(cpath, i), name), "All columns must have it, or none")
				}
			}
			v.card(column, at(cpath, i), 120, 60)
			n := v.actions(column, at(cpath, i), 1, 3)
			if count >= 0 && n != count {
				v.add(join(at(cpath, i), "actions"), "The number of actions must be the same in all columns")
			}
			count = n
		}
	case "image_carousel":
		columns, cpath := v.list(t, path, "columns", true, 1, 10)
		for i, column := range columns {
			v.link(column, at(cpath, i), "imageUrl", true)
			if a, apath := v.object(column, at(cpath, i), "action", true); a != nil {
				v.action(a, apath, actionRule{label: 12})
			}
		}
	}
}

// card is the picture, title and text of a buttons template or carousel
// column; the text is shorter beside a picture or title.
func (v *validator) card(t map[string]any, path string, long, short int) {
	v.link(t, path, "thumbnailImageUrl", false)
	title := v.text(t, path, "title", textRule{max: 40, graphemes: true})
	limit := long
	if picture, ok := t["thumbnailImageUrl"].(string); title != "" || (ok && picture != "") {
		limit = short
	}
	v.text(t, path, "text", textRule{required: true, max: limit, graphemes: true})
	if a, apath := v.object(t, path, "defaultAction", false); a != nil {
		v.action(a, apath, actionRule{label: 20})
	}
}

func (v *validator) actions(t map[string]any, path string, low, high int) int {
	actions, apath := v.list(t, path, "actions", true, low, high)
	for i, a := range actions {
		v.action(a, at(apath, i), actionRule{label: 20, labelRequired: true})
	}
	return len(actions)
}
