package line

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/conversation"
)

// MaxText is how long a text message may be, in UTF-16 code units.
const MaxText = 5000

// UTF16Len counts s as LINE counts texts: in UTF-16 code units, so an emoji
// outside the basic plane is two.
//
// Source: https://developers.line.biz/en/docs/messaging-api/text-character-count/
func UTF16Len(s string) int {
	n := 0
	for _, r := range s {
		n += unitsOf(r)
	}
	return n
}

func unitsOf(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// SplitText splits a long text into texts that LINE takes, of at most MaxText
// UTF-16 units each. It cuts after a paragraph if it can, otherwise after a
// line, a sentence or a word, and never inside a character as people see it
// (only one that is itself longer than MaxText is cut between code points).
// The pieces joined are s again. An empty s has no pieces.
func SplitText(s string) []string {
	var pieces []string
	for left := UTF16Len(s); left > MaxText; {
		cut := cutAt(s)
		pieces = append(pieces, s[:cut])
		left -= UTF16Len(s[:cut])
		s = s[cut:]
	}
	if s != "" {
		pieces = append(pieces, s)
	}
	return pieces
}

// How good a place is to cut at; a better one is taken if it leaves the piece
// at least half full.
const (
	cutCharacter = iota
	cutWord
	cutSentence
	cutLine
	cutParagraph
	cutRanks
)

// cutAt returns where to cut s, which is longer than MaxText: a byte offset
// greater than 0.
func cutAt(s string) int {
	var last, halfway [cutRanks]int // the last place of each rank, anywhere and in the second half
	rest, state, units, at := s, -1, 0, 0
	for {
		cluster, tail, boundaries, next := uniseg.StepString(rest, state)
		units += UTF16Len(cluster)
		if units > MaxText {
			break
		}
		at += len(cluster)
		rank := cutCharacter
		switch {
		case strings.HasSuffix(s[:at], "\n\n") || strings.HasSuffix(s[:at], "\r\n\r\n"):
			rank = cutParagraph
		case strings.HasSuffix(cluster, "\n"):
			rank = cutLine
		case boundaries&uniseg.MaskSentence != 0:
			rank = cutSentence
		case boundaries&uniseg.MaskWord != 0:
			rank = cutWord
		}
		last[rank] = at
		if units >= MaxText/2 {
			halfway[rank] = at
		}
		rest, state = tail, next
	}
	for _, places := range [][cutRanks]int{halfway, last} {
		for rank := cutRanks - 1; rank >= cutWord; rank-- {
			if places[rank] > 0 {
				return places[rank]
			}
		}
	}
	if last[cutCharacter] > 0 {
		return last[cutCharacter]
	}
	units, at = 0, 0
	for {
		r, size := utf8.DecodeRuneInString(s[at:])
		if units += unitsOf(r); units > MaxText {
			return at
		}
		at += size
	}
}

// Pieces splits a content whose text is too long for one message; the quick replies stay with
// the last piece.
func Pieces(c conversation.Content) []conversation.Content {
	if c.Type != conversation.ContentText && c.Type != conversation.ContentQuickReplies || UTF16Len(c.Text) <= MaxText {
		return []conversation.Content{c}
	}
	var out []conversation.Content
	for _, text := range SplitText(c.Text) {
		out = append(out, conversation.TextContent(text))
	}
	last := c
	last.Text = out[len(out)-1].Text
	out[len(out)-1] = last
	return out
}
