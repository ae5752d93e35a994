// Package textlen counts texts as LINE does.
package textlen

import "unicode/utf16"

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
