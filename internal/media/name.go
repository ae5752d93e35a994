package media

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// maxName bounds a file's name, in characters as people count them, and
// maxNameBytes in bytes, since one character may have any number of them; it then
// fits into a header and a column.
const maxName, maxNameBytes = 120, 800

// Name makes a name that somebody else gave to a file fit to be shown and to
// be saved under: without folders, without what does not print or turns the
// direction of writing, not too long. What comes out may be "".
func Name(given string) string {
	given = strings.ToValidUTF8(given, "")
	if i := strings.LastIndexAny(given, `/\`); i >= 0 {
		given = given[i+1:]
	}
	given = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, given))
	if given == "." || given == ".." {
		return ""
	}
	stem, ending := given, ""
	if i := strings.LastIndexByte(given, '.'); i > 0 && len(given)-i <= 12 {
		stem, ending = given[:i], given[i:]
	}
	var b strings.Builder
	g := uniseg.NewGraphemes(stem)
	for n := 0; n < maxName && g.Next() && b.Len()+len(g.Str()) <= maxNameBytes; n++ {
		b.WriteString(g.Str())
	}
	return b.String() + ending
}
