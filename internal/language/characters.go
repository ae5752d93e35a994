package language

import "strings"

// Characters that one way of writing has and the others write otherwise.
var (
	onlyJapanese    = set("込働畑辻円駅図売発変払済届価気広応検対険験経権歩毎塩観覚関帰県桜実収従処戦専銭続帯択沢単団弾遅読転伝徳脳髪抜訳薬様頼覧両涙齢録総予仮拡雑労壊戻鉄渋焼縦乗浄聴悪圧囲隠栄絵営")
	onlySimplified  = set("们这说请货订买卖时让给还过钱块样单张发进运问题为么吗电话应该从东车书见现实开关门间听谢谁认识对错图换质颜码报价费优务员购产顾项处变终结线网络视频语严极简华业团导显误战觉约选择专审检测维护际")
	onlyTraditional = set("們這說嗎麼沒對發單關從應當樣讓將實體號圖變條處經會學國點來錢兩邊幫覺寫裡啟繼續總轉輕齊麵黃價賣氣廣圓區醫舊鐵顯驗戰擇專團絕妳讀稅戶產錄歲檢據靈燈聲聽雙")
	// What Japanese shares with one of them tells the two kinds of Chinese apart,
	// once it is known to be Chinese.
	alsoSimplified  = set("国会学来点当体号区医没条数写双声旧断独")
	alsoTraditional = set("買時開電貨訂還給個該為過問題話請謝誰認識換質員購費優務間門車書見現結線網視語業運進張貴幾錯聯絡貼師後長樂")
	// onlyChinese are characters of both kinds of Chinese that Japanese hardly has.
	onlyChinese = set("我你您她它吧呢啊喔哦嗨呀啦嘛很怎哪跟收查找拿吃")
)

// Words that are written alike and said in one of the languages only.
var (
	japaneseWords = []string{"返金", "返品", "注文", "解約", "退会", "問合", "料金", "割引", "見積", "不良品", "領収"}
	chineseWords  = []string{"退款", "退換", "客服", "多少", "可以", "不要", "什"}
)

func set(characters string) map[rune]bool {
	out := map[rune]bool{}
	for _, r := range characters {
		if r > 0x2E7F {
			out[r] = true
		}
	}
	return out
}

// enoughCharacters is how many Chinese characters in a row of texts are Chinese
// without any sign: Japanese would have had to write a letter of its own.
const enoughCharacters = 8

// eastAsian tells Japanese from Chinese, and its two kinds apart. Kana decides.
func (c *counts) eastAsian() string {
	if c.kana >= 2 {
		return "ja"
	}
	among := func(set map[rune]bool) (n int) {
		for _, r := range c.characters {
			if set[r] {
				n++
			}
		}
		return n
	}
	text := string(c.characters)
	has := func(words []string) (n int) {
		for _, w := range words {
			n += strings.Count(text, w)
		}
		return n
	}
	simplified, traditional := among(onlySimplified), among(onlyTraditional)
	japanese := c.kana + among(onlyJapanese) + has(japaneseWords)
	chinese := simplified + traditional + among(onlyChinese) + has(chineseWords)
	switch {
	case japanese > chinese:
		return "ja"
	case chinese == japanese && c.han < enoughCharacters:
		return ""
	}
	if simplified == traditional {
		simplified, traditional = simplified+among(alsoSimplified), traditional+among(alsoTraditional)
	}
	switch {
	case simplified > traditional:
		return "zh-CN"
	case traditional > simplified:
		return "zh-TW"
	}
	return "zh"
}
