package survey_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

func valid() survey.Settings {
	return survey.Settings{
		Mode: survey.ModeLINE, ExpiresSeconds: 3600,
		Questions: []survey.Question{
			{ID: "satisfied", Kind: survey.KindCSAT, Text: map[string]string{"en": "How satisfied are you?", "ja": "ご満足いただけましたか。"}},
			{ID: "topic", Kind: survey.KindChoice, Text: map[string]string{"en": "What was it about?", "ja": "ご用件は何でしたか。"}, Choices: []survey.Choice{
				{Value: "parcel", Label: map[string]string{"en": "A parcel", "ja": "荷物"}},
				{Value: "bill", Label: map[string]string{"en": "A bill", "ja": "請求書"}},
			}},
			{ID: "words", Kind: survey.KindText, Optional: true, Text: map[string]string{"en": "Anything else?", "ja": "ほかにございますか。"}},
		},
	}
}

func TestASurveyIsCheckedFieldByField(t *testing.T) {
	t.Parallel()
	require.NoError(t, valid().Validate())
	require.NoError(t, survey.Settings{Questions: valid().Questions}.Defaults().Validate())
	for name, c := range map[string]struct {
		change func(*survey.Settings)
		at     string
	}{
		"no such mode":            {func(s *survey.Settings) { s.Mode = "mail" }, "/mode"},
		"over too soon":           {func(s *survey.Settings) { s.ExpiresSeconds = 59 }, "/expires_seconds"},
		"open too long":           {func(s *survey.Settings) { s.ExpiresSeconds = 14*24*3600 + 1 }, "/expires_seconds"},
		"no questions":            {func(s *survey.Settings) { s.Questions = nil }, "/questions"},
		"a question's id":         {func(s *survey.Settings) { s.Questions[0].ID = "a:b" }, "/questions/0/id"},
		"two questions of one id": {func(s *survey.Settings) { s.Questions[1].ID = "satisfied" }, "/questions/1/id"},
		"no such kind":            {func(s *survey.Settings) { s.Questions[0].Kind = "stars" }, "/questions/0/kind"},
		"no such language": {func(s *survey.Settings) {
			s.Questions = s.Questions[:1]
			s.Questions[0].Text = map[string]string{"jp": "?"}
		}, "/questions/0/text/jp"},
		"no text":                   {func(s *survey.Settings) { s.Questions[2].Text = nil }, "/questions/2/text"},
		"a blank text":              {func(s *survey.Settings) { s.Questions[2].Text["ja"] = "　" }, "/questions/2/text/ja"},
		"a text with NUL":           {func(s *survey.Settings) { s.Questions[2].Text["ja"] = "a\x00" }, "/questions/2/text/ja"},
		"too long a text":           {func(s *survey.Settings) { s.Questions[2].Text["en"] = strings.Repeat("話", 1001) }, "/questions/2/text/en"},
		"a language is missing":     {func(s *survey.Settings) { delete(s.Questions[2].Text, "ja") }, "/questions/2/text"},
		"a language too many":       {func(s *survey.Settings) { s.Questions[2].Text["th"] = "?" }, "/questions/2/text/th"},
		"choices without need":      {func(s *survey.Settings) { s.Questions[0].Choices = s.Questions[1].Choices }, "/questions/0/choices"},
		"one choice":                {func(s *survey.Settings) { s.Questions[1].Choices = s.Questions[1].Choices[:1] }, "/questions/1/choices"},
		"a choice's value":          {func(s *survey.Settings) { s.Questions[1].Choices[0].Value = "" }, "/questions/1/choices/0/value"},
		"two choices of one value":  {func(s *survey.Settings) { s.Questions[1].Choices[1].Value = "parcel" }, "/questions/1/choices/1/value"},
		"a label over two lines":    {func(s *survey.Settings) { s.Questions[1].Choices[0].Label["en"] = "A\nB" }, "/questions/1/choices/0/label/en"},
		"too long a label":          {func(s *survey.Settings) { s.Questions[1].Choices[0].Label["ja"] = strings.Repeat("話", 21) }, "/questions/1/choices/0/label/ja"},
		"labels typed alike":        {func(s *survey.Settings) { s.Questions[1].Choices[1].Label["en"] = "Ａ ＰＡＲＣＥＬ" }, "/questions/1/choices/1/label/en"},
		"a label of another number": {func(s *survey.Settings) { s.Questions[1].Choices[0].Label["ja"] = "２" }, "/questions/1/choices/0/label/ja"},
		"a label is missing":        {func(s *survey.Settings) { delete(s.Questions[1].Choices[0].Label, "ja") }, "/questions/1/choices/0/label"},
	} {
		s := valid()
		c.change(&s)
		err := s.Validate()
		require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err), name)
		var invalid *conversation.Error
		require.True(t, errors.As(err, &invalid))
		require.Len(t, invalid.Fields, 1, "%s: %v", name, err)
		require.Equal(t, c.at, invalid.Fields[0].Pointer, name)
	}
}

func TestAnOptionalQuestionLeavesAButtonToSkipIt(t *testing.T) {
	t.Parallel()
	s := valid()
	s.Questions[1].Choices = nil
	for i := range survey.MaxChoices {
		name := string(rune('a' + i))
		s.Questions[1].Choices = append(s.Questions[1].Choices, survey.Choice{Value: name, Label: map[string]string{"en": name, "ja": name}})
	}
	require.NoError(t, s.Validate())
	s.Questions[1].Optional = true
	require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(s.Validate()))
}
