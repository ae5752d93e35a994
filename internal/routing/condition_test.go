package routing

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// monday is 09:30 in Tokyo and 07:30 in Bangkok.
var monday = time.Date(2026, 11, 23, 0, 30, 0, 0, time.UTC)

func someFacts() Facts {
	return Facts{
		Message: MessageFacts{Type: "text", Text: "返品したいです", Texts: []string{"こんにちは", "返品したいです"}, Language: "ja"},
		Conversation: ConversationFacts{
			ID: "cnv_1", Priority: 5, Language: "ja", Locale: "ja", CreatedAt: monday.Add(-5 * time.Minute),
			WaitingSeconds: 90, Messages: 2, Attributes: map[string]string{"intent": "return"},
			Skills: map[string]int{"skl_ja": 3}, Units: 1,
		},
		Customer: CustomerFacts{Name: "田中", Language: "ja", Friend: true, ContactID: "cnt_1", EarlierConversations: 4},
		Contact:  ContactFacts{ID: "cnt_1", Name: "田中花子", Email: "hanako@example.com", Company: "Acme", CustomerNumber: "C-7"},
		Channel:  ChannelFacts{ID: "chn_1", Name: "Shop", Locale: "ja"},
		Bot:      BotFacts{ID: "bot_1", Summary: "wants to return", Escalated: true, Reason: "bot_escalated"},
		Context:  map[string]string{"plan": "gold", "amount": "1200", "said": "秘密"},
		Now:      monday,
	}
}

func TestConditionsSeeTheFacts(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		`true`,
		`message.type == "text"`,
		`message.language == "ja"`,
		`contact.id == customer.contact_id && contact.name != "" && contact.email.endsWith("@example.com") && contact.company == "Acme" && contact.customer_number == "C-7"`,
		`message.text.contains("返品")`,
		`message.texts.exists(t, t.startsWith("こん"))`,
		`size(message.texts) == 2`,
		`message.text.matches("返品|交換")`,
		`"ＡＢＣ abc".lowerAscii().endsWith("abc")`,
		`conversation.id == "cnv_1" && conversation.priority == 5 && conversation.messages >= 2`,
		`conversation.language == "ja" && conversation.locale == "ja"`,
		`now - conversation.created_at >= duration("5m")`,
		`conversation.waiting_seconds > 60`,
		`conversation.attributes.intent == "return"`,
		`conversation.attributes[?"mood"].orValue("calm") == "calm"`,
		`"skl_ja" in conversation.skills && conversation.skills["skl_ja"] >= 3 && conversation.units == 1`,
		`customer.name == "田中" && customer.friend && customer.contact_id != "" && customer.earlier_conversations > 3`,
		`channel.id == "chn_1" && channel.name == "Shop" && channel.locale == "ja"`,
		`bot.id == "bot_1" && bot.escalated && bot.reason == "bot_escalated" && bot.summary.contains("return")`,
		`context.plan in ["gold", "silver"]`,
		`!has(context.absent) && has(context.plan)`,
		`int(context.amount) > 1000 && double(context.amount) > 1000`,
		`now.getHours("Asia/Tokyo") == 9 && now.getHours("Asia/Bangkok") == 7 && now.getHours() == 0`,
		`now.getDayOfWeek("Asia/Tokyo") == 1`,
		`"สวัสดีค่ะ ขอคืนสินค้า".contains("คืนสินค้า")`,
		`"我要退貨".size() == 4`,
		`" Ab ".trim().upperAscii().reverse() == "BA" && "a,b".split(",")[1].charAt(0) == "b" && "abc".substring(1).indexOf("c") == 1`,
		`["a", "b"].exists_one(x, x == "a") && conversation.priority + 1 == 6`,
		`message.texts.map(t, t.split("")).exists(words, size(words) > 3)`,
		`message.texts.filter(t, t != "").map(t, t.size()).all(n, n > 3)`,
	} {
		require.NoError(t, Compile(expr), expr)
		assert.Equal(t, evaluation{matched: true}, evaluate(expr, someFacts().variables()), expr)
	}
}

func TestAConditionIsRefusedWithItsPlaceAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr         string
		line, column int
		detail, hint string
	}{
		{"", 1, 1, "no condition", "true"},
		{" \n ", 1, 1, "no condition", "true"},
		{"message.txt == \"a\"", 1, 8, "undefined field 'txt'", "docs/routing.md"},
		{"true &&\n  mesage.text == \"a\"", 2, 3, "'mesage'", "The names are"},
		{"conversation.priority > \"3\"", 1, 23, "no matching overload", "quotation marks"},
		{"message.text", 1, 1, "gives a string", "Compare"},
		{"message.text = \"a\"", 1, 14, "'= '", "=="},
		{"message.text == “返品”", 1, 17, "“", "quotation"},
		{"(message.text == \"a\"", 1, 21, "the end", "parenthesis"},
		{"message.text.matches(\"(\")", 1, 22, "matches", "RE2"},
		{"message.text.matches(\"((a{100}){10}){5}\")", 1, 22, "", ""},
		{"now > timestamp(\"tomorrow\")", 1, 17, "timestamp", "T09:00:00"},
		{"now - conversation.created_at > duration(\"5 minutes\")", 1, 42, "duration", "90s"},
		{"now.getHours(\"Mars\") > 3", 1, 14, "no time zone Mars", "Asia/Tokyo"},
		{"true && now.getDayOfWeek(\"Asia/Tokio\") == 0", 1, 26, "no time zone Asia/Tokio", "+09:00"},
		{"conversation.created_at.getMonth(\"9:99999\") == 0", 1, 34, "no time zone", "+09:00"},
		{"now.hour > 9", 1, 4, "timestamp", "getHours"},
		{"now > 9", 1, 5, "timestamp", "getHours"},
		{"message.text + \"x\" == \"ax\"", 1, 14, "+ is not available", "exists"},
		{"message.texts + message.texts == []", 1, 15, "+ is not available", "exists"},
		{"message.texts.map(a, __result__ + [a]) == []", 1, 22, "undeclared reference", ""},
		{"message.texts.map(a, message.texts + [a]) == []", 1, 36, "+ is not available", ""},
		{"dyn(\"a\") + dyn(\"b\") == \"ab\"", 1, 4, "dyn is not available", ""},
		{"[\"a\"].map(a, [a, a]).map(a, [a, a]) == []", 1, 25, "in lists in lists", ""},
		{"[\"a\"].map(a, {\"a\": [a]}) == []", 1, 10, "in lists in lists", ""},
		{"message.texts.join(\" \").contains(\"a\")", 1, 19, "join is not available", "exists"},
		{"message.text.replace(\"\", \"aa\") == \"\"", 1, 21, "replace is not available", ""},
		{"\"%s\".format([message.text]) == \"\"", 1, 12, "format is not available", ""},
		{"strings.quote(message.text) == \"\"", 1, 14, "strings.quote is not available", ""},
		{strings.Repeat("あ", MaxCondition+1), 1, 1, "", "several rules"},
	} {
		err := Compile(c.expr)
		var refused *ConditionError
		if !assert.True(t, errors.As(err, &refused), "%q", c.expr) {
			continue
		}
		assert.Equal(t, [2]int{c.line, c.column}, [2]int{refused.Line, refused.Column}, "%q: %v", c.expr, err)
		assert.Contains(t, refused.Detail, c.detail, c.expr)
		assert.Contains(t, refused.Hint, c.hint, "%q: %v", c.expr, err)
		assert.NotContains(t, refused.Detail, "routing.", c.expr)
	}
}

func TestAFailureSaysWhatAndWhereButNotWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr    string
		failure Failure
		column  int // 0 is not known
	}{
		{`context.absent == "a"`, FailureKey, 8},
		{`true && context[context.said] == "a"`, FailureKey, 16},
		{`message.texts[7] == "a"`, FailureIndex, 14},
		{`message.text.charAt(100) == "a"`, FailureIndex, 20},
		{`message.text.substring(3, 1) == "a"`, FailureIndex, 23},
		{`1 / (size(message.texts) - 2) == 1`, FailureZero, 3},
		{`conversation.priority + 9223372036854775807 > 0`, FailureOverflow, 23},
		{`int(context.said) > 3`, FailureValue, 4},
		{`timestamp(context.said) > now`, FailureValue, 10},
		{`duration(context.said) > duration("1s")`, FailureValue, 9},
		{`now.getHours(context.said) == 3`, FailureValue, 13},
		{`message.text.matches(context.said + "")`, FailureCondition, 35},
		{`optional.none().value() == 1`, FailureKey, 22},
		{`message.txt == ""`, FailureCondition, 8},
		{`timestamp(int(context.amount) * 1000000000) > now`, FailureOverflow, 0},
		{`true && timestamp(int(context.amount) * 1000000000) > now`, FailureOverflow, 0},
	} {
		e := evaluation{failure: c.failure, column: c.column}
		if c.column > 0 {
			e.line = 1
		}
		assert.Equal(t, e, evaluate(c.expr, someFacts().variables()), c.expr)
	}
	facts := someFacts()
	facts.Context["pattern"] = "("
	assert.Equal(t, FailurePattern, evaluate(`message.text.matches(context.pattern)`, facts.variables()).failure)
}

func TestAnEvaluationStopsAtItsCost(t *testing.T) {
	t.Parallel()
	facts := someFacts()
	facts.Message.Texts = nil
	for range 2 * MaxTexts {
		facts.Message.Texts = append(facts.Message.Texts, strings.Repeat("あ", 5000))
	}
	expr := `message.texts.all(a, message.texts.all(b, message.texts.all(c, message.texts.all(d, a == b && c == d))))`
	require.NoError(t, Compile(expr))
	start := time.Now()
	assert.Equal(t, FailureCost, evaluate(expr, facts.variables()).failure)
	t.Log("stopped after", time.Since(start))

	assert.True(t, evaluate(`size(message.texts) == 20`, facts.variables()).matched, "the last 20 texts only")
	// What a reasonable rule asks of the longest conversation is well within.
	expr = `message.texts.exists(t, t.matches("返品|交換|返金|キャンセル|解約")) || message.texts.exists(t, t.contains("返品"))`
	assert.Equal(t, evaluation{}, evaluate(expr, facts.variables()))
}

func TestCompileNeverPanics(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"message", ".text", ".texts", "conversation", ".attributes", "context", "now", ".contains(", ".matches(", ".exists(", "t, ", "has(",
		"(", ")", "[", "]", "{", "}", "?", ":", "==", "&&", "||", "!", "+", "-", "/", "%", "<", " in ", "\"", "'", "\\", "\"返品\"", "\"สวัสดี\"", "r\"[\"", "b\"\\xff\"",
		"1", "-9223372036854775808", "1e400", "1u", "0x", "null", "true", "type(", "dyn(", "duration(\"1s\")", "timestamp(", "optional.of(", "[?", ".?",
		"routing.MessageFacts{", "\n", "\x00", "\xff", "🙂", ",", ".", "..", "getHours(\"Asia/Tokyo\")", "map(x, ", "x", "{\"a\": 1}", "`",
	}
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringN(0, 4, -1)), 0, 30).Draw(t, "pieces"), "")
		err := Compile(expr)
		var refused *ConditionError
		if err != nil && (!errors.As(err, &refused) || refused.Line < 1 || refused.Column < 1 || refused.Detail == "") {
			t.Fatalf("%q: %#v", expr, err)
		}
		evaluate(expr, someFacts().variables())
	})
	for _, deep := range []string{strings.Repeat("(", 3000), strings.Repeat("!", 3000) + "true", strings.Repeat("[", 1900) + strings.Repeat("]", 1900), strings.Repeat("a.", 1900) + "b"} {
		assert.NotPanics(t, func() { _ = Compile(deep) })
	}
}
