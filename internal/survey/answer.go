package survey

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kaiwa/internal/conversation"
	"kaiwa/internal/fold"
	"kaiwa/internal/locale"
)

// Skipped is the value of an answer that declines an optional question.
const Skipped = ""

// MaxAnswer is the longest answer in the customer's own words, in characters:
// as much as LINE lets them write in one message.
const MaxAnswer = 5000

// Option is one of the answers a question allows, in one language.
type Option struct {
	Value  string
	Number string // what may be typed for it
	Word   string // what it means; "" when the number says it all
}

// Label is what its button says.
func (o Option) Label() string {
	switch o.Word {
	case "":
		return o.Number
	default:
		return o.Number + " " + o.Word
	}
}

// scale is what numbers a kind of question allows.
func (k Kind) scale() (least, most int, ok bool) {
	switch k {
	case KindCSAT:
		return 1, 5, true
	case KindNPS:
		return 0, 10, true
	case KindEffort:
		return 1, 7, true
	}
	return 0, 0, false
}

// Scored tells whether answers to the kind are numbers.
func (k Kind) Scored() bool {
	_, _, ok := k.scale()
	return ok
}

// Options lists what may be answered, in the order in which it is shown; none
// for a question of KindText. Skipping is not among them.
func (q Question) Options(loc string) []Option {
	var out []Option
	if least, most, ok := q.Kind.scale(); ok {
		for n := least; n <= most; n++ {
			o := Option{Value: strconv.Itoa(n), Number: strconv.Itoa(n)}
			if q.Kind == KindCSAT {
				o.Word = wordsIn(loc).satisfied[n-1]
			}
			out = append(out, o)
		}
		if q.Kind == KindCSAT {
			slices.Reverse(out) // the best first, as people know it from stars
		}
		return out
	}
	for i, c := range q.Choices {
		out = append(out, Option{Value: c.Value, Number: strconv.Itoa(i + 1), Word: In(c.Label, loc)})
	}
	return out
}

// Accepts tells whether value answers the question, as a button's or a form's
// data has it, and which score it is: 0 for what is no number.
func (q Question) Accepts(value string) (score int64, ok bool) {
	if value == Skipped {
		return 0, q.Optional
	}
	if q.Kind == KindText {
		return 0, strings.TrimSpace(value) != "" && utf8.ValidString(value) && !strings.ContainsFunc(value, forbidden) &&
			utf8.RuneCountInString(value) <= MaxAnswer
	}
	for _, o := range q.Options("") {
		if o.Value == value {
			if q.Kind.Scored() {
				score, _ = strconv.ParseInt(value, 10, 64) // it is one of Options
			}
			return score, true
		}
	}
	return 0, false
}

// Typed returns which answer a typed message is: exactly one of the options, by
// its number, its words or both, however they are written; or any words at all
// where the question asks for them.
func (q Question) Typed(loc, text string) (value string, ok bool) {
	said := fold.Text(text)
	if q.Optional && said == fold.Text(wordsIn(loc).skip) {
		return Skipped, true
	}
	if q.Kind == KindText {
		text = strings.TrimSpace(text)
		_, ok = q.Accepts(text)
		return text, ok && text != Skipped
	}
	for _, o := range q.Options(loc) {
		if said == o.Number || said == fold.Text(o.Label()) || o.Word != "" && said == fold.Text(o.Word) {
			return o.Value, true
		}
	}
	return "", false
}

// Find returns the question of an id.
func Find(questions []Question, id string) (Question, bool) {
	i := slices.IndexFunc(questions, func(q Question) bool { return q.ID == id })
	if i < 0 {
		return Question{}, false
	}
	return questions[i], true
}

// In returns the words for a reader of loc: in their language if there are any,
// else in English, else in whichever language comes first.
func In(texts map[string]string, loc string) string {
	return texts[choose(slices.Sorted(maps.Keys(texts)), loc)]
}

func choose(have []string, wants ...string) string {
	for _, want := range append(wants, defaultLocale) {
		if l := locale.Match(want, have); l != "" {
			return l
		}
	}
	if len(have) == 0 {
		return ""
	}
	return have[0]
}

// Locale returns the language in which a survey speaks to somebody, the most
// wanted first: one that its questions are written in.
func Locale(questions []Question, wants ...string) string {
	if len(questions) == 0 {
		return defaultLocale
	}
	return choose(slices.Sorted(maps.Keys(questions[0].Text)), wants...)
}

// dataPrefix begins what the buttons of surveys send.
const dataPrefix = "kaiwa:survey:"

// Data is what a button sends: which survey it answers, which question, and
// how.
func Data(invitationID, questionID, value string) string {
	return dataPrefix + invitationID + ":" + questionID + ":" + value
}

// ParseData reads what a button sent; ok is false for buttons of others.
func ParseData(data string) (invitationID, questionID, value string, ok bool) {
	rest, ours := strings.CutPrefix(data, dataPrefix)
	parts := strings.Split(rest, ":")
	if !ours || len(parts) != 3 || !conversation.ValidID(conversation.PrefixInvitation, parts[0]) || !nameShape.MatchString(parts[1]) {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}
