package guide

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func TestEveryStepAndFindingHasItsWordsInEveryLanguage(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, Steps(), slices.Collect(maps.Keys(titles)))
	for _, step := range Steps() {
		for _, l := range locales {
			require.NotEmpty(t, titles[step][l], "%s in %s", step, l)
		}
	}
	for finding, texts := range words {
		require.ElementsMatch(t, locales, slices.Collect(maps.Keys(texts)), finding)
		for l, text := range texts {
			require.NotEmpty(t, text)
			want, got := placeholder.FindAllString(texts["en"], -1), placeholder.FindAllString(text, -1)
			require.ElementsMatch(t, slices.Compact(slices.Sorted(slices.Values(want))), slices.Compact(slices.Sorted(slices.Values(got))), "%s in %s asks for what English asks for", finding, l)
		}
	}
}

func TestAReaderIsToldInTheirLanguage(t *testing.T) {
	t.Parallel()
	item := Item{Step: WebhookURL, State: Done, Finding: URLRight, Args: map[string]string{"url": "https://example.com/{detail}"}}
	require.Equal(t, "LINE has this channel's webhook URL: https://example.com/{detail}", item.Detail("en-GB"))
	require.Equal(t, "LINEにこのチャネルのWebhook URLが設定されています：https://example.com/{detail}", item.Detail("ja_JP"))
	require.Equal(t, item.Detail("zh-CN"), item.Detail("zh-Hans"))
	require.Equal(t, item.Detail("zh-TW"), item.Detail("zh-HK"))
	require.Equal(t, item.Detail("en"), item.Detail("fr"))
	require.Equal(t, "LINE har denne kanals webhook-URL: https://example.com/{detail}", item.Detail("da-DK"))
	require.Equal(t, "Webhook URL", item.Title("th"))
	require.Equal(t, "LINE does not accept", Item{Finding: TokenRefused, Args: map[string]string{"detail": ""}}.Detail("en")[:20])
}
