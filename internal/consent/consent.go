// Package consent is the question whether a customer agrees to the privacy
// notice: its two buttons, and what counts as an answer to it.
package consent

import (
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/fold"
	"kaiwa/internal/locale"
)

// Answer is what a customer says to the question.
type Answer string

// The answers. The zero Answer is none.
const (
	Yes Answer = "yes"
	No  Answer = "no"
)

// words are the answers that may be typed, because buttons vanish with the next
// message and LINE on a desktop shows none. They count in every language
// whatever the channel speaks. Whoever means something else than a plain yes or
// no writes more than that, and is asked again.
var words = map[Answer][]string{
	Yes: {
		"yes", "i agree", "agree", "agreed", "yes, i agree",
		"はい", "同意する", "同意します", "同意いたします", "はい、同意します", "はい、同意する",
		"ใช่", "ใช่ค่ะ", "ใช่ครับ", "ยินยอม", "ยินยอมค่ะ", "ยินยอมครับ", "ตกลง", "ตกลงค่ะ", "ตกลงครับ",
		"同意", "我同意", "是", "是的",
		"ja", "ja tak", "accepterer", "jeg accepterer", "ja, jeg accepterer",
	},
	No: {
		"no", "i do not agree", "i don't agree", "do not agree", "don't agree", "disagree", "decline", "no, thank you", "no thanks",
		"いいえ", "同意しない", "同意しません", "同意いたしません",
		"ไม่", "ไม่ค่ะ", "ไม่ครับ", "ไม่ใช่", "ไม่ยินยอม", "ไม่ยินยอมค่ะ", "ไม่ยินยอมครับ", "ไม่ตกลง",
		"不同意", "我不同意", "否", "不是",
		"nej", "nej tak", "accepterer ikke", "jeg accepterer ikke", "nej, jeg accepterer ikke",
	},
}

var answers = func() map[string]Answer {
	out := map[string]Answer{}
	for answer, list := range words {
		for _, w := range list {
			out[fold.Key(w)] = answer
		}
	}
	return out
}()

// longest is the length in bytes beyond which no message is an answer, however
// it is written.
const longest = 200

// Typed returns the answer a message is, if it is exactly one: whatever its
// case, its width and the blanks and punctuation around it.
func Typed(text string) Answer {
	if len(text) > longest {
		return ""
	}
	return answers[fold.Key(text)]
}

// labels are what the buttons say; typing one of them answers too.
var labels = map[string]map[Answer]string{
	"en":    {Yes: "I agree", No: "I do not agree"},
	"ja":    {Yes: "同意する", No: "同意しない"},
	"th":    {Yes: "ยินยอม", No: "ไม่ยินยอม"},
	"zh-TW": {Yes: "同意", No: "不同意"},
	"da":    {Yes: "Jeg accepterer", No: "Jeg accepterer ikke"},
}

var locales = []string{"en", "ja", "th", "zh-TW", "da"}

// prefix starts the data of the buttons.
const prefix = "kaiwa:consent:"

// Buttons are the two answers to the question a conversation asks about one
// version of the notice, for a reader of loc.
func Buttons(conversationID, version, loc string) []conversation.QuickReply {
	label, ok := labels[locale.Match(loc, locales)]
	if !ok {
		label = labels["en"]
	}
	var out []conversation.QuickReply
	for _, a := range []Answer{Yes, No} {
		out = append(out, conversation.QuickReply{
			Label: label[a], Text: label[a], Data: prefix + conversationID + ":" + version + ":" + string(a),
		})
	}
	return out
}

// Tap is a button that was tapped.
type Tap struct {
	ConversationID, Version string
	Answer                  Answer
}

// ReadTap reads the data of a tapped button; ok is false when it is none of
// ours. Data that only begins like ours is a tap without an answer: nobody else
// has a use for it.
func ReadTap(data string) (tap Tap, ok bool) {
	rest, ok := strings.CutPrefix(data, prefix)
	if !ok {
		return Tap{}, false
	}
	id, rest, _ := strings.Cut(rest, ":")
	cut := strings.LastIndexByte(rest, ':')
	if cut < 0 {
		return Tap{}, true
	}
	answer := Answer(rest[cut+1:])
	if !slices.Contains([]Answer{Yes, No}, answer) {
		return Tap{}, true
	}
	return Tap{ConversationID: id, Version: rest[:cut], Answer: answer}, true
}
