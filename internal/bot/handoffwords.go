package bot

import (
	"slices"

	"kaiwa/internal/fold"
)

// handoffPhrases ask for a person wherever they occur in a message.
var handoffPhrases = foldAll(map[string][]string{
	"en": {
		"talk to a person", "talk to a human", "talk to someone", "talk to an agent", "talk to a real",
		"talk with a person", "talk with a human", "talk with someone", "talk with an agent",
		"speak to a person", "speak to a human", "speak to someone", "speak to an agent", "speak to a real",
		"speak with a person", "speak with a human", "speak with someone", "speak with an agent",
		"chat with a person", "chat with a human", "chat with an agent",
		"real person", "real human", "live agent", "human agent", "customer service representative",
	},
	"ja": {
		"オペレータ", "おぺれーた", "有人対応", "有人チャット", "有人サポート", "担当者と話", "担当者につない", "担当者に繋", "担当者に代わ",
		"担当の方と", "人と話したい", "人と話せ", "人間と話", "スタッフと話", "スタッフにつない", "スタッフに繋", "電話で話したい",
	},
	"th": {
		"คุยกับเจ้าหน้าที่", "ติดต่อเจ้าหน้าที่", "พูดกับเจ้าหน้าที่", "สอบถามเจ้าหน้าที่", "ขอสายเจ้าหน้าที่", "เรียกเจ้าหน้าที่",
		"คุยกับพนักงาน", "ติดต่อพนักงาน", "คุยกับแอดมิน", "ติดต่อแอดมิน", "เรียกแอดมิน", "คุยกับคนจริง", "คุยกับคน", "คุยกับมนุษย์",
	},
	"zh-TW": {
		"真人客服", "轉真人", "找真人", "跟真人", "和真人", "與真人", "真人服務", "人工客服", "轉人工", "人工服務", "轉接客服", "找客服", "聯絡客服", "專人服務",
		"转人工", "人工服务", "转真人", "找真人", "联系客服",
	},
	"da": {
		"tal med en medarbejder", "tale med en medarbejder", "snakke med en medarbejder", "skrive med en medarbejder",
		"tal med et menneske", "tale med et menneske", "snakke med et menneske", "skrive med et menneske",
		"tal med en person", "tale med en person", "snakke med en person", "skrive med en person",
		"tal med nogen", "tale med nogen", "snakke med nogen", "rigtigt menneske", "rigtig person", "levende menneske", "kundeservicemedarbejder",
	},
}, fold.Text)

// handoffWords ask for a person when they are the whole message; within one
// they may mean anything ("my travel agent told me …").
var handoffWords = foldAll(map[string][]string{
	"en":    {"agent", "human", "person", "operator", "representative", "someone", "help from a person", "customer service"},
	"ja":    {"担当者", "担当", "有人", "人間", "スタッフ", "お客様係"},
	"th":    {"เจ้าหน้าที่", "พนักงาน", "แอดมิน"},
	"zh-TW": {"客服", "真人", "人工", "專人", "客服人員", "专人", "客服人员"},
	"da":    {"medarbejder", "menneske", "person", "kundeservice", "en medarbejder", "et menneske"},
}, fold.Key)

func foldAll(lists map[string][]string, form func(string) string) []string {
	var out []string
	for _, list := range lists {
		for _, w := range list {
			out = append(out, form(w))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// asksForPerson tells whether a message asks for a person, by the words a
// script declares and, unless it declines them, the ones above.
func (s *Script) asksForPerson(w wording) bool {
	said := func(word string) bool { return mentions(w.folded, word) }
	return slices.ContainsFunc(s.person.words, said) || s.person.defaults && w.asksForPerson()
}

// AsksForPerson tells whether a message asks for a person in one of the
// languages Kaiwa knows the words of: whatever bot there is, the customer gets
// to people by asking.
func AsksForPerson(text string) bool { return hear(text).asksForPerson() }

func (w wording) asksForPerson() bool {
	return slices.ContainsFunc(handoffPhrases, func(word string) bool { return mentions(w.folded, word) }) || slices.Contains(handoffWords, w.key)
}
