package automessage

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/textlen"
)

// MaxFilled is the longest text LINE sends, in UTF-16 code units. Fill cuts
// what is longer.
const MaxFilled = 5000

// Values is what slugs stand for. What is not known stays zero.
type Values struct {
	CustomerName string
	AgentName    string
	QueueName    string
	Position     int               // 1 is the next in line; 0 is unknown
	WaitMinutes  int               // 0 is unknown
	Context      map[string]string // context variables
}

// gap marks the place of a slug without a value while a text is being filled.
// It is a noncharacter (Unicode §23.7), which no text may carry.
const gap = '\uFFFF'

// Fill puts values in the place of slugs and returns a text that can be sent.
// Where a value is missing it mends the sentence around the place: leftover
// spaces, commas, brackets and honorifics go ("Hello {customer_name}!" becomes
// "Hello!", "{customer_name}様、" nothing at all), and a line that held nothing
// else goes with it. Unknown slugs stay as they are. Values are never read for
// slugs themselves, and names are brought on one line. A result over MaxFilled
// is cut between two graphemes and ends in "…".
func Fill(text string, v Values) string {
	var open strings.Builder
	split(text,
		func(s string) { open.WriteString(withoutGaps(s)) },
		func(s Slug) {
			if !s.Known() {
				open.WriteString(withoutGaps(s.String()))
			} else if value := v.of(s); value != "" {
				open.WriteString(value)
			} else {
				open.WriteRune(gap)
			}
		})

	var left []byte
	right := open.String()
	for {
		i := strings.IndexRune(right, gap)
		if i < 0 {
			return cut(string(append(left, right...)))
		}
		left = append(left, right[:i]...)
		left, right = mend(left, right[i+utf8.RuneLen(gap):])
	}
}

func (v Values) of(s Slug) string {
	if s.Variable {
		return paragraph(v.Context[s.Name])
	}
	switch s.Name {
	case slugCustomerName:
		return line(v.CustomerName)
	case slugAgentName:
		return line(v.AgentName)
	case slugQueueName:
		return line(v.QueueName)
	case slugPosition:
		return count(v.Position)
	case slugWaitMinutes:
		return count(v.WaitMinutes)
	}
	return ""
}

func count(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// line brings a name on one line, without what would disturb the text around
// it: control characters and changes of writing direction.
func line(s string) string {
	return strings.Join(strings.Fields(withoutGaps(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s))), " ")
}

// paragraph leaves a value its lines.
func paragraph(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.TrimSpace(withoutGaps(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)))
}

func withoutGaps(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), string(gap), "")
}

const (
	blanks      = " \t\u00A0\u3000"
	commas      = ",;:、，；：،"
	terminators = ".!?。！？…"
	openers     = "([{（「『【“‘《〈"
	closers     = ")]}）」』】”’》〉"
)

// Honorifics that stand directly after or before a name and go with it.
var (
	honorificsAfter = []string{"様", "さま", "さん", "先生", "小姐", "女士"}
	honorificBefore = "คุณ"
	// What turns the same letters into another word: "thank you" and "kindness".
	notHonorific = []string{"ขอบ", "พระ"}
)

// mend closes the place between left and right where a value is missing.
func mend(left []byte, right string) ([]byte, string) {
	for _, h := range honorificsAfter {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(right, blanks), h); ok {
			right = rest
			break
		}
	}
	left = withoutHonorific(left)
	spaced, comma := false, false
	for {
		l, r := trimRight(left), strings.TrimLeft(right, blanks)
		if strings.HasPrefix(r, string(gap)) {
			return left, right // the next place closes this one too
		}
		if len(l) < len(left) || len(r) < len(right) {
			spaced = true
		}
		left, right = l, r
		before, beforeSize := utf8.DecodeLastRune(left)
		after, afterSize := utf8.DecodeRuneInString(right)
		begins := len(left) == 0 || before == '\n'
		ends := right == "" || after == '\n' || after == '\r'
		pair := strings.IndexRune(openers, before)
		switch {
		case begins && ends:
			return withoutLine(left, right)
		case begins && (in(commas, after) || in(terminators, after)),
			!ends && in(commas, after) && (in(commas, before) || in(terminators, before) || in(openers, before)),
			!ends && in(terminators, after) && in(terminators, before):
			comma = comma || in(commas, after)
			right = right[afterSize:]
			spaced = spaced || !begins
		case !begins && in(commas, before) && (ends || in(terminators, after) || in(closers, after)),
			!begins && !ends && pair >= 0 && strings.IndexRune(closers, after) == pair:
			if pair >= 0 {
				right = right[afterSize:]
			}
			left = left[:len(left)-beforeSize]
		case begins || in(terminators, before):
			if comma { // what followed the name begins the sentence now
				return begin(left, right, spaced && !begins)
			}
			return space(left, spaced && !begins && !ends && !attaches(after), before, after), right
		default:
			return space(left, spaced && !ends && !attaches(after) && !in(openers, before), before, after), right
		}
	}
}

func in(set string, r rune) bool { return r != utf8.RuneError && strings.ContainsRune(set, r) }

// attaches tells whether no space comes before r.
func attaches(r rune) bool { return in(commas, r) || in(terminators, r) || in(closers, r) }

// space ends left with a space if one is due; none is between characters of
// scripts written without.
func space(left []byte, due bool, before, after rune) []byte {
	if !due || ideographic(before) && ideographic(after) {
		return left
	}
	return append(left, ' ')
}

func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFF60
}

// begin makes the first letter of right a capital one.
func begin(left []byte, right string, spaced bool) ([]byte, string) {
	before, _ := utf8.DecodeLastRune(left)
	r, size := utf8.DecodeRuneInString(right)
	left = space(left, spaced, before, r)
	if !unicode.IsLower(r) {
		return left, right
	}
	return utf8.AppendRune(left, unicode.ToTitle(r)), right[size:]
}

// withoutLine drops the empty line between left and right.
func withoutLine(left []byte, right string) ([]byte, string) {
	if right == "" {
		if n := len(left); n > 0 {
			left = left[:n-1]
		}
		if n := len(left); n > 0 && left[n-1] == '\r' {
			left = left[:n-1]
		}
		return left, right
	}
	right = strings.TrimPrefix(right, "\r")
	return left, strings.TrimPrefix(right, "\n")
}

func withoutHonorific(left []byte) []byte {
	rest, ok := bytes.CutSuffix(trimRight(left), []byte(honorificBefore))
	if !ok || slices.ContainsFunc(notHonorific, func(h string) bool { return bytes.HasSuffix(rest, []byte(h)) }) {
		return left
	}
	return rest
}

func trimRight(b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeLastRune(b)
		if !in(blanks, r) {
			break
		}
		b = b[:len(b)-size]
	}
	return b
}

// cut shortens s to MaxFilled between two graphemes.
func cut(s string) string {
	if textlen.UTF16(s) <= MaxFilled {
		return s
	}
	room, end, state := MaxFilled-1, 0, -1
	for rest := s; ; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if room -= textlen.UTF16(cluster); room < 0 {
			return s[:end] + "…"
		}
		end += len(cluster)
	}
}
