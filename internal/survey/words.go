package survey

import "kaiwa/internal/locale"

// defaultLocale is the language of words that exist in no language the reader
// knows.
const defaultLocale = "en"

// words are what Kaiwa itself says around the questions.
type words struct {
	satisfied  [5]string // what 1 to 5 mean
	csatHint   string
	npsHint    string
	effortHint string
	typeNumber string
	typeWords  string
	skip       string // a button, and what may be typed for it
	orSkip     string // follows typeNumber and typeWords in the same line
	openPage   string // a button of at most 20 characters

	Page
}

// Page is what the survey's page says beside the questions.
type Page struct {
	Title        string
	Lead         string
	Optional     string
	Send         string
	Missing      string // an answer is missing
	TooLong      string
	SomeWrong    string
	Thanks       string
	ThanksText   string
	Answered     string
	AnsweredText string
	Closed       string
	ClosedText   string
	Unknown      string
	UnknownText  string
	Away         string // the answers could not be kept for now
	AwayText     string
}

// wordings are in the languages of the automated messages, and in their manner:
// Japanese in keigo, Thai without particles, Taiwan's Chinese with 您, Danish
// with du.
var wordings = map[string]words{
	"en": {
		satisfied:  [5]string{"Very dissatisfied", "Dissatisfied", "Neutral", "Satisfied", "Very satisfied"},
		csatHint:   "5 = very satisfied, 1 = very dissatisfied",
		npsHint:    "0 = not at all likely, 10 = extremely likely",
		effortHint: "1 = very difficult, 7 = very easy",
		typeNumber: "Tap a button or type the number.",
		typeWords:  "Just write your answer here.",
		skip:       "Skip",
		orSkip:     " Or write “Skip” to leave it out.",
		openPage:   "Open the survey",
		Page: Page{
			Title: "Would you tell us how it went?", Lead: "It only takes a moment.", Optional: "(optional)", Send: "Send",
			Missing: "Please choose or write an answer.", TooLong: "Please shorten your answer to 5,000 characters.", SomeWrong: "Some answers are still missing.",
			Thanks: "Thank you for your answers", ThanksText: "They help us do better. You can close this page now.",
			Answered: "You have already answered", AnsweredText: "Thank you, we have your answers. You can close this page.",
			Closed: "This survey is closed", ClosedText: "It can no longer be answered. Thank you for wanting to help us.",
			Unknown: "This link does not work", UnknownText: "Please open it from the message in LINE again. If you copied it, a part may be missing.",
			Away: "That did not work just now", AwayText: "Your answers could not be saved. Please go back and try again in a moment.",
		},
	},
	"ja": {
		satisfied:  [5]string{"とても不満", "不満", "どちらともいえない", "満足", "とても満足"},
		csatHint:   "5＝とても満足、1＝とても不満",
		npsHint:    "0＝まったくすすめたくない、10＝ぜひすすめたい",
		effortHint: "1＝とても大変だった、7＝とても簡単だった",
		typeNumber: "ボタンを押すか、数字を入力してお答えください。",
		typeWords:  "ご回答をメッセージでお送りください。",
		skip:       "スキップ",
		orSkip:     "「スキップ」と入力すると、この質問を飛ばせます。",
		openPage:   "アンケートに答える",
		Page: Page{
			Title: "アンケートにご協力ください", Lead: "簡単な質問にお答えください。", Optional: "（任意）", Send: "送信する",
			Missing: "回答を選択または入力してください。", TooLong: "5,000文字以内でご記入ください。", SomeWrong: "まだご回答いただいていない質問があります。",
			Thanks: "ご回答ありがとうございました", ThanksText: "今後のサービス向上に役立ててまいります。このページは閉じていただいて結構です。",
			Answered: "すでにご回答いただいています", AnsweredText: "ご協力ありがとうございました。このページは閉じていただいて結構です。",
			Closed: "このアンケートは終了しました", ClosedText: "ご回答の受付は終了いたしました。ご協力いただこうとしてくださり、ありがとうございました。",
			Unknown: "このリンクは開けません", UnknownText: "お手数ですが、LINEのメッセージからもう一度開いてください。コピーしたリンクの場合は、一部が欠けている可能性があります。",
			Away: "送信できませんでした", AwayText: "ご回答を保存できませんでした。恐れ入りますが、前の画面に戻り、しばらくしてからもう一度お試しください。",
		},
	},
	"th": {
		satisfied:  [5]string{"ไม่พอใจมาก", "ไม่พอใจ", "ปานกลาง", "พอใจ", "พอใจมาก"},
		csatHint:   "5 = พอใจมาก, 1 = ไม่พอใจมาก",
		npsHint:    "0 = ไม่แนะนำแน่นอน, 10 = แนะนำแน่นอน",
		effortHint: "1 = ยากมาก, 7 = ง่ายมาก",
		typeNumber: "กดปุ่มหรือพิมพ์ตัวเลขเพื่อตอบ",
		typeWords:  "พิมพ์คำตอบส่งมาได้เลย",
		skip:       "ข้าม",
		orSkip:     " หรือพิมพ์ “ข้าม” เพื่อข้ามคำถามนี้",
		openPage:   "ทำแบบสอบถาม",
		Page: Page{
			Title: "ขอความเห็นของคุณสักครู่", Lead: "ใช้เวลาเพียงครู่เดียว", Optional: "(ไม่บังคับ)", Send: "ส่งคำตอบ",
			Missing: "กรุณาเลือกหรือพิมพ์คำตอบ", TooLong: "กรุณาพิมพ์คำตอบไม่เกิน 5,000 ตัวอักษร", SomeWrong: "ยังมีคำถามที่ยังไม่ได้ตอบ",
			Thanks: "ขอบคุณสำหรับคำตอบ", ThanksText: "เราจะนำไปปรับปรุงบริการให้ดียิ่งขึ้น ปิดหน้านี้ได้เลย",
			Answered: "คุณได้ตอบแบบสอบถามนี้แล้ว", AnsweredText: "ขอบคุณ เราได้รับคำตอบของคุณแล้ว ปิดหน้านี้ได้เลย",
			Closed: "แบบสอบถามนี้ปิดแล้ว", ClosedText: "ไม่สามารถตอบได้แล้ว ขอบคุณที่ตั้งใจให้ความเห็นกับเรา",
			Unknown: "เปิดลิงก์นี้ไม่ได้", UnknownText: "กรุณาเปิดจากข้อความใน LINE อีกครั้ง หากคัดลอกลิงก์มา อาจคัดลอกมาไม่ครบ",
			Away: "ส่งคำตอบไม่สำเร็จ", AwayText: "ระบบยังบันทึกคำตอบของคุณไม่ได้ กรุณาย้อนกลับแล้วลองอีกครั้งในอีกสักครู่",
		},
	},
	"zh-TW": {
		satisfied:  [5]string{"非常不滿意", "不滿意", "普通", "滿意", "非常滿意"},
		csatHint:   "5＝非常滿意，1＝非常不滿意",
		npsHint:    "0＝絕對不會推薦，10＝一定會推薦",
		effortHint: "1＝非常困難，7＝非常容易",
		typeNumber: "請點選按鈕，或直接輸入數字回答。",
		typeWords:  "請直接輸入您的回答。",
		skip:       "略過",
		orSkip:     "輸入「略過」可跳過這一題。",
		openPage:   "填寫問卷",
		Page: Page{
			Title: "想聽聽您的意見", Lead: "只需要一點時間。", Optional: "（選填）", Send: "送出",
			Missing: "請選擇或填寫您的回答。", TooLong: "請將回答縮短至 5,000 字以內。", SomeWrong: "還有題目尚未回答。",
			Thanks: "感謝您的回覆", ThanksText: "您的意見會幫助我們做得更好。您可以關閉這個頁面了。",
			Answered: "您已經填寫過了", AnsweredText: "謝謝您，我們已收到您的回覆。您可以關閉這個頁面。",
			Closed: "這份問卷已經結束", ClosedText: "目前已無法作答，感謝您願意提供意見。",
			Unknown: "無法開啟這個連結", UnknownText: "請從 LINE 的訊息中再開啟一次。若是複製的連結，可能有部分遺漏。",
			Away: "目前無法送出", AwayText: "您的回答尚未儲存，請返回上一頁，稍後再試一次。",
		},
	},
	"da": {
		satisfied:  [5]string{"Meget utilfreds", "Utilfreds", "Hverken/eller", "Tilfreds", "Meget tilfreds"},
		csatHint:   "5 = meget tilfreds, 1 = meget utilfreds",
		npsHint:    "0 = slet ikke sandsynligt, 10 = meget sandsynligt",
		effortHint: "1 = meget svært, 7 = meget let",
		typeNumber: "Tryk på en knap, eller skriv tallet.",
		typeWords:  "Skriv bare dit svar her.",
		skip:       "Spring over",
		orSkip:     " Eller skriv “Spring over”.",
		openPage:   "Åbn spørgeskemaet",
		Page: Page{
			Title: "Vil du fortælle os, hvordan det gik?", Lead: "Det tager kun et øjeblik.", Optional: "(valgfrit)", Send: "Send",
			Missing: "Vælg eller skriv et svar.", TooLong: "Gør svaret kortere end 5.000 tegn.", SomeWrong: "Der mangler stadig nogle svar.",
			Thanks: "Tak for dine svar", ThanksText: "De hjælper os med at blive bedre. Du kan lukke siden nu.",
			Answered: "Du har allerede svaret", AnsweredText: "Tak, vi har dine svar. Du kan lukke siden.",
			Closed: "Spørgeskemaet er lukket", ClosedText: "Det kan ikke besvares længere. Tak, fordi du ville hjælpe os.",
			Unknown: "Linket virker ikke", UnknownText: "Åbn det igen fra beskeden i LINE. Hvis du har kopieret det, mangler der måske noget.",
			Away: "Det lykkedes ikke lige nu", AwayText: "Dine svar kunne ikke gemmes. Gå tilbage, og prøv igen om lidt.",
		},
	},
}

// Locales lists the languages Kaiwa has words of its own in.
func Locales() []string { return []string{"en", "ja", "th", "zh-TW", "da"} }

func wordsIn(loc string) words {
	if w, ok := wordings[locale.Match(loc, Locales())]; ok {
		return w
	}
	return wordings[defaultLocale]
}

// PageIn returns what the page says to a reader of loc, and in which language
// that is.
func PageIn(loc string) (page Page, lang string) {
	lang = locale.Match(loc, Locales())
	if lang == "" {
		lang = defaultLocale
	}
	return wordings[lang].Page, lang
}

// HintIn says what the numbers of a question mean; "" where they need no words.
func (q Question) HintIn(loc string) string {
	w := wordsIn(loc)
	switch q.Kind {
	case KindNPS:
		return w.npsHint
	case KindEffort:
		return w.effortHint
	}
	return ""
}
