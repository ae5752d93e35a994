package textlen_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/textlen"
)

func TestAnEmojiOutsideTheBasicPlaneIsTwoUnits(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "会話": 2, "👟": 2, "👨‍👩‍👧": 8, "e\u0301": 2, "\xff": 1} {
		require.Equal(t, want, textlen.UTF16(s), s)
	}
}

func TestCutLeavesNoPartOfACharacter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"abcdef": "abcd", "abc👟": "abc", "ab👨‍👩‍👧": "ab", "abcक्ष": "abc", "aक्षc": "aक्ष", "abc\r\n": "abc", "": "", "क्क्क्क": "",
	} {
		require.Equal(t, want, textlen.Cut(text, 4), "%q", text)
	}
}
