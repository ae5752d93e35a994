package language_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"kaiwa/internal/language"
	"kaiwa/internal/locale"
)

func TestALanguageIsToldByWhatACustomerWrote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  string
		texts []string
	}{
		// Japanese: any kana decides, whatever stands around it.
		{"ja", []string{"こんにちは"}},
		{"ja", []string{"返品したいです"}},
		{"ja", []string{"ｷｬﾝｾﾙ"}},
		{"ja", []string{"注文番号12345", "まだ届きません"}},
		{"ja", []string{"確認", "お願いします", "OK"}},
		{"ja", []string{"Windows Updateの設定"}},
		{"ja", []string{"https://example.com/itemを見ました"}},
		{"ja", []string{"返金希望"}},
		{"ja", []string{"予約変更"}},
		{"ja", []string{"領収書発行"}},
		{"ja", []string{"営業時間"}},
		{"ja", []string{"明日😀は?"}},
		// Chinese, by characters that only one kind has.
		{"zh-TW", []string{"請問這個還有貨嗎？"}},
		{"zh-TW", []string{"我要退貨"}},
		{"zh-TW", []string{"訂單還沒收到"}},
		{"zh-TW", []string{"什麼時候會到"}},
		{"zh-CN", []string{"请问什么时候发货"}},
		{"zh-CN", []string{"我要退货"}},
		{"zh-CN", []string{"谢谢"}},
		{"zh-CN", []string{"订单还没收到"}},
		{"zh", []string{"我要退款"}},
		{"zh", []string{"你好"}},
		{"", []string{"取消"}},
		{"", []string{"確認"}},
		// Scripts of their own.
		{"ko", []string{"환불하고 싶어요"}},
		{"ko", []string{"네"}},
		{"", []string{"ㅋㅋㅋ"}},
		{"th", []string{"สวัสดีครับ"}},
		{"th", []string{"อยากคืนสินค้าค่ะ"}},
		{"th", []string{"Samsung Galaxy S24 Ultra มีไหม"}},
		{"th", []string{"ok ครับ"}},
		{"ru", []string{"Где мой заказ?"}},
		{"uk", []string{"Де моє замовлення?"}},
		{"el", []string{"Πού είναι η παραγγελία μου;"}},
		// Latin letters.
		{"en", []string{"where is my order?"}},
		{"en", []string{"I want a refund"}},
		{"en", []string{"hi", "I’ve not received it yet"}},
		{"en", []string{"Ｗｈｅｒｅ ｉｓ ｍｙ ｏｒｄｅｒ"}},
		{"en", []string{"Thanks!"}},
		{"en", []string{"do you have this in blue? (moon grin)"}},
		{"en", []string{"where is my order ヽ(´▽`)ノ"}},
		{"da", []string{"Hvor er min pakke?"}},
		{"da", []string{"jeg har ikke fået min ordre"}},
		{"da", []string{"Hej, hvornår åbner I?"}},
		{"da", []string{"må jeg få pengene tilbage, varen virker ikke"}},
		{"nb", []string{"jeg har ikke fått pakken, hva skjer?"}},
		{"sv", []string{"var är mitt paket?"}},
		{"de", []string{"Wo ist meine Bestellung?"}},
		{"de", []string{"ich möchte mein Geld zurück"}},
		{"nl", []string{"waar is mijn bestelling?"}},
		{"fr", []string{"où est ma commande ?"}},
		{"fr", []string{"j’ai reçu le mauvais colis"}},
		{"fr", []string{"Bonjour"}},
		{"es", []string{"¿dónde está mi pedido?"}},
		{"es", []string{"quiero devolver esto"}},
		{"pt", []string{"onde está meu pedido?"}},
		{"pt", []string{"ainda não recebi"}},
		{"it", []string{"dov'è il mio ordine?"}},
		{"it", []string{"vorrei un rimborso"}},
		{"pl", []string{"gdzie jest moja paczka?"}},
		{"vi", []string{"đơn hàng của tôi đâu rồi"}},
		{"vi", []string{"shop ơi cho mình hỏi giá"}},
		{"id", []string{"pesanan saya belum sampai"}},
		{"id", []string{"kak, barang ini ada?"}},
		{"tr", []string{"siparişim nerede?"}},
		{"fi", []string{"missä minun tilaus on?"}},
		// Nothing to tell it by.
		{"", nil},
		{"", []string{""}},
		{"", []string{"hi"}},
		{"", []string{"ok"}},
		{"", []string{"OK!!!", "👍"}},
		{"", []string{"12345"}},
		{"", []string{"😀😀"}},
		{"", []string{"iPhone 15 Pro Max"}},
		{"", []string{"Jørgen"}},
		{"", []string{"https://example.com/the/order/is/here?and=what"}},
		{"", []string{"anna.the.what@example.com"}},
		{"", []string{"(love) (moon grin)"}},
		{"", []string{`¯\_(ツ)_/¯`}},
		{"", []string{"(´・ω・`)"}},
	} {
		assert.Equal(t, c.want, language.Of(c.texts), "%q", c.texts)
	}
}

func TestWhatWasWrittenLastCountsWhenThereIsMuch(t *testing.T) {
	t.Parallel()
	require.Equal(t, "th", language.Of([]string{strings.Repeat("where is my order ", 1000), strings.Repeat("อยากคืนสินค้าค่ะ ", 300)}))
}

func TestAnyTextGivesALanguageTagOrNoneInTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a'’@(){}の的這这ﷺ한ก\u0301\ufdfa\xff .")))), 0, 20).Draw(t, "texts")
		found := language.Of(texts)
		if found != "" && !locale.Valid(found) {
			t.Fatalf("%q is no language", found)
		}
		if again := language.Of(texts); again != found {
			t.Fatalf("%q, then %q", found, again)
		}
	})
	for _, hard := range []string{"(", "'", "@", "https://", "\ufdfa", "a\u0301\u0301", "\xff", "這", "the "} {
		begun := time.Now()
		language.Of([]string{strings.Repeat(hard, 1_000_000)})
		require.Less(t, time.Since(begun), 2*time.Second, "%q", hard)
	}
}
