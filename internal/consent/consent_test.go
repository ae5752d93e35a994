package consent_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/automessage"
	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
)

func TestWhatIsTypedIsAnAnswerWhenItIsExactlyOne(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]consent.Answer{
		"yes": consent.Yes, " YES! ": consent.Yes, "ＹＥＳ": consent.Yes, "“Yes.”": consent.Yes, "I agree": consent.Yes, "yes, I agree": consent.Yes,
		"はい": consent.Yes, "はい。": consent.Yes, "「はい」": consent.Yes, "ﾊｲ": "", "同意します": consent.Yes, "はい、同意します。": consent.Yes,
		"ใช่": consent.Yes, "ใช่ค่ะ": consent.Yes, "ยินยอมครับ": consent.Yes,
		"同意": consent.Yes, "我同意！": consent.Yes, "是的": consent.Yes,
		"ja": consent.Yes, "Ja tak!": consent.Yes, "Jeg accepterer": consent.Yes, "Ja 👍": consent.Yes,

		"no": consent.No, "No.": consent.No, "I don’t agree": consent.No, "いいえ": consent.No, "同意しません": consent.No, "ไม่": consent.No,
		"ไม่ยินยอมค่ะ": consent.No, "不同意": consent.No, "否": consent.No, "nej": consent.No, "Nej tak": consent.No,

		"": "", "   ": "", "?": "", "👍": "", "maybe": "", "yes and no": "", "yes, but where is my parcel": "", "はいはい": "", "ok": "", "japan": "",
		"ไม่ทราบ": "", "不": "", strings.Repeat("yes ", 100): "",
	} {
		require.Equal(t, want, consent.Typed(text), "%q", text)
	}
}

func TestTheButtonsOfEveryLanguageAreAnswers(t *testing.T) {
	t.Parallel()
	id := conversation.DerivedID(conversation.PrefixConversation, "x")
	for _, loc := range append(automessage.Locales(), "de", "", "ja-JP", "zh-Hant") {
		version := "2026-04: " + strings.Repeat("語", 30)
		buttons := consent.Buttons(id, version, loc)
		require.Len(t, buttons, 2)
		for i, want := range []consent.Answer{consent.Yes, consent.No} {
			tap, ok := consent.ReadTap(buttons[i].Data)
			require.True(t, ok)
			require.Equal(t, consent.Tap{ConversationID: id, Version: version, Answer: want}, tap)
			require.Equal(t, want, consent.Typed(buttons[i].Label), "%s: the label may be typed", loc)
			require.Equal(t, buttons[i].Label, buttons[i].Text, "the chat shows what was tapped")
		}
		require.NoError(t, line.Validate(conversation.Content{Type: conversation.ContentQuickReplies, Text: "?", QuickReplies: buttons}))
	}
	require.Equal(t, "同意する", consent.Buttons(id, "1", "ja-JP")[0].Label)
	require.Equal(t, "同意", consent.Buttons(id, "1", "zh-Hant")[0].Label)
	require.Equal(t, "I agree", consent.Buttons(id, "1", "de")[0].Label)
}

func TestDataOfOthersIsNoTap(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "kaiwa:", "kaiwa:survey:inv_1:5", "yes", "Kaiwa:consent:cnv_1:1:yes"} {
		_, ok := consent.ReadTap(data)
		require.False(t, ok, data)
	}
	for _, data := range []string{"kaiwa:consent:", "kaiwa:consent:cnv_1", "kaiwa:consent:cnv_1:yes", "kaiwa:consent:cnv_1:1:maybe", "kaiwa:consent:cnv_1:1:YES"} {
		tap, ok := consent.ReadTap(data)
		require.True(t, ok, data)
		require.Equal(t, consent.Tap{}, tap, "%s is no answer", data)
	}
}
