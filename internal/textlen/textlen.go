// Package textlen counts texts as LINE does.
package textlen

import (
	"unicode/utf16"

	"github.com/rivo/uniseg"
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
	units, end, state := 0, 0, -1
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
		end += len(cluster)
	}
	return text[:end]
}
