package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
)

// The limits of a script.
const (
	MaxScript        = 512 << 10 // bytes
	MaxNodes         = 200
	maxSaid          = 5 // messages of a node: what LINE takes in one call
	maxRules         = 200
	maxWords         = 50 // of one list
	maxAllWords      = 2000
	maxWord          = 100 // characters
	maxBranches      = 20
	maxSet           = 10
	maxVariableCount = 50
	maxInARow        = 20 // nodes passed through without waiting for the customer
	maxMisses        = 10
)

// Script is a bot declared as data, without code:
//
//	{
//	  "version": 1,
//	  "default_locale": "en",
//	  "greeting": [MESSAGE, …],                 said once, before anything else
//	  "start": "menu",                          the node a conversation begins at
//	  "nodes": {"menu": NODE, …},
//	  "keywords": [{"match": "any", "words": WORDS, "goto": "hours"}, …],
//	  "handoff": {"node": "person", "words": WORDS, "default_words": true},
//	  "not_understood": {"say": [MESSAGE, …], "max": 3},
//	  "other_messages": {"sticker": {"say": [MESSAGE, …], "goto": "…"}, "any": …}
//	}
//
// TEXT is {"en": "…", "ja": "…"}, or "…" for the default locale alone; slugs in
// it are {customer_name} and {$variable}. WORDS is a list, or one per locale.
// MESSAGE is a TEXT or a conversation.Content whose texts are TEXTs; inside a
// template or flex message {"$text": TEXT} stands for one.
//
// A NODE has "set": {variable: "text with slugs"} and "say": [MESSAGE, …], and
// then exactly one of
//
//	"menu":    {"text": TEXT, "numbered": true, "options": [
//	             {"label": TEXT, "text": TEXT, "data": "…", "words": WORDS, "goto": "…"}, {"label": TEXT, "uri": "…"}]}
//	"capture": {"into": variable, "kind": "text" | "number" | "email" | "phone" | "pattern",
//	             "pattern": "RE2", "min": 1, "max": 99, "invalid": [MESSAGE, …], "goto": "…"}
//	"branch":  [{"variable": "…", "equals": "…", "goto": "…"}, {"variable": "…", "exists": true, "goto": "…"}, {"goto": "…"}]
//	"goto":    "…"
//	"handoff": {"summary": TEXT, "queue_id": "que_…", "skills": ["…", {"name": "…", "level": 5}]}
//	"end":     true
//
// Rules match "any" (one of the words occurs), "all" (each occurs), "exact" (the
// message is one of them) or "contains" (one occurs, inside a word too), without
// regard to case, width and accents. A postback whose data is an option's, or
// "goto:" and the name of a node, goes there from wherever the customer is.
//
// A Script keeps where a customer is in context variables that begin with
// VariablePrefix, so the same Turn always gets the same Reply. It never changes
// and is safe for concurrent use.
type Script struct {
	fallback      string
	greeting      []said
	start         *node
	nodes         map[string]*node
	taps          map[string]*node // by the data of options
	rules         []rule
	person        person
	notUnderstood []said
	maxMisses     int
	others        map[string]other
}

// VariablePrefix begins the names of the context variables a Script keeps its
// place in. A script's own variables must not.
const VariablePrefix = "bot."

const (
	variableNode   = VariablePrefix + "node"
	variableMisses = VariablePrefix + "misses"
)

// person is how customers get to people.
type person struct {
	node     *node
	words    []string
	defaults bool
}

// other answers messages that are no text.
type other struct {
	say  []said
	next *node // nil: stay
}

// otherTypes are the types a script may answer by "other_messages"; any stands
// for those it does not name.
var otherTypes = []string{"sticker", "image", "video", "audio", "file", "location", anyType}

const anyType = "any"

var (
	nodeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	// Names a slug can stand for and other parts of Kaiwa do not keep for
	// themselves.
	variableName = regexp.MustCompile(`^[^{}\pC]{1,100}$`)
)

// CheckScript checks a script's declaration before it is stored: as ParseScript
// does, and by LINE's limits what its messages hold, as far as that is known
// before anything is filled in. A script that is stored goes on working when
// there are new limits: of its messages, those that break one fail.
func CheckScript(doc []byte) error {
	_, err := readDeclaration(doc, &document{strict: true, deep: true})
	return err
}

// ParseScript reads a script's declaration. Its error is an Error of
// CodeInvalid whose Fields name every problem at once.
func ParseScript(doc []byte) (*Script, error) {
	return readDeclaration(doc, &document{strict: true})
}

func readDeclaration(doc []byte, d *document) (*Script, error) {
	if len(doc) > MaxScript {
		return nil, conversation.Invalid("", "The script is larger than 512 KiB.")
	}
	v, err := d.read(doc)
	if err != nil {
		return nil, conversation.Invalid("", "%s", whyNotJSON(doc, err))
	}
	s := readScript(v.withoutNUL())
	if len(d.problems) > 0 {
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The script is not valid.", Fields: d.problems}
	}
	return s, nil
}

func whyNotJSON(doc []byte, err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errTooDeep):
		return "Arrays and objects nest deeper than 64 levels."
	case !utf8.Valid(doc):
		return "This is not UTF-8."
	case errors.As(json.Unmarshal(doc, new(any)), &syntax):
		line := 1 + bytes.Count(doc[:min(int(syntax.Offset), len(doc))], []byte("\n"))
		return "This is not a JSON document: the mistake is in line " + strconv.Itoa(line) + "."
	}
	return "This is not a JSON document."
}

func readScript(v value) *Script {
	s := &Script{nodes: make(map[string]*node), taps: make(map[string]*node), others: make(map[string]other)}
	if !v.object("version", "default_locale", "greeting", "start", "nodes", "keywords", "handoff", "not_understood", "other_messages") {
		return s
	}
	if version := v.field("version"); version.given() {
		version.whole(1, 1, 1)
	} else {
		version.wrong("This is missing; it is 1.")
	}
	s.fallback = v.field("default_locale").text()
	if !locale.Valid(s.fallback) {
		v.field("default_locale").wrong("This is not a known language tag such as en, ja or zh-TW.")
		s.fallback = "en" // to go on finding other problems
	}
	s.readNodes(v.field("nodes"))
	s.start = s.readGoto(v.field("start"))
	s.greeting = readSaid(v.field("greeting"), s.fallback)
	s.readRules(v.field("keywords"))
	s.readPerson(v.field("handoff"))
	s.readNotUnderstood(v.field("not_understood"))
	s.readOthers(v.field("other_messages"))
	s.checkPaths(v.field("nodes"))
	s.checkVolume(v)
	return s
}

// readGoto returns the node v names.
func (s *Script) readGoto(v value) *node {
	name := v.text()
	n, ok := s.nodes[name]
	switch {
	case !v.given():
		v.wrong("The name of a node is missing.")
	case !ok && name != "":
		v.wrong("There is no node " + strconv.Quote(name) + ".")
	case !ok:
		v.wrong("The name of a node is empty.")
	}
	return n
}

func (s *Script) readPerson(v value) {
	if !v.given() {
		v.wrong("The way to people is missing.")
		return
	}
	v.object("node", "words", "default_words")
	s.person = person{
		node:     s.readGoto(v.field("node")),
		words:    readWords(v.field("words"), false),
		defaults: v.field("default_words").truth(true),
	}
	if n := s.person.node; n != nil && n.handoff == nil {
		v.field("node").wrong("This node hands off to nobody.")
	}
}

func (s *Script) readNotUnderstood(v value) {
	s.maxMisses = 3
	s.notUnderstood = []said{{text: pardon, content: conversation.Content{Type: conversation.ContentText}}}
	if !v.given() {
		return
	}
	v.object("say", "max")
	s.maxMisses = int(v.field("max").whole(1, maxMisses, 3))
	if say := v.field("say"); say.given() {
		if s.notUnderstood = readSaid(say, s.fallback); len(s.notUnderstood) == 0 {
			say.wrong("Something must be said.")
		}
	}
}

// pardon is said by a script that declares nothing of its own.
var pardon = phrase{
	locales: []string{"en", "ja", "th", "zh-TW", "da"},
	words: map[string]string{
		"en":    "Sorry, I didn't quite understand. Could you put it another way?",
		"ja":    "申し訳ございません。うまく理解できませんでした。恐れ入りますが、別の言い方でお試しいただけますでしょうか。",
		"th":    "ขออภัยค่ะ ยังไม่ค่อยเข้าใจ รบกวนพิมพ์อีกแบบหนึ่งได้ไหมคะ",
		"zh-TW": "抱歉，我不太明白您的意思，可以請您換個方式再說一次嗎？",
		"da":    "Undskyld, det forstod jeg ikke helt. Kan du skrive det på en anden måde?",
	},
}

func (s *Script) readOthers(v value) {
	if !v.given() {
		return
	}
	v.object(otherTypes...)
	for _, m := range v.members() {
		if !m.object("say", "goto") {
			continue
		}
		o := other{say: readSaid(m.field("say"), s.fallback)}
		if next := m.field("goto"); next.given() {
			o.next = s.readGoto(next)
		}
		if len(o.say) == 0 && o.next == nil {
			m.wrong("Nothing is said, and there is nowhere to go.")
		}
		s.others[m.name] = o
	}
}

// readVariable returns the name of a context variable a script may write.
func readVariable(v value) string {
	name := v.text()
	checkVariable(v, name)
	return name
}

func checkVariable(v value, name string) {
	switch {
	case !variableName.MatchString(name):
		v.wrong("The name of a variable has 1 to 100 characters and no braces.")
	case strings.HasPrefix(name, VariablePrefix):
		v.wrong(`Names that begin with "bot." are the bot's own.`)
	}
}

// checkVolume bounds what one message costs to look at, and what one
// conversation has to remember.
func (s *Script) checkVolume(v value) {
	words := len(s.person.words)
	for _, r := range s.rules {
		words += len(r.words)
	}
	variables := make(map[string]bool)
	for _, n := range s.nodes {
		for _, set := range n.set {
			variables[set.name] = true
		}
		if n.capture != nil {
			variables[n.capture.into] = true
		}
		if n.menu != nil {
			for _, o := range n.menu.options {
				words += len(o.words)
			}
		}
	}
	if words > maxAllWords {
		v.wrong("There are more than 2,000 words to look for.")
	}
	if len(variables) > maxVariableCount {
		v.wrong("There are more than 50 variables.")
	}
}

// Answer answers every message of the turn, one after the other. What comes
// after a handoff is left to people; what comes after an end begins anew, for
// there is nobody else to answer it. Its only failures are FailureTimeout and
// FailureCancelled.
func (s *Script) Answer(ctx context.Context, t Turn) (Reply, error) {
	r := s.resume(t)
	if t.First {
		r.say(s.greeting)
	}
	heard := false
	for _, m := range t.Messages {
		if err := ctx.Err(); err != nil {
			return Reply{}, interrupted(ctx, err)
		}
		if m.Direction != conversation.Inbound || r.out.Action == ActionHandoff {
			continue
		}
		heard = true
		if r.out.Action == ActionEnd {
			r.begin()
		}
		r.answer(m)
	}
	if !heard && r.node == nil { // the bot is to open the conversation
		r.understand(s.start)
	}
	return r.reply(), nil
}
