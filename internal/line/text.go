package line

import (
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/conversation"
	"kaiwa/internal/textlen"
)

// MaxText is how long a text message may be, in UTF-16 code units.
const MaxText = 5000

// SplitText splits a long text into texts that LINE takes, of at most MaxText
// UTF-16 units each. It cuts after a paragraph if it can, otherwise after a
// line, a sentence or a word, and never inside a character as people see it
// (only one that is itself longer than MaxText is cut between code points).
// The pieces joined are s again. An empty s has no pieces.
func SplitText(s string) []string { return split(s, nil) }

// split is SplitText of a text with atoms, in their order: no cut is within one.
func split(s string, atoms []atom) []string {
	var pieces []string
	left := textlen.UTF16(s)
	for _, a := range atoms {
		left += a.extra
	}
	for begin := 0; left > MaxText; {
		cut := cutAt(s, begin, atoms)
		pieces = append(pieces, s[:cut])
		left -= textlen.UTF16(s[:cut])
		begin += cut
		s = s[cut:]
		for len(atoms) > 0 && atoms[0].begin < begin {
			left -= atoms[0].extra
			atoms = atoms[1:]
		}
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
// greater than 0. Atoms count their bytes from begin before s.
func cutAt(s string, begin int, atoms []atom) int {
	var last, halfway [cutRanks]int // the last place of each rank, anywhere and in the second half
	rest, state, units, at, begun := s, -1, 0, 0, 0
	for rest != "" {
		cluster, tail, boundaries, next := uniseg.StepString(rest, state)
		rest, state = tail, next
		units += textlen.UTF16(cluster)
		at += len(cluster)
		for begun < len(atoms) && atoms[begun].begin-begin < at {
			units += atoms[begun].extra
			begun++
		}
		if units > MaxText {
			break
		}
		if begun > 0 && atoms[begun-1].end-begin > at || textlen.Within(s, at) {
			continue
		}
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
		if units += utf16.RuneLen(r); units > MaxText {
			return at
		}
		at += size
	}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// Pieces splits a content whose text is too long for one message. The quote stays
// with the first piece, the quick replies with the last; each keeps the sender.
// Where a message would be all white space, there is none.
func Pieces(c conversation.Content) []conversation.Content {
	var atoms []atom
	switch c.Type {
	case conversation.ContentText, conversation.ContentQuickReplies:
	case conversation.ContentTextV2:
		atoms, _ = atomsOf(c.Text) // a text that is wrong has none, and is refused
	default:
		return []conversation.Content{c}
	}
	texts := split(c.Text, atoms)
	if len(texts) < 2 {
		return []conversation.Content{c}
	}
	if texts = slices.DeleteFunc(texts, blank); len(texts) == 0 {
		return []conversation.Content{c} // it is refused
	}
	out := make([]conversation.Content, len(texts))
	for i, text := range texts {
		piece := conversation.Content{Type: c.Type, Text: text, Sender: c.Sender}
		if c.Type == conversation.ContentQuickReplies {
			piece.Type = conversation.ContentText
		}
		if c.Type == conversation.ContentTextV2 {
			own, _ := atomsOf(text)
			substitution, err := substitutionOf(c.Substitution, own)
			if err != nil {
				return []conversation.Content{c} // it is refused
			}
			piece.Substitution = substitution
		}
		if i == 0 {
			piece.QuoteMessageID, piece.QuoteToken = c.QuoteMessageID, c.QuoteToken
		}
		if i == len(texts)-1 {
			piece.Type, piece.QuickReplies = c.Type, c.QuickReplies
		}
		out[i] = piece
	}
	return out
}
