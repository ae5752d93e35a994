package chaos

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"kaiwa/internal/bot"
	"kaiwa/internal/conversation"
)

// script is a bot that repeats the marks of what customers say, so that every
// answer tells what it answers.
func script() ([]byte, error) {
	hours := object{"en": "Opening hours", "ja": "営業時間", "th": "เวลาเปิดปิด", "zh-TW": "營業時間"}
	prices := object{"en": "Prices", "ja": "料金", "th": "ราคา", "zh-TW": "價格"}
	person := object{"en": "A person", "ja": "担当者", "th": "เจ้าหน้าที่", "zh-TW": "專人"}
	menu := object{"numbered": false, "text": object{"en": "What is it about?", "ja": "ご用件をお選びください。", "th": "ต้องการสอบถามเรื่องใด", "zh-TW": "請問您需要什麼服務？"},
		"options": []object{{"label": hours, "goto": "hours"}, {"label": prices, "goto": "prices"}, {"label": person, "goto": "person"}}}
	return json.Marshal(object{
		"version": 1, "default_locale": "en", "start": "menu",
		"nodes": object{
			"menu":   object{"menu": menu},
			"asked":  object{"branch": []object{{"variable": "met", "exists": true, "goto": "again"}, {"goto": "first"}}},
			"first":  object{"set": object{"met": "yes"}, "goto": "menu"},
			"again":  object{"say": []any{"heard"}, "goto": "wait"},
			"wait":   object{"capture": object{"into": "heard", "kind": "pattern", "pattern": `(?s).*?(c[0-9]+\.[0-9]+)`, "goto": "answer"}},
			"answer": object{"say": []any{"heard {$heard}"}, "goto": "wait"},
			"hours":  object{"say": []any{"9–18"}, "goto": "menu"},
			"prices": object{"say": []any{"¥100"}, "goto": "wait"},
			"person": object{"say": []any{"a person comes"}, "handoff": object{"summary": "asked for a person"}},
			"bye":    object{"say": []any{"goodbye"}, "end": true},
		},
		"keywords": []any{object{"match": "exact", "words": byes(), "goto": "bye"},
			object{"match": "contains", "words": []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, "goto": "asked"}},
		"handoff":        object{"node": "person", "default_words": true},
		"other_messages": object{"any": object{"say": []any{"seen"}}},
		"not_understood": object{"say": []any{"?"}, "max": 5},
	})
}

var markPattern = regexp.MustCompile(`c[0-9]+\.[0-9]+`)

// service is the webhook bot of the second channel: the same by HTTP, from the
// driver itself, which may have it hang or fail.
type service struct {
	tally *tally

	mu                 sync.Mutex
	hangsTo, failsTill time.Time
}

// hang has calls of the next while wait for its end, or for Kaiwa to give up.
func (s *service) hang(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangsTo = time.Now().Add(d)
}

// fail has calls of the next while answered with an error.
func (s *service) fail(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failsTill = time.Now().Add(d)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var t bot.Turn
	if err := json.NewDecoder(r.Body).Decode(&t); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.tally.add("bot asked by webhook", 1)
	s.mu.Lock()
	hang, fails := time.Until(s.hangsTo), time.Now().Before(s.failsTill)
	s.mu.Unlock()
	if fails {
		http.Error(w, "the bot fails", http.StatusInternalServerError)
		return
	}
	if !rest(r.Context(), hang) {
		return // Kaiwa has given up
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answerTo(t)) // Kaiwa may have gone
}

// answerTo is what the webhook bot says to a turn: the same to the same.
func answerTo(t bot.Turn) map[string]any {
	var say []any
	var rest []string
	out := object{}
	for _, m := range t.Messages {
		if m.Direction != conversation.Inbound {
			continue
		}
		switch mark := markPattern.FindString(m.Text); {
		case slices.ContainsFunc(tongues, func(l tongue) bool { return strings.HasPrefix(m.Text, l.person) }) || strings.Contains(string(m.Payload), `"person"`):
			out["action"], out["handoff"] = "handoff", object{"summary": "asked for a person " + mark}
		case slices.ContainsFunc(tongues, func(l tongue) bool { return m.Text == l.bye }):
			out["action"] = "end"
			delete(out, "handoff")
		case mark != "" && len(say) < 3:
			say = append(say, object{"type": "text", "text": "heard " + mark})
		case mark != "":
			rest = append(rest, mark)
		}
	}
	if len(rest) > 0 {
		say = append(say, object{"type": "text", "text": "heard " + strings.Join(rest, ", ")})
	}
	if len(say) == 0 {
		say = append(say, object{"type": "text", "text": "seen"})
	}
	if t.First {
		say = append(say, object{"type": "quick_replies", "text": "?", "quick_replies": []object{{"label": "👍", "text": "👍", "data": "thumb"}, {"label": "🧑", "text": "🧑", "data": "person"}}})
	}
	out["messages"] = say
	return out
}
