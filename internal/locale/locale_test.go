package locale

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheReaderGetsTheNearestLanguage(t *testing.T) {
	t.Parallel()
	five := []string{"en", "ja", "th", "zh-TW", "da"}
	for _, c := range []struct {
		want string
		have []string
		got  string
	}{
		{"en", five, "en"},
		{"ja-JP", five, "ja"},
		{"JA_jp", five, "ja"},
		{"th_TH", five, "th"},
		{"da-DK", five, "da"},
		{"en-AU", five, "en"},
		{"zh-Hant", five, "zh-TW"},
		{"zh_TW", five, "zh-TW"},
		{"zh-Hant-TW", five, "zh-TW"},
		{"zh-HK", five, "zh-TW"},
		{"zh-CN", five, "zh-TW"},
		{"zh-Hans", []string{"zh-TW", "zh-CN"}, "zh-CN"},
		{"zh-TW", []string{"zh-Hans", "zh-Hant"}, "zh-Hant"},
		{"zh-HK", []string{"zh-TW", "zh-HK"}, "zh-HK"},
		{"zh", []string{"zh-TW", "zh-CN"}, "zh-CN"},
		{"en-GB", []string{"en-US", "en"}, "en"},
		{"en-US", []string{"en-GB", "en"}, "en"},
		{"en", []string{"en-GB", "en-US"}, "en-US"},
		{"en-GB", []string{"en-AU", "en-NZ"}, "en-AU"},
		{"ja", []string{"JA_JP"}, "JA_JP"},
		{"th-TH-u-ca-buddhist", five, "th"},
		{"ja-QX", five, "ja"},
		{"fr", five, ""},
		{"", five, ""},
		{"und", five, ""},
		{"not a locale", five, ""},
		{"\x00", five, ""},
		{"en", nil, ""},
		{"en", []string{"", "???"}, ""},
	} {
		require.Equal(t, c.got, Match(c.want, c.have), "%q of %q", c.want, c.have)
	}
}

func TestALocaleIsALanguageThatExists(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"en", "ja", "th", "zh-TW", "zh-Hant", "zh_TW", "da", "pt-BR"} {
		require.True(t, Valid(ok), ok)
	}
	for _, no := range []string{"", "jp", "english", "en-", "und", "e", "zh-TW-", "\x00", string(make([]byte, 1<<16))} {
		require.False(t, Valid(no), "%q", no)
	}
}

func TestAMatchIsAlwaysOneOfTheOffered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}`))
		have := rapid.SliceOf(tag).Draw(t, "have")
		got := Match(tag.Draw(t, "want"), have)
		if got != "" {
			require.Contains(t, have, got)
		}
	})
}
