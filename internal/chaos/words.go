package chaos

// tongue is what somebody says in one language. Customers and agents say it
// followed by a mark of their own, so that no two of their messages are alike.
type tongue struct {
	locale  string
	names   []string
	asks    []string // questions of a customer
	waits   []string // of a customer whom nobody answers
	thanks  []string
	person  string // asks for a person, in a phrase Kaiwa knows
	bye     string // what the bots take for the end
	helps   []string
	goodbye string // an agent's last words
	yes, no string // typed answers to the privacy notice
}

var tongues = []tongue{
	{
		locale: "en", names: []string{"Emma", "Noah", "Olivia", "Liam"},
		asks:  []string{"Do you have this in red?", "Where is my parcel?", "I would like to return a shirt", "Is the shop open on Sunday?", "My order number does not work"},
		waits: []string{"Hello?", "Is anybody there?", "I am still waiting"}, thanks: []string{"Thank you", "Great, thanks 🙏"},
		person: "I want to talk to a person", bye: "bye",
		helps: []string{"Let me have a look.", "I have found your order.", "It is on its way.", "Could you send me a picture?"}, goodbye: "Have a nice day!",
		yes: "yes", no: "no",
	},
	{
		locale: "ja", names: []string{"葵", "蓮", "陽菜", "湊"},
		asks:  []string{"赤はありますか", "荷物はどこにありますか", "シャツを返品したいのですが", "日曜日は営業していますか", "注文番号が使えません"},
		waits: []string{"もしもし", "どなたかいらっしゃいますか", "まだ待っています"}, thanks: []string{"ありがとうございます", "助かりました😊"},
		person: "担当者と話したいです", bye: "さようなら",
		helps: []string{"確認いたします。", "ご注文が見つかりました。", "発送済みでございます。", "写真を送っていただけますか。"}, goodbye: "ご利用ありがとうございました。",
		yes: "はい", no: "いいえ",
	},
	{
		locale: "th", names: []string{"สมชาย", "มาลี", "ณัฐ", "พลอย"},
		asks:  []string{"มีสีแดงไหม", "พัสดุของฉันอยู่ที่ไหน", "อยากคืนเสื้อ", "วันอาทิตย์ร้านเปิดไหม", "หมายเลขคำสั่งซื้อใช้ไม่ได้"},
		waits: []string{"สวัสดี มีใครอยู่ไหม", "ยังรออยู่นะ", "ฮัลโหล"}, thanks: []string{"ขอบคุณ", "ขอบคุณมาก 🙏"},
		person: "ขอคุยกับเจ้าหน้าที่", bye: "ลาก่อน",
		helps: []string{"ขอตรวจสอบสักครู่", "พบคำสั่งซื้อแล้ว", "กำลังจัดส่ง", "รบกวนส่งรูปให้ดูหน่อย"}, goodbye: "ขอบคุณที่ใช้บริการ",
		yes: "ใช่", no: "ไม่",
	},
	{
		locale: "zh-TW", names: []string{"怡君", "志明", "美玲", "俊傑"},
		asks:  []string{"這款有紅色嗎", "我的包裹在哪裡", "我想退這件襯衫", "星期日有營業嗎", "訂單編號無法使用"},
		waits: []string{"請問有人在嗎", "我還在等", "哈囉"}, thanks: []string{"謝謝", "太好了，謝謝 😄"},
		person: "我要找真人客服", bye: "再見",
		helps: []string{"我幫您查詢。", "找到您的訂單了。", "已經寄出了。", "可以傳照片給我看嗎？"}, goodbye: "感謝您的光臨。",
		yes: "同意", no: "不同意",
	},
}

// byes are the words that end a conversation with a bot.
func byes() map[string][]string {
	out := map[string][]string{}
	for _, t := range tongues {
		out[t.locale] = []string{t.bye}
	}
	return out
}
