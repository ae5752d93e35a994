package bot

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
)

// run is one turn of a script: it goes from node to node as the customer's
// messages lead it, and collects the reply.
type run struct {
	script    *Script
	locale    string
	customer  string
	before    map[string]string // context variables as the turn has them
	variables map[string]string // as they are now
	node      *node             // where the customer is; nil at the start
	misses    int               // messages in a row not understood
	heard     int
	grasped   int // of those heard
	out       Reply
}

// resume puts a run where the conversation's last turn ended. A place the
// script no longer has is the start.
func (s *Script) resume(t Turn) *run {
	r := &run{
		script:    s,
		locale:    t.Locale,
		customer:  t.Customer.Name,
		before:    t.Context,
		variables: maps.Clone(t.Context),
		node:      s.nodes[t.Context[variableNode]],
		out:       Reply{Action: ActionContinue},
	}
	if r.locale == "" {
		r.locale = t.Customer.Language
	}
	if r.variables == nil {
		r.variables = make(map[string]string)
	}
	// A count that is none, or that the script no longer allows, starts anew.
	if n, err := strconv.Atoi(t.Context[variableMisses]); err == nil && n > 0 && n < s.maxMisses {
		r.misses = n
	}
	return r
}

func (r *run) done() bool { return r.out.Action != ActionContinue }

// begin puts the customer back to the start.
func (r *run) begin() { r.out.Action, r.node, r.misses = ActionContinue, nil, 0 }

// answer answers one message of the customer.
func (r *run) answer(m Message) {
	r.heard++
	switch text := strings.TrimSpace(m.Text); {
	case m.Type == "postback":
		if next := r.script.tapped(postbackData(m)); next != nil {
			r.understand(next)
		} else {
			r.answerText(text)
		}
	case m.Type == "text":
		r.answerText(text)
	default:
		r.answerOther(m.Type)
	}
}

func (r *run) answerText(text string) {
	heard := hear(text)
	waiting := r.node
	if waiting != nil && waiting.menu != nil {
		if o := waiting.menu.typed(heard); o != nil {
			r.choose(o)
			return
		}
	}
	if r.script.asksForPerson(heard) {
		r.understand(r.script.person.node)
		return
	}
	if waiting != nil && waiting.capture != nil {
		if kept, ok := waiting.capture.accept(heard.text); ok {
			r.set(waiting.capture.into, kept)
			r.understand(waiting.capture.next)
			return
		}
	}
	if waiting != nil && waiting.menu != nil {
		if o := waiting.menu.mentioned(heard); o != nil {
			r.choose(o)
			return
		}
	}
	for _, rule := range r.script.rules {
		if rule.matches(heard) {
			r.understand(rule.next)
			return
		}
	}
	if waiting == nil { // a first "hello" is answered by the start
		r.understand(r.script.start)
		return
	}
	r.miss()
}

// answerOther answers a message that is no text.
func (r *run) answerOther(kind string) {
	o, declared := r.script.others[kind]
	if !declared {
		o, declared = r.script.others[anyType]
	}
	switch {
	case declared && (o.next != nil || r.node == nil):
		r.say(o.say)
		if o.next == nil {
			o.next = r.script.start
		}
		r.understand(o.next)
	case declared:
		r.understood()
		r.say(o.say)
		r.ask()
	case r.node == nil:
		r.understand(r.script.start)
	default:
		r.miss()
	}
}

func (r *run) choose(o *option) {
	if o.next != nil {
		r.understand(o.next)
		return
	}
	r.understood()
	r.out.Messages = append(r.out.Messages, conversation.TextContent(o.uri))
}

func (r *run) understood() {
	r.grasped++
	r.misses = 0
}

func (r *run) understand(next *node) {
	r.understood()
	r.enter(next)
}

// miss is a message the script can make nothing of. After too many in a row
// people take over.
func (r *run) miss() {
	if r.misses++; r.misses >= r.script.maxMisses {
		r.misses = 0
		r.enter(r.script.person.node)
		return
	}
	if r.node.capture != nil && len(r.node.capture.invalid) > 0 {
		r.say(r.node.capture.invalid)
		return
	}
	r.say(r.script.notUnderstood)
	r.ask()
}

// enter goes to a node, and on from there to one that waits for the customer or
// leaves. checkPaths saw to it that there is one.
func (r *run) enter(n *node) {
	for n != nil {
		r.node = n
		for _, a := range n.set {
			r.set(a.name, r.fill(a.text))
		}
		r.say(n.say)
		switch {
		case n.handoff != nil:
			r.out.Action = ActionHandoff
			r.out.Handoff = &Handoff{
				Summary: firstCharacters(r.fill(n.handoff.summary.in(r.script.fallback, r.script.fallback)), MaxSummary),
				QueueID: n.handoff.queueID,
				Skills:  n.handoff.skills,
			}
			return
		case n.end:
			r.out.Action = ActionEnd
			return
		case n.menu != nil:
			r.ask()
			return
		case n.capture != nil:
			return
		}
		n = n.onwardFor(r.variables)
	}
}

// onwardFor is where n leads with the variables as they are.
func (n *node) onwardFor(variables map[string]string) *node {
	for _, b := range n.branches {
		if b.holds(variables) {
			return b.next
		}
	}
	return n.next
}

// ask shows the menu the customer is at: its buttons vanish with each message.
func (r *run) ask() {
	if r.node.menu != nil {
		r.out.Messages = append(r.out.Messages, r.node.menu.question(r.locale, r.script.fallback, r.fill))
	}
}

func (r *run) say(all []said) {
	for _, s := range all {
		c := s.in(r.locale, r.script.fallback, r.fill)
		if c.Type == conversation.ContentText && strings.TrimSpace(c.Text) == "" {
			continue // it was all slugs without a value
		}
		r.out.Messages = append(r.out.Messages, c)
	}
}

// fill puts the turn's values in the place of slugs.
func (r *run) fill(text string) string {
	return automessage.Fill(text, automessage.Values{CustomerName: r.customer, Context: r.variables})
}

func (r *run) set(name, value string) {
	r.variables[name] = firstCharacters(value, MaxVariableValue)
}

// reply closes the run: where the customer is now goes into the context, and
// nothing once the bot has left.
func (r *run) reply() Reply {
	place, misses := "", ""
	if !r.done() {
		place = r.node.name
		if r.misses > 0 {
			misses = strconv.Itoa(r.misses)
		}
	}
	r.variables[variableNode], r.variables[variableMisses] = place, misses
	for name, v := range r.variables {
		if v != r.before[name] {
			if r.out.Context == nil {
				r.out.Context = make(map[string]string)
			}
			r.out.Context[name] = v
		}
	}
	r.out.Understood = r.heard == 0 || r.grasped > 0
	return r.out
}

// tapPrefix begins postback data that names a node, for the buttons of
// templates and flex messages.
const tapPrefix = "goto:"

// tapped is where postback data leads, nil if nowhere.
func (s *Script) tapped(data string) *node {
	if name, ok := strings.CutPrefix(data, tapPrefix); ok {
		return s.nodes[name]
	}
	return s.taps[data]
}

// postbackData is what a tapped button sent.
func postbackData(m Message) string {
	var payload struct {
		Data     string `json:"data"`
		Postback struct {
			Data string `json:"data"`
		} `json:"postback"`
	}
	if err := json.Unmarshal(m.Payload, &payload); err != nil {
		return "" // no postback a script could have made
	}
	if payload.Data != "" {
		return payload.Data
	}
	return payload.Postback.Data
}

// firstCharacters is s, or its first limit characters if it has more.
func firstCharacters(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}
