package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold brings s into the form in which texts are compared: without regard to
// case, to full and half width, to accents on Latin, Greek and Cyrillic
// letters, to the script of digits, and to blanks beyond one. Marks that make
// another letter (Japanese voicing, Thai vowels and tones) stay.
func fold(s string) string {
	s = cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD")))
	var b strings.Builder
	accented := false // the letter before can carry an accent
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
			if accented || unicode.Is(unicode.Variation_Selector, r) {
				continue
			}
		case unicode.Is(unicode.Cf, r): // zero-width joiners and the like
			continue
		default:
			accented = unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic)
		}
		if plain, ok := plainLetters[r]; ok {
			b.WriteString(plain)
		} else {
			b.WriteRune(asciiDigit(r))
		}
	}
	return strings.Join(strings.Fields(norm.NFC.String(b.String())), " ")
}

// plainLetters are what people type who lack a key, where Unicode sees no
// accent to take off.
var plainLetters = map[rune]string{
	'ø': "o", 'æ': "ae", 'œ': "oe", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ı': "i",
	'’': "'", '‘': "'", '“': `"`, '”': `"`,
}

// asciiDigit is the digit r is in another script, such as Thai, or r itself.
func asciiDigit(r rune) rune {
	if r < 0x80 || !unicode.IsDigit(r) {
		return r
	}
	for _, block := range unicode.Nd.R16 {
		if rune(block.Lo) <= r && r <= rune(block.Hi) {
			return '0' + (r-rune(block.Lo))%10
		}
	}
	return r
}

// wording is a customer's text, made ready once for every comparison.
type wording struct {
	text   string // as written
	folded string
	key    string
}

func hear(text string) wording {
	folded := fold(text)
	return wording{text: text, folded: folded, key: bare(folded)}
}

// Key brings a whole message into the form in which it is compared with a word
// it may be: without regard to case, width, accents, and to blanks and
// punctuation around it.
func Key(s string) string { return bare(fold(s)) }

// bare is s without punctuation and symbols around it: "Opening hours?" asks
// for the same as "opening hours". A text of nothing else, such as one emoji,
// stays.
func bare(s string) string {
	inner := strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
	})
	if inner == "" {
		return s
	}
	return inner
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
