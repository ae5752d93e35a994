package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"kaiwa/internal/fold"
)

// wording is a customer's text, made ready once for every comparison.
type wording struct {
	text   string // as written
	folded string
	key    string
}

func hear(text string) wording {
	folded := fold.Text(text)
	return wording{text: text, folded: folded, key: fold.Bare(folded)}
}

// mentions tells whether word occurs in text, both folded: between word
// boundaries where its script writes them, anywhere where it does not.
func mentions(text, word string) bool {
	if word == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(word)
		if !glued(text[:start], word) && !glued(text[:end], text[end:]) {
			return true
		}
		_, size := utf8.DecodeRuneInString(word)
		from = start + size
	}
}

// glued tells whether two neighbours are parts of one word.
func glued(before, after string) bool {
	l, _ := utf8.DecodeLastRuneInString(before)
	r, _ := utf8.DecodeRuneInString(after)
	return spelled(l) && spelled(r)
}

// unspaced are the scripts that do not put blanks between words, and Korean,
// which glues particles to them.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
	unicode.Tibetan, unicode.Hangul,
}

// spelled tells whether r is a letter or digit of a script with blanks between
// words.
func spelled(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && r != 'ー' && !unicode.In(r, unspaced...)
}
