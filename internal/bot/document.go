package bot

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kaiwa/internal/conversation"
)

// maxDepth is how deep arrays and objects may nest in a document. LINE's flex
// messages, the deepest thing in one, stay far below.
const maxDepth = 64

// maxProblems bounds how many problems of one document are listed.
const maxProblems = 100

// document is a JSON text being read: it collects what is wrong with it,
// everything in one go and each by its JSON pointer (RFC 6901).
type document struct {
	problems []conversation.FieldError
	strict   bool // unknown and repeated fields are problems
	deep     bool // so is what LINE would refuse in a message that needs no filling in
}

func (d *document) wrong(pointer, detail string) {
	if n := len(d.problems); n > 0 && d.problems[n-1].Pointer == pointer {
		return // a consequence of what is known to be wrong there
	}
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, conversation.FieldError{Pointer: pointer, Detail: detail})
	}
}

// errNotJSON is returned for a text that is not one JSON document.
var errNotJSON = errors.New("this is not one JSON document in UTF-8")

// read parses text, which must be one JSON document (RFC 8259) in UTF-8. Values
// are those of encoding/json with numbers kept as json.Number.
func (d *document) read(text []byte) (value, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return value{}, errNotJSON
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := d.next(dec, "", 0)
	if err != nil {
		return value{}, errors.Join(errNotJSON, err)
	}
	return value{d: d, pointer: "", v: v}, nil
}

var errTooDeep = errors.New("arrays and objects nest too deep")

func (d *document) next(dec *json.Decoder, pointer string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	token, err := dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch token {
	case json.Delim('['):
		return d.nextArray(dec, pointer, depth)
	case json.Delim('{'):
		return d.nextObject(dec, pointer, depth)
	}
	return token, nil
}

func (d *document) nextArray(dec *json.Decoder, pointer string, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := d.next(dec, pointer+"/"+strconv.Itoa(len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := dec.Token()
	return list, err
}

func (d *document) nextObject(dec *json.Decoder, pointer string, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // json.Valid: only strings are names
		at := pointer + "/" + escape(name)
		if _, again := object[name]; again && d.strict {
			d.wrong(at, "This field stands here twice.")
		}
		if object[name], err = d.next(dec, at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}

// withoutNUL reports every NUL in v, which neither LINE nor PostgreSQL takes, and
// returns v with another character in its place.
func (v value) withoutNUL() value {
	switch x := v.v.(type) {
	case string:
		v.v = v.checkText(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = value{v.d, v.pointer + "/" + strconv.Itoa(i), x[i]}.withoutNUL().v
		}
		v.v = out
	case map[string]any:
		out := make(map[string]any, len(x))
		for _, name := range names(x) {
			at := v.field(name)
			out[at.checkText(name)] = at.withoutNUL().v
		}
		v.v = out
	}
	return v
}

// checkText is s, which stands at v, without NUL.
func (v value) checkText(s string) string {
	if !strings.ContainsRune(s, 0) {
		return s
	}
	v.d.wrong(strings.ReplaceAll(v.pointer, "\x00", "\uFFFD"), "The character NUL is not allowed.")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// escape writes name as a token of a JSON pointer. A name too long to be one
// of ours is cut: a pointer is read by people.
func escape(name string) string {
	if r := []rune(name); len(r) > MaxVariableName {
		name = string(r[:MaxVariableName]) + "…"
	}
	return pointerEscape.Replace(name)
}

// value is a place in a document. The zero v of a value that is not there is
// nil, as is JSON's null: both count as not given.
type value struct {
	d       *document
	pointer string
	v       any
}

func (v value) given() bool { return v.v != nil }

func (v value) wrong(detail string) { v.d.wrong(v.pointer, detail) }

// field is the member of an object, not given if v is no object.
func (v value) field(name string) value {
	o, _ := v.v.(map[string]any)
	return value{v.d, v.pointer + "/" + escape(name), o[name]}
}

// object checks that v is an object, and in a strict document that it has no
// other fields than known ones.
func (v value) object(known ...string) bool {
	o, ok := v.v.(map[string]any)
	if !ok {
		v.wrong("This must be an object.")
		return false
	}
	if v.d.strict {
		for _, name := range names(o) {
			if !slices.Contains(known, name) {
				v.field(name).wrong("There is no such field here.")
			}
		}
	}
	return true
}

// members are those of an object in the order of their names, so that problems
// come in the same order each time.
func (v value) members() []member {
	o, ok := v.v.(map[string]any)
	if !ok {
		v.wrong("This must be an object.")
		return nil
	}
	out := make([]member, 0, len(o))
	for _, name := range names(o) {
		out = append(out, member{name, v.field(name)})
	}
	return out
}

type member struct {
	name string
	value
}

func names(o map[string]any) []string {
	out := make([]string, 0, len(o))
	for name := range o {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// list returns the items of an array of at most limit, none when not given.
func (v value) list(limit int) []value {
	if !v.given() {
		return nil
	}
	l, ok := v.v.([]any)
	if !ok {
		v.wrong("This must be an array.")
		return nil
	}
	if len(l) > limit {
		v.wrong("There are more than " + strconv.Itoa(limit) + " items.")
		l = l[:limit]
	}
	out := make([]value, len(l))
	for i, x := range l {
		out[i] = value{v.d, v.pointer + "/" + strconv.Itoa(i), x}
	}
	return out
}

// text returns a string, "" when not given.
func (v value) text() string {
	s, ok := v.v.(string)
	if !ok && v.given() {
		v.wrong("This must be a text.")
	}
	return s
}

// shortText returns a string of at most limit characters, "" when not given.
func (v value) shortText(limit int) string {
	s := v.text()
	if utf8.RuneCountInString(s) > limit {
		v.wrong("This is longer than " + strconv.Itoa(limit) + " characters.")
		return ""
	}
	return s
}

// truth returns a boolean, fallback when not given.
func (v value) truth(fallback bool) bool {
	if !v.given() {
		return fallback
	}
	b, ok := v.v.(bool)
	if !ok {
		v.wrong("This must be true or false.")
	}
	return b
}

// whole returns an integer between low and high, fallback when not given.
func (v value) whole(low, high, fallback int64) int64 {
	if !v.given() {
		return fallback
	}
	number, ok := v.v.(json.Number)
	n, err := number.Int64()
	if !ok || err != nil || n < low || n > high {
		v.wrong("This must be a whole number from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10) + ".")
		return fallback
	}
	return n
}

// number returns a number between low and high, 0 when not given.
func (v value) number(low, high float64) float64 {
	if !v.given() {
		return 0
	}
	number, ok := v.v.(json.Number)
	n, err := number.Float64()
	if !ok || err != nil || n < low || n > high {
		v.wrong("This must be a number from " + strconv.FormatFloat(low, 'g', -1, 64) + " to " + strconv.FormatFloat(high, 'g', -1, 64) + ".")
		return 0
	}
	return n
}

// raw returns an object as JSON, nil when not given.
func (v value) raw() json.RawMessage {
	if !v.given() {
		return nil
	}
	if _, ok := v.v.(map[string]any); !ok {
		v.wrong("This must be an object.")
		return nil
	}
	return encode(v.v)
}

// encode writes what was read from a document as JSON again: with the fields
// in order, each once, and every text in whole characters.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("bot: a value out of JSON is no JSON: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
