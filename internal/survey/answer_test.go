package survey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
	"kaiwa/internal/keyring"
	"kaiwa/internal/line"
	"kaiwa/internal/survey"
)

func question(kind survey.Kind) survey.Question {
	q := survey.Question{ID: "q", Kind: kind, Text: map[string]string{"en": "How?", "ja": "いかがでしたか。"}}
	if kind == survey.KindChoice {
		q.Choices = valid().Questions[1].Choices
	}
	return q
}

func kinds() []survey.Kind {
	return []survey.Kind{survey.KindCSAT, survey.KindNPS, survey.KindEffort, survey.KindChoice, survey.KindText}
}

func TestWhatIsTypedIsExactlyOneOfTheAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  survey.Kind
		loc   string
		typed string
		value string
		ok    bool
	}{
		{survey.KindCSAT, "en", "5", "5", true},
		{survey.KindCSAT, "ja", " ５　", "5", true},
		{survey.KindCSAT, "th", "๕", "5", true},
		{survey.KindCSAT, "ja", "とても満足", "5", true},
		{survey.KindCSAT, "ja", "５　とても満足", "5", true},
		{survey.KindCSAT, "en", "VERY   satisfied", "5", true},
		{survey.KindCSAT, "da", "meget utilfreds", "1", true},
		{survey.KindCSAT, "en", "0", "", false},
		{survey.KindCSAT, "en", "6", "", false},
		{survey.KindCSAT, "en", "55", "", false},
		{survey.KindCSAT, "en", "5 stars", "", false},
		{survey.KindCSAT, "en", "satisfied with the parcel", "", false},
		{survey.KindCSAT, "en", "", "", false},
		{survey.KindNPS, "en", "0", "0", true},
		{survey.KindNPS, "ja", "１０", "10", true},
		{survey.KindNPS, "en", "11", "", false},
		{survey.KindNPS, "en", "-1", "", false},
		{survey.KindEffort, "en", "7", "7", true},
		{survey.KindEffort, "en", "8", "", false},
		{survey.KindChoice, "en", "a parcel", "parcel", true},
		{survey.KindChoice, "ja", "荷物", "parcel", true},
		{survey.KindChoice, "ja", "２", "bill", true},
		{survey.KindChoice, "en", "parcel", "", false},
		{survey.KindChoice, "en", "3", "", false},
		{survey.KindText, "en", "  it was fine\n", "it was fine", true},
		{survey.KindText, "en", " \n ", "", false},
		{survey.KindText, "en", strings.Repeat("a", survey.MaxAnswer+1), "", false},
	} {
		value, ok := question(c.kind).Typed(c.loc, c.typed)
		require.Equal(t, c.ok, ok, "%s %.40q", c.kind, c.typed)
		if ok {
			require.Equal(t, c.value, value, "%s %q", c.kind, c.typed)
		}
	}
}

func TestOnlyAnOptionalQuestionCanBeSkipped(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		q := question(kind)
		_, ok := q.Accepts(survey.Skipped)
		require.False(t, ok, kind)
		q.Optional = true
		_, ok = q.Accepts(survey.Skipped)
		require.True(t, ok, kind)
		value, ok := q.Typed("ja", "スキップ")
		require.True(t, ok, kind)
		require.Equal(t, survey.Skipped, value)
	}
}

func TestScoresAreTheNumbersOfTheScale(t *testing.T) {
	t.Parallel()
	score, ok := question(survey.KindNPS).Accepts("10")
	require.True(t, ok)
	require.EqualValues(t, 10, score)
	score, ok = question(survey.KindChoice).Accepts("bill")
	require.True(t, ok)
	require.Zero(t, score)
	for _, value := range []string{"05", "5.0", "+5", "five", "parcel"} {
		_, ok = question(survey.KindCSAT).Accepts(value)
		require.False(t, ok, value)
	}
}

// Every question is a message LINE takes, in every language, however long its
// words, and each of its buttons is an answer to it.
func TestEveryQuestionIsAMessageLINETakes(t *testing.T) {
	t.Parallel()
	for _, loc := range append(survey.Locales(), "fr") {
		for _, kind := range kinds() {
			for _, optional := range []bool{false, true} {
				q := question(kind)
				q.Optional = optional
				q.Text[loc] = strings.Repeat("話", survey.MaxText)
				if kind == survey.KindChoice {
					q.Choices = nil
					for i := range survey.MaxChoices - 1 {
						q.Choices = append(q.Choices, survey.Choice{Value: string(rune('a' + i)), Label: map[string]string{loc: strings.Repeat("👩‍👩‍👧", survey.MaxChoiceLabel-1) + string(rune('a'+i))}})
					}
				}
				id := conversation.DerivedID(conversation.PrefixInvitation, "x")
				m := q.Ask(id, loc)
				require.NoError(t, line.Validate(m), "%s %s", loc, kind)
				require.Contains(t, m.Text, q.Text[loc])
				for _, b := range m.QuickReplies {
					require.LessOrEqual(t, uniseg.GraphemeClusterCount(b.Label), 20, b.Label)
					invitation, qid, value, ok := survey.ParseData(b.Data)
					require.True(t, ok)
					require.Equal(t, id, invitation)
					require.Equal(t, q.ID, qid)
					_, ok = q.Accepts(value)
					require.True(t, ok, value)
					typed, ok := q.Typed(loc, b.Label)
					require.True(t, ok, "what a button says may be typed: %q", b.Label)
					require.Equal(t, value, typed)
				}
				buttons := len(q.Options(loc))
				if optional {
					buttons++
				}
				require.Len(t, m.QuickReplies, buttons)
			}
		}
	}
}

func TestTheWordsOfALanguageAreComplete(t *testing.T) {
	t.Parallel()
	for _, loc := range survey.Locales() {
		page, lang := survey.PageIn(loc)
		require.Equal(t, loc, lang)
		for _, word := range []string{page.Title, page.Lead, page.Optional, page.Send, page.Missing, page.TooLong, page.SomeWrong, page.Thanks, page.ThanksText,
			page.Answered, page.AnsweredText, page.Closed, page.ClosedText, page.Unknown, page.UnknownText, page.Away, page.AwayText} {
			require.NotEmpty(t, word, loc)
		}
		require.NotEmpty(t, question(survey.KindNPS).HintIn(loc))
		require.NotEmpty(t, question(survey.KindEffort).HintIn(loc))
	}
	_, lang := survey.PageIn("fr")
	require.Equal(t, "en", lang)
}

func TestTheCardOpensThePageAndSaysTheLinkWhereThereAreNoCards(t *testing.T) {
	t.Parallel()
	link := "https://kaiwa.example.com/survey/" + strings.Repeat("a", 90)
	for _, loc := range survey.Locales() {
		for _, text := range []string{"", "Please", strings.Repeat("👩‍👩‍👧", 800)} {
			card, err := survey.Card(text, link, loc)
			require.NoError(t, err)
			require.NoError(t, line.Validate(card))
			require.True(t, strings.HasSuffix(card.AltText, "\n"+link))
			require.Contains(t, string(card.Contents), link)
		}
	}
}

func TestASurveySpeaksALanguageItsQuestionsAreIn(t *testing.T) {
	t.Parallel()
	q := valid().Questions
	require.Equal(t, "ja", survey.Locale(q, "ja-JP", "en"))
	require.Equal(t, "ja", survey.Locale(q, "", "ja"))
	require.Equal(t, "en", survey.Locale(q, "th", "zh-TW"))
	require.Equal(t, "da", survey.Locale([]survey.Question{{Text: map[string]string{"da": "Hvordan?", "th": "?"}}}, "ja", ""))
}

func TestDataOfOthersIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "goto:menu", "kaiwa:survey:", "kaiwa:survey:inv_1", "kaiwa:survey:inv_1:q", "kaiwa:survey:cnv_1:q:5",
		"kaiwa:survey:inv_1:Q!:5", "kaiwa:survey:inv_1:q:5:6", "kaiwa:consent:inv_1:q:5"} {
		_, _, _, ok := survey.ParseData(data)
		require.False(t, ok, data)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := conversation.DerivedID(conversation.PrefixInvitation, rapid.String().Draw(t, "cause"))
		name := rapid.StringMatching(`[a-z0-9_]{1,40}`).Draw(t, "question")
		value := rapid.StringMatching(`[a-z0-9_]{0,40}`).Draw(t, "value")
		data := survey.Data(id, name, value)
		require.LessOrEqual(t, len(data), 300)
		a, b, c, ok := survey.ParseData(data)
		require.True(t, ok)
		require.Equal(t, []string{id, name, value}, []string{a, b, c})
	})
}

func ring(t *testing.T, ids ...string) *keyring.Ring {
	t.Helper()
	var settings []string
	for _, id := range ids {
		one, err := keyring.Generate(id)
		require.NoError(t, err)
		settings = append(settings, one)
	}
	r, err := keyring.Parse(strings.Join(settings, ","))
	require.NoError(t, err)
	return r
}

func TestATokenNamesOneInvitationAndCannotBeMadeUp(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	until := time.Unix(1_800_000_000, 0)
	id := conversation.DerivedID(conversation.PrefixInvitation, "x")
	token := survey.Token(keys, id, until)
	require.Regexp(t, `^[A-Za-z0-9._-]+$`, token, "nothing that a URL would escape")
	got, expires, err := survey.ReadToken(keys, token)
	require.NoError(t, err)
	require.Equal(t, id, got)
	require.True(t, expires.Equal(until))

	other := survey.Token(keys, conversation.DerivedID(conversation.PrefixInvitation, "y"), until)
	cut := strings.LastIndexByte(token, '.')
	later := survey.Token(ring(t, "k1"), id, until.Add(time.Hour))
	for name, bad := range map[string]string{
		"empty": "", "unsigned": token[:cut], "cut": token[:len(token)-1], "another's signature": token[:cut] + other[strings.LastIndexByte(other, '.'):],
		"another ring": survey.Token(ring(t, "k1"), id, until), "more": token + ".x", "a longer life": later, "words": "hello",
	} {
		_, _, err := survey.ReadToken(keys, bad)
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err), name)
	}
}
