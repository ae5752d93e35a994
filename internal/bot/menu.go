package bot

import (
	"slices"
	"strconv"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/fold"
	"kaiwa/internal/textlen"
)

// menu asks the customer to choose, with a quick reply for each option. Quick
// replies vanish with the next message and do not exist on a desktop, so a
// choice may be typed too: its number, its label, its words.
type menu struct {
	text     phrase
	numbered bool // the options are written under the text
	options  []option
}

type option struct {
	label phrase
	text  phrase   // what tapping says, if not the label
	data  string   // what tapping sends instead
	words []string // folded
	keys  []string // the whole messages that choose it, in every language
	uri   string   // what tapping opens
	next  *node    // nil with a uri
}

const maxPrompt = 2000 // UTF-16 units: leaves room for the options under it

func (s *Script) readMenu(v value) *menu {
	v.object("text", "numbered", "options")
	problems := len(v.d.problems)
	m := &menu{text: readPhrase(v.field("text"), s.fallback, maxPrompt, false), numbered: v.field("numbered").truth(false)}
	if !v.field("text").given() {
		v.field("text").wrong("The question is missing.")
	}
	options := v.field("options")
	taken := make(map[string]bool)
	for _, o := range options.list(maxQuickReplies) {
		if !o.object("label", "text", "data", "words", "uri", "goto") {
			continue
		}
		read := s.readOption(o)
		for _, k := range read.keys {
			if taken[k] {
				o.wrong("Another option of this menu is called the same, as far as typing tells.")
				break
			}
		}
		for _, k := range read.keys {
			taken[k] = true
		}
		m.options = append(m.options, read)
	}
	if len(m.options) == 0 {
		options.wrong("There must be 1 to 13 options.")
	}
	if v.d.deep && len(v.d.problems) == problems {
		m.checkButtons(v, s.fallback)
	}
	return m
}

// checkButtons holds each language's buttons against LINE's limits. Their texts
// are not filled in; the question over them is, and split where it is too long.
func (m *menu) checkButtons(v value, fallback string) {
	locales := []string{fallback}
	for _, o := range m.options {
		locales = append(locales, slices.Concat(o.label.locales, o.text.locales)...)
	}
	slices.Sort(locales)
	for _, loc := range slices.Compact(locales) {
		checkDepth(v, m.question(loc, fallback, func(string) string { return "" }), func(pointer string) string {
			if place, of := strings.CutPrefix(pointer, "/quick_replies"); of {
				return "/options" + place
			}
			return ""
		})
	}
}

func (s *Script) readOption(v value) option {
	label := v.field("label")
	o := option{
		label: readPhrase(label, s.fallback, maxButtonText, true),
		text:  readPhrase(v.field("text"), s.fallback, maxButtonText, true),
		data:  v.field("data").text(),
		words: readWords(v.field("words"), false),
		uri:   v.field("uri").text(),
	}
	if !label.given() {
		label.wrong("The label is missing.")
	}
	for _, p := range []phrase{o.label, o.text} {
		for _, loc := range p.locales {
			if k := fold.Key(p.words[loc]); !slices.Contains(o.keys, k) {
				o.keys = append(o.keys, k)
			}
		}
	}
	for _, loc := range o.label.locales {
		at := label
		if _, byLocale := label.v.(map[string]any); byLocale {
			at = label.field(loc)
		}
		checkLabel(at, o.label.words[loc])
	}
	if textlen.UTF16(o.data) > maxButtonData {
		v.field("data").wrong("This is longer than 300 characters.")
	}
	if o.uri != "" {
		checkURI(v.field("uri"), o.uri)
		if v.field("goto").given() || o.data != "" || o.text.given() {
			v.wrong("An option with a uri opens it, and does nothing else.")
		}
		return o
	}
	o.next = s.readGoto(v.field("goto"))
	if o.data != "" {
		s.readTap(v.field("data"), o)
	}
	return o
}

// readTap remembers where the data of an option leads: buttons stay in the
// chat, and may be tapped when the customer has long been elsewhere.
func (s *Script) readTap(v value, o option) {
	if strings.HasPrefix(o.data, tapPrefix) {
		v.wrong(`Data that begins with "goto:" leads to a node by itself.`)
	}
	if known, ok := s.taps[o.data]; ok && known != o.next {
		v.wrong("Another option with the same data leads elsewhere.")
	}
	s.taps[o.data] = o.next
}

// question is the menu as a message.
func (m *menu) question(loc, fallback string, fill func(string) string) conversation.Content {
	var text strings.Builder
	text.WriteString(m.text.in(loc, fallback))
	if m.numbered {
		text.WriteString("\n")
	}
	c := conversation.Content{Type: conversation.ContentQuickReplies}
	for i, o := range m.options {
		label := o.label.in(loc, fallback)
		q := conversation.QuickReply{Label: label, Data: o.data, URI: o.uri}
		if o.uri == "" {
			q.Text = label
			if o.text.given() {
				q.Text = o.text.in(loc, fallback)
			}
		}
		c.QuickReplies = append(c.QuickReplies, q)
		if m.numbered {
			text.WriteString("\n" + strconv.Itoa(i+1) + ". " + label)
		}
	}
	if c.Text = fill(text.String()); strings.TrimSpace(c.Text) == "" {
		c.Text = "…" // every slug was empty, and the buttons need a text
	}
	return c
}

// typed returns the option that a whole message chooses: by its number or what
// it is called.
func (m *menu) typed(w wording) *option {
	if n, err := strconv.Atoi(w.key); err == nil && n >= 1 && n <= len(m.options) {
		return &m.options[n-1]
	}
	for i, o := range m.options {
		if slices.Contains(o.keys, w.key) {
			return &m.options[i]
		}
	}
	return nil
}

// mentioned returns the first option one of whose words occurs in a message.
func (m *menu) mentioned(w wording) *option {
	for i, o := range m.options {
		if slices.ContainsFunc(o.words, func(word string) bool { return mentions(w.folded, word) }) {
			return &m.options[i]
		}
	}
	return nil
}
