// Package language tells in which language a customer writes, by what they wrote
// and without asking anybody. It is made for chats: a few texts of a few words.
//
// What has a script of its own is told by that: Japanese, Korean, Thai. Chinese
// is told from Japanese, and Traditional from Simplified, by characters that only
// one of them has. Languages in Latin letters are told by their most common words
// and by letters of their own: for a handful of words that decides better than
// frequencies of letters do, and weighs next to nothing.
//
// It answers "" rather than guess: "ok", a name or a number is in no language.
package language

import (
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxRunes bounds what is looked at, of the latest texts.
const maxRunes = 4000

// What is no language: addresses, and emoji as LINE writes them in words, such
// as (moon grin). None of the patterns goes on into letters beyond ASCII, which
// may follow without a blank.
var noise = regexp.MustCompile(`(?i)(?:https?://|www\.)[!-~]+|[!-~]+@[!-~]+|\([a-z][a-z _-]{0,30}\)`)

// Of returns the language that texts, oldest first, are written in, as a BCP 47
// tag such as ja, zh-TW or da; zh is Chinese whose kind cannot be told. It
// returns "" when the language cannot be told.
func Of(texts []string) string {
	var c counts
	left := maxRunes
	for _, text := range slices.Backward(texts) {
		plain := noise.ReplaceAllString(norm.NFKC.String(beginning(text, left)), " ")
		c.add(plain)
		if left -= utf8.RuneCountInString(text); left <= 0 {
			break
		}
	}
	return c.language()
}

// beginning is what of a text is within limit runes.
func beginning(text string, limit int) string {
	n := 0
	for i := range text {
		if n == limit {
			return text[:i]
		}
		n++
	}
	return text
}

// counts is what was found in the texts.
type counts struct {
	han, kana, hangul, latin, cyrillic int
	scripts                            map[string]int // letters, by the language that alone has them
	characters                         []rune         // Chinese characters, in order
	cyrillicLetters                    map[rune]bool
	words                              wordCounts
}

// ownScripts are scripts of one language, or of one that stands for the others.
var ownScripts = []struct {
	language string
	script   *unicode.RangeTable
}{
	{"th", unicode.Thai}, {"el", unicode.Greek}, {"he", unicode.Hebrew}, {"ar", unicode.Arabic},
	{"km", unicode.Khmer}, {"lo", unicode.Lao}, {"my", unicode.Myanmar},
}

func (c *counts) add(text string) {
	for _, r := range text {
		switch {
		case r <= unicode.MaxASCII || !unicode.In(r, unicode.L, unicode.M):
			if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
				c.latin++
			}
		case unicode.Is(unicode.Han, r):
			c.han++
			c.characters = append(c.characters, r)
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			if !faces[r] {
				c.kana++
			}
		case '가' <= r && r <= '힣': // single letters of it are laughter everywhere
			c.hangul++
		case unicode.Is(unicode.Latin, r):
			c.latin++
		case unicode.Is(unicode.Cyrillic, r):
			c.cyrillic++
			if c.cyrillicLetters == nil {
				c.cyrillicLetters = map[rune]bool{}
			}
			c.cyrillicLetters[unicode.ToLower(r)] = true
		default:
			for _, own := range ownScripts {
				if unicode.Is(own.script, r) {
					if c.scripts == nil {
						c.scripts = map[string]int{}
					}
					c.scripts[own.language]++
				}
			}
		}
	}
	c.words.add(text)
}

// faces are Japanese letters that are drawn with in any language.
var faces = map[rune]bool{'ヽ': true, 'ヾ': true, 'ヮ': true, 'ノ': true, 'ツ': true, 'シ': true}

// A Chinese character or a syllable says about as much as some letters.
const (
	lettersInCharacter = 4
	lettersInSyllable  = 3
)

// language asks the script that most is written in, and then the next: names of
// products are in Latin letters everywhere.
func (c *counts) language() string {
	type candidate struct {
		weight int
		tell   func() string
	}
	candidates := []candidate{
		{lettersInCharacter * (c.han + c.kana), c.eastAsian},
		{lettersInSyllable * c.hangul, func() string { return "ko" }},
		{c.latin, c.words.language},
		{c.cyrillic, c.inCyrillic},
	}
	for _, own := range ownScripts {
		enough := 2
		if own.language == "el" {
			enough = 5 // its letters are signs in other texts, and in faces
		}
		if n := c.scripts[own.language]; n >= enough {
			candidates = append(candidates, candidate{n, func() string { return own.language }})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return b.weight - a.weight })
	for _, k := range candidates {
		if k.weight == 0 {
			break
		}
		if found := k.tell(); found != "" {
			return found
		}
	}
	return ""
}

// inCyrillic tells Ukrainian from Russian; what has letters of another language
// is neither.
func (c *counts) inCyrillic() string {
	has := func(letters string) bool {
		return slices.ContainsFunc([]rune(letters), func(r rune) bool { return c.cyrillicLetters[r] })
	}
	switch {
	case c.cyrillic < 4 || has("ўјљњћђџѓќѕ"):
		return ""
	case has("іїєґ"):
		return "uk"
	case has("ъ") && !has("ыэё"):
		return "" // Bulgarian has it as a vowel
	}
	return "ru"
}
