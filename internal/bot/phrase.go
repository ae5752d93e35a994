package bot

import (
	"slices"
	"strings"

	"kaiwa/internal/automessage"
	"kaiwa/internal/fold"
	"kaiwa/internal/locale"
	"kaiwa/internal/textlen"
)

// maxLocales bounds the languages of one text.
const maxLocales = 40

// phrase is one text in several languages. In a script it stands as an object,
// {"en": "Hello", "ja": "こんにちは"}, or as a plain string for the default
// language alone.
type phrase struct {
	locales []string
	words   map[string]string
}

func (p phrase) given() bool { return len(p.locales) > 0 }

// in returns the words for a reader of loc, or else of fallback.
func (p phrase) in(loc, fallback string) string {
	found := locale.Match(loc, p.locales)
	if found == "" {
		found = locale.Match(fallback, p.locales)
	}
	return p.words[found]
}

// readPhrase reads a text of at most limit UTF-16 units in each language; it is
// empty when not given. Slugs in it must be ones a script can fill in, or none
// at all if plain.
func readPhrase(v value, fallback string, limit int, plain bool) phrase {
	if !v.given() {
		return phrase{}
	}
	var all []member
	switch v.v.(type) {
	case string:
		all = []member{{fallback, v}}
	case map[string]any:
		all = v.members()
	default:
		v.wrong("This must be a text, or one for each language.")
		return phrase{}
	}
	p := phrase{words: make(map[string]string)}
	for i, m := range all {
		switch text := m.text(); {
		case i == maxLocales:
			v.wrong("There are more than 40 languages.")
			return p
		case !locale.Valid(m.name):
			m.wrong("This is not a known language tag such as en, ja or zh-TW.")
		case strings.TrimSpace(text) == "":
			m.wrong("The text is blank.")
		case textlen.UTF16(text) > limit:
			m.wrong("The text is too long.")
		default:
			checkSlugs(m.value, text, plain)
			p.locales = append(p.locales, m.name)
			p.words[m.name] = text
		}
	}
	if len(p.locales) == len(all) && locale.Match(fallback, p.locales) == "" {
		v.wrong("The text is missing in the default language.")
	}
	return p
}

// checkSlugs refuses slugs a bot's turn has no value for.
func checkSlugs(v value, text string, plain bool) {
	for _, s := range automessage.Slugs(text) {
		switch {
		case plain:
			v.wrong("Slugs such as " + s.String() + " are not filled in here.")
		case !s.Known() || !s.Variable && s.Name != "customer_name":
			v.wrong("There is no slug " + s.String() + " in a script.")
		}
	}
}

// readWords reads a list of words, or one list for each language, all of them
// folded. Whatever language customers have set, they write in the one that
// comes to mind, so every list counts for everybody.
func readWords(v value, whole bool) []string {
	if !v.given() {
		return nil
	}
	lists := []value{v}
	if _, byLocale := v.v.(map[string]any); byLocale {
		lists = nil
		for _, m := range v.members() {
			if !locale.Valid(m.name) {
				m.wrong("This is not a known language tag such as en, ja or zh-TW.")
			}
			lists = append(lists, m.value)
		}
	}
	var out []string
	for _, l := range lists {
		for _, w := range l.list(maxWords) {
			word := fold.Text(w.shortText(maxWord))
			if whole {
				word = fold.Bare(word)
			}
			if word == "" {
				w.wrong("The word is blank.")
			} else if !slices.Contains(out, word) {
				out = append(out, word)
			}
		}
	}
	return out
}
