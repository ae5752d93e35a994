package line

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/textlen"
)

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
			require.LessOrEqual(rt, textlen.UTF16(p), MaxText)
			whole += uniseg.GraphemeClusterCount(p)
		}
		if !strings.Contains(s, "🇯🇵") { // flags pair up from where counting starts
			require.Equal(rt, uniseg.GraphemeClusterCount(s), whole)
		}
	})
}

// Characters of many code points, in many scripts: however much stands before them,
// no cut is within one.
func TestSplitTextCutsWithinNoCharacterOfAnyScript(t *testing.T) {
	t.Parallel()
	for name, character := range map[string]string{
		"Devanagari conjunct": "क्षि", "of three": "स्त्री", "Bengali": "ক্ষ", "Malayalam": "ക്ഷ", "Tamil": "க்ஷ", "Telugu": "క్ష", "joined by request": "क्\u200dष",
		"Sinhala": "ක්\u200dෂ", "Khmer": "ខ្មែ", "Burmese": "က္က", "Tibetan": "ཀྵ", "Thai with SARA AM": "น้ำ", "Thai with a tone": "กี่", "Lao": "ນ້ຳ",
		"Hangul jamo": "\u1112\u1161\u11ab", "variation selector": "❤️", "keycap": "1️⃣", "flag": "🇯🇵", "flag by tags": "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "family": "👨‍👩‍👧‍👦",
		"skin": "🧑🏽‍🚀", "rainbow": "🏳️‍🌈", "line end": "\r\n", "accent": "e\u0301", "pair of surrogates": "𠮷",
	} {
		for before := range 4 {
			s := strings.Repeat("x", before) + strings.Repeat(character, 11000/textlen.UTF16(character))
			pieces := SplitText(s)
			require.Equal(t, s, strings.Join(pieces, ""), name)
			for i, p := range pieces {
				require.LessOrEqual(t, textlen.UTF16(p), MaxText, name)
				if i == 0 {
					p = p[before:]
				}
				require.Empty(t, strings.ReplaceAll(p, character, ""), "%s: %q", name, p)
			}
		}
	}
}

func TestNoMessageIsAllWhiteSpace(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("a", 5000)
	text := func(s string) conversation.Content { return conversation.Content{Type: "text", Text: s} }
	require.Equal(t, []conversation.Content{text(full)}, Pieces(text(full+" \n\n\u3000")), "what is left of it is no message")
	require.Equal(t, []conversation.Content{text(full), text(strings.Repeat("\n", 1000) + "b")}, Pieces(text(full+strings.Repeat("\n", 6000)+"b")))
	buttons := conversation.Content{Type: "quick_replies", Text: full + "  ", QuickReplies: many(1), QuoteMessageID: "msg_1", QuoteToken: "q"}
	require.Equal(t, []conversation.Content{{Type: "quick_replies", Text: full, QuickReplies: many(1), QuoteMessageID: "msg_1", QuoteToken: "q"}}, Pieces(buttons))
	spaces := text(strings.Repeat(" ", 5001))
	require.Equal(t, []conversation.Content{spaces}, Pieces(spaces))
	require.Error(t, Validate(spaces))
}

func TestACharacterLongerThanAMessageIsCutBetweenCodePoints(t *testing.T) {
	t.Parallel()
	zalgo := "e" + strings.Repeat("\u0301", 6000)
	pieces := SplitText(zalgo)
	require.Equal(t, zalgo, strings.Join(pieces, ""))
	for _, p := range pieces {
		require.True(t, utf8.ValidString(p))
		require.LessOrEqual(t, textlen.UTF16(p), MaxText)
	}
	broken := strings.Repeat("\xff", 5001)
	require.Equal(t, broken, strings.Join(SplitText(broken), ""))
}

func TestPiecesOfATextKeepItsQuoteItsButtonsAndItsSender(t *testing.T) {
	t.Parallel()
	aya := &conversation.MessageSender{Name: "Aya"}
	long := strings.Repeat("a", 5000)
	pieces := Pieces(conversation.Content{
		Type: "quick_replies", Text: long + long + "b", QuickReplies: many(1), Sender: aya, QuoteMessageID: "msg_1", QuoteToken: "q",
	})
	require.Equal(t, []conversation.Content{
		{Type: "text", Text: long, Sender: aya, QuoteMessageID: "msg_1", QuoteToken: "q"},
		{Type: "text", Text: long, Sender: aya},
		{Type: "quick_replies", Text: "b", QuickReplies: many(1), Sender: aya},
	}, pieces)
	image := conversation.Content{Type: "image", URL: "https://e.co/" + long}
	require.Equal(t, []conversation.Content{image}, Pieces(image))
}

func TestATextIsNotCutWithinAnEmojiOrAMention(t *testing.T) {
	t.Parallel()
	smile := `{"type":"emoji","productId":"p","emojiId":"001"}`
	all := `{"type":"mention","mentionee":{"type":"all"}}`
	substitution := json.RawMessage(`{"smile":` + smile + `,"all":` + all + `}`)
	a := func(n int) string { return strings.Repeat("a", n) }
	piece := func(text, substitution string) conversation.Content {
		c := conversation.Content{Type: "text_v2", Text: text}
		if substitution != "" {
			c.Substitution = json.RawMessage(substitution)
		}
		return c
	}
	for name, tc := range map[string]struct {
		text string
		want []conversation.Content
	}{
		"each piece has its own":         {a(4999) + "{smile}" + a(4960) + "{all}", []conversation.Content{piece(a(4999), ""), piece("{smile}"+a(4960), `{"smile":`+smile+`}`), piece("{all}", `{"all":`+all+`}`)}},
		"room for what LINE counts":      {a(4980) + "{smile}", []conversation.Content{piece(a(4980), ""), piece("{smile}", `{"smile":`+smile+`}`)}},
		"braces that stand for one":      {a(4999) + "{{" + a(1), []conversation.Content{piece(a(4999), ""), piece("{{a", "")}},
		"short":                          {"{smile}", []conversation.Content{{Type: "text_v2", Text: "{smile}", Substitution: substitution}}},
		"wrong, which is refused entire": {a(5000) + "{", []conversation.Content{piece(a(5000), ""), piece("{", "")}},
	} {
		require.Equal(t, tc.want, Pieces(conversation.Content{Type: "text_v2", Text: tc.text, Substitution: substitution}), name)
	}
}

func TestPiecesOfVersion2KeepEverythingAndAreTaken(t *testing.T) {
	t.Parallel()
	substitution := json.RawMessage(`{"smile":{"type":"emoji","productId":"p","emojiId":"001"},"a":{"type":"mention","mentionee":{"type":"all"}}}`)
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		for _, p := range rapid.SliceOfN(rapid.SampledFrom([]string{"x", "👨‍👩‍👧", "{{", "}}", "{{{smile}}}", ". ", "\n\n", "e\u0301", "\u0301", "\u0600"}), 1, 30).Draw(rt, "parts") {
			b.WriteString(strings.Repeat(p, rapid.IntRange(1, 400).Draw(rt, "times")))
			b.WriteString(rapid.SampledFrom([]string{"", "{smile}", "{a}"}).Draw(rt, "placeholder"))
		}
		whole := ""
		for _, p := range Pieces(conversation.Content{Type: "text_v2", Text: b.String(), Substitution: substitution}) {
			whole += p.Text
			atoms, ok := atomsOf(p.Text)
			require.True(rt, ok, p.Text)
			units := textlen.UTF16(p.Text)
			for _, a := range atoms {
				units += a.extra
			}
			require.LessOrEqual(rt, units, MaxText)
		}
		require.Equal(rt, strings.Join(strings.Fields(b.String()), ""), strings.Join(strings.Fields(whole), ""), "but for white space")
	})
}
