package automessage

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestEveryTriggerHasWordsInEveryLanguage(t *testing.T) {
	t.Parallel()
	require.Len(t, defaults, len(Triggers()))
	seen := map[Trigger]bool{}
	for _, trigger := range Triggers() {
		require.False(t, seen[trigger], trigger)
		seen[trigger] = true
		require.True(t, trigger.Valid())
		require.Contains(t, []Audience{ToCustomer, ToAgent}, trigger.Audience())
		require.Len(t, defaults[trigger], len(Locales()), trigger)
		for _, l := range Locales() {
			text := defaults[trigger][l]
			require.NotEmpty(t, text, "%s in %s", trigger, l)
			require.LessOrEqual(t, utf8.RuneCountInString(text), MaxText)
			require.NoError(t, Validate(Override{Trigger: trigger, Locale: l, Text: text}))
		}
	}
	require.False(t, Trigger("no_such").Valid())
	require.False(t, Trigger("no_such").OnByDefault())
}

func TestWhatIsPaidAndUnaskedIsOffByDefault(t *testing.T) {
	t.Parallel()
	var off []Trigger
	for _, trigger := range Triggers() {
		if !trigger.OnByDefault() {
			off = append(off, trigger)
		}
	}
	require.Equal(t, []Trigger{
		AgentAssigned, AgentJoined, AgentLeft, AgentEnded, QueuePosition, NextInLine,
		EstimatedWait, TransferAccepted, SessionEnded, Closed, Followed,
	}, off)
}

func TestATranslationHasTheSlugsOfTheOriginal(t *testing.T) {
	t.Parallel()
	for _, trigger := range Triggers() {
		for _, l := range Locales() {
			require.Equal(t, Slugs(defaults[trigger][DefaultLocale]), Slugs(defaults[trigger][l]), "%s in %s", trigger, l)
		}
	}
}
