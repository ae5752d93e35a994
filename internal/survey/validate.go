package survey

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/conversation"
	"kaiwa/internal/fold"
	"kaiwa/internal/locale"
)

var nameShape = regexp.MustCompile(`^[a-z0-9_]{1,` + strconv.Itoa(maxQuestionName) + `}$`)

// Validate checks settings before they are stored, defaults filled in. It
// returns an Error of CodeInvalid that names every wrong field, with pointers
// that start at the settings themselves, as /questions/0/text/ja.
func (s Settings) Validate() error {
	var c check
	if s.Mode != ModeLINE && s.Mode != ModeLink {
		c.wrong("/mode", "must be line or link")
	}
	if s.ExpiresSeconds < MinExpires || s.ExpiresSeconds > MaxExpires {
		c.wrong("/expires_seconds", "must be %d to %d, which is a minute to 14 days", MinExpires, MaxExpires)
	}
	if n := len(s.Questions); n < 1 || n > MaxQuestions {
		c.wrong("/questions", "must be 1 to %d questions, not %d", MaxQuestions, n)
	}
	ids := map[string]bool{}
	for i, q := range s.Questions {
		at := fmt.Sprintf("/questions/%d", i)
		c.name(at+"/id", q.ID, ids)
		c.texts(at+"/text", q.Text, func(at, text string) {
			if n := utf8.RuneCountInString(text); n > MaxText {
				c.wrong(at, "must be at most %d characters, not %d", MaxText, n)
			}
		})
		c.sameLanguages(at+"/text", s.Questions[0].Text, q.Text)
		c.choices(at, q)
	}
	if len(c.fields) == 0 {
		return nil
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: "The survey is not valid.", Fields: c.fields}
}

// check collects what is wrong.
type check struct {
	fields []conversation.FieldError
}

func (c *check) wrong(pointer, format string, args ...any) {
	c.fields = append(c.fields, conversation.FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *check) name(at, name string, taken map[string]bool) {
	switch {
	case !nameShape.MatchString(name):
		c.wrong(at, "must be 1 to %d of a to z, 0 to 9 and _", maxQuestionName)
	case taken[name]:
		c.wrong(at, "is there twice")
	}
	taken[name] = true
}

// texts checks a text in several languages; more says what else it must be.
func (c *check) texts(at string, texts map[string]string, more func(at, text string)) {
	if n := len(texts); n < 1 || n > maxLanguages {
		c.wrong(at, "must be in 1 to %d languages, not %d", maxLanguages, n)
		return
	}
	for _, loc := range slices.Sorted(maps.Keys(texts)) {
		at, text := at+"/"+pointerToken(loc), texts[loc]
		if !locale.Valid(loc) {
			c.wrong(at, "is not a known language tag such as en, ja or zh-TW")
			continue
		}
		switch {
		case strings.TrimSpace(text) == "":
			c.wrong(at, "is blank")
		case !utf8.ValidString(text) || strings.ContainsFunc(text, forbidden):
			c.wrong(at, "contains characters that cannot be sent")
		default:
			more(at, text)
		}
	}
}

// sameLanguages checks that texts are in every language of first, and in no
// other.
func (c *check) sameLanguages(at string, first, texts map[string]string) {
	for _, loc := range slices.Sorted(maps.Keys(first)) {
		if _, ok := texts[loc]; !ok && len(texts) > 0 {
			c.wrong(at, "is missing in %s, which the first question is in", loc)
		}
	}
	for _, loc := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := first[loc]; !ok && len(first) > 0 {
			c.wrong(at+"/"+pointerToken(loc), "is in a language the first question is not in")
		}
	}
}

func (c *check) choices(at string, q Question) {
	switch q.Kind {
	case KindCSAT, KindNPS, KindEffort, KindText:
		if len(q.Choices) > 0 {
			c.wrong(at+"/choices", "only a question of kind choice has choices")
		}
		return
	case KindChoice:
	default:
		c.wrong(at+"/kind", "must be csat, nps, effort, choice or text")
		return
	}
	most := MaxChoices
	if q.Optional {
		most-- // the button to skip it
	}
	if n := len(q.Choices); n < 2 || n > most {
		c.wrong(at+"/choices", "must be 2 to %d, not %d", most, n)
	}
	values := map[string]bool{}
	typed := map[string]int{} // what may be typed, and which choice it means
	for i := range q.Choices {
		typed[strconv.Itoa(i+1)] = i
	}
	for i, choice := range q.Choices {
		at := fmt.Sprintf("%s/choices/%d", at, i)
		c.name(at+"/value", choice.Value, values)
		c.texts(at+"/label", choice.Label, func(at, label string) {
			if n := uniseg.GraphemeClusterCount(label); n > MaxChoiceLabel {
				c.wrong(at, "must be at most %d characters, not %d", MaxChoiceLabel, n)
			}
			if strings.ContainsAny(label, "\r\n\t") {
				c.wrong(at, "must be on one line")
			}
			key := fold.Text(label)
			if other, ok := typed[key]; ok && other != i {
				c.wrong(at, "means choice %d when it is typed", other+1)
			}
			typed[key] = i
		})
		c.sameLanguages(at+"/label", q.Text, choice.Label)
	}
}

func forbidden(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

// pointerToken writes a name as a token of a JSON pointer (RFC 6901 §3).
func pointerToken(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
