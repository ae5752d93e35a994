package automessage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func on(b bool) *bool { return &b }

func TestTheMostSpecificWordsInTheReadersLanguageWin(t *testing.T) {
	t.Parallel()
	workstream := []Override{
		{Trigger: Closed, Locale: "ja", Text: "ワークストリーム"},
		{Trigger: Closed, Locale: "en", Text: "workstream"},
		{Trigger: Closed, Locale: "fr", Text: "flux"},
	}
	channel := []Override{
		{Trigger: Closed, Locale: "en-GB", Text: "channel"},
		{Trigger: Greeting, Locale: "da", Text: "hej"},
	}
	for _, c := range []struct{ locale, want string }{
		{"en", "channel"},
		{"en-GB", "channel"},
		{"ja-JP", "ワークストリーム"},
		{"fr-CA", "flux"},
		{"da", defaults[Closed]["da"]},
		{"zh-Hant", defaults[Closed]["zh-TW"]},
		{"ko", "channel"}, // nobody wrote Korean: the default language, as overridden
		{"", "channel"},
	} {
		text, _ := Text(Closed, c.locale, workstream, channel)
		require.Equal(t, c.want, text, c.locale)
	}
}

func TestAnOverrideForEveryLanguageYieldsToOneInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	layer := []Override{
		{Trigger: Closed, Text: "👋"},
		{Trigger: Closed, Locale: "th", Text: "ลาก่อน"},
	}
	text, _ := Text(Closed, "da", layer)
	require.Equal(t, "👋", text)
	text, _ = Text(Closed, "th-TH", layer)
	require.Equal(t, "ลาก่อน", text)
}

func TestASwitchAndTheWordsAreOverriddenApart(t *testing.T) {
	t.Parallel()
	workstream := []Override{
		{Trigger: QueuePosition, Enabled: on(true)},
		{Trigger: Greeting, Locale: "ja", Enabled: on(false)},
		{Trigger: Greeting, Text: "Welcome"},
	}
	channel := []Override{{Trigger: QueuePosition, Locale: "da", Enabled: on(false)}}

	text, sends := Text(QueuePosition, "en", workstream, channel)
	require.True(t, sends)
	require.Equal(t, defaults[QueuePosition]["en"], text)

	_, sends = Text(QueuePosition, "da-DK", workstream, channel)
	require.False(t, sends, "the channel switched it off for Danish readers")

	text, sends = Text(Greeting, "ja", workstream, channel)
	require.False(t, sends)
	require.Equal(t, "Welcome", text)

	_, sends = Text(Greeting, "en", workstream, channel)
	require.True(t, sends)
}

func TestAnUnknownTriggerSaysNothing(t *testing.T) {
	t.Parallel()
	text, sends := Text("no_such", "en", []Override{{Trigger: "no_such", Text: "x", Enabled: on(true)}})
	require.Empty(t, text)
	require.False(t, sends)
}

func TestAWrongOverrideIsRefusedFieldByField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		override Override
		want     []conversation.FieldError
	}{
		{"unknown slug", Override{Trigger: Greeting, Locale: "en", Text: "Hi {first_name} {customer_name} {$order} {}"}, []conversation.FieldError{
			{Pointer: "/text", Detail: "There is no slug {first_name}."},
			{Pointer: "/text", Detail: "There is no slug {}."},
		}},
		{"everything", Override{Trigger: "x", Locale: "jp"}, []conversation.FieldError{
			{Pointer: "/trigger", Detail: "There is no such trigger."},
			{Pointer: "/locale", Detail: "This is not a known language tag such as en, ja or zh-TW."},
			{Pointer: "/text", Detail: "Neither a text nor a switch is given."},
		}},
		{"too long", Override{Trigger: Greeting, Text: strings.Repeat("語", MaxText+1)}, []conversation.FieldError{
			{Pointer: "/text", Detail: "The text is longer than 2,000 characters."},
		}},
		{"blank", Override{Trigger: Greeting, Text: " \n"}, []conversation.FieldError{
			{Pointer: "/text", Detail: "The text is blank."},
		}},
		{"NUL", Override{Trigger: Greeting, Text: "a\x00"}, []conversation.FieldError{
			{Pointer: "/text", Detail: "The text contains characters that cannot be sent."},
		}},
		{"the question of consent switched off", Override{Trigger: ConsentQuestion, Enabled: on(false)}, []conversation.FieldError{
			{Pointer: "/enabled", Detail: "Where consent is required the question is asked. Do not require consent instead."},
		}},
		{"a variable without or with too long a name", Override{Trigger: Greeting, Text: "{$}{$" + strings.Repeat("x", 101) + "}"}, []conversation.FieldError{
			{Pointer: "/text", Detail: "There is no slug {$}."},
			{Pointer: "/text", Detail: "There is no slug {$" + strings.Repeat("x", 101) + "}."},
		}},
	} {
		err := Validate(c.override)
		var refused *conversation.Error
		require.ErrorAs(t, err, &refused, c.name)
		require.Equal(t, conversation.CodeInvalid, refused.Code)
		require.Equal(t, c.want, refused.Fields, c.name)
	}
	for _, ok := range []Override{
		{Trigger: Greeting, Enabled: on(false)},
		{Trigger: ConsentQuestion, Enabled: on(true), Text: "Do you agree?"},
		{Trigger: Greeting, Locale: "zh-Hant", Text: strings.Repeat("語", MaxText)},
		{Trigger: Greeting, Locale: "fr", Text: "Bonjour {customer_name}\n{$commande}"},
	} {
		require.NoError(t, Validate(ok))
	}
}
