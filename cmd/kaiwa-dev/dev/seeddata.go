package dev

import (
	"kaiwa/internal/calendar"
	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// The skills, and who has them.
var (
	japanese = store.Skill{ID: seedID(conversation.PrefixSkill, "japanese"), Name: "日本語 (Japanese)"}
	thai     = store.Skill{ID: seedID(conversation.PrefixSkill, "thai"), Name: "ภาษาไทย (Thai)"}
	chinese  = store.Skill{ID: seedID(conversation.PrefixSkill, "chinese"), Name: "繁體中文 (Traditional Chinese)"}
	english  = store.Skill{ID: seedID(conversation.PrefixSkill, "english"), Name: "English"}

	seededSkills = []store.Skill{japanese, thai, chinese, english}
)

var people = []store.Agent{
	{Name: "Admin", Email: "admin@kaiwa.example", Role: store.RoleAdmin, Locale: "en"},
	{Name: "Sofie (supervisor)", Email: "sofie@kaiwa.example", Role: store.RoleSupervisor, Locale: "da", Skills: []store.AgentSkill{{SkillID: english.ID, Level: 8}}},
	{Name: "健太", Email: "kenta@kaiwa.example", Role: store.RoleAgent, Locale: "ja", Skills: []store.AgentSkill{{SkillID: japanese.ID, Level: 10}, {SkillID: chinese.ID, Level: 4}, {SkillID: english.ID, Level: 5}}},
	{Name: "Mali", Email: "mali@kaiwa.example", Role: store.RoleAgent, Locale: "th", Skills: []store.AgentSkill{{SkillID: thai.ID, Level: 10}, {SkillID: english.ID, Level: 7}}},
	{Name: "James", Email: "james@kaiwa.example", Role: store.RoleAgent, Locale: "en", Skills: []store.AgentSkill{{SkillID: english.ID, Level: 10}}},
}

var shopHours = store.Calendar{
	ID: seedID(conversation.PrefixCalendar, "shop"), Name: "Shop hours 営業時間",
	Calendar: calendar.Calendar{
		Zone: "Asia/Tokyo",
		Hours: []calendar.Span{
			{Day: calendar.Monday, Opens: "10:00", Closes: "19:00"}, {Day: calendar.Tuesday, Opens: "10:00", Closes: "19:00"},
			{Day: calendar.Wednesday, Opens: "10:00", Closes: "19:00"}, {Day: calendar.Thursday, Opens: "10:00", Closes: "19:00"},
			{Day: calendar.Friday, Opens: "10:00", Closes: "19:00"}, {Day: calendar.Saturday, Opens: "10:00", Closes: "19:00"},
		},
		Holidays: []calendar.Holiday{{Date: "2027-01-01", Name: "元日"}, {Date: "2027-01-02", Name: "年始休業"}},
	},
}

// Support is always open; Orders has the shop's hours.
var (
	support = store.Queue{ID: seedID(conversation.PrefixQueue, "support"), Name: "Support", Priority: 10}
	orders  = store.Queue{ID: seedID(conversation.PrefixQueue, "orders"), Name: "Orders", Priority: 20, Assignment: routing.RoundRobin, CalendarID: shopHours.ID}

	// members are the email addresses of those who work each queue.
	members = map[string][]string{
		support.ID: {"kenta@kaiwa.example", "mali@kaiwa.example", "james@kaiwa.example"},
		orders.ID:  {"kenta@kaiwa.example", "james@kaiwa.example"},
	}
)

var (
	byLanguage = store.Ruleset{
		ID: seedID(conversation.PrefixRuleset, "language"), Name: "Language 言語", Kind: store.RulesetClassification,
		Rules: []routing.Rule{
			{ID: "ja", Name: "Japanese", Condition: `customer.language == "ja" || message.texts.exists(t, t.matches(r"[\p{Hiragana}\p{Katakana}]"))`,
				Outputs: routing.Outputs{Language: "ja", Skills: []conversation.SkillNeed{{SkillID: japanese.ID, Level: 5}}}},
			{ID: "th", Name: "Thai", Condition: `customer.language == "th" || message.texts.exists(t, t.matches(r"\p{Thai}"))`,
				Outputs: routing.Outputs{Language: "th", Skills: []conversation.SkillNeed{{SkillID: thai.ID, Level: 5}}}},
			{ID: "zh", Name: "Traditional Chinese", Condition: `customer.language.startsWith("zh")`,
				Outputs: routing.Outputs{Language: "zh-TW", Skills: []conversation.SkillNeed{{SkillID: chinese.ID, Level: 3}}}},
			{ID: "en", Name: "Everybody else", Condition: `true`,
				Outputs: routing.Outputs{Skills: []conversation.SkillNeed{{SkillID: english.ID, Level: 3}}}},
		},
	}
	bySubject = store.Ruleset{
		ID: seedID(conversation.PrefixRuleset, "subject"), Name: "Subject 用件", Kind: store.RulesetClassification,
		Rules: []routing.Rule{
			{ID: "refund", Name: "Refund 返金", Condition: `message.texts.exists(t, t.matches(r"(?i)\brefund|返金|返品|退款|退貨|คืนเงิน|คืนสินค้า|\breturner"))`,
				Outputs: routing.Outputs{Priority: number(50), Attributes: map[string]string{"subject": "refund"}}},
			{ID: "order", Name: "Order 注文", Condition: `has(context.order_number) || message.texts.exists(t, t.matches(r"(?i)\border|注文|配送|訂單|คำสั่งซื้อ|\bordre"))`,
				Outputs: routing.Outputs{Attributes: map[string]string{"subject": "order"}}},
		},
	}
	bySubjectToQueue = store.Ruleset{
		ID: seedID(conversation.PrefixRuleset, "queues"), Name: "Queues 振り分け", Kind: store.RulesetRoute,
		RouteRules: []routing.RouteRule{
			{ID: "orders", Name: "Orders and refunds", Condition: `conversation.attributes[?"subject"].orValue("") in ["order", "refund"]`, QueueID: orders.ID},
		},
	}
)

var dispositions = []store.Disposition{
	{ID: seedID(conversation.PrefixDisposition, "solved"), Name: "Solved 解決"},
	{ID: seedID(conversation.PrefixDisposition, "refunded"), Name: "Refunded 返金済み"},
	{ID: seedID(conversation.PrefixDisposition, "passed-on"), Name: "Passed on 引き継ぎ"},
	{ID: seedID(conversation.PrefixDisposition, "no-answer"), Name: "No answer 返信なし"},
}

var afterwards = store.Survey{
	ID: seedID(conversation.PrefixSurvey, "afterwards"), Name: "Afterwards アンケート",
	Settings: survey.Settings{Mode: survey.ModeLINE, ExpiresSeconds: survey.DefaultExpires, Questions: []survey.Question{
		{ID: "satisfaction", Kind: survey.KindCSAT, Text: map[string]string{
			"en":    "How satisfied are you with our help?",
			"ja":    "今回の対応にどのくらいご満足いただけましたか。",
			"th":    "คุณพอใจกับการช่วยเหลือของเรามากน้อยเพียงใด",
			"zh-TW": "您對這次的服務滿意嗎？",
			"da":    "Hvor tilfreds er du med hjælpen?",
		}},
		{ID: "comment", Kind: survey.KindText, Optional: true, Text: map[string]string{
			"en":    "Is there anything we could do better?",
			"ja":    "ご意見やご要望がございましたら、お聞かせください。",
			"th":    "มีอะไรที่เราควรปรับปรุงไหม",
			"zh-TW": "有什麼我們可以做得更好的地方嗎？",
			"da":    "Er der noget, vi kunne gøre bedre?",
		}},
	}},
}

// shop is the workstream, but for its bot.
func shop() store.Workstream {
	w := store.Workstream{ID: seedID(conversation.PrefixWorkstream, "demo"), Name: "Shop", Mode: store.ModePush, FallbackQueueID: support.ID}
	w.Settings.ClassificationRulesetIDs = []string{byLanguage.ID, bySubject.ID}
	w.Settings.RouteRulesetID = bySubjectToQueue.ID
	w.Settings.Assignment.SkillMatching = conversation.MatchingClosest
	w.Settings.Privacy = store.Privacy{Notice: true, Version: "1"}
	for _, d := range dispositions {
		w.Settings.DispositionIDs = append(w.Settings.DispositionIDs, d.ID)
	}
	w.Settings.SurveyID = afterwards.ID
	return w
}

func number(n int64) *int64 { return &n }
