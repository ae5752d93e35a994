package line

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func parseFixture(t *testing.T, name string) Event {
	t.Helper()
	w, err := SplitWebhook(fixtures(t)[name])
	require.NoError(t, err)
	require.Len(t, w.Events, 1)
	e, err := ParseEvent(w.Events[0].Raw)
	require.NoError(t, err)
	return e
}

func TestMessagesOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fixture, kind, text, payload string
	}{
		{"text", MessageText, "注文した靴のサイズを変えられますか 👟", `{}`},
		{"text_emojis_mention", MessageText, "@All @kaiwa-support おねがい (love)",
			`{"emojis":[{"emojiId":"001","index":25,"length":6,"productId":"5ac1bfd5040ab15980c9b435"}],"mention":{"mentionees":[{"index":0,"length":4,"type":"all"},{"index":5,"isSelf":true,"length":14,"type":"user","userId":"Ufabcaa97871555b68aa095335975e613"}]}}`},
		{"text_quoting", MessageText, "これのことです", `{"quotedMessageId":"588112233445560001"}`},
		{"message_edited", MessageText, "三時ではなく四時です", `{}`},
		{"sticker", MessageSticker, "", `{"keywords":["thanks","bow","ありがとう"],"packageId":"11537","stickerId":"52002734","stickerResourceType":"ANIMATION"}`},
		{"sticker_message", MessageSticker, "", `{"keywords":["Sticker"],"packageId":"19435","quotedMessageId":"588112233445560002","stickerId":"16632570","stickerResourceType":"MESSAGE","text":"よろしく!"}`},
		{"image", MessageImage, "", `{"contentProvider":{"type":"line"},"imageSet":{"id":"E005D41A7288F41B65593ED38FF6E9834B046AB36A37921A56BC236F13A91855","index":2,"total":3}}`},
		{"image_external", MessageImage, "", `{"contentProvider":{"originalContentUrl":"https://img.example.com/original.jpg","previewImageUrl":"https://img.example.com/preview.jpg","type":"external"}}`},
		{"video", MessageVideo, "", `{"contentProvider":{"type":"line"},"duration":61500}`},
		{"audio", MessageAudio, "", `{"contentProvider":{"type":"line"},"duration":4200}`},
		{"file", MessageFile, "領収書 2026-11.pdf", `{"fileName":"領収書 2026-11.pdf","fileSize":183044}`},
		{"location", MessageLocation, "待ち合わせ, 東京都千代田区丸の内1丁目9-1", `{"address":"東京都千代田区丸の内1丁目9-1","latitude":35.681236,"longitude":139.767125,"title":"待ち合わせ"}`},
		{"location_bare", MessageLocation, "", `{"latitude":-33.856784,"longitude":151.215297}`},
	} {
		t.Run(tc.fixture, func(t *testing.T) {
			t.Parallel()
			m := parseFixture(t, tc.fixture).Message
			require.Equal(t, tc.kind, m.Type)
			require.Equal(t, tc.text, m.Text)
			require.True(t, ValidMessageID(m.ID))
			require.Equal(t, tc.payload, string(m.Payload))
		})
	}
	m := parseFixture(t, "text_quoting").Message
	require.Equal(t, "588112233445560001", m.QuotedMessageID)
	require.NotEmpty(t, m.QuoteToken)
	require.NotEmpty(t, m.MarkAsReadToken)
}

func TestAMessageOfAKindToComeIsKept(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"type":"message","message":{"id":"5","type":"hologram","text":"hi","quoteToken":"q","depth":3}}`: `{"depth":3,"text":"hi","type":"hologram"}`,
		`{"type":"message","message":{"id":"5"}}`:                                                          `{}`,
		`{"type":"message","message":{"id":"5","type":9}}`:                                                 `{"type":9}`,
	} {
		e, err := ParseEvent([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, MessageUnsupported, e.Message.Type)
		require.Empty(t, e.Message.Text)
		require.Equal(t, "5", e.Message.ID)
		require.Equal(t, want, string(e.Message.Payload))
	}
}

func TestOtherEvents(t *testing.T) {
	t.Parallel()
	require.Equal(t, &Postback{Data: "survey=cnv_01&csat=5"}, parseFixture(t, "postback").Postback)
	require.Equal(t, &Postback{Data: "booking=17", Params: map[string]string{"datetime": "2026-12-24T18:30"}}, parseFixture(t, "postback_date").Postback)
	require.Equal(t, "588112233445566717", parseFixture(t, "unsend").UnsendMessageID)
	require.False(t, parseFixture(t, "follow").IsUnblocked)
	require.True(t, parseFixture(t, "follow_unblocked").IsUnblocked)
	require.Len(t, parseFixture(t, "member_joined").Members, 2)
	require.Len(t, parseFixture(t, "member_left").Members, 1)
	require.Equal(t, &AccountLink{OK: true, Nonce: "Zm9vLWJhci1iYXo0Mg"}, parseFixture(t, "account_link").Link)
	require.Equal(t, &AccountLink{Nonce: "Zm9vLWJhci1iYXo0Mg"}, parseFixture(t, "account_link_failed").Link)
}

func TestParseEventIsLenient(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Event{
		`{"type":"message","message":7}`:                                           {Type: "message"},
		`{"type":"message","message":null}`:                                        {Type: "message"},
		`{"type":"postback","postback":{"data":5,"params":[1]}}`:                   {Type: "postback", Postback: &Postback{}},
		`{"type":"postback","postback":{"data":"a","params":{"x":1,"date":"d"}}}`:  {Type: "postback", Postback: &Postback{Data: "a", Params: map[string]string{"date": "d"}}},
		`{"type":"unsend","unsend":{"messageId":5}}`:                               {Type: "unsend"},
		`{"type":"follow"}`:                                                        {Type: "follow"},
		`{"type":"follow","follow":{"isUnblocked":"true"}}`:                        {Type: "follow"},
		`{"type":"memberJoined","joined":{"members":[null,{},{"userId":"U1"},3]}}`: {Type: "memberJoined", Members: []string{"U1"}},
		`{"type":"memberJoined","joined":{"members":{}}}`:                          {Type: "memberJoined"},
		`{"type":"somethingNew","somethingNew":{"a":1}}`:                           {Type: "somethingNew"},
	} {
		e, err := ParseEvent([]byte(raw))
		require.NoError(t, err, raw)
		e.Detail = nil // see TestAnEventsDetailIsKept
		require.Equal(t, want, e, raw)
	}
	for _, raw := range []string{``, `null`, `[]`, `3`, `{}`, `{"type":null}`, `{"type":4}`, `{"type":"message"`} {
		_, err := ParseEvent([]byte(raw))
		require.Error(t, err, raw)
	}
}

func TestAnEventsDetailIsKept(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"type":"beacon","beacon":{"hwid":"a1","type":"enter","x\u0000":"y"}}`:                  `{"hwid":"a1","type":"enter","x":"y"}`,
		`{"type":"teleport","teleport":{"to":"osaka"},"source":{"type":"user"},"note":"x"}`:      `{"to":"osaka"}`,
		`{"type":"teleport","a":{},"b":{}}`:                                                      "",
		`{"type":"teleport","deliveryContext":{"isRedelivery":false}}`:                           "",
		`{"type":"message","message":{"id":"1","type":"text","text":"x"}}`:                       "",
		`{"type":"membership","membership":{"type":"joined","membershipId":1e999999}}`:           `{"membershipId":"1e999999","type":"joined"}`,
		`{"type":"follow","follow":{"isUnblocked":true},"source":{"type":"user","userId":"U1"}}`: `{"isUnblocked":true}`,
	} {
		e, err := ParseEvent([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, want, string(e.Detail), raw)
	}
	e, err := ParseEvent([]byte(`{"type":"join","source":{"type":"group","userId":"U 1"}}`))
	require.NoError(t, err)
	require.Empty(t, e.UserID, "no id")
}

func TestWhatADatabaseRefusesIsTakenOut(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200)
	e, err := ParseEvent([]byte("{\"type\":\"message\",\"message\":{\"id\":\"1\\u0000\",\"type\":\"text\",\"text\":\"a\\u0000b\xff\\ud83d c\",\"x\\u0000y\":\"p\\u0000q\"," +
		`"huge":1e999999,"tiny":1e-99999,"long":` + strings.Repeat("9", 200) + `,"fine":12345678901234567890.5,"zero":0e0,"list":["\u0000"],"deep":` + deep + "}}"))
	require.NoError(t, err)
	require.Equal(t, "1", e.Message.ID)
	require.Equal(t, "ab\uFFFD\uFFFD c", e.Message.Text)
	var got map[string]any
	require.NoError(t, json.Unmarshal(e.Message.Payload, &got))
	require.Equal(t, "pq", got["xy"])
	require.Equal(t, "1e999999", got["huge"])
	require.Equal(t, "1e-99999", got["tiny"])
	require.Equal(t, strings.Repeat("9", 200), got["long"])
	require.Equal(t, []any{""}, got["list"])
	require.Contains(t, string(e.Message.Payload), `"fine":12345678901234567890.5`)
	require.Contains(t, string(e.Message.Payload), `"zero":0e0`)
	require.Equal(t, maxPayloadDepth, strings.Count(string(e.Message.Payload), `{"a":`))
}

func FuzzParseEvent(f *testing.F) {
	for _, body := range fixtures(f) {
		w, err := SplitWebhook(body)
		require.NoError(f, err)
		for _, e := range w.Events {
			f.Add(e.Raw)
		}
	}
	f.Add([]byte(`{"type":"message","message":{"a":1e999,"b\u0000":"\u0000","c":[[[[]]]]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ParseEvent(raw)
		if err != nil {
			require.Equal(t, Event{}, e)
			return
		}
		texts := append([]string{e.Type, e.UnsendMessageID}, e.Members...)
		if m := e.Message; m != nil {
			require.True(t, json.Valid(m.Payload))
			require.Equal(t, byte('{'), m.Payload[0])
			require.NotContains(t, strings.ReplaceAll(string(m.Payload), `\\`, ""), `\u0000`)
			texts = append(texts, m.ID, m.Type, m.Text, m.QuoteToken, m.QuotedMessageID, m.MarkAsReadToken, string(m.Payload))
		}
		if p := e.Postback; p != nil {
			texts = append(texts, p.Data)
			for k, v := range p.Params {
				texts = append(texts, k, v)
			}
		}
		for _, s := range texts {
			require.True(t, utf8.ValidString(s))
			require.NotContains(t, s, "\x00")
		}
	})
}
