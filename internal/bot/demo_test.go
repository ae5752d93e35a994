package bot

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

// talk carries a conversation with a script from turn to turn.
type talk struct {
	t      *testing.T
	script *Script
	turn   Turn
}

func newTalk(t *testing.T, s *Script, locale string) *talk {
	return &talk{t: t, script: s, turn: Turn{Locale: locale, First: true, Context: map[string]string{}}}
}

func (k *talk) send(messages ...Message) Reply {
	k.t.Helper()
	k.turn.Messages = messages
	r, err := k.script.Answer(context.Background(), k.turn)
	require.NoError(k.t, err)
	maps.Copy(k.turn.Context, r.Context)
	k.turn.First = false
	return r
}

func (k *talk) say(texts ...string) Reply {
	k.t.Helper()
	messages := make([]Message, len(texts))
	for i, text := range texts {
		messages[i] = typed(text)
	}
	return k.send(messages...)
}

func typed(text string) Message {
	return Message{Direction: conversation.Inbound, Type: "text", Text: text}
}

func texts(r Reply) []string {
	var out []string
	for _, m := range r.Messages {
		out = append(out, m.Text)
	}
	return out
}

func TestTheDemoServesACustomerInEveryLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ locale, hello, hours, order, person string }{
		{"en", "Hi there", "When are you open?", "Where's my order?", "Can I talk to a person please"},
		{"ja", "はじめまして", "営業時間を教えてください", "まだ荷物が届かないのですが", "オペレーターにつないでください"},
		{"th-TH", "สวัสดีค่ะ", "ร้านเปิดกี่โมงคะ", "อยากติดตามพัสดุค่ะ", "ขอคุยกับเจ้าหน้าที่หน่อยค่ะ"},
		{"zh-Hant", "你好", "請問你們幾點開門", "我的包裹還沒收到", "我要找真人客服"},
		{"da-DK", "Goddag", "Hvornår har I åbent?", "Hvor er min pakke?", "Jeg vil gerne tale med en medarbejder"},
	} {
		t.Run(c.locale, func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, Demo(), c.locale)
			r := k.say(c.hello)
			require.Len(t, r.Messages, 2, "a greeting and the menu")
			require.Len(t, r.Messages[1].QuickReplies, 4)
			require.True(t, r.Understood)

			r = k.say(c.hours)
			require.Equal(t, "more", k.turn.Context[variableNode], c.hours)
			require.True(t, r.Understood)

			k.say(c.order)
			require.Equal(t, "order_ask", k.turn.Context[variableNode], c.order)
			r = k.say("ａ－１２３４５です")
			require.Equal(t, ActionHandoff, r.Action)
			require.Equal(t, "a-12345", r.Context["order_number"])
			require.Equal(t, "Where is order a-12345?", r.Handoff.Summary)

			r = k.say(c.person)
			require.Equal(t, ActionHandoff, r.Action, c.person)
			require.Equal(t, "The customer asked for a person. Order: a-12345", r.Handoff.Summary)
		})
	}
}

func TestTheDemoSaysEverythingInEveryLanguage(t *testing.T) {
	t.Parallel()
	var phrases []phrase
	note := func(all []said) {
		for _, s := range all {
			phrases = append(phrases, s.text)
		}
	}
	s := Demo()
	note(s.greeting)
	note(s.notUnderstood)
	for _, o := range s.others {
		note(o.say)
	}
	for _, n := range s.nodes {
		note(n.say)
		if n.capture != nil {
			note(n.capture.invalid)
		}
		if n.menu != nil {
			phrases = append(phrases, n.menu.text)
			for _, o := range n.menu.options {
				phrases = append(phrases, o.label)
			}
		}
	}
	phrases = append(phrases, pardon)
	for _, p := range phrases {
		require.ElementsMatch(t, []string{"en", "ja", "th", "zh-TW", "da"}, p.locales, p.words["en"])
	}
}

func TestTheDemoDocumentIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	DemoDocument()[0] = 'x'
	_, err := ParseScript(DemoDocument())
	require.NoError(t, err)
}
