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
