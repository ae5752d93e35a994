package automessage

// DefaultLocale is the language of a text that exists in no language the
// reader knows.
const DefaultLocale = "en"

// defaults are the words of each trigger. Names stand where a sentence stays
// whole without them. Japanese speaks to customers in keigo (お客様, いたします)
// and to colleagues in です・ます; Thai is polite without particles, which would
// give the account a gender (ค่ะ, ครับ); Chinese is Taiwan's, with 您; Danish
// says du.
var defaults = map[Trigger]map[string]string{
	Greeting: {
		"en":    "Hello {customer_name}, thank you for getting in touch. How can we help?",
		"ja":    "{customer_name}様、お問い合わせいただきありがとうございます。ご用件をお聞かせください。",
		"th":    "ยินดีต้อนรับ คุณ{customer_name} ขอบคุณที่ติดต่อเรา กรุณาแจ้งเรื่องที่ต้องการให้เราช่วยเหลือ",
		"zh-TW": "{customer_name} 您好，感謝您與我們聯繫。請問需要什麼協助呢？",
		"da":    "Hej {customer_name}, tak fordi du skriver til os. Hvad kan vi hjælpe med?",
	},
	PrivacyNotice: {
		"en":    "Before we start: we keep a record of this conversation so that we can help you and improve our service. Please don't send passwords or card numbers.",
		"ja":    "お問い合わせへの対応とサービス向上のため、この会話の内容を保存させていただきます。パスワードやカード番号などは送信なさらないようお願いいたします。",
		"th":    "ก่อนเริ่มสนทนา ขอแจ้งให้ทราบว่าเราเก็บบันทึกการสนทนานี้ไว้เพื่อดูแลคุณและพัฒนาบริการ กรุณาอย่าส่งรหัสผ่านหรือหมายเลขบัตร",
		"zh-TW": "在開始之前向您說明：為了協助您並改善服務品質，我們會保存這次的對話內容。請勿傳送密碼或信用卡號碼。",
		"da":    "Før vi går i gang: Vi gemmer samtalen, så vi kan hjælpe dig og blive bedre til det. Send venligst ikke adgangskoder eller kortnumre.",
	},
	ConsentQuestion: {
		"en":    "Do you agree that we keep and use your messages for this? Nobody reads them before you have said yes.\nPlease tap a button, or type “yes” or “no”.",
		"ja":    "お送りいただく内容の取り扱いに、ご同意いただけますでしょうか。ご同意いただくまで、メッセージを拝見することはございません。\n下のボタンをお選びいただくか、「はい」または「いいえ」とご入力ください。",
		"th":    "คุณยินยอมให้เราเก็บและใช้ข้อความของคุณเพื่อการนี้หรือไม่ เราจะยังไม่เปิดอ่านข้อความจนกว่าคุณจะยินยอม\nกรุณากดปุ่มด้านล่าง หรือพิมพ์ “ยินยอม” หรือ “ไม่ยินยอม”",
		"zh-TW": "請問您是否同意我們為此保存並使用您的訊息？在您同意之前，我們不會查看訊息內容。\n請點選下方按鈕，或直接輸入「同意」或「不同意」。",
		"da":    "Accepterer du, at vi gemmer og bruger dine beskeder til det? Ingen læser dem, før du har sagt ja.\nTryk på en knap, eller skriv “ja” eller “nej”.",
	},
	ConsentRefused: {
		"en":    "That's fine. We have deleted what you wrote and won't go any further. Should you change your mind, just write to us here.",
		"ja":    "承知いたしました。お送りいただいたメッセージは削除いたしました。改めてご相談をご希望の際は、いつでもこちらにメッセージをお送りください。",
		"th":    "รับทราบ เราลบข้อความที่คุณส่งมาเรียบร้อยแล้ว หากต้องการติดต่อเราอีกครั้ง ส่งข้อความมาที่นี่ได้เสมอ",
		"zh-TW": "了解，您傳送的訊息我們已經刪除。若您之後改變心意，歡迎隨時在這裡留言。",
		"da":    "Det er helt i orden. Vi har slettet det, du skrev, og gør ikke mere. Ombestemmer du dig, skriver du bare her.",
	},
	AgentAssigned: {
		"en":    "Thank you for waiting. Our colleague {agent_name} will be with you in a moment.",
		"ja":    "お待たせいたしました。担当者（{agent_name}）がまもなくご対応いたします。",
		"th":    "ขอบคุณที่รอ อีกสักครู่เจ้าหน้าที่ {agent_name} จะมาดูแลคุณ",
		"zh-TW": "感謝您的耐心等候，客服人員{agent_name}即將為您服務。",
		"da":    "Tak for din tålmodighed. Vores kollega {agent_name} er hos dig om et øjeblik.",
	},
	AgentJoined: {
		"en":    "Our colleague {agent_name} is here now and will help you.",
		"ja":    "お待たせいたしました。ここからは担当者（{agent_name}）がご対応いたします。",
		"th":    "ขณะนี้เจ้าหน้าที่ {agent_name} พร้อมดูแลคุณแล้ว",
		"zh-TW": "您好，接下來由客服人員{agent_name}為您服務。",
		"da":    "Vores kollega {agent_name} er her nu og hjælper dig videre.",
	},
	AgentLeft: {
		"en":    "Our colleague {agent_name} had to leave this conversation. We'll find someone else to help you.",
		"ja":    "担当者（{agent_name}）が席を外すこととなりました。別の担当者がご対応いたしますので、少々お待ちください。",
		"th":    "เจ้าหน้าที่ {agent_name} ออกจากการสนทนาแล้ว เราจะให้เจ้าหน้าที่ท่านอื่นมาดูแลต่อ กรุณารอสักครู่",
		"zh-TW": "客服人員{agent_name}已離開對話，我們會安排其他同仁繼續為您服務，請稍候。",
		"da":    "Vores kollega {agent_name} har måttet forlade samtalen. Vi finder en anden, der kan hjælpe dig videre.",
	},
	AgentEnded: {
		"en":    "Thank you for talking with us. If anything else comes up, just write to us here.",
		"ja":    "お問い合わせいただきありがとうございました。ほかにもご不明な点がございましたら、いつでもこちらにメッセージをお送りください。",
		"th":    "ขอบคุณที่ติดต่อเรา หากมีเรื่องอื่นให้ช่วย ส่งข้อความมาที่นี่ได้เสมอ",
		"zh-TW": "感謝您與我們聯繫。若還有其他問題，歡迎隨時在這裡留言給我們。",
		"da":    "Tak for snakken. Hvis der dukker mere op, skriver du bare her.",
	},
	NoAgentAvailable: {
		"en":    "All of our colleagues are busy right now. We have your message and will answer as soon as someone is free.",
		"ja":    "ただいま担当者がほかのお客様の対応をしております。順番にご案内いたしますので、恐れ入りますが、少々お待ちください。",
		"th":    "ขณะนี้เจ้าหน้าที่กำลังดูแลลูกค้าท่านอื่นอยู่ เราได้รับข้อความของคุณแล้ว และจะตอบกลับโดยเร็วที่สุด",
		"zh-TW": "目前客服人員都在服務其他顧客。我們已收到您的訊息，會盡快回覆您，請稍候。",
		"da":    "Alle vores medarbejdere er optaget lige nu. Vi har fået din besked og svarer, så snart en af os er ledig.",
	},
	OutOfHours: {
		"en":    "Thank you for your message. We're closed at the moment, so we're sorry that nobody can answer right away.",
		"ja":    "お問い合わせいただきありがとうございます。ただいま営業時間外のため、すぐにお返事を差し上げることができません。ご不便をおかけし、申し訳ございません。",
		"th":    "ขอบคุณสำหรับข้อความ ขณะนี้อยู่นอกเวลาทำการ เราจึงยังไม่สามารถตอบกลับได้ทันที ขออภัยในความไม่สะดวก",
		"zh-TW": "感謝您的來訊。目前為非服務時間，暫時無法立即回覆您，造成不便敬請見諒。",
		"da":    "Tak for din besked. Vi har lukket lige nu og kan desværre ikke svare med det samme.",
	},
	Holiday: {
		"en":    "Thank you for your message. We're closed for the holiday, so we're sorry that nobody can answer right away.",
		"ja":    "お問い合わせいただきありがとうございます。本日は休業日のため、すぐにお返事を差し上げることができません。ご不便をおかけし、申し訳ございません。",
		"th":    "ขอบคุณสำหรับข้อความ วันนี้เป็นวันหยุดทำการ เราจึงยังไม่สามารถตอบกลับได้ทันที ขออภัยในความไม่สะดวก",
		"zh-TW": "感謝您的來訊。今日適逢休假，暫時無法立即回覆您，造成不便敬請見諒。",
		"da":    "Tak for din besked. Vi holder fridag i dag og kan desværre ikke svare med det samme.",
	},
	QueuePosition: {
		"en":    "You are number {position} in the queue. Thank you for your patience.",
		"ja":    "ただいまの順番は{position}番目です。恐れ入りますが、もうしばらくお待ちください。",
		"th":    "ตอนนี้คุณอยู่ในคิวลำดับที่ {position} ขอบคุณที่รอ",
		"zh-TW": "您目前排在第 {position} 位，感謝您的耐心等候。",
		"da":    "Du er nummer {position} i køen. Tak for din tålmodighed.",
	},
	NextInLine: {
		"en":    "You're next. We'll be with you shortly.",
		"ja":    "次がお客様の順番です。もう少々お待ちください。",
		"th":    "คิวถัดไปเป็นของคุณแล้ว กรุณารอสักครู่",
		"zh-TW": "下一位就輪到您了，請再稍候片刻。",
		"da":    "Nu er du den næste i køen. Vi er hos dig om lidt.",
	},
	EstimatedWait: {
		"en":    "The wait is about {wait_minutes} min at the moment. Thank you for your patience.",
		"ja":    "ただいまの待ち時間は約{wait_minutes}分です。恐れ入りますが、もうしばらくお待ちください。",
		"th":    "ขณะนี้ใช้เวลารอประมาณ {wait_minutes} นาที ขอบคุณที่รอ",
		"zh-TW": "目前預估等候時間約 {wait_minutes} 分鐘，感謝您的耐心等候。",
		"da":    "Ventetiden er ca. {wait_minutes} min. lige nu. Tak for din tålmodighed.",
	},
	TransferAccepted: {
		"en":    "Our colleague {agent_name} is taking over from here and can see what you wrote, so you don't need to explain it again.",
		"ja":    "ここからは担当者（{agent_name}）が引き継いでご対応いたします。これまでのやり取りは共有しておりますので、改めてご説明いただく必要はございません。",
		"th":    "จากนี้เจ้าหน้าที่ {agent_name} จะดูแลคุณต่อ เจ้าหน้าที่เห็นข้อความก่อนหน้านี้แล้ว คุณไม่จำเป็นต้องเล่าซ้ำ",
		"zh-TW": "接下來由客服人員{agent_name}為您服務，先前的對話內容都看得到，您不需要重新說明。",
		"da":    "Vores kollega {agent_name} tager over herfra og kan se, hvad du har skrevet, så du behøver ikke forklare det igen.",
	},
	ConsultAccepted: {
		"en":    "{agent_name} joined the consultation.",
		"ja":    "{agent_name}さんが相談に参加しました。",
		"th":    "{agent_name} เข้าร่วมการปรึกษาแล้ว",
		"zh-TW": "{agent_name} 已加入諮詢。",
		"da":    "{agent_name} deltager nu i konsultationen.",
	},
	ConsultEnded: {
		"en":    "The consultation with {agent_name} has ended.",
		"ja":    "{agent_name}さんとの相談が終了しました。",
		"th":    "การปรึกษากับ {agent_name} สิ้นสุดแล้ว",
		"zh-TW": "與 {agent_name} 的諮詢已結束。",
		"da":    "Konsultationen med {agent_name} er slut.",
	},
	OverflowEnd: {
		"en":    "We're sorry: so many people are writing to us that we can't help you right now. Please try again a little later.",
		"ja":    "申し訳ございません。ただいまお問い合わせが集中しており、ご対応が難しい状況です。恐れ入りますが、しばらく経ってから改めてご連絡くださいますようお願いいたします。",
		"th":    "ขออภัย ขณะนี้มีผู้ติดต่อเข้ามาเป็นจำนวนมาก เราจึงยังไม่สามารถดูแลคุณได้ กรุณาติดต่อมาอีกครั้งภายหลัง",
		"zh-TW": "非常抱歉，目前詢問人數眾多，暫時無法為您服務，請您稍後再與我們聯繫。",
		"da":    "Vi beklager: Der er så mange, der skriver til os, at vi ikke kan hjælpe dig lige nu. Prøv venligst igen lidt senere.",
	},
	SessionEnded: {
		"en":    "We'll leave it here for now. Just write to us when you'd like to go on.",
		"ja":    "いったんここまでとさせていただきます。続きがございましたら、いつでもメッセージをお送りください。",
		"th":    "ขอพักการสนทนาไว้เท่านี้ก่อน หากต้องการคุยต่อ ส่งข้อความมาที่นี่ได้เสมอ",
		"zh-TW": "這次的服務先到這裡。若您想繼續，歡迎隨時留言給我們。",
		"da":    "Vi slutter her for nu. Skriv bare, når du vil fortsætte.",
	},
	Closed: {
		"en":    "This conversation is now closed. If you need us again, just write to us here.",
		"ja":    "こちらのお問い合わせは終了いたしました。またご用がございましたら、いつでもメッセージをお送りください。",
		"th":    "การสนทนานี้ปิดแล้ว หากต้องการติดต่อเราอีก ส่งข้อความมาที่นี่ได้เสมอ",
		"zh-TW": "這次的對話已結束。若您之後還需要協助，歡迎隨時在這裡留言。",
		"da":    "Samtalen er nu afsluttet. Får du brug for os igen, skriver du bare her.",
	},
	UnsupportedMessage: {
		"en":    "Sorry, we can't see this kind of message. Could you tell us in words, please?",
		"ja":    "申し訳ございません。こちらの形式のメッセージは確認することができません。お手数ですが、文章でお送りいただけますでしょうか。",
		"th":    "ขออภัย เราไม่สามารถเปิดดูข้อความประเภทนี้ได้ กรุณาพิมพ์เป็นข้อความแทน",
		"zh-TW": "抱歉，我們無法查看這類訊息，麻煩您改用文字說明，謝謝。",
		"da":    "Den slags beskeder kan vi desværre ikke se. Vil du skrive det med ord i stedet?",
	},
	AttachmentKind: {
		"en":    "Sorry, we can't take this type of file. Could you send it in another format?",
		"ja":    "申し訳ございません。こちらの種類のファイルは受け取ることができません。お手数ですが、別の形式でお送りいただけますでしょうか。",
		"th":    "ขออภัย เราไม่สามารถรับไฟล์ประเภทนี้ได้ กรุณาส่งเป็นไฟล์รูปแบบอื่น",
		"zh-TW": "抱歉，我們無法接收這種類型的檔案，麻煩您改用其他格式傳送，謝謝。",
		"da":    "Den filtype kan vi desværre ikke modtage. Kan du sende den i et andet format?",
	},
	AttachmentSize: {
		"en":    "Sorry, this file is too large for us to receive. Could you send a smaller one?",
		"ja":    "申し訳ございません。ファイルのサイズが大きいため、受け取ることができません。お手数ですが、サイズを小さくしてお送りいただけますでしょうか。",
		"th":    "ขออภัย ไฟล์นี้มีขนาดใหญ่เกินกว่าที่เรารับได้ กรุณาส่งไฟล์ที่มีขนาดเล็กลง",
		"zh-TW": "抱歉，這個檔案太大，我們無法接收，麻煩您縮小後再傳送一次，謝謝。",
		"da":    "Filen er desværre for stor til, at vi kan modtage den. Kan du sende en, der er mindre?",
	},
	AttachmentMalware: {
		"en":    "We couldn't open this file: our security check found a problem with it. Could you check it and send another one, please?",
		"ja":    "セキュリティ検査で問題が見つかったため、こちらのファイルを開くことができませんでした。お手数ですが、ファイルをご確認のうえ、別のものをお送りいただけますでしょうか。",
		"th":    "ระบบตรวจความปลอดภัยพบปัญหาในไฟล์นี้ เราจึงเปิดไม่ได้ กรุณาตรวจสอบไฟล์แล้วส่งไฟล์อื่นแทน",
		"zh-TW": "安全檢查發現這個檔案有問題，我們無法開啟，麻煩您確認後改傳其他檔案，謝謝。",
		"da":    "Vi kunne ikke åbne filen, fordi vores sikkerhedskontrol fandt et problem med den. Vil du tjekke den og sende en anden?",
	},
	AttachmentNotAllowed: {
		"en":    "Sorry, we can't receive pictures or files here. Could you tell us in words, please?",
		"ja":    "申し訳ございません。こちらでは画像やファイルを受け取ることができません。お手数ですが、文章でお知らせいただけますでしょうか。",
		"th":    "ขออภัย ช่องทางนี้ไม่สามารถรับรูปภาพหรือไฟล์ได้ กรุณาพิมพ์เป็นข้อความแทน",
		"zh-TW": "抱歉，這裡無法接收圖片或檔案，麻煩您改用文字說明，謝謝。",
		"da":    "Vi kan desværre ikke modtage billeder eller filer her. Vil du skrive det med ord i stedet?",
	},
	MessageNotSent: {
		"en":    "Your message could not be sent to the customer. The reason is shown beside it.",
		"ja":    "メッセージをお客様に送信できませんでした。理由はメッセージの横に表示されています。",
		"th":    "ส่งข้อความถึงลูกค้าไม่สำเร็จ ดูสาเหตุได้ที่ข้างข้อความ",
		"zh-TW": "您的訊息未能傳送給顧客，原因顯示在訊息旁邊。",
		"da":    "Din besked kunne ikke sendes til kunden. Årsagen står ved siden af beskeden.",
	},
	SurveyInvitation: {
		"en":    "Thank you for contacting us. Would you tell us how it went? It only takes a moment.",
		"ja":    "このたびはお問い合わせいただきありがとうございました。今後のサービス向上のため、簡単なアンケートにご協力いただけますと幸いです。",
		"th":    "ขอบคุณที่ติดต่อเรา กรุณาสละเวลาสักครู่ให้ความเห็นเกี่ยวกับบริการของเรา ความเห็นของคุณเป็นประโยชน์อย่างยิ่ง",
		"zh-TW": "感謝您與我們聯繫。想請您花一點時間，告訴我們這次的服務如何。",
		"da":    "Tak, fordi du kontaktede os. Vil du fortælle os, hvordan det gik? Det tager kun et øjeblik.",
	},
	SurveyThanks: {
		"en":    "Thank you for your answer. It helps us do better.",
		"ja":    "ご回答いただきありがとうございました。今後のサービス向上に役立ててまいります。",
		"th":    "ขอบคุณสำหรับความเห็น เราจะนำไปปรับปรุงบริการให้ดียิ่งขึ้น",
		"zh-TW": "感謝您的回覆，您的意見會幫助我們做得更好。",
		"da":    "Tak for dit svar. Det hjælper os med at blive bedre.",
	},
}
