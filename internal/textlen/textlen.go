// Package textlen counts texts as LINE does.
package textlen

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// UTF16 is the length of s in UTF-16 code units: an emoji outside the basic plane
// is two.
//
// Source: https://developers.line.biz/en/docs/messaging-api/text-character-count/
func UTF16(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// Cut shortens a text to at most limit UTF-16 code units, between characters as
// people see them.
func Cut(text string, limit int) string {
	units, at, end, state := 0, 0, 0, -1
	for rest := text; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		for _, r := range cluster {
			units++
			if r > 0xFFFF {
				units++
			}
		}
		if units > limit {
			break
		}
		at += len(cluster)
		if !Within(text, at) {
			end = at
		}
	}
	return text[:end]
}

// Within tells whether the byte offset at, between two grapheme clusters of s, is
// within a conjunct: a sign of a script such as Devanagari that joins the consonant
// before it to the one behind it, which readers take for one character.
//
// Source: https://www.unicode.org/reports/tr29/ (GB9c; its viramas and those of the
// scripts it leaves out)
func Within(s string, at int) bool {
	before := strings.TrimRight(s[:at], "\u200d") // which asks for the joined form
	_, size := utf8.DecodeLastRuneInString(before)
	const virama = 9 // the canonical combining class
	if norm.NFC.PropertiesString(before[len(before)-size:]).CCC() != virama {
		return false
	}
	next, _ := utf8.DecodeRuneInString(s[at:])
	return unicode.IsLetter(next)
}
