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

func TestEachCheckOfTheRunFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	number := int64(1)
	type evidence struct {
		unsettled []string
		tally     *tally
		told      []int64
		lives     []fate
		database  outcome.Database
	}
	healthy := func() *evidence {
		e := &evidence{tally: newTally(), told: []int64{1}, lives: []fate{{name: "worker-1"}}}
		e.tally.say(saying{"cnv_1", "a", yes})
		e.database.Messages = []outcome.Message{{ConversationID: "cnv_1", SenderKind: conversation.SenderAgent, Text: "a"}}
		e.database.Events = []outcome.Event{{Seq: &number}}
		return e
	}
	judge := func(e *evidence) (found []string) {
		for _, v := range own(e.unsettled, e.tally, e.told, e.lives, e.database) {
			for _, f := range v.Findings {
				found = append(found, f.Invariant)
			}
		}
		return found
	}
	require.Empty(t, judge(healthy()))
	for name, plant := range map[string]func(*evidence){
		"it settles":                func(e *evidence) { e.unsettled = []string{"a message is pending"} },
		"requests are answered":     func(e *evidence) { e.tally.refused("kenta", "accept", wrongly()) },
		"agents' words stand once":  func(e *evidence) { e.database.Messages = nil },
		"the stream tells all":      func(e *evidence) { e.told = nil },
		"no process ends by itself": func(e *evidence) { e.lives[0].endedByItself = 1 },
	} {
		e := healthy()
		plant(e)
		require.Equal(t, []string{name}, judge(e))
	}
	require.Len(t, own(nil, newTally(), nil, nil, outcome.Database{}), 5, "each has a violation above")
}

// wrongly is the refusal of a request that nobody should have made.
func wrongly() *refusal {
	for code := range mistakes {
		return &refusal{Code: code}
	}
	return nil
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
