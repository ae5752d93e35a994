package bot

import (
	"errors"
	"slices"
	"strings"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
)

// said is a message a script sends: a Content whose texts are phrases. In
// template, contents and imagemap, an object {"$text": phrase} stands for a text in the
// reader's language.
type said struct {
	content                   conversation.Content // what needs no translation
	text, title, address, alt phrase
	object                    any // template, contents or imagemap, with phrases in the place of {"$text": …}
}

// saidFields are the fields of each type beside "type".
var saidFields = map[string][]string{
	conversation.ContentText:     {"text"},
	conversation.ContentImage:    {"url", "preview_url"},
	conversation.ContentVideo:    {"url", "preview_url"},
	conversation.ContentAudio:    {"url", "duration_ms"},
	conversation.ContentSticker:  {"package_id", "sticker_id"},
	conversation.ContentLocation: {"title", "address", "latitude", "longitude"},
	conversation.ContentTemplate: {"alt_text", "template"},
	conversation.ContentFlex:     {"alt_text", "contents"},
	conversation.ContentImagemap: {"alt_text", "imagemap"},
	conversation.ContentCoupon:   {"coupon_id", "delivery_tag"},

	conversation.ContentAccountLink: {"text"},
}

// readSaid reads a list of messages. A bare phrase is a text message.
func readSaid(v value, fallback string) []said {
	var out []said
	for _, m := range v.list(maxSaid) {
		out = append(out, readOneSaid(m, fallback))
	}
	return out
}

func readOneSaid(v value, fallback string) said {
	o, isObject := v.v.(map[string]any)
	_, typed := o["type"]
	_, worded := o["text"]
	if !isObject || !typed && !worded {
		if !v.given() {
			v.wrong("The message is missing.")
		}
		s := said{text: readPhrase(v, fallback, maxText, false)}
		s.content.Type = conversation.ContentText
		return s
	}

	kind := conversation.ContentText
	if typed {
		kind = v.field("type").text()
	}
	fields, known := saidFields[kind]
	if !known {
		v.field("type").wrong("This must be text, image, video, audio, sticker, location, template, flex, imagemap, coupon or account_link.")
		return said{}
	}
	problems := len(v.d.problems)
	v.object(slices.Concat([]string{"type"}, fields)...)
	s := said{
		content: conversation.Content{
			Type:       kind,
			URL:        v.field("url").text(),
			PreviewURL: v.field("preview_url").text(),
			DurationMS: v.field("duration_ms").whole(0, maxDuration, 0),
			PackageID:  v.field("package_id").text(),
			StickerID:  v.field("sticker_id").text(),
			Latitude:   v.field("latitude").number(-90, 90),
			Longitude:  v.field("longitude").number(-180, 180),

			CouponID:    v.field("coupon_id").text(),
			DeliveryTag: v.field("delivery_tag").text(),
		},
		text:    readPhrase(v.field("text"), fallback, maxText, false),
		title:   readPhrase(v.field("title"), fallback, maxPlace, true),
		address: readPhrase(v.field("address"), fallback, maxPlace, true),
		alt:     readPhrase(v.field("alt_text"), fallback, maxAltText, false),
	}
	for _, name := range []string{"template", "contents", "imagemap"} {
		if f := v.field(name); f.given() {
			s.object = readObject(f, fallback)
		}
	}
	if len(v.d.problems) == problems {
		s.check(v, fallback)
	}
	if kind == conversation.ContentImage && s.content.PreviewURL == "" {
		s.content.PreviewURL = s.content.URL
	}
	return s
}

// check holds each language's version, not yet filled in, against LINE's
// limits.
func (s said) check(v value, fallback string) {
	problems := len(v.d.problems)
	for _, loc := range s.locales(fallback) {
		filled := false
		c := s.in(loc, fallback, func(text string) string {
			filled = filled || len(automessage.Slugs(text)) > 0
			return text
		})
		if len(v.d.problems) == problems {
			checkContent(v, c)
		}
		if len(v.d.problems) == problems && v.d.deep && !filled && c.Type != conversation.ContentAccountLink { // whose card is made for each customer
			checkDepth(v, c, func(pointer string) string { return pointer })
		}
	}
}

// checkDepth holds a message that is all there against LINE's limits. at tells
// where in the script's message at v a field of it stands, "" that it does not
// matter.
func checkDepth(v value, c conversation.Content, at func(pointer string) string) {
	var invalid *conversation.Error
	if !errors.As(line.Validate(c), &invalid) {
		return
	}
	for _, f := range invalid.Fields {
		if pointer := at(f.Pointer); pointer != "" {
			v.d.wrong(v.pointer+pointer, f.Detail)
		}
	}
}

// locales lists every language any text of s is in, and fallback.
func (s said) locales(fallback string) []string {
	out := slices.Concat([]string{fallback}, s.text.locales, s.title.locales, s.address.locales, s.alt.locales)
	walk(s.object, func(p phrase) any {
		out = append(out, p.locales...)
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// in is s as a Content for a reader of loc, its texts passed through fill.
func (s said) in(loc, fallback string, fill func(string) string) conversation.Content {
	words := func(p phrase) string { return fill(p.in(loc, fallback)) }
	c := s.content
	c.Text, c.Title, c.Address, c.AltText = words(s.text), words(s.title), words(s.address), firstUnits(words(s.alt), maxAltText)
	if s.object == nil {
		return c
	}
	object := encode(walk(s.object, func(p phrase) any {
		if text := words(p); strings.TrimSpace(text) != "" {
			return text
		}
		return "–" // LINE refuses a whole message for one empty text in it
	}))
	switch c.Type {
	case conversation.ContentTemplate:
		c.Template = object
	case conversation.ContentImagemap:
		c.Imagemap = object
	default:
		c.Contents = object
	}
	return c
}

// readObject copies LINE's object at v with phrases in the place of {"$text"}.
func readObject(v value, fallback string) any {
	if _, ok := v.v.(map[string]any); !ok {
		v.wrong("This must be an object.")
		return nil
	}
	return readPart(v, fallback)
}

func readPart(v value, fallback string) any {
	switch x := v.v.(type) {
	case []any:
		out := make([]any, 0, len(x))
		for _, item := range v.list(len(x)) {
			out = append(out, readPart(item, fallback))
		}
		return out
	case map[string]any:
		if text := v.field("$text"); text.given() {
			v.object("$text")
			return readPhrase(text, fallback, maxText, false)
		}
		out := make(map[string]any, len(x))
		for _, m := range v.members() {
			out[m.name] = readPart(m.value, fallback)
		}
		return out
	default:
		return x
	}
}

// walk copies an object with each phrase replaced by what replace makes of it.
func walk(v any, replace func(phrase) any) any {
	switch x := v.(type) {
	case phrase:
		return replace(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = walk(x[i], replace)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for _, name := range names(x) {
			out[name] = walk(x[name], replace)
		}
		return out
	default:
		return x
	}
}
