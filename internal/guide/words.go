package guide

// The words name switches as LINE's consoles do: in Japanese by their Japanese
// names, elsewhere by the English ones, which the consoles show as well, with the
// meaning beside them where it helps. "Developers Console" is
// https://developers.line.biz/console/, "Official Account Manager"
// https://manager.line.biz/.

var titles = map[Step]map[string]string{
	AccessToken: {
		"en": "Channel access token", "ja": "チャネルアクセストークン", "th": "โทเค็นการเข้าถึงแชนแนล (channel access token)",
		"zh-TW": "頻道存取權杖（channel access token）", "zh-CN": "频道访问令牌（channel access token）",
	},
	ChannelID:     {"en": "LINE channel ID", "ja": "チャネルID", "th": "Channel ID", "zh-TW": "頻道 ID（Channel ID）", "zh-CN": "频道 ID（Channel ID）"},
	ChannelSecret: {"en": "Channel secret", "ja": "チャネルシークレット", "th": "Channel secret", "zh-TW": "頻道密鑰（Channel secret）", "zh-CN": "频道密钥（Channel secret）"},
	WebhookURL:    {"en": "Webhook URL", "ja": "Webhook URL", "th": "Webhook URL", "zh-TW": "Webhook URL", "zh-CN": "Webhook URL"},
	UseWebhook:    {"en": "“Use webhook”", "ja": "「Webhookの利用」", "th": "“Use webhook” (ใช้ webhook)", "zh-TW": "「Use webhook」（使用 webhook）", "zh-CN": "“Use webhook”（使用 webhook）"},
	WebhookTest:   {"en": "LINE's webhook test", "ja": "LINEによるWebhookの検証", "th": "การทดสอบ webhook ของ LINE", "zh-TW": "LINE 的 webhook 測試", "zh-CN": "LINE 的 webhook 测试"},
	Redelivery:    {"en": "“Webhook redelivery”", "ja": "「Webhookの再送」", "th": "“Webhook redelivery” (ส่ง webhook ซ้ำ)", "zh-TW": "「Webhook redelivery」（重新傳送）", "zh-CN": "“Webhook redelivery”（重新发送）"},
	ResponseMode:  {"en": "Chat in LINE's own tool", "ja": "LINE公式アカウントのチャット", "th": "แชตในเครื่องมือของ LINE", "zh-TW": "LINE 官方帳號的聊天功能", "zh-CN": "LINE 官方账号的聊天功能"},
	AutoReply:     {"en": "Auto-response messages", "ja": "応答メッセージ", "th": "ข้อความตอบกลับอัตโนมัติ", "zh-TW": "自動回應訊息", "zh-CN": "自动回复消息"},
	Greeting:      {"en": "Greeting message", "ja": "あいさつメッセージ", "th": "ข้อความทักทาย", "zh-TW": "加入好友的歡迎訊息", "zh-CN": "添加好友后的欢迎消息"},
	RichMenus:     {"en": "Rich menus", "ja": "リッチメニュー", "th": "ริชเมนู (rich menu)", "zh-TW": "圖文選單（rich menu）", "zh-CN": "图文菜单（rich menu）"},
}

var words = map[Finding]map[string]string{
	TokenAccepted: {
		"en":    "LINE accepts the channel access token.",
		"ja":    "LINEがチャネルアクセストークンを受け付けています。",
		"th":    "LINE ยอมรับ channel access token นี้แล้ว",
		"zh-TW": "LINE 接受這個頻道存取權杖。",
		"zh-CN": "LINE 接受这个频道访问令牌。",
	},
	TokenRefused: {
		"en":    "LINE does not accept the channel access token. In the LINE Developers Console, open the channel, tab “Messaging API”, issue a new “Channel access token (long-lived)” at the bottom, and give it to this channel. {detail}",
		"ja":    "LINEがチャネルアクセストークンを受け付けません。LINE Developersコンソールでチャネルを開き、「Messaging API設定」タブの一番下で「チャネルアクセストークン（長期）」を再発行し、このチャネルに設定してください。{detail}",
		"th":    "LINE ไม่ยอมรับ channel access token นี้ ใน LINE Developers Console ให้เปิดแชนแนล ไปที่แท็บ “Messaging API” ออก “Channel access token (long-lived)” ใหม่ที่ด้านล่าง แล้วนำมาตั้งค่าให้แชนแนลนี้ {detail}",
		"zh-TW": "LINE 不接受這個頻道存取權杖。請在 LINE Developers Console 開啟該頻道的「Messaging API」分頁，於最下方重新發行「Channel access token (long-lived)」，再設定到這個頻道。{detail}",
		"zh-CN": "LINE 不接受这个频道访问令牌。请在 LINE Developers Console 打开该频道的“Messaging API”标签页，在最下方重新发行“Channel access token (long-lived)”，再设置到这个频道。{detail}",
	},
	TokenNotIssued: {
		"en":    "LINE issues no usable access token for this channel. Compare the channel ID and the channel secret, or the assertion signing key and its kid, with the tab “Basic settings” in the LINE Developers Console, and give this channel the right ones. {detail}",
		"ja":    "このチャネルで使えるアクセストークンをLINEが発行しません。LINE Developersコンソールの「チャネル基本設定」タブで、チャネルIDとチャネルシークレット（またはアサーション署名キーとそのkid）を確認し、正しいものをこのチャネルに設定してください。{detail}",
		"th":    "LINE ไม่ออกโทเค็นที่ใช้งานได้ให้แชนแนลนี้ ให้เทียบ Channel ID กับ Channel secret (หรือ assertion signing key กับ kid) กับแท็บ “Basic settings” ใน LINE Developers Console แล้วแก้ในแชนแนลนี้ให้ถูกต้อง {detail}",
		"zh-TW": "LINE 未能為這個頻道發行可用的存取權杖。請在 LINE Developers Console 的「Basic settings」分頁核對 Channel ID 與 Channel secret（或 assertion signing key 與其 kid），並在這個頻道填入正確的值。{detail}",
		"zh-CN": "LINE 未能为这个频道发行可用的访问令牌。请在 LINE Developers Console 的“Basic settings”标签页核对 Channel ID 与 Channel secret（或 assertion signing key 与其 kid），并在这个频道填入正确的值。{detail}",
	},
	TokenOfOtherBot: {
		"en":    "The access token belongs to another LINE Official Account ({detail}) than this channel. Issue one in this channel's own page of the LINE Developers Console and give it to this channel.",
		"ja":    "このアクセストークンは別のLINE公式アカウント（{detail}）のものです。LINE Developersコンソールで、このチャネル自身のページからアクセストークンを発行し、設定し直してください。",
		"th":    "โทเค็นนี้เป็นของ LINE Official Account อื่น ({detail}) ไม่ใช่ของแชนแนลนี้ ให้ออกโทเค็นจากหน้าของแชนแนลนี้เองใน LINE Developers Console แล้วตั้งค่าใหม่",
		"zh-TW": "這個存取權杖屬於另一個 LINE 官方帳號（{detail}）。請在 LINE Developers Console 中這個頻道自己的頁面發行權杖，再重新設定。",
		"zh-CN": "这个访问令牌属于另一个 LINE 官方账号（{detail}）。请在 LINE Developers Console 中这个频道自己的页面发行令牌，再重新设置。",
	},
	IDRight: {
		"en": "The access token belongs to this LINE channel ID.", "ja": "アクセストークンはこのチャネルIDのものです。", "th": "โทเค็นตรงกับ Channel ID นี้",
		"zh-TW": "存取權杖與這個 Channel ID 相符。", "zh-CN": "访问令牌与这个 Channel ID 相符。",
	},
	IDWrong: {
		"en":    "The access token belongs to the LINE channel {detail}, another one than this channel's LINE channel ID. The right ID stands in the LINE Developers Console, tab “Basic settings”, “Channel ID”. An ID cannot be changed: create the channel anew with the right one, or give it its own access token.",
		"ja":    "アクセストークンは別のチャネル（チャネルID {detail}）のものです。正しいチャネルIDはLINE Developersコンソールの「チャネル基本設定」タブにあります。チャネルIDは変更できないため、正しいIDでチャネルを作り直すか、このチャネル自身のアクセストークンを設定してください。",
		"th":    "โทเค็นนี้เป็นของแชนแนล {detail} ไม่ตรงกับ Channel ID ที่ตั้งไว้ ดู Channel ID ที่ถูกต้องได้ในแท็บ “Basic settings” ของ LINE Developers Console ไม่สามารถแก้ ID ได้ ให้สร้างแชนแนลใหม่ด้วย ID ที่ถูกต้อง หรือใส่โทเค็นของแชนแนลนี้เอง",
		"zh-TW": "存取權杖屬於頻道 {detail}，與這裡設定的 Channel ID 不同。正確的 Channel ID 在 LINE Developers Console 的「Basic settings」分頁。ID 無法變更：請以正確的 ID 重新建立頻道，或設定這個頻道自己的存取權杖。",
		"zh-CN": "访问令牌属于频道 {detail}，与这里设置的 Channel ID 不同。正确的 Channel ID 在 LINE Developers Console 的“Basic settings”标签页。ID 无法更改：请用正确的 ID 重新创建频道，或设置这个频道自己的访问令牌。",
	},
	SecretRight: {
		"en": "LINE knows the channel secret.", "ja": "チャネルシークレットは正しいものです。", "th": "Channel secret ถูกต้อง", "zh-TW": "Channel secret 正確。", "zh-CN": "Channel secret 正确。",
	},
	SecretWrong: {
		"en":    "LINE does not know this channel secret, so every webhook of LINE is refused. Copy “Channel secret” from the LINE Developers Console, tab “Basic settings”, into this channel. {detail}",
		"ja":    "このチャネルシークレットは正しくないため、LINEからのWebhookはすべて拒否されます。LINE Developersコンソールの「チャネル基本設定」タブにある「チャネルシークレット」をこのチャネルに設定してください。{detail}",
		"th":    "Channel secret นี้ไม่ถูกต้อง webhook ทุกรายการจาก LINE จึงถูกปฏิเสธ ให้คัดลอก “Channel secret” จากแท็บ “Basic settings” ใน LINE Developers Console มาใส่ในแชนแนลนี้ {detail}",
		"zh-TW": "這個 Channel secret 不正確，因此 LINE 的 webhook 全部會被拒絕。請從 LINE Developers Console 的「Basic settings」分頁複製「Channel secret」，設定到這個頻道。{detail}",
		"zh-CN": "这个 Channel secret 不正确，因此 LINE 的 webhook 全部会被拒绝。请从 LINE Developers Console 的“Basic settings”标签页复制“Channel secret”，设置到这个频道。{detail}",
	},
	URLRight: {
		"en": "LINE has this channel's webhook URL: {url}", "ja": "LINEにこのチャネルのWebhook URLが設定されています：{url}", "th": "LINE ตั้ง webhook URL ของแชนแนลนี้แล้ว: {url}",
		"zh-TW": "LINE 已設定這個頻道的 webhook URL：{url}", "zh-CN": "LINE 已设置这个频道的 webhook URL：{url}",
	},
	URLMissing: {
		"en":    "No webhook URL is set at LINE. Connect the channel to have it set, or enter it in the LINE Developers Console, tab “Messaging API”, “Webhook URL”: {url}",
		"ja":    "LINEにWebhook URLが設定されていません。このチャネルの「接続」を実行するか、LINE Developersコンソールの「Messaging API設定」タブの「Webhook URL」に入力してください：{url}",
		"th":    "ยังไม่ได้ตั้ง webhook URL ที่ LINE ให้สั่งเชื่อมต่อ (connect) แชนแนลนี้ หรือใส่ในแท็บ “Messaging API” ช่อง “Webhook URL” ของ LINE Developers Console: {url}",
		"zh-TW": "LINE 尚未設定 webhook URL。請對這個頻道執行連接（connect），或在 LINE Developers Console 的「Messaging API」分頁「Webhook URL」填入：{url}",
		"zh-CN": "LINE 尚未设置 webhook URL。请对这个频道执行连接（connect），或在 LINE Developers Console 的“Messaging API”标签页“Webhook URL”填入：{url}",
	},
	URLOther: {
		"en":    "LINE delivers to another address: {detail}. Connect the channel to have it changed, or enter this one in the LINE Developers Console, tab “Messaging API”, “Webhook URL”: {url}",
		"ja":    "LINEは別のURLに送信しています：{detail}。このチャネルの「接続」を実行するか、LINE Developersコンソールの「Messaging API設定」タブの「Webhook URL」を次のURLに変更してください：{url}",
		"th":    "LINE ส่งไปยังที่อยู่อื่น: {detail} ให้สั่งเชื่อมต่อ (connect) แชนแนลนี้ หรือเปลี่ยน “Webhook URL” ในแท็บ “Messaging API” ของ LINE Developers Console เป็น: {url}",
		"zh-TW": "LINE 目前傳送到其他網址：{detail}。請對這個頻道執行連接（connect），或在 LINE Developers Console 的「Messaging API」分頁將「Webhook URL」改為：{url}",
		"zh-CN": "LINE 目前发送到其他网址：{detail}。请对这个频道执行连接（connect），或在 LINE Developers Console 的“Messaging API”标签页将“Webhook URL”改为：{url}",
	},
	URLNotHTTPS: {
		"en":    "LINE delivers to https addresses only, and this one begins with http: {url}. Put a proxy with a certificate in front of Kaiwa and set KAIWA_PUBLIC_URL to its https address.",
		"ja":    "LINEはhttpsのURLにしか送信しませんが、このURLはhttpで始まっています：{url}。証明書を備えたプロキシをKaiwaの前に置き、KAIWA_PUBLIC_URLにそのhttpsのURLを設定してください。",
		"th":    "LINE ส่งไปยังที่อยู่ https เท่านั้น แต่ที่อยู่นี้ขึ้นต้นด้วย http: {url} ให้วางพร็อกซีที่มีใบรับรองไว้หน้า Kaiwa แล้วตั้ง KAIWA_PUBLIC_URL เป็นที่อยู่ https นั้น",
		"zh-TW": "LINE 只會傳送到 https 網址，而這個網址以 http 開頭：{url}。請在 Kaiwa 前面設置有憑證的代理伺服器，並將 KAIWA_PUBLIC_URL 設為其 https 網址。",
		"zh-CN": "LINE 只会发送到 https 网址，而这个网址以 http 开头：{url}。请在 Kaiwa 前面设置有证书的代理服务器，并将 KAIWA_PUBLIC_URL 设为其 https 网址。",
	},
	URLTooLong: {
		"en": "The webhook URL is longer than the 500 characters that LINE takes. Set a shorter KAIWA_PUBLIC_URL.", "ja": "Webhook URLがLINEの上限である500文字を超えています。KAIWA_PUBLIC_URLを短くしてください。",
		"th": "Webhook URL ยาวเกิน 500 อักขระที่ LINE รับได้ ให้ตั้ง KAIWA_PUBLIC_URL ให้สั้นลง", "zh-TW": "webhook URL 超過 LINE 允許的 500 個字元。請設定較短的 KAIWA_PUBLIC_URL。", "zh-CN": "webhook URL 超过 LINE 允许的 500 个字符。请设置较短的 KAIWA_PUBLIC_URL。",
	},
	URLUnusable: {
		"en": "LINE does not take this webhook URL: {url}. Look at KAIWA_PUBLIC_URL. {detail}", "ja": "LINEはこのWebhook URLを受け付けません：{url}。KAIWA_PUBLIC_URLを確認してください。{detail}",
		"th": "LINE ไม่รับ webhook URL นี้: {url} ให้ตรวจสอบ KAIWA_PUBLIC_URL {detail}", "zh-TW": "LINE 不接受這個 webhook URL：{url}。請檢查 KAIWA_PUBLIC_URL。{detail}", "zh-CN": "LINE 不接受这个 webhook URL：{url}。请检查 KAIWA_PUBLIC_URL。{detail}",
	},
	WebhookOn: {
		"en": "“Use webhook” is on.", "ja": "「Webhookの利用」はオンです。", "th": "“Use webhook” เปิดอยู่", "zh-TW": "「Use webhook」已開啟。", "zh-CN": "“Use webhook”已开启。",
	},
	WebhookOff: {
		"en":    "Turn on “Use webhook” in the LINE Developers Console, tab “Messaging API”. Nobody but you can, and LINE delivers nothing before.",
		"ja":    "LINE Developersコンソールの「Messaging API設定」タブで「Webhookの利用」をオンにしてください。この操作はAPIではできません。オンにするまで、LINEは何も送信しません。",
		"th":    "เปิด “Use webhook” ในแท็บ “Messaging API” ของ LINE Developers Console ต้องเปิดด้วยตนเองเท่านั้น และก่อนเปิด LINE จะไม่ส่งอะไรมา",
		"zh-TW": "請在 LINE Developers Console 的「Messaging API」分頁開啟「Use webhook」。這只能由您親自開啟，開啟之前 LINE 不會傳送任何內容。",
		"zh-CN": "请在 LINE Developers Console 的“Messaging API”标签页开启“Use webhook”。这只能由您亲自开启，开启之前 LINE 不会发送任何内容。",
	},
	TestPassed: {
		"en": "LINE's test has reached Kaiwa.", "ja": "LINEの検証がKaiwaに届きました。", "th": "การทดสอบของ LINE มาถึง Kaiwa แล้ว", "zh-TW": "LINE 的測試已成功連到 Kaiwa。", "zh-CN": "LINE 的测试已成功连到 Kaiwa。",
	},
	TestNoConnection: {
		"en":    "LINE could not connect to {url}. The address must be reachable from the internet, by a name that resolves, with a certificate of a public authority (not self-signed) and its whole chain. LINE says: {detail}",
		"ja":    "LINEが {url} に接続できませんでした。インターネットから到達でき、名前解決ができ、公的な認証局の証明書（自己署名でないもの）と中間証明書が揃っている必要があります。LINEの応答：{detail}",
		"th":    "LINE เชื่อมต่อ {url} ไม่ได้ ที่อยู่ต้องเข้าถึงได้จากอินเทอร์เน็ต ชื่อโดเมนต้องใช้งานได้ และใบรับรองต้องออกโดยหน่วยงานสาธารณะ (ไม่ใช่ลงนามเอง) พร้อมใบรับรองกลางครบถ้วน LINE แจ้งว่า: {detail}",
		"zh-TW": "LINE 無法連線到 {url}。該網址必須能從網際網路連到、網域名稱可解析，並使用公開憑證機構簽發的憑證（非自簽）且附完整憑證鏈。LINE 的說明：{detail}",
		"zh-CN": "LINE 无法连接到 {url}。该网址必须能从互联网访问、域名可解析，并使用公开证书机构签发的证书（非自签）且附完整证书链。LINE 的说明：{detail}",
	},
	TestTimeout: {
		"en":    "Kaiwa did not answer LINE's test in time. Look whether a proxy is slow, and at /readyz: the database may be away.",
		"ja":    "Kaiwaが時間内に応答しませんでした。プロキシが遅くないか、また /readyz でデータベースが動いているかを確認してください。",
		"th":    "Kaiwa ตอบการทดสอบของ LINE ไม่ทันเวลา ให้ตรวจว่าพร็อกซีช้าหรือไม่ และดู /readyz ว่าฐานข้อมูลทำงานอยู่หรือไม่",
		"zh-TW": "Kaiwa 未能及時回應 LINE 的測試。請檢查代理伺服器是否過慢，並查看 /readyz：資料庫可能無法使用。",
		"zh-CN": "Kaiwa 未能及时响应 LINE 的测试。请检查代理服务器是否过慢，并查看 /readyz：数据库可能无法使用。",
	},
	TestStatus: {
		"en":    "LINE's test got status {status} from {url}. Something answers there that is not Kaiwa, or Kaiwa cannot serve now: see /readyz.",
		"ja":    "LINEの検証に対し、{url} がステータス {status} を返しました。Kaiwa以外のものが応答しているか、Kaiwaが応答できない状態です（/readyz を確認してください）。",
		"th":    "การทดสอบของ LINE ได้รับสถานะ {status} จาก {url} อาจมีระบบอื่นที่ไม่ใช่ Kaiwa ตอบอยู่ หรือ Kaiwa ยังให้บริการไม่ได้ ดูที่ /readyz",
		"zh-TW": "LINE 的測試從 {url} 得到狀態碼 {status}。可能是 Kaiwa 以外的程式在回應，或 Kaiwa 目前無法服務：請查看 /readyz。",
		"zh-CN": "LINE 的测试从 {url} 得到状态码 {status}。可能是 Kaiwa 以外的程序在响应，或 Kaiwa 目前无法服务：请查看 /readyz。",
	},
	TestSignature: {
		"en":    "Kaiwa refused LINE's test, because the signature does not fit this channel's secret. Copy “Channel secret” from the LINE Developers Console, tab “Basic settings”, into this channel. If it is right, a proxy changes the body or drops the header x-line-signature.",
		"ja":    "署名がこのチャネルのシークレットと一致しないため、KaiwaがLINEの検証を拒否しました。LINE Developersコンソールの「チャネル基本設定」タブにある「チャネルシークレット」を設定してください。正しい場合は、プロキシが本文を書き換えているか、x-line-signatureヘッダーを落としています。",
		"th":    "Kaiwa ปฏิเสธการทดสอบของ LINE เพราะลายเซ็นไม่ตรงกับ Channel secret ของแชนแนลนี้ ให้คัดลอก “Channel secret” จากแท็บ “Basic settings” มาใส่ หากถูกต้องแล้ว พร็อกซีอาจแก้เนื้อหาหรือตัดส่วนหัว x-line-signature ออก",
		"zh-TW": "簽章與這個頻道的 Channel secret 不符，Kaiwa 因此拒絕了 LINE 的測試。請從「Basic settings」分頁複製「Channel secret」設定到這個頻道。若已正確，則是代理伺服器改動了內容或移除了 x-line-signature 標頭。",
		"zh-CN": "签名与这个频道的 Channel secret 不符，Kaiwa 因此拒绝了 LINE 的测试。请从“Basic settings”标签页复制“Channel secret”设置到这个频道。若已正确，则是代理服务器改动了内容或移除了 x-line-signature 标头。",
	},
	TestRedirect: {
		"en":    "{url} redirects (status {status}), and LINE follows no redirects. Set KAIWA_PUBLIC_URL to the address that it leads to.",
		"ja":    "{url} はリダイレクトしています（ステータス {status}）。LINEはリダイレクトに従いません。KAIWA_PUBLIC_URLに転送先のURLを設定してください。",
		"th":    "{url} เปลี่ยนเส้นทาง (สถานะ {status}) แต่ LINE ไม่ตามการเปลี่ยนเส้นทาง ให้ตั้ง KAIWA_PUBLIC_URL เป็นที่อยู่ปลายทาง",
		"zh-TW": "{url} 會重新導向（狀態碼 {status}），而 LINE 不會跟隨。請將 KAIWA_PUBLIC_URL 設為導向的目標網址。",
		"zh-CN": "{url} 会重定向（状态码 {status}），而 LINE 不会跟随。请将 KAIWA_PUBLIC_URL 设为重定向的目标网址。",
	},
	TestUnclassified: {
		"en": "LINE's test failed for a reason that LINE does not name. Try again in some minutes. LINE says: {detail}", "ja": "LINEの検証が、分類できない理由で失敗しました。数分後にもう一度お試しください。LINEの応答：{detail}",
		"th": "การทดสอบของ LINE ล้มเหลวโดยไม่ทราบสาเหตุ ลองใหม่ในอีกสักครู่ LINE แจ้งว่า: {detail}", "zh-TW": "LINE 的測試因未分類的原因失敗，請過幾分鐘再試。LINE 的說明：{detail}", "zh-CN": "LINE 的测试因未分类的原因失败，请过几分钟再试。LINE 的说明：{detail}",
	},
	TestNotNow: {
		"en": "LINE runs no test now: it allows 60 an hour. Try again later.", "ja": "現在は検証を実行できません（LINEの上限は1時間に60回です）。しばらくしてからお試しください。",
		"th": "ตอนนี้ LINE ไม่ทดสอบให้ เพราะจำกัด 60 ครั้งต่อชั่วโมง โปรดลองใหม่ภายหลัง", "zh-TW": "LINE 目前不執行測試：每小時上限 60 次。請稍後再試。", "zh-CN": "LINE 目前不执行测试：每小时上限 60 次。请稍后再试。",
	},
	RedeliverySeen: {
		"en": "LINE has delivered webhooks again that could not be stored: redelivery is on.", "ja": "保存できなかったWebhookがLINEから再送されています。再送はオンです。",
		"th": "LINE เคยส่ง webhook ที่จัดเก็บไม่ได้ซ้ำแล้ว แสดงว่าเปิดการส่งซ้ำอยู่", "zh-TW": "LINE 曾重新傳送未能儲存的 webhook：重新傳送已開啟。", "zh-CN": "LINE 曾重新发送未能存储的 webhook：重新发送已开启。",
	},
	RedeliveryUnknown: {
		"en":    "Turn on “Webhook redelivery” in the LINE Developers Console, tab “Messaging API”, so that LINE delivers again what could not be stored. LINE does not tell whether it is on.",
		"ja":    "LINE Developersコンソールの「Messaging API設定」タブで「Webhookの再送」をオンにしてください。保存できなかったものをLINEが再送します。オンかどうかをAPIで知ることはできません。",
		"th":    "เปิด “Webhook redelivery” ในแท็บ “Messaging API” ของ LINE Developers Console เพื่อให้ LINE ส่งซ้ำเมื่อจัดเก็บไม่ได้ LINE ไม่บอกผ่าน API ว่าเปิดอยู่หรือไม่",
		"zh-TW": "請在 LINE Developers Console 的「Messaging API」分頁開啟「Webhook redelivery」，讓 LINE 重新傳送未能儲存的內容。LINE 不會透露是否已開啟。",
		"zh-CN": "请在 LINE Developers Console 的“Messaging API”标签页开启“Webhook redelivery”，让 LINE 重新发送未能存储的内容。LINE 不会透露是否已开启。",
	},
	ModeBot: {
		"en": "Chat in LINE's own tool is off: all answers come from Kaiwa.", "ja": "LINE公式アカウントのチャットはオフです。返信はすべてKaiwaから行われます。",
		"th": "แชตในเครื่องมือของ LINE ปิดอยู่ คำตอบทั้งหมดมาจาก Kaiwa", "zh-TW": "LINE 官方帳號的聊天功能已關閉：所有回覆都來自 Kaiwa。", "zh-CN": "LINE 官方账号的聊天功能已关闭：所有回复都来自 Kaiwa。",
	},
	ModeChat: {
		"en":    "Chat is on in the LINE Official Account Manager: people can answer there too, and Kaiwa does not see their answers. Turn “Chat” off in “Response settings” unless that is wanted. With chat on, Kaiwa can mark messages as read.",
		"ja":    "LINE Official Account Managerの「応答設定」でチャットがオンになっています。そこからも返信でき、その内容はKaiwaには見えません。意図していない場合は「チャット」をオフにしてください。オンの間は、Kaiwaから既読を付けられます。",
		"th":    "แชตใน LINE Official Account Manager เปิดอยู่ ผู้อื่นจึงตอบจากที่นั่นได้ด้วย และ Kaiwa จะไม่เห็นคำตอบนั้น ให้ปิด “Chat” ใน “Response settings” หากไม่ต้องการ เมื่อเปิดแชต Kaiwa ทำเครื่องหมายอ่านแล้วได้",
		"zh-TW": "LINE Official Account Manager 的聊天功能已開啟：也能從那裡回覆，而 Kaiwa 看不到那些回覆。若非必要，請在「回應設定」關閉「聊天」。開啟時，Kaiwa 可將訊息標為已讀。",
		"zh-CN": "LINE Official Account Manager 的聊天功能已开启：也能从那里回复，而 Kaiwa 看不到那些回复。若非必要，请在“回应设置”关闭“聊天”。开启时，Kaiwa 可将消息标为已读。",
	},
	AutoReplyUnknown: {
		"en":    "Turn off “Auto-response messages” in the LINE Official Account Manager, “Response settings”, so that customers are not answered twice. LINE does not tell whether they are off.",
		"ja":    "LINE Official Account Managerの「応答設定」で「応答メッセージ」をオフにしてください。お客様に返信が二重に届くのを防ぎます。オフかどうかをAPIで知ることはできません。",
		"th":    "ปิด “ข้อความตอบกลับอัตโนมัติ” (Auto-response messages) ใน “Response settings” ของ LINE Official Account Manager เพื่อไม่ให้ลูกค้าได้รับคำตอบซ้ำ LINE ไม่บอกว่าปิดแล้วหรือไม่",
		"zh-TW": "請在 LINE Official Account Manager 的「回應設定」關閉「自動回應訊息」，以免顧客收到兩次回覆。LINE 不會透露是否已關閉。",
		"zh-CN": "请在 LINE Official Account Manager 的“回应设置”关闭“自动回复消息”，以免顾客收到两次回复。LINE 不会透露是否已关闭。",
	},
	GreetingUnknown: {
		"en":    "Decide who greets: turn off “Greeting message” in the LINE Official Account Manager, “Response settings”, if Kaiwa greets new friends. LINE does not tell whether it is off.",
		"ja":    "あいさつをどちらが送るかを決めてください。Kaiwaがあいさつする場合は、LINE Official Account Managerの「応答設定」で「あいさつメッセージ」をオフにしてください。オフかどうかをAPIで知ることはできません。",
		"th":    "ตัดสินใจว่าใครจะทักทาย หาก Kaiwa ทักทายเพื่อนใหม่ ให้ปิด “ข้อความทักทาย” (Greeting message) ใน “Response settings” ของ LINE Official Account Manager LINE ไม่บอกว่าปิดแล้วหรือไม่",
		"zh-TW": "請決定由誰打招呼：若由 Kaiwa 歡迎新好友，請在 LINE Official Account Manager 的「回應設定」關閉「加入好友的歡迎訊息」。LINE 不會透露是否已關閉。",
		"zh-CN": "请决定由谁打招呼：若由 Kaiwa 欢迎新好友，请在 LINE Official Account Manager 的“回应设置”关闭“添加好友后的欢迎消息”。LINE 不会透露是否已关闭。",
	},
	MenusNotSet: {
		"en": "This channel sets no rich menus: customers see what is set at LINE.", "ja": "このチャネルではリッチメニューを設定していません。LINEで設定したものが表示されます。",
		"th": "แชนแนลนี้ไม่ได้ตั้งค่าริชเมนู ลูกค้าจะเห็นเมนูตามที่ตั้งไว้ใน LINE", "zh-TW": "這個頻道沒有設定圖文選單：顧客看到的是在 LINE 設定的選單。", "zh-CN": "这个频道没有设置图文菜单：顾客看到的是在 LINE 设置的菜单。",
	},
	MenusThere: {
		"en": "LINE has the rich menus that this channel sets.", "ja": "このチャネルに設定されたリッチメニューはすべてLINEにあります。", "th": "LINE มีริชเมนูทั้งหมดที่แชนแนลนี้ตั้งไว้",
		"zh-TW": "LINE 有這個頻道所設定的圖文選單。", "zh-CN": "LINE 有这个频道所设置的图文菜单。",
	},
	MenusMissing: {
		"en":    "LINE has no rich menu with an image of this id: {detail}. Upload its image at LINE, or set one of those that GET /api/v1/channels/{id}/rich-menus lists. Menus of the LINE Official Account Manager cannot be set here.",
		"ja":    "次のIDのリッチメニュー（画像付き）はLINEにありません：{detail}。LINEに画像をアップロードするか、GET /api/v1/channels/{id}/rich-menus の一覧から設定してください。LINE Official Account Managerで作成したメニューは設定できません。",
		"th":    "LINE ไม่มีริชเมนูที่มีรูปภาพตาม ID นี้: {detail} ให้อัปโหลดรูปภาพที่ LINE หรือเลือกจากรายการของ GET /api/v1/channels/{id}/rich-menus เมนูที่สร้างใน LINE Official Account Manager ใช้ที่นี่ไม่ได้",
		"zh-TW": "LINE 沒有此 ID 且附有圖片的圖文選單：{detail}。請在 LINE 上傳圖片，或改用 GET /api/v1/channels/{id}/rich-menus 所列的選單。在 LINE Official Account Manager 建立的選單無法在這裡設定。",
		"zh-CN": "LINE 没有此 ID 且附有图片的图文菜单：{detail}。请在 LINE 上传图片，或改用 GET /api/v1/channels/{id}/rich-menus 所列的菜单。在 LINE Official Account Manager 创建的菜单无法在这里设置。",
	},
	AnotherStepIsFirst: {
		"en": "A step before this one comes first.", "ja": "先に、この前の手順を済ませてください。", "th": "ให้ทำขั้นตอนก่อนหน้านี้ให้เสร็จก่อน", "zh-TW": "請先完成前面的步驟。", "zh-CN": "请先完成前面的步骤。",
	},
}
