package line

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestUTF16Len(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "会話": 2, "👟": 2, "👨‍👩‍👧": 8, "e\u0301": 2, "\xff": 1} {
		require.Equal(t, want, UTF16Len(s), s)
	}
}

func TestSplitText(t *testing.T) {
	t.Parallel()
	family := "👨‍👩‍👧" // 8 UTF-16 units, one character
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                   {"", nil},
		"short":                     {"hello", []string{"hello"}},
		"exactly full":              {strings.Repeat("a", 5000), []string{strings.Repeat("a", 5000)}},
		"one more, no place to cut": {strings.Repeat("a", 5001), []string{strings.Repeat("a", 5000), "a"}},
		"no half of an emoji":       {strings.Repeat("a", 4999) + "👟", []string{strings.Repeat("a", 4999), "👟"}},
		"no part of a family":       {strings.Repeat("x", 4995) + family + "y", []string{strings.Repeat("x", 4995), family + "y"}},
		"after a paragraph": {
			strings.Repeat("a", 3000) + ".\n\n" + strings.Repeat("b ", 900) + "\n" + strings.Repeat("c", 900),
			[]string{strings.Repeat("a", 3000) + ".\n\n", strings.Repeat("b ", 900) + "\n" + strings.Repeat("c", 900)},
		},
		"after a line, the paragraph being too early": {
			"a\n\n" + strings.Repeat("b", 3000) + "\n" + strings.Repeat("c", 3000),
			[]string{"a\n\n" + strings.Repeat("b", 3000) + "\n", strings.Repeat("c", 3000)},
		},
		"after a sentence": {
			strings.Repeat("a", 3000) + ". " + "Then " + strings.Repeat("b", 3000),
			[]string{strings.Repeat("a", 3000) + ". ", "Then " + strings.Repeat("b", 3000)},
		},
		"after a Japanese sentence": {
			strings.Repeat("あ", 3000) + "。" + strings.Repeat("い", 3000),
			[]string{strings.Repeat("あ", 3000) + "。", strings.Repeat("い", 3000)},
		},
		"after a word": {
			strings.Repeat("a", 3000) + " " + strings.Repeat("b", 3000),
			[]string{strings.Repeat("a", 3000) + " ", strings.Repeat("b", 3000)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, SplitText(tc.text))
		})
	}
}

func TestSplitTextKeepsEverythingAndEveryCharacterWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "あ", "👟", "👨‍👩‍👧", "e\u0301", " ", "\n", "\n\n", "\r\n", "。", ". ", "word ", "ไทย", "🇯🇵", "한국"})
		var b strings.Builder
		for _, p := range rapid.SliceOfN(part, 1, 40).Draw(rt, "parts") {
			b.WriteString(strings.Repeat(p, rapid.IntRange(1, 700).Draw(rt, "times")))
		}
		s := b.String()
		pieces := SplitText(s)
		require.Equal(rt, s, strings.Join(pieces, ""))
		whole := 0
		for _, p := range pieces {
			require.NotEmpty(rt, p)
			require.LessOrEqual(rt, UTF16Len(p), MaxText)
			whole += uniseg.GraphemeClusterCount(p)
		}
		if !strings.Contains(s, "🇯🇵") { // flags pair up from where counting starts
			require.Equal(rt, uniseg.GraphemeClusterCount(s), whole)
		}
	})
}

func TestACharacterLongerThanAMessageIsCutBetweenCodePoints(t *testing.T) {
	t.Parallel()
	zalgo := "e" + strings.Repeat("\u0301", 6000)
	pieces := SplitText(zalgo)
	require.Equal(t, zalgo, strings.Join(pieces, ""))
	for _, p := range pieces {
		require.True(t, utf8.ValidString(p))
		require.LessOrEqual(t, UTF16Len(p), MaxText)
	}
	broken := strings.Repeat("\xff", 5001)
	require.Equal(t, broken, strings.Join(SplitText(broken), ""))
}
