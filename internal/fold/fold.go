// Package fold compares texts as people read them: what a customer typed with
// a word, a label or a number that somebody wrote down.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Text brings s into the form in which texts are compared: without regard to
// case, to full and half width, to accents on Latin, Greek and Cyrillic
// letters, to the script of digits, and to blanks beyond one. Marks that make
// another letter (Japanese voicing, Thai vowels and tones) stay.
func Text(s string) string {
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
			b.WriteRune(Digit(r))
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

// Digit is the ASCII digit that r is in another script, such as Thai, or r
// itself.
func Digit(r rune) rune {
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

// Key is s folded and bare, to compare whole messages.
func Key(s string) string { return Bare(Text(s)) }

// Bare is s without punctuation and symbols around it: "Opening hours?" asks
// for the same as "opening hours". A text of nothing else, such as one emoji,
// stays.
func Bare(s string) string {
	inner := strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
	})
	if inner == "" {
		return s
	}
	return inner
}
