package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/conversation"
)

// shop is a small script with one of everything.
const shop = `{
	"version": 1,
	"default_locale": "en",
	"greeting": [{"en": "Hi {customer_name}!", "ja": "{customer_name}様、こんにちは。"}],
	"start": "menu",
	"nodes": {
		"menu": {"menu": {"text": {"en": "How can we help?", "ja": "ご用件は？"}, "options": [
			{"label": {"en": "Hours", "ja": "営業時間"}, "data": "hours", "goto": "hours"},
			{"label": {"en": "Points", "ja": "ポイント"}, "text": {"en": "My points", "ja": "ポイント照会"}, "words": ["loyalty"], "goto": "points"},
			{"label": "Web", "uri": "https://example.com"}
		]}},
		"hours": {"say": ["10 to 19", {"type": "image", "url": "https://example.com/map.png"}], "goto": "menu"},
		"points": {"branch": [
			{"variable": "tier", "equals": "gold", "goto": "gold"},
			{"variable": "member", "exists": true, "goto": "member"},
			{"goto": "ask"}
		]},
		"gold": {"say": ["Gold!"], "goto": "menu"},
		"member": {"say": ["Member {$member}"], "goto": "menu"},
		"ask": {"say": ["Your number?"], "capture": {"into": "member", "kind": "number", "invalid": ["A number, please."], "goto": "member"}},
		"bubble": {"say": [{"type": "flex", "alt_text": {"en": "Card", "ja": "カード"}, "contents": {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [
			{"type": "text", "text": {"$text": {"en": "For {customer_name}", "ja": "{customer_name}様"}}}]}}}], "goto": "menu"},
		"person": {"say": [{"en": "A colleague comes.", "ja": "担当者がまいります。"}],
			"handoff": {"summary": "Member {$member}", "queue_id": "que_1", "skills": ["billing", {"name": "thai", "level": 5}]}},
		"bye": {"set": {"last": "bye {customer_name}"}, "say": ["Bye"], "end": true}
	},
	"keywords": [
		{"words": ["bye"], "goto": "bye"},
		{"match": "all", "words": ["card", "show"], "goto": "bubble"},
		{"match": "exact", "words": ["top"], "goto": "menu"},
		{"match": "contains", "words": ["clock"], "goto": "hours"}
	],
	"handoff": {"node": "person", "words": ["manager"]},
	"not_understood": {"say": [{"en": "Pardon?", "ja": "すみません、もう一度お願いします。"}], "max": 3},
	"other_messages": {"sticker": {"say": ["Nice!"]}, "image": {"say": ["A picture."], "goto": "person"}}
}`

func parsed(t *testing.T, doc string) *Script {
	t.Helper()
	s, err := ParseScript([]byte(doc))
	require.NoError(t, err)
	return s
}

func tap(data string) Message {
	payload, _ := json.Marshal(map[string]string{"data": data})
	return Message{Direction: conversation.Inbound, Type: "postback", Payload: payload}
}

func TestACustomerIsGreetedOnceInTheirLanguage(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	k := newTalk(t, s, "ja-JP")
	k.turn.Customer.Name = "花子"
	require.Equal(t, []string{"花子様、こんにちは。", "ご用件は？"}, texts(k.say("はじめまして")))
	require.Equal(t, []string{"すみません、もう一度お願いします。", "ご用件は？"}, texts(k.say("はじめまして")))

	require.Equal(t, []string{"Hi!", "How can we help?"}, texts(newTalk(t, s, "fr").say("bonjour")), "nobody wrote French")

	k = newTalk(t, s, "")
	k.turn.Customer.Language = "ja"
	require.Equal(t, []string{"こんにちは。", "ご用件は？"}, texts(k.say("…")), "without a locale the customer's own language counts")
}

func TestAFirstMessageThatSaysWhatItWantsIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	r := k.say("o'clock")
	require.Equal(t, []string{"Hi!", "10 to 19", "", "How can we help?"}, texts(r))
	require.Equal(t, "https://example.com/map.png", r.Messages[2].PreviewURL)
}

func TestAConversationMayBeOpenedByTheBot(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	require.Equal(t, []string{"Hi!", "How can we help?"}, texts(k.send()))
	require.Empty(t, k.send().Messages, "and then it waits")
}

func TestAMenuIsChosenFromByTappingAndByTyping(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	start := newTalk(t, s, "en")
	menu := start.say("hello").Messages[1]
	require.Equal(t, conversation.ContentQuickReplies, menu.Type)
	require.Equal(t, []conversation.QuickReply{
		{Label: "Hours", Text: "Hours", Data: "hours"},
		{Label: "Points", Text: "My points"},
		{Label: "Web", URI: "https://example.com"},
	}, menu.QuickReplies)

	for _, c := range []struct {
		message Message
		want    string
	}{
		{tap("hours"), "10 to 19"},
		{tap("goto:hours"), "10 to 19"},
		{typed("1"), "10 to 19"},
		{typed(" １. "), "10 to 19"},
		{typed("๑"), "10 to 19"},
		{typed("HOURS?"), "10 to 19"},
		{typed("営業時間"), "10 to 19"},
		{typed("my points"), "Your number?"},
		{typed("2"), "Your number?"},
		{typed("what about my loyalty card"), "Your number?"},
		{typed("web"), "https://example.com"},
		{typed("4"), "Pardon?"},
		{typed("0"), "Pardon?"},
		{tap("nothing of ours"), "Pardon?"},
		{Message{Direction: conversation.Inbound, Type: "postback", Payload: json.RawMessage(`[`)}, "Pardon?"},
	} {
		k := newTalk(t, s, "en")
		k.say("hello")
		require.Equal(t, c.want, k.send(c.message).Messages[0].Text, "%+v", c.message)
	}
}

func TestAButtonTappedLateStillLeadsWhereItSays(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.say("hello")
	require.Equal(t, []string{"Your number?"}, texts(k.say("2")))
	require.Equal(t, "10 to 19", k.send(tap("hours")).Messages[0].Text)
}

func TestInputIsCapturedAndConditionsDecideByIt(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.say("hello")
	k.say("points")
	require.Equal(t, []string{"A number, please."}, texts(k.say("dunno")))
	r := k.say("４２")
	require.Equal(t, []string{"Member 42", "How can we help?"}, texts(r))
	require.Equal(t, "42", r.Context["member"])
	require.Equal(t, "", r.Context[variableMisses])
	require.Equal(t, []string{"Member 42", "How can we help?"}, texts(k.say("points")), "known by now")
	k.turn.Context["tier"] = "ＧＯＬＤ"
	require.Equal(t, []string{"Gold!", "How can we help?"}, texts(k.say("points")))
}

func TestWhileAskedForANumberACustomerMayChangeTheSubject(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.say("hello")
	k.say("points")
	require.Equal(t, ActionEnd, k.say("oh, bye then").Action)
}

func TestACustomerWhoAsksForAPersonGetsOne(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	for _, text := range []string{
		"I want to TALK TO A PERSON now", "agent", "Operator!", "get me your manager",
		"オペレーターと話したいです", "ｵﾍﾟﾚｰﾀｰ", "担当者",
		"ขอคุยกับเจ้าหน้าที่หน่อยค่ะ", "แอดมิน",
		"我要找真人客服", "轉人工", "客服",
		"Jeg vil gerne tale med en medarbejder", "Tal med et menneske",
	} {
		for _, at := range []string{"", "menu", "ask"} {
			r, err := s.Answer(context.Background(), Turn{Locale: "en", Context: map[string]string{variableNode: at, "member": "7"}, Messages: []Message{typed(text)}})
			require.NoError(t, err)
			require.Equal(t, ActionHandoff, r.Action, "%q at %q", text, at)
			require.Equal(t, []string{"A colleague comes."}, texts(r))
			require.Equal(t, &Handoff{Summary: "Member 7", QueueID: "que_1", Skills: []Skill{{"billing", 1}, {"thai", 5}}}, r.Handoff)
			require.True(t, r.Understood)
		}
	}
	for _, text := range []string{"my travel agent told me so", "what is human nature", "personally I like it", "management"} {
		r, err := s.Answer(context.Background(), Turn{Locale: "en", Context: map[string]string{variableNode: "menu"}, Messages: []Message{typed(text)}})
		require.NoError(t, err)
		require.Equal(t, ActionContinue, r.Action, text)
	}

	own := parsed(t, strings.Replace(shop, `"words": ["manager"]`, `"words": {"en": ["manager"]}, "default_words": false`, 1))
	require.Equal(t, ActionContinue, newTalk(t, own, "en").say("agent").Action)
	require.Equal(t, ActionHandoff, newTalk(t, own, "en").say("the manager").Action)
}

func TestAfterTooManyMissesPeopleTakeOver(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.say("hello")
	r := k.say("blah")
	require.False(t, r.Understood)
	require.Equal(t, []string{"Pardon?", "How can we help?"}, texts(r), "the buttons vanished, so the menu comes again")
	require.Equal(t, "1", r.Context[variableMisses])
	k.say("hours")
	require.Empty(t, k.turn.Context[variableMisses], "an answer understood wipes the slate")
	k.say("blah")
	k.say("blah")
	r = k.say("blah")
	require.Equal(t, ActionHandoff, r.Action)
	require.False(t, r.Understood)
	require.Equal(t, []string{"A colleague comes."}, texts(r))
	require.Empty(t, k.turn.Context[variableNode], "sent back, the bot begins anew")
	require.Empty(t, k.turn.Context[variableMisses])
}

func TestMessagesThatAreNoTextHaveTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	of := func(kind string) Message { return Message{Direction: conversation.Inbound, Type: kind} }

	k := newTalk(t, s, "en")
	require.Equal(t, []string{"Hi!", "Nice!", "How can we help?"}, texts(k.send(of("sticker"))), "as a first message too")
	require.Equal(t, []string{"Nice!", "How can we help?"}, texts(k.send(of("sticker"))))
	r := k.send(of("location"))
	require.Equal(t, []string{"Pardon?", "How can we help?"}, texts(r))
	require.False(t, r.Understood)
	require.Equal(t, ActionHandoff, k.send(of("image")).Action)

	anything := parsed(t, strings.Replace(shop, `"sticker": {`, `"any": {`, 1))
	k = newTalk(t, anything, "en")
	k.say("hello")
	require.Equal(t, []string{"Nice!", "How can we help?"}, texts(k.send(of("hologram"))))
}

func TestKeywordsLeadFromAnywhere(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "ja")
	k.turn.Customer.Name = "花子"
	k.say("こんにちは")
	r := k.say("please show me the CARD")
	require.Equal(t, "カード", r.Messages[0].AltText)
	require.JSONEq(t, `{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": "花子様"}]}}`, string(r.Messages[0].Contents))
	require.False(t, k.say("only the card").Understood)
	require.False(t, k.say("top of the list").Understood)
	require.True(t, k.say("Top!").Understood)
	r = k.say("bye-bye")
	require.Equal(t, ActionEnd, r.Action)
	require.Equal(t, "bye 花子", r.Context["last"])
}

func TestEveryMessageOfATurnIsAnsweredInOrder(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	k := newTalk(t, s, "en")
	require.Equal(t, []string{"Hi!", "How can we help?", "Your number?", "Member 9", "How can we help?"}, texts(k.say("hello", "2", "9")))

	many := make([]string, 200)
	for i := range many {
		many[i] = "hours"
	}
	r := newTalk(t, s, "en").say(many...)
	require.Equal(t, ActionContinue, r.Action)
	require.Len(t, r.Messages, 2+199*3, "greeting and menu, then hours, map and menu each time")
}

func TestAfterAHandoffTheRestIsLeftToPeople(t *testing.T) {
	t.Parallel()
	r := newTalk(t, parsed(t, shop), "en").say("hello", "agent", "hours", "bye")
	require.Equal(t, ActionHandoff, r.Action)
	require.Equal(t, []string{"Hi!", "How can we help?", "A colleague comes."}, texts(r))
}

func TestOnlyTheCustomersMessagesAreAnswered(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.say("hello")
	r := k.send(Message{Direction: conversation.Outbound, Type: "text", Text: "hours"}, Message{Direction: conversation.Internal, Type: "text", Text: "agent"})
	require.Empty(t, r.Messages)
	require.Equal(t, ActionContinue, r.Action)
	require.True(t, r.Understood)
}

func TestAScriptChangedUnderAConversationBeginsAnew(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, shop), "en")
	k.turn.First = false
	k.turn.Context[variableNode] = "a node of last week"
	k.turn.Context[variableMisses] = "many"
	require.Equal(t, []string{"How can we help?"}, texts(k.say("hmm")))
}

func TestAScriptStopsAtTheDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Demo().Answer(ctx, Turn{Messages: []Message{typed("hello")}})
	require.Equal(t, FailureCancelled, FailureOf(err))
}

func TestTheOptionsOfANumberedMenuCanBeReadOnADesktop(t *testing.T) {
	t.Parallel()
	k := newTalk(t, parsed(t, strings.Replace(shop, `"options"`, `"numbered": true, "options"`, 1)), "ja")
	require.Equal(t, "ご用件は？\n\n1. 営業時間\n2. ポイント\n3. Web", k.say("…").Messages[1].Text)
}

func TestTheSameTurnGetsTheSameReply(t *testing.T) {
	t.Parallel()
	s := parsed(t, shop)
	nodes := slices.Sorted(maps.Keys(s.nodes))
	text := rapid.OneOf(rapid.SampledFrom([]string{"hello", "1", "2", "hours", "agent", "show card", "42", "bye", "blah", "{$member}"}), rapid.String())
	message := rapid.Custom(func(t *rapid.T) Message {
		m := typed(text.Draw(t, "text"))
		m.Type = rapid.SampledFrom([]string{"text", "text", "text", "sticker", "image", "postback", "x"}).Draw(t, "type")
		m.Payload = json.RawMessage(rapid.SampledFrom([]string{"", "null", `{"data":"hours"}`, `{"data":"goto:bubble"}`, `{"data":1}`}).Draw(t, "payload"))
		return m
	})
	rapid.Check(t, func(t *rapid.T) {
		turn := Turn{
			Locale:   rapid.SampledFrom([]string{"en", "ja", "", "zz"}).Draw(t, "locale"),
			Customer: Customer{Name: rapid.String().Draw(t, "name")},
			Context: map[string]string{
				variableNode:   rapid.SampledFrom(append(nodes, "", "?")).Draw(t, "node"),
				variableMisses: rapid.SampledFrom([]string{"", "0", "1", "2", "3", "-1", "x"}).Draw(t, "misses"),
				"member":       rapid.String().Draw(t, "member"),
			},
			Messages: rapid.SliceOfN(message, 0, 8).Draw(t, "messages"),
			First:    rapid.Bool().Draw(t, "first"),
		}
		before := maps.Clone(turn.Context)
		one, err := s.Answer(context.Background(), turn)
		require.NoError(t, err)
		two, err := s.Answer(context.Background(), turn)
		require.NoError(t, err)
		require.Equal(t, one, two)
		require.Equal(t, before, turn.Context, "the turn is the caller's")
		require.Equal(t, one.Action == ActionHandoff, one.Handoff != nil)
		d := &document{}
		for _, m := range one.Messages {
			v, err := d.read(encode(m))
			require.NoError(t, err)
			readContent(v)
		}
		require.Empty(t, d.problems, "what a script says can be sent")
	})
}

func TestAWrongScriptIsToldEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		old  string // replaced in shop by new
		new  string
		want []string // pointers
	}{
		{"unknown field", `"version": 1`, `"version": 1, "verson": 2`, []string{"/verson"}},
		{"wrong version", `"version": 1`, `"version": 2`, []string{"/version"}},
		{"a language that is none", `"default_locale": "en"`, `"default_locale": "english"`, []string{"/default_locale"}},
		{"a text in no language", `{"en": "Card", "ja": "カード"}`, `{"jp": "カード"}`, []string{"/nodes/bubble/say/0/alt_text/jp"}},
		{"a text not in the default language", `{"en": "Card", "ja": "カード"}`, `{"ja": "カード"}`, []string{"/nodes/bubble/say/0/alt_text"}},
		{"a text of the wrong type", `["Gold!"]`, `[5]`, []string{"/nodes/gold/say/0"}},
		{"nowhere to start", `"start": "menu"`, `"start": "nowhere"`, []string{"/start"}},
		{"no start", `"start": "menu",`, ``, []string{"/start"}},
		{"a node that is not there", `"goto": "gold"`, `"goto": "golden"`, []string{"/nodes/points/branch/0/goto"}},
		{"two ways out", `"say": ["Bye"], "end": true`, `"say": ["Bye"], "end": true, "goto": "menu"`, []string{"/nodes/bye"}},
		{"no way out", `"say": ["Bye"], "end": true`, `"say": ["Bye"]`, []string{"/nodes/bye"}},
		{"an end that is none", `"end": true`, `"end": false`, []string{"/nodes/bye/end"}},
		{"a branch without a last way", "},\n\t\t\t{\"goto\": \"ask\"}", `}`, []string{"/nodes/points/branch/1"}},
		{"a condition without a test", `"equals": "gold", `, ``, []string{"/nodes/points/branch/0"}},
		{"a circle", `"gold": {"say": ["Gold!"], "goto": "menu"}`, `"gold": {"say": ["Gold!"], "goto": "points"}`, []string{"/nodes/points"}},
		{"a slug that is none", `["Gold!"]`, `["{agent_name} {nope}"]`, []string{"/nodes/gold/say/0"}},
		{"a slug on a button", `{"en": "Hours", "ja": "営業時間"}`, `"Hours {$x}"`, []string{"/nodes/menu/menu/options/0/label"}},
		{"a long label", `{"en": "Hours", "ja": "営業時間"}`, `{"en": "Hours", "ja": "123456789012345678901"}`, []string{"/nodes/menu/menu/options/0/label/ja"}},
		{"two options of one name", `"label": "Web"`, `"label": "HOURS!"`, []string{"/nodes/menu/menu/options/2"}},
		{"an option that leads nowhere", `"data": "hours", "goto": "hours"`, `"data": "hours"`, []string{"/nodes/menu/menu/options/0/goto"}},
		{"an option that leads two ways", `"uri": "https://example.com"`, `"uri": "https://example.com", "goto": "menu"`, []string{"/nodes/menu/menu/options/2"}},
		{"a dangerous link", `"uri": "https://example.com"`, `"uri": "javascript:alert(1)"`, []string{"/nodes/menu/menu/options/2/uri"}},
		{"data kept for nodes", `"data": "hours"`, `"data": "goto:menu"`, []string{"/nodes/menu/menu/options/0/data"}},
		{"a variable of the bot's own", `"into": "member"`, `"into": "bot.node"`, []string{"/nodes/ask/capture/into"}},
		{"a variable without a name", `"into": "member"`, `"into": ""`, []string{"/nodes/ask/capture/into"}},
		{"set a variable of the bot's own", `"set": {"last"`, `"set": {"bot.misses"`, []string{"/nodes/bye/set/bot.misses"}},
		{"an unknown kind", `"kind": "number"`, `"kind": "date"`, []string{"/nodes/ask/capture/kind"}},
		{"a pattern that is none", `"kind": "number"`, `"kind": "pattern", "pattern": "("`, []string{"/nodes/ask/capture/pattern"}},
		{"a pattern that closes what it did not open", `"kind": "number"`, `"kind": "pattern", "pattern": "a)(b"`, []string{"/nodes/ask/capture/pattern"}},
		{"a pattern of the wrong kind", `"kind": "number"`, `"kind": "number", "pattern": "a"`, []string{"/nodes/ask/capture/pattern"}},
		{"limits upside down", `"kind": "number"`, `"kind": "text", "min": 5, "max": 4`, []string{"/nodes/ask/capture/max"}},
		{"a picture by http", `"url": "https:`, `"url": "http:`, []string{"/nodes/hours/say/1/url"}},
		{"a field of another type", `"url": "https://example.com/map.png"`, `"url": "https://example.com/map.png", "sticker_id": "1"`, []string{"/nodes/hours/say/1/sticker_id"}},
		{"an unknown type", `"type": "image"`, `"type": "quick_replies"`, []string{"/nodes/hours/say/1/type"}},
		{"a queue that is none", `"queue_id": "que_1"`, `"queue_id": "sales"`, []string{"/nodes/person/handoff/queue_id"}},
		{"a level that is none", `"level": 5`, `"level": 0`, []string{"/nodes/person/handoff/skills/1/level"}},
		{"an unknown way to match", `"match": "exact"`, `"match": "fuzzy"`, []string{"/keywords/2/match"}},
		{"a rule without words", `"words": ["top"]`, `"words": []`, []string{"/keywords/2/words"}},
		{"a blank word", `"words": ["top"]`, `"words": ["?", " "]`, []string{"/keywords/2/words/1"}},
		{"a handoff to nobody", `"handoff": {"node": "person"`, `"handoff": {"node": "menu"`, []string{"/handoff/node"}},
		{"no way to people", `"handoff": {"node": "person", "words": ["manager"]},`, ``, []string{"/handoff"}},
		{"silence", `"not_understood": {"say": [{"en": "Pardon?", "ja": "すみません、もう一度お願いします。"}], "max": 3}`, `"not_understood": {"say": [], "max": 99}`, []string{"/not_understood/max", "/not_understood/say"}},
		{"an unknown kind of message", `"sticker": {"say"`, `"stickers": {"say"`, []string{"/other_messages/stickers"}},
		{"a field that stands twice", `"version": 1`, `"version": 1, "version": 1`, []string{"/version"}},
		{"a NUL", `"Gold!"`, `"Gold\u0000"`, []string{"/nodes/gold/say/0"}},
		{"several", `"start": "menu"`, `"start": "x", "a/b~": 1`, []string{"/a~1b~0", "/start"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, shop, c.old)
			_, err := ParseScript([]byte(strings.Replace(shop, c.old, c.new, 1)))
			var refused *conversation.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, conversation.CodeInvalid, refused.Code)
			var got []string
			for _, f := range refused.Fields {
				require.NotEmpty(t, f.Detail)
				got = append(got, f.Pointer)
			}
			require.Equal(t, c.want, got, "%v", err)
		})
	}
}

func TestAScriptHasLimits(t *testing.T) {
	t.Parallel()
	var nodes []string
	for i := range MaxNodes + 1 {
		nodes = append(nodes, fmt.Sprintf(`"n%d": {"end": true}`, i))
	}
	long := make([]string, maxInARow+2)
	for i := range long {
		long[i] = fmt.Sprintf(`"n%d": {"goto": "n%d"}`, i, i+1)
	}
	long = append(long, fmt.Sprintf(`"n%d": {"end": true}`, len(long)))
	for name, doc := range map[string]string{
		"nodes":     `{"version": 1, "default_locale": "en", "start": "n0", "handoff": {"node": "p"}, "nodes": {"p": {"handoff": {}}, ` + strings.Join(nodes, ",") + `}}`,
		"in a row":  `{"version": 1, "default_locale": "en", "start": "n0", "handoff": {"node": "p"}, "nodes": {"p": {"handoff": {}}, ` + strings.Join(long, ",") + `}}`,
		"size":      shop + strings.Repeat(" ", MaxScript),
		"deep":      `{"x": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
		"messages":  strings.Replace(shop, `["Gold!"]`, `["1", "2", "3", "4", "5", "6"]`, 1),
		"options":   strings.Replace(shop, `"options": [`, `"options": [`+strings.Repeat(`{"label": "x", "goto": "menu"},`, 13), 1),
		"no object": `[]`,
		"null":      `null`,
		"no JSON":   "{\n\"version\": 1,\n}",
		"no UTF-8":  "\"\xff\"",
		"nothing":   ``,
	} {
		_, err := ParseScript([]byte(doc))
		require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err), name)
	}
	_, err := ParseScript([]byte("{\n\"version\": 1,\n}"))
	require.ErrorContains(t, err, "line 3")
}

// What is known before anything is filled in is held against LINE's limits when
// a script is stored, and not when it is used: one that was stored before there
// was a limit goes on.
func TestAScriptIsCheckedInDepthBeforeItIsStored(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckScript([]byte(shop)))
	require.NoError(t, CheckScript(demo))
	template := func(label string) string {
		return `{"type": "template", "alt_text": "x", "template": {"type": "buttons", "text": "y", "actions": [{"type": "postback", "label": ` + label + `, "data": "goto:menu"}]}}`
	}
	const say = `["Gold!"]`
	for _, c := range []struct{ name, old, new, pointer string }{
		{"a label", say, `["Gold!", ` + template(`"123456789012345678901"`) + `]`, "/nodes/gold/say/1/template/actions/0/label"},
		{"a label of one language", say, `[` + template(`{"$text": {"en": "x", "ja": "123456789012345678901"}}`) + `]`, "/nodes/gold/say/0/template/actions/0/label"},
		{"a label to be filled in", say, `[` + template(`{"$text": "1234567890 {$member}"}`) + `]`, ""},
		{"a template of no kind", say, `[{"type": "template", "alt_text": "x", "template": {"type": "hologram"}}]`, "/nodes/gold/say/0/template/type"},
		{"a card of no kind", say, `[{"type": "flex", "alt_text": "x", "contents": {"type": "cube"}}]`, "/nodes/gold/say/0/contents/type"},
		{"an address", say, `[{"type": "image", "url": "https://example.com/ü.png"}]`, "/nodes/gold/say/0/url"},
		{"a button's address", `"https://example.com"}`, `"https://example.com/ü"}`, "/nodes/menu/menu/options/2/uri"},
		{"a way to link accounts", say, `[{"type": "account_link"}, {"type": "account_link", "text": {"en": "Sign in", "ja": "ログイン"}}]`, ""},
		{"a question to be filled in", `"How can we help?"`, `"{customer_name}"`, ""},
	} {
		doc := []byte(strings.Replace(shop, c.old, c.new, 1))
		require.NotEqual(t, shop, string(doc), c.name)
		_, err := ParseScript(doc)
		require.NoError(t, err, c.name)
		err = CheckScript(doc)
		if c.pointer == "" {
			require.NoError(t, err, c.name)
			continue
		}
		var refused *conversation.Error
		require.ErrorAs(t, err, &refused, c.name)
		require.Equal(t, c.pointer, refused.Fields[0].Pointer, c.name)
	}
}

func TestWhateverIsParsedIsAScriptOrAnError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := []byte(shop)
		for range rapid.IntRange(0, 6).Draw(t, "edits") {
			at := rapid.IntRange(0, len(doc)).Draw(t, "at")
			end := min(len(doc), at+rapid.IntRange(0, 20).Draw(t, "cut"))
			piece := rapid.OneOf(rapid.SampledFrom([]string{`null`, `{}`, `[]`, `1`, `""`, `true`, `,`, `"menu"`}), rapid.StringN(0, 3, -1)).Draw(t, "piece")
			doc = slices.Concat(doc[:at], []byte(piece), doc[end:])
		}
		s, err := ParseScript(doc)
		if err != nil {
			require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err))
			return
		}
		_, err = s.Answer(context.Background(), Turn{First: true, Messages: []Message{typed("hello"), typed("1"), typed("agent")}})
		require.NoError(t, err)
	})
}

func TestAnyValueInAnyPlaceOfAScriptIsRefusedOrUsed(t *testing.T) {
	t.Parallel()
	var doc any
	require.NoError(t, json.Unmarshal([]byte(shop), &doc))
	odd := rapid.SampledFrom([]any{nil, true, false, -1, 1e99, "", "menu", "\x00", []any{}, []any{nil}, []any{"x"}, map[string]any{}, map[string]any{"en": nil}, map[string]any{"$text": 1}})
	rapid.Check(t, func(t *rapid.T) {
		var spoil func(v any) any
		spoil = func(v any) any {
			switch x := v.(type) {
			case map[string]any:
				keys := slices.Sorted(maps.Keys(x))
				if len(keys) > 0 && rapid.IntRange(0, 9).Draw(t, "deeper") > 0 {
					k := rapid.SampledFrom(keys).Draw(t, "key")
					out := maps.Clone(x)
					out[k] = spoil(x[k])
					return out
				}
			case []any:
				if len(x) > 0 && rapid.IntRange(0, 9).Draw(t, "deeper") > 0 {
					i := rapid.IntRange(0, len(x)-1).Draw(t, "index")
					out := slices.Clone(x)
					out[i] = spoil(x[i])
					return out
				}
			}
			return odd.Draw(t, "odd")
		}
		spoiled, err := json.Marshal(spoil(doc))
		require.NoError(t, err)
		s, err := ParseScript(spoiled)
		if err != nil {
			require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(err))
			return
		}
		for name := range s.nodes {
			_, err = s.Answer(context.Background(), Turn{Context: map[string]string{variableNode: name}, Messages: []Message{typed("2"), typed("hmm"), tap("goto:points"), {Direction: conversation.Inbound, Type: "sticker"}}})
			require.NoError(t, err)
		}
	})
}

func TestWhatFollowsAnEndInTheSameTurnBeginsAnew(t *testing.T) {
	t.Parallel()
	script, err := ParseScript([]byte(`{
		"version": 1, "default_locale": "en", "start": "menu",
		"nodes": {
			"menu":   {"menu": {"text": "Welcome", "options": [{"label": "Bye", "goto": "bye"}]}},
			"bye":    {"say": ["Goodbye"], "end": true},
			"person": {"handoff": {}}
		},
		"handoff": {"node": "person"}
	}`))
	require.NoError(t, err)
	turn := Turn{Locale: "en", Context: map[string]string{variableNode: "menu"}}
	for _, text := range []string{"Bye", "wait, one more thing"} {
		turn.Messages = append(turn.Messages, Message{Direction: conversation.Inbound, Type: "text", Text: text})
	}
	reply, err := script.Answer(t.Context(), turn)
	require.NoError(t, err)
	require.Equal(t, ActionContinue, reply.Action)
	var said []string
	for _, m := range reply.Messages {
		said = append(said, m.Text)
	}
	require.Equal(t, []string{"Goodbye", "Welcome"}, said)
}

func TestAScriptSendsImagemapsAndCoupons(t *testing.T) {
	t.Parallel()
	s := parsed(t, `{"version": 1, "default_locale": "en", "start": "only", "nodes": {"only": {"say": [
		{"type": "imagemap", "alt_text": {"en": "Map", "ja": "地図"}, "imagemap": {"baseUrl": "https://example.com/map", "baseSize": {"width": 1040, "height": 500},
			"actions": [{"type": "message", "text": {"$text": {"en": "Here", "ja": "ここ"}}, "area": {"x": 0, "y": 0, "width": 10, "height": 10}}]}},
		{"type": "coupon", "coupon_id": "c1", "delivery_tag": "bot"}], "end": true}, "person": {"handoff": {}}}, "handoff": {"node": "person"}}`)
	reply, err := s.Answer(context.Background(), Turn{Locale: "ja", First: true, Messages: []Message{{Direction: conversation.Inbound, Type: "text", Text: "hi"}}})
	require.NoError(t, err)
	require.Len(t, reply.Messages, 2)
	require.Equal(t, "地図", reply.Messages[0].AltText)
	require.JSONEq(t, `{"baseUrl":"https://example.com/map","baseSize":{"width":1040,"height":500},"actions":[{"type":"message","text":"ここ","area":{"x":0,"y":0,"width":10,"height":10}}]}`,
		string(reply.Messages[0].Imagemap))
	require.Equal(t, conversation.Content{Type: "coupon", CouponID: "c1", DeliveryTag: "bot"}, reply.Messages[1])
}
