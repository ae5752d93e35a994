package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/bot"
	"kaiwa/internal/chaos/outcome"
	"kaiwa/internal/conversation"
)

func TestAgentsWordsAreHeldAgainstTheTranscripts(t *testing.T) {
	t.Parallel()
	stands := []outcome.Message{
		{ConversationID: "cnv_1", SenderKind: conversation.SenderAgent, Text: "a"},
		{ConversationID: "cnv_1", SenderKind: conversation.SenderAgent, Text: "twice"},
		{ConversationID: "cnv_1", SenderKind: conversation.SenderAgent, Text: "twice"},
		{ConversationID: "cnv_1", SenderKind: conversation.SenderCustomer, Text: "refused"},
	}
	for name, c := range map[string]struct {
		saying saying
		wrong  bool
	}{
		"taken":                    {saying{"cnv_1", "a", yes}, false},
		"taken and elsewhere":      {saying{"cnv_2", "a", yes}, true},
		"taken and lost":           {saying{"cnv_1", "b", yes}, true},
		"taken and doubled":        {saying{"cnv_1", "twice", yes}, true},
		"refused":                  {saying{"cnv_1", "refused", no}, false},
		"refused and there":        {saying{"cnv_1", "a", no}, true},
		"unanswered and there":     {saying{"cnv_1", "a", unknown}, false},
		"unanswered and not":       {saying{"cnv_1", "b", unknown}, false},
		"unanswered and doubled":   {saying{"cnv_1", "twice", unknown}, true},
		"unanswered and elsewhere": {saying{"cnv_2", "a", unknown}, true},
	} {
		require.Equal(t, c.wrong, len(spoken([]saying{c.saying}, stands)) > 0, name)
	}
}

func TestTheStreamIsHeldAgainstTheRecord(t *testing.T) {
	t.Parallel()
	var record []outcome.Event
	for seq := range int64(4) {
		number := seq + 1
		record = append(record, outcome.Event{Seq: &number})
	}
	require.Empty(t, followed([]int64{1, 2, 3, 4}, record))
	for name, told := range map[string][]int64{
		"missed": {1, 2, 4}, "twice": {1, 2, 2, 3, 4}, "out of order": {1, 3, 2, 4}, "invented": {1, 2, 3, 4, 5}, "cut short": {1, 2, 3},
	} {
		require.NotEmpty(t, followed(told, record), name)
	}
}

func TestBothBotsTellWhatTheyAnswer(t *testing.T) {
	t.Parallel()
	document, err := script()
	require.NoError(t, err)
	s, err := bot.ParseScript(document)
	require.NoError(t, err)
	for _, l := range tongues {
		turn := func(context map[string]string, texts ...string) bot.Turn {
			out := bot.Turn{Locale: l.locale, Context: context}
			for _, text := range texts {
				out.Messages = append(out.Messages, bot.Message{Direction: conversation.Inbound, Type: "text", Text: text})
			}
			return out
		}
		first, err := s.Answer(t.Context(), turn(nil, l.asks[0]+" c1.1"))
		require.NoError(t, err)
		require.Equal(t, bot.ActionContinue, first.Action)
		second, err := s.Answer(t.Context(), turn(first.Context, l.asks[1]+" c1.2"))
		require.NoError(t, err)
		require.Equal(t, "heard", second.Messages[0].Text, "at the menu")
		third, err := s.Answer(t.Context(), turn(second.Context, l.asks[1]+" c1.3"))
		require.NoError(t, err)
		require.Equal(t, "heard c1.3", third.Messages[0].Text)
		for text, action := range map[string]bot.Action{l.person + " c1.3": bot.ActionHandoff, l.bye: bot.ActionEnd} {
			reply, err := s.Answer(t.Context(), turn(first.Context, text))
			require.NoError(t, err)
			require.Equal(t, action, reply.Action, text)
			require.Equal(t, string(action), answerTo(turn(nil, text))["action"], text)
		}
		heard := answerTo(turn(nil, "a c1.1", "b c1.2", "c c1.3", "d c1.4", "e c1.5"))["messages"].([]any)
		require.Len(t, heard, 4)
		require.Equal(t, "heard c1.4, c1.5", heard[3].(object)["text"])
	}
}
