package automessage

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
)

// MaxText is the longest text of an override, in characters.
const MaxText = 2000

// Override changes one automated message of one workstream or channel: its
// words, whether it is sent, or both.
type Override struct {
	Trigger Trigger
	Locale  string // whom it is for; "" is every locale without an override of its own
	Text    string // "" keeps the words of the layer below
	Enabled *bool  // nil keeps the switch of the layer below
}

// Text returns what trigger t says to a reader of locale, slugs not yet filled
// in, and whether it says it at all. Layers are the overrides of a workstream,
// a channel, …, the most specific last; the defaults lie under all of them.
//
// The most specific layer that has the reader's language wins. When no layer
// and no default has it, the reader gets DefaultLocale, likewise layer by
// layer. An unknown trigger says nothing and is off.
func Text(t Trigger, loc string, layers ...[]Override) (text string, on bool) {
	if !t.Valid() {
		return "", false
	}
	text = words(t, loc, layers)
	if text == "" {
		text = words(t, DefaultLocale, layers)
	}
	return text, enabled(t, loc, layers)
}

// Default returns what t says where nothing overrides it, to a reader of loc.
func Default(t Trigger, loc string) string {
	text, _ := Text(t, loc)
	return text
}

func words(t Trigger, loc string, layers [][]Override) string {
	for i := len(layers) - 1; i >= 0; i-- {
		if o, ok := pick(t, loc, layers[i], func(o Override) bool { return o.Text != "" }); ok {
			return o.Text
		}
	}
	var have []string
	for _, l := range Locales() {
		if _, ok := defaults[t][l]; ok {
			have = append(have, l)
		}
	}
	return defaults[t][locale.Match(loc, have)]
}

func enabled(t Trigger, loc string, layers [][]Override) bool {
	for i := len(layers) - 1; i >= 0; i-- {
		if o, ok := pick(t, loc, layers[i], func(o Override) bool { return o.Enabled != nil }); ok {
			return *o.Enabled
		}
	}
	return t.OnByDefault()
}

// pick finds the override of a layer that is nearest to the reader among those
// that say anything on the matter.
func pick(t Trigger, loc string, layer []Override, says func(Override) bool) (Override, bool) {
	byLocale := make(map[string]Override)
	var have []string
	for _, o := range layer {
		if o.Trigger == t && says(o) {
			byLocale[o.Locale] = o
			have = append(have, o.Locale)
		}
	}
	o, ok := byLocale[locale.Match(loc, have)] // no match is "", which is every locale
	return o, ok
}

// Locales lists the languages every trigger has words in.
func Locales() []string { return []string{"en", "ja", "th", "zh-TW", "da"} }

// Validate checks an override before it is stored. It returns an Error of
// CodeInvalid that names every wrong field: the trigger or locale unknown, the
// text blank or over MaxText characters, a slug in it unknown, or nothing
// overridden at all. ConsentQuestion cannot be switched off: without it the
// customer would wait for ever.
func Validate(o Override) error {
	var fields []conversation.FieldError
	wrong := func(pointer, detail string) {
		fields = append(fields, conversation.FieldError{Pointer: pointer, Detail: detail})
	}
	if !o.Trigger.Valid() {
		wrong("/trigger", "There is no such trigger.")
	}
	if o.Locale != "" && !locale.Valid(o.Locale) {
		wrong("/locale", "This is not a known language tag such as en, ja or zh-TW.")
	}
	if o.Text == "" && o.Enabled == nil {
		wrong("/text", "Neither a text nor a switch is given.")
	}
	if o.Text != "" {
		for _, fault := range CheckText(o.Text) {
			wrong("/text", fault)
		}
	}
	if o.Trigger == ConsentQuestion && o.Enabled != nil && !*o.Enabled {
		wrong("/enabled", "Where consent is required the question is asked. Do not require consent instead.")
	}
	if len(fields) == 0 {
		return nil
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: "The automated message is not valid.", Fields: fields}
}

// CheckText says what is wrong with a text that people write for Kaiwa to say:
// blank or over MaxText characters, what cannot be sent, slugs that are unknown.
func CheckText(text string) (faults []string) {
	switch {
	case strings.TrimSpace(text) == "":
		faults = append(faults, "The text is blank.")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, forbidden):
		faults = append(faults, "The text contains characters that cannot be sent.")
	case utf8.RuneCountInString(text) > MaxText:
		faults = append(faults, "The text is longer than 2,000 characters.")
	}
	for _, s := range Slugs(text) {
		if !s.Known() {
			faults = append(faults, "There is no slug "+s.String()+".")
		}
	}
	return faults
}

func forbidden(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
