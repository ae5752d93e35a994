package automessage

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/textlen"
)

func TestNamesAndNumbersAreFilledIn(t *testing.T) {
	t.Parallel()
	v := Values{
		CustomerName: "佐藤 花子",
		AgentName:    "Mette",
		QueueName:    "Billing",
		Position:     3,
		WaitMinutes:  12,
		Context:      map[string]string{"order_number": "A-12345", "注文": "42"},
	}
	for _, c := range []struct{ text, want string }{
		{"{customer_name}様、お待たせいたしました。", "佐藤 花子様、お待たせいたしました。"},
		{"{agent_name} of {queue_name}", "Mette of Billing"},
		{"Number {position}, about {wait_minutes} min.", "Number 3, about 12 min."},
		{"Order {$order_number} ({$注文})", "Order A-12345 (42)"},
		{"No slug", "No slug"},
		{"", ""},
		{"{unknown} {} { {a\nb} } {customer_name", "{unknown} {} { {a\nb} } {customer_name"},
		{"{{agent_name}}", "{Mette}"},
	} {
		require.Equal(t, c.want, Fill(c.text, v), c.text)
	}
}

func TestASentenceStaysWholeWithoutTheName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"Hello {customer_name}!", "Hello!"},
		{"Hello, {customer_name}!", "Hello!"},
		{"Hello {customer_name}, how are you?", "Hello, how are you?"},
		{"Hello, {customer_name}, how are you?", "Hello, how are you?"},
		{"Hello {customer_name}\nHow are you?", "Hello\nHow are you?"},
		{"Hello, {customer_name}\nHow are you?", "Hello\nHow are you?"},
		{"{customer_name}, your order is here.", "Your order is here."},
		{"Good news. {customer_name}, your order is here.", "Good news. Your order is here."},
		{"{customer_name}! Your order is here.", "Your order is here."},
		{"{customer_name}: your order is here.", "Your order is here."},
		{"{customer_name}", ""},
		{"{customer_name}\nYour order is here.", "Your order is here."},
		{"Hello\n{customer_name}\nYour order is here.", "Hello\nYour order is here."},
		{"Hello\r\n{customer_name}\r\nYour order is here.", "Hello\r\nYour order is here."},
		{"Your order is here.\n{customer_name}", "Your order is here."},
		{"Our colleague {agent_name} will help.", "Our colleague will help."},
		{"Our colleague ({agent_name}) will help.", "Our colleague will help."},
		{"Our colleague ( {agent_name} ) will help.", "Our colleague will help."},
		{"Hello {customer_name} {agent_name}!", "Hello!"},
		{"Hello {customer_name}{agent_name} {queue_name}!", "Hello!"},
		{"Order {$order_number}.", "Order."},
		{"Order: {$order_number}.", "Order."},
		{"Hej {customer_name}, tak for din besked.", "Hej, tak for din besked."},
		{"{customer_name}様", ""},
		{"{customer_name} 様、お待たせいたしました。", "お待たせいたしました。"},
		{"{customer_name}さん、お待たせしました。", "お待たせしました。"},
		{"こんにちは、{customer_name}様。ご用件をどうぞ。", "こんにちは。ご用件をどうぞ。"},
		{"担当者（{agent_name}）がご対応いたします。", "担当者がご対応いたします。"},
		{"担当の「{agent_name}」です", "担当のです"},
		{"สวัสดีค่ะ คุณ{customer_name} ขอบคุณที่ติดต่อเรา", "สวัสดีค่ะ ขอบคุณที่ติดต่อเรา"},
		{"สวัสดีค่ะ คุณ {customer_name}", "สวัสดีค่ะ"},
		{"ขอบคุณ {customer_name}", "ขอบคุณ"},
		{"{customer_name} 您好，請問需要什麼協助？", "您好，請問需要什麼協助？"},
		{"親愛的 {customer_name} 您好", "親愛的您好"},
		{"與 {agent_name} 的諮詢已結束。", "與的諮詢已結束。"},
		{"{customer_name}小姐您好", "您好"},
	} {
		require.Equal(t, c.want, Fill(c.text, Values{}), c.text)
	}
}

func TestEveryDefaultIsWholeWithoutACustomersName(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"en":    "Hello, thank you for getting in touch. How can we help?",
		"ja":    "お問い合わせいただきありがとうございます。ご用件をお聞かせください。",
		"th":    "ยินดีต้อนรับ ขอบคุณที่ติดต่อเรา กรุณาแจ้งเรื่องที่ต้องการให้เราช่วยเหลือ",
		"zh-TW": "您好，感謝您與我們聯繫。請問需要什麼協助呢？",
		"da":    "Hej, tak fordi du skriver til os. Hvad kan vi hjælpe med?",
	}
	for _, l := range Locales() {
		text, _ := Text(Greeting, l)
		require.Equal(t, want[l], Fill(text, Values{}))
	}
}

func TestANameCannotReadSlugsOrDisturbTheText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Hello {$secret}!", Fill("Hello {customer_name}!", Values{CustomerName: "{$secret}", Context: map[string]string{"secret": "x"}}))
	require.Equal(t, "Hello Ann Lee!", Fill("Hello {customer_name}!", Values{CustomerName: "\u202E Ann\x00\r\nLee \t"}))
	require.Equal(t, "Hello!", Fill("Hello {customer_name}!", Values{CustomerName: " \n\uFFFF"}))
	require.Equal(t, "Note: a\nb", Fill("Note: {$n}", Values{Context: map[string]string{"n": "\x00a\r\nb\n"}}))
	require.Equal(t, "Hello A\uFFFD", Fill("Hello {customer_name}", Values{CustomerName: "A\xff"}))
}

func TestATextTooLongForLINEIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	family := "👨‍👩‍👧‍👦" // one grapheme of 11 UTF-16 units
	got := Fill("{$n}", Values{Context: map[string]string{"n": strings.Repeat(family, 1000)}})
	require.LessOrEqual(t, textlen.UTF16(got), MaxFilled)
	require.Equal(t, strings.Repeat(family, (MaxFilled-1)/11)+"…", got)

	exact := strings.Repeat("語", MaxFilled)
	require.Equal(t, exact, Fill(exact, Values{}))
}

func TestFillAlwaysGivesATextThatCanBeSent(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"{customer_name}", "{agent_name}", "{position}", "{$a}", "{$}", "{", "}", " ", "\n", "\r\n", ", ", "、", "。", "!", "(", ")", "（", "）", "様", "さん", "คุณ", "ขอบคุณ", "hello", "語", "\uFFFF"}),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "text"), "")
		v := Values{
			CustomerName: rapid.String().Draw(t, "customer"),
			AgentName:    rapid.SampledFrom([]string{"", "Mette"}).Draw(t, "agent"),
			Position:     rapid.IntRange(-1, 3).Draw(t, "position"),
			Context:      map[string]string{"a": rapid.String().Draw(t, "a")},
		}
		got := Fill(text, v)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, string(gap))
		require.LessOrEqual(t, textlen.UTF16(got), MaxFilled)
		require.Equal(t, got, Fill(text, v))
	})
}
