package bot

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kaiwa/internal/fold"
)

// capture waits for something the customer types and keeps it in a context
// variable.
type capture struct {
	into    string
	kind    string
	pattern *regexp.Regexp // of kind pattern
	min     float64        // of a number, or of a text's length in characters
	max     float64
	invalid []said
	next    *node
}

// The kinds of captured input.
const (
	captureText    = "text"    // anything, of a length from min to max (1 to 1,000 characters)
	captureNumber  = "number"  // a decimal number, from min to max if given; kept as ASCII, 1,234.5 as 1234.5
	captureEmail   = "email"   // an address
	capturePhone   = "phone"   // 7 to 15 digits with an optional +, kept without spaces and punctuation
	capturePattern = "pattern" // what a regular expression (RE2) matches as a whole; its first group is kept, if any
)

const (
	maxInput   = 1000 // characters anybody would type as an answer
	maxPattern = 500
	maxNumber  = 1e15
)

var (
	emailShape  = regexp.MustCompile(`^[^\s@<>"(),:;\\]{1,64}@[\pL\pN-]{1,63}(\.[\pL\pN-]{1,63})+$`)
	phoneShape  = regexp.MustCompile(`^\+?[0-9]{7,15}$`)
	numberShape = regexp.MustCompile(`^[+-]?([0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,4})(\.[0-9]{1,10})?$`)
	phoneFill   = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "‐", "", "–", "", "ー", "", "−", "")
)

func readCapture(v value, s *Script) *capture {
	v.object("into", "kind", "pattern", "min", "max", "invalid", "goto")
	c := &capture{into: readVariable(v.field("into")), kind: captureText}
	if kind := v.field("kind"); kind.given() {
		c.kind = kind.text()
	}
	low, high := v.field("min"), v.field("max")
	switch c.kind {
	case captureText:
		c.min = float64(low.whole(1, maxInput, 1))
		c.max = float64(high.whole(int64(c.min), maxInput, maxInput))
	case captureNumber:
		c.min, c.max = -maxNumber, maxNumber
		if low.given() {
			c.min = low.number(-maxNumber, maxNumber)
		}
		if high.given() {
			c.max = high.number(c.min, maxNumber)
		}
	case captureEmail, capturePhone, capturePattern:
		for _, limit := range []value{low, high} {
			if limit.given() {
				limit.wrong("Only a text and a number have limits.")
			}
		}
	default:
		v.field("kind").wrong("This must be text, number, email, phone or pattern.")
	}
	c.pattern = readPattern(v.field("pattern"), c.kind == capturePattern)
	c.invalid = readSaid(v.field("invalid"), s.fallback)
	c.next = s.readGoto(v.field("goto"))
	return c
}

func readPattern(v value, wanted bool) *regexp.Regexp {
	source := v.shortText(maxPattern)
	if wanted != (source != "") {
		v.wrong(`A pattern is given with the kind "pattern", and only then.`)
		return nil
	}
	if !wanted {
		return nil
	}
	// Compiled by itself first: the parentheses added below would hide some
	// mistakes.
	if _, err := regexp.Compile(source); err != nil {
		v.wrong("This is not a regular expression (RE2 syntax).")
		return nil
	}
	pattern, err := regexp.Compile(`\A(?:` + source + `)\z`)
	if err != nil {
		v.wrong("This is not a regular expression (RE2 syntax).")
	}
	return pattern
}

// accept returns what is kept of a typed text, or false when it is not what is
// asked for.
func (c *capture) accept(typed string) (string, bool) {
	typed = strings.TrimSpace(typed)
	n := utf8.RuneCountInString(typed)
	if n == 0 || n > maxInput {
		return "", false
	}
	if c.kind == captureText {
		return typed, float64(n) >= c.min && float64(n) <= c.max
	}
	plain := strings.Map(fold.Digit, norm.NFKC.String(typed))
	switch c.kind {
	case captureNumber:
		if !numberShape.MatchString(plain) {
			return "", false
		}
		plain = strings.TrimPrefix(strings.ReplaceAll(plain, ",", ""), "+")
		number, err := strconv.ParseFloat(plain, 64)
		return plain, err == nil && number >= c.min && number <= c.max
	case captureEmail:
		return plain, len(plain) <= 254 && emailShape.MatchString(plain)
	case capturePhone:
		plain = phoneFill.Replace(plain)
		return plain, phoneShape.MatchString(plain)
	case capturePattern:
		groups := c.pattern.FindStringSubmatch(plain)
		switch {
		case groups == nil:
			return "", false
		case len(groups) > 1:
			return groups[1], groups[1] != ""
		}
		return plain, true
	}
	return "", false
}
