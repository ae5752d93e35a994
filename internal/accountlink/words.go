package accountlink

import "kaiwa/internal/locale"

// defaultLocale is the language of words that exist in no language the reader
// knows.
const defaultLocale = "en"

// locales lists the languages there are words in.
var locales = []string{"en", "ja", "th", "zh-TW", "da"}

// words are what the card says, and the page.
type words struct {
	invite   string // where nobody says otherwise
	undoable string
	link     string // buttons have at most 20 characters
	manage   string
	unlink   string

	Page
}

// Page is what the page says. A title and a text belong together.
type Page struct {
	Title, Text    string // nothing is linked yet
	Steps          [3]string
	Undo           string
	Continue       string
	GoTitle        string // the customer goes on to the company's sign-in
	GoText         string
	Go             string
	Linked         string
	LinkedText     string
	Unlink         string
	Unlinked       string
	UnlinkedText   string
	Off, OffText   string // the channel has it switched off
	Over, OverText string // the link is too old
	TooOften       string
	TooOftenText   string
	Unknown        string
	UnknownText    string
	Away           string
	AwayText       string
}

// wordings are in the languages of the automated messages, and in their manner:
// Japanese in keigo, Thai without particles, Taiwan's Chinese with 您, Danish
// with du.
var wordings = map[string]words{
	"en": {
		invite: "Would you like to link your LINE account with your account with us? Then we know that it is you.", undoable: "You can undo this at any time, on the same page.",
		link: "Link my account", manage: "See or change", unlink: "Unlink",
		Page: Page{
			Title: "Link your accounts", Text: "Link your LINE account with your customer account, so that we know in the chat that it is you.",
			Steps: [3]string{"You sign in to your customer account on our website.", "LINE checks that the LINE account is yours.", "We know your customer number in this chat. We do not learn your password."},
			Undo:  "You can undo this at any time, on this page.", Continue: "Continue",
			GoTitle: "Sign in", GoText: "Sign in within 30 minutes. Afterwards you come back to LINE.", Go: "Go to the sign-in",
			Linked: "Your accounts are linked", LinkedText: "We know in the chat that it is you. If you no longer want that, unlink them here.", Unlink: "Unlink",
			Unlinked: "Your accounts are unlinked", UnlinkedText: "The chat no longer knows your customer account. You can close this page now.",
			Off: "Linking is not possible", OffText: "Accounts cannot be linked here at the moment. Just write to us in the chat.",
			Over: "This link is too old", OverText: "Please ask for a new one in the chat.",
			TooOften: "Too many attempts", TooOftenText: "Please wait a few minutes, then try again.",
			Unknown: "This link does not work", UnknownText: "Please open it from the message in LINE again. If you copied it, a part may be missing.",
			Away: "That did not work just now", AwayText: "Please go back and try again in a moment.",
		},
	},
	"ja": {
		invite: "LINEアカウントとお客様の会員アカウントを連携なさいますか。ご本人様であることが確認できるようになります。", undoable: "連携は、同じページからいつでも解除できます。",
		link: "アカウントを連携する", manage: "確認・変更する", unlink: "連携を解除する",
		Page: Page{
			Title: "アカウントの連携", Text: "LINEアカウントとお客様の会員アカウントを連携すると、トークでご本人様であることが確認できるようになります。",
			Steps: [3]string{"当社のサイトで、会員アカウントにログインしていただきます。", "LINEが、お客様ご本人のLINEアカウントであることを確認します。", "このトークで、お客様番号が確認できるようになります。パスワードが伝わることはございません。"},
			Undo:  "連携は、このページからいつでも解除できます。", Continue: "次へ進む",
			GoTitle: "ログイン", GoText: "30分以内にログインしてください。その後、LINEに戻ります。", Go: "ログイン画面へ",
			Linked: "アカウントは連携されています", LinkedText: "トークでご本人様であることが確認できます。ご不要の場合は、こちらから連携を解除できます。", Unlink: "連携を解除する",
			Unlinked: "連携を解除しました", UnlinkedText: "トークでは会員アカウントを確認できなくなりました。このページは閉じていただいて結構です。",
			Off: "連携をご利用いただけません", OffText: "ただいまアカウントの連携はご利用いただけません。トークでメッセージをお送りください。",
			Over: "このリンクは期限が切れています", OverText: "恐れ入りますが、トークで新しいリンクをお求めください。",
			TooOften: "操作の回数が多すぎます", TooOftenText: "恐れ入りますが、数分ほど経ってからもう一度お試しください。",
			Unknown: "このリンクは開けません", UnknownText: "お手数ですが、LINEのメッセージからもう一度開いてください。コピーしたリンクの場合は、一部が欠けている可能性があります。",
			Away: "ただいまご利用いただけません", AwayText: "恐れ入りますが、前の画面に戻り、しばらくしてからもう一度お試しください。",
		},
	},
	"th": {
		invite: "ต้องการเชื่อมบัญชี LINE กับบัญชีลูกค้าของคุณหรือไม่ เราจะได้ทราบว่าเป็นคุณ", undoable: "ยกเลิกได้ทุกเมื่อในหน้าเดียวกัน",
		link: "เชื่อมบัญชี", manage: "ดูหรือเปลี่ยน", unlink: "ยกเลิกการเชื่อม",
		Page: Page{
			Title: "เชื่อมบัญชี", Text: "เชื่อมบัญชี LINE กับบัญชีลูกค้าของคุณ เพื่อให้เราทราบในแชทว่าเป็นคุณ",
			Steps: [3]string{"เข้าสู่ระบบบัญชีลูกค้าบนเว็บไซต์ของเรา", "LINE ตรวจสอบว่าบัญชี LINE เป็นของคุณ", "เราจะทราบหมายเลขลูกค้าของคุณในแชทนี้ โดยไม่ทราบรหัสผ่าน"},
			Undo:  "ยกเลิกได้ทุกเมื่อในหน้านี้", Continue: "ดำเนินการต่อ",
			GoTitle: "เข้าสู่ระบบ", GoText: "กรุณาเข้าสู่ระบบภายใน 30 นาที จากนั้นจะกลับมาที่ LINE", Go: "ไปที่หน้าเข้าสู่ระบบ",
			Linked: "บัญชีของคุณเชื่อมกันแล้ว", LinkedText: "เราทราบในแชทว่าเป็นคุณ หากไม่ต้องการแล้ว ยกเลิกได้ที่นี่", Unlink: "ยกเลิกการเชื่อม",
			Unlinked: "ยกเลิกการเชื่อมแล้ว", UnlinkedText: "แชทจะไม่ทราบบัญชีลูกค้าของคุณอีก ปิดหน้านี้ได้เลย",
			Off: "ยังเชื่อมบัญชีไม่ได้", OffText: "ขณะนี้ยังเชื่อมบัญชีที่นี่ไม่ได้ ส่งข้อความหาเราในแชทได้เลย",
			Over: "ลิงก์นี้หมดอายุแล้ว", OverText: "กรุณาขอลิงก์ใหม่ในแชท",
			TooOften: "ทำรายการบ่อยเกินไป", TooOftenText: "กรุณารอสักครู่แล้วลองอีกครั้ง",
			Unknown: "เปิดลิงก์นี้ไม่ได้", UnknownText: "กรุณาเปิดจากข้อความใน LINE อีกครั้ง หากคัดลอกลิงก์มา อาจคัดลอกมาไม่ครบ",
			Away: "ทำรายการไม่สำเร็จ", AwayText: "กรุณาย้อนกลับแล้วลองอีกครั้งในอีกสักครู่",
		},
	},
	"zh-TW": {
		invite: "要將您的 LINE 帳號與會員帳號連結嗎？連結後，我們就能確認是您本人。", undoable: "您隨時可以在同一個頁面解除連結。",
		link: "連結帳號", manage: "查看或變更", unlink: "解除連結",
		Page: Page{
			Title: "連結帳號", Text: "將您的 LINE 帳號與會員帳號連結，我們就能在聊天中確認是您本人。",
			Steps: [3]string{"您在我們的網站登入會員帳號。", "LINE 會確認這個 LINE 帳號是您本人的。", "我們能在這個聊天中得知您的會員編號，但不會得知您的密碼。"},
			Undo:  "您隨時可以在這個頁面解除連結。", Continue: "繼續",
			GoTitle: "登入", GoText: "請在 30 分鐘內登入，之後會回到 LINE。", Go: "前往登入頁面",
			Linked: "您的帳號已連結", LinkedText: "我們能在聊天中確認是您本人。若不再需要，可以在這裡解除連結。", Unlink: "解除連結",
			Unlinked: "已解除連結", UnlinkedText: "聊天中不再得知您的會員帳號。您可以關閉這個頁面了。",
			Off: "目前無法連結", OffText: "目前無法在這裡連結帳號，歡迎直接在聊天中留言給我們。",
			Over: "這個連結已過期", OverText: "請在聊天中索取新的連結。",
			TooOften: "嘗試次數過多", TooOftenText: "請等候幾分鐘後再試一次。",
			Unknown: "無法開啟這個連結", UnknownText: "請從 LINE 的訊息中再開啟一次。若是複製的連結，可能有部分遺漏。",
			Away: "目前無法處理", AwayText: "請返回上一頁，稍後再試一次。",
		},
	},
	"da": {
		invite: "Vil du knytte din LINE-konto til din kundekonto hos os? Så ved vi, at det er dig.", undoable: "Du kan altid fortryde det på den samme side.",
		link: "Tilknyt min konto", manage: "Se eller ret", unlink: "Fjern tilknytning",
		Page: Page{
			Title: "Tilknyt din konto", Text: "Knyt din LINE-konto til din kundekonto, så vi i chatten ved, at det er dig.",
			Steps: [3]string{"Du logger ind på din kundekonto på vores hjemmeside.", "LINE kontrollerer, at LINE-kontoen er din.", "Vi kender dit kundenummer i denne chat. Vi får ikke din adgangskode at vide."},
			Undo:  "Du kan altid fortryde det på denne side.", Continue: "Fortsæt",
			GoTitle: "Log ind", GoText: "Log ind inden for 30 minutter. Bagefter kommer du tilbage til LINE.", Go: "Gå til login",
			Linked: "Dine konti er knyttet sammen", LinkedText: "Vi ved i chatten, at det er dig. Vil du ikke have det længere, kan du fjerne tilknytningen her.", Unlink: "Fjern tilknytning",
			Unlinked: "Tilknytningen er fjernet", UnlinkedText: "Chatten kender ikke længere din kundekonto. Du kan lukke siden nu.",
			Off: "Tilknytning er ikke mulig", OffText: "Konti kan ikke tilknyttes her i øjeblikket. Skriv bare til os i chatten.",
			Over: "Linket er for gammelt", OverText: "Bed om et nyt i chatten.",
			TooOften: "For mange forsøg", TooOftenText: "Vent et par minutter, og prøv så igen.",
			Unknown: "Linket virker ikke", UnknownText: "Åbn det igen fra beskeden i LINE. Hvis du har kopieret det, mangler der måske noget.",
			Away: "Det lykkedes ikke lige nu", AwayText: "Gå tilbage, og prøv igen om lidt.",
		},
	},
}

func wordsIn(loc string) (w words, lang string) {
	if lang = locale.Match(loc, locales); lang == "" {
		lang = defaultLocale
	}
	return wordings[lang], lang
}

// PageIn returns what the page says to a reader of loc, and in which language
// that is.
func PageIn(loc string) (page Page, lang string) {
	w, lang := wordsIn(loc)
	return w.Page, lang
}
