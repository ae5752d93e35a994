// The phone speaks its owner's language, as the LINE app does.
const words = {
  en: { events: "Something else…", edit: "Edit", read: "Read", unsentOwn: "You unsent a message.", unsend: "Unsend", copy: "Copy", reply: "Reply", message: "Message", send: "Send", stickers: "Stickers", more: "More", photo: "Photo", camera: "Camera", video: "Video", voice: "Audio", file: "File", location: "Location", block: "Block", unblock: "Unblock", hide: "Hide this phone", blocked: "You have blocked this account.", typing: "is typing", chat: "Chat with", today: "Today", yesterday: "Yesterday", sticker: "Sticker", menu: "Menu", cancel: "Cancel", ok: "OK" },
  ja: { events: "その他の出来事…", edit: "編集", read: "既読", unsentOwn: "メッセージの送信を取り消しました", unsend: "送信取消", copy: "コピー", reply: "リプライ", message: "メッセージを入力", send: "送信", stickers: "スタンプ", more: "その他", photo: "写真", camera: "カメラ", video: "動画", voice: "ボイス", file: "ファイル", location: "位置情報", block: "ブロック", unblock: "ブロック解除", hide: "この電話を隠す", blocked: "このアカウントをブロックしています", typing: "が入力中", chat: "トーク:", today: "今日", yesterday: "昨日", sticker: "スタンプ", menu: "メニュー", cancel: "キャンセル", ok: "OK" },
  th: { events: "เหตุการณ์อื่น…", edit: "แก้ไข", read: "อ่านแล้ว", unsentOwn: "คุณยกเลิกข้อความ", unsend: "ยกเลิกข้อความ", copy: "คัดลอก", reply: "ตอบกลับ", message: "ข้อความ", send: "ส่ง", stickers: "สติกเกอร์", more: "เพิ่มเติม", photo: "รูปภาพ", camera: "กล้อง", video: "วิดีโอ", voice: "เสียง", file: "ไฟล์", location: "ตำแหน่ง", block: "บล็อก", unblock: "ปลดบล็อก", hide: "ซ่อนโทรศัพท์นี้", blocked: "คุณบล็อกบัญชีนี้แล้ว", typing: "กำลังพิมพ์", chat: "แชทกับ", today: "วันนี้", yesterday: "เมื่อวาน", sticker: "สติกเกอร์", menu: "เมนู", cancel: "ยกเลิก", ok: "ตกลง" },
  zh: { events: "其他事件…", edit: "編輯", read: "已讀", unsentOwn: "您已收回訊息", unsend: "收回", copy: "複製", reply: "回覆", message: "輸入訊息", send: "傳送", stickers: "貼圖", more: "更多", photo: "照片", camera: "相機", video: "影片", voice: "語音", file: "檔案", location: "位置資訊", block: "封鎖", unblock: "解除封鎖", hide: "隱藏這支手機", blocked: "您已封鎖此帳號", typing: "正在輸入", chat: "聊天:", today: "今天", yesterday: "昨天", sticker: "貼圖", menu: "選單", cancel: "取消", ok: "確定" },
  da: { events: "Noget andet…", edit: "Redigér", read: "Læst", unsentOwn: "Du trak en besked tilbage.", unsend: "Træk tilbage", copy: "Kopiér", reply: "Svar", message: "Besked", send: "Send", stickers: "Klistermærker", more: "Mere", photo: "Foto", camera: "Kamera", video: "Video", voice: "Lyd", file: "Fil", location: "Sted", block: "Blokér", unblock: "Fjern blokering", hide: "Skjul telefonen", blocked: "Du har blokeret denne konto.", typing: "skriver", chat: "Chat med", today: "I dag", yesterday: "I går", sticker: "Klistermærke", menu: "Menu", cancel: "Annullér", ok: "OK" },
};

export const languages = [["ja", "日本語"], ["th", "ไทย"], ["zh-TW", "繁體中文"], ["en", "English"], ["da", "Dansk"]];

export const wordsFor = (language = "en") => words[language.slice(0, 2)] || words.en;

// Times are in the viewer's zone, in the phone's language.
export function clockOf(at, language) {
  return new Intl.DateTimeFormat(language || "en", { hour: "numeric", minute: "2-digit" }).format(at);
}

export function dayOf(at, language) {
  const w = wordsFor(language);
  const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((midnight(new Date()) - midnight(at)) / 864e5);
  if (days === 0) return w.today;
  if (days === 1) return w.yesterday;
  return new Intl.DateTimeFormat(language || "en", { weekday: "short", month: "short", day: "numeric", year: days > 300 ? "numeric" : undefined }).format(at);
}
