package bot

import "kaiwa/internal/fold"

// node is one place of a script. A menu and a capture wait for the customer;
// the other ways out do not.
type node struct {
	name string
	set  []assignment
	say  []said

	menu     *menu
	capture  *capture
	branches []branch
	next     *node
	handoff  *handoff
	end      bool
}

// assignment sets a context variable to a text with slugs.
type assignment struct{ name, text string }

// branch leads to next if its condition holds; without a variable, always.
type branch struct {
	variable string
	exists   *bool
	equals   string // folded
	next     *node
}

func (b branch) holds(variables map[string]string) bool {
	switch value := variables[b.variable]; {
	case b.variable == "":
		return true
	case b.exists != nil:
		return (value != "") == *b.exists
	default:
		return fold.Text(value) == b.equals
	}
}

// handoff passes the conversation to people. The summary is for them, so it is
// in the script's default language.
type handoff struct {
	summary phrase
	queueID string
	skills  []Skill
}

var nodeFields = []string{"set", "say", "menu", "capture", "branch", "goto", "handoff", "end"}

const waysOut = 6 // of nodeFields, the last ones

// readNodes reads all nodes: first their names, which they lead to each other
// by, then what is in them.
func (s *Script) readNodes(v value) {
	all := v.members()
	if len(all) == 0 || len(all) > MaxNodes {
		v.wrong("There must be 1 to 200 nodes.")
		all = all[:min(len(all), MaxNodes)]
	}
	for _, m := range all {
		if !nodeName.MatchString(m.name) {
			m.wrong("The name of a node has 1 to 64 letters, digits, dots, dashes and underscores.")
		}
		s.nodes[m.name] = &node{name: m.name}
	}
	for _, m := range all {
		s.readNode(m.value, s.nodes[m.name])
	}
}

func (s *Script) readNode(v value, n *node) {
	if !v.object(nodeFields...) {
		return
	}
	if set := v.field("set"); set.given() {
		n.set = readSet(set, s.fallback)
	}
	n.say = readSaid(v.field("say"), s.fallback)

	ways := 0
	for _, name := range nodeFields[len(nodeFields)-waysOut:] {
		if v.field(name).given() {
			ways++
		}
	}
	if ways != 1 {
		v.wrong("Exactly one of menu, capture, branch, goto, handoff and end must be given.")
	}
	if m := v.field("menu"); m.given() {
		n.menu = s.readMenu(m)
	}
	if c := v.field("capture"); c.given() {
		n.capture = readCapture(c, s)
	}
	if b := v.field("branch"); b.given() {
		n.branches = s.readBranches(b)
	}
	if next := v.field("goto"); next.given() {
		n.next = s.readGoto(next)
	}
	if h := v.field("handoff"); h.given() {
		n.handoff = readScriptHandoff(h, s.fallback)
	}
	if end := v.field("end"); end.given() {
		if n.end = end.truth(false); !n.end {
			end.wrong("This can only be true.")
		}
	}
}

func readSet(v value, fallback string) []assignment {
	var out []assignment
	for i, m := range v.members() {
		if i == maxSet {
			v.wrong("There are more than 10 variables.")
			break
		}
		checkVariable(m.value, m.name)
		text := m.shortText(MaxVariableValue)
		checkSlugs(m.value, text, false)
		out = append(out, assignment{m.name, text})
	}
	return out
}

func (s *Script) readBranches(v value) []branch {
	all := v.list(maxBranches)
	if len(all) == 0 {
		v.wrong("There must be at least one way.")
	}
	var out []branch
	for i, b := range all {
		if !b.object("variable", "equals", "exists", "goto") {
			continue
		}
		variable, equals, exists := b.field("variable"), b.field("equals"), b.field("exists")
		way := branch{variable: variable.shortText(MaxVariableName), equals: fold.Text(equals.shortText(MaxVariableValue)), next: s.readGoto(b.field("goto"))}
		if exists.given() {
			wanted := exists.truth(true)
			way.exists = &wanted
		}
		last := i == len(all)-1
		switch {
		case last && (variable.given() || equals.given() || exists.given()):
			b.wrong("The last way must be open to all: without variable, equals and exists.")
		case last:
		case way.variable == "":
			variable.wrong("The name of a variable is missing.")
		case equals.given() == exists.given():
			b.wrong("Exactly one of equals and exists must be given.")
		}
		out = append(out, way)
	}
	return out
}

func readScriptHandoff(v value, fallback string) *handoff {
	v.object("summary", "queue_id", "skills")
	h := &handoff{
		summary: readPhrase(v.field("summary"), fallback, MaxSummary, false),
		queueID: readQueueID(v.field("queue_id")),
	}
	for _, skill := range v.field("skills").list(MaxSkills) {
		h.skills = append(h.skills, readSkill(skill))
	}
	return h
}

// onward lists the nodes n leads to without waiting for the customer.
func (n *node) onward() []*node {
	var out []*node
	if n.next != nil {
		out = append(out, n.next)
	}
	for _, b := range n.branches {
		if b.next != nil {
			out = append(out, b.next)
		}
	}
	return out
}

// checkPaths makes sure every path comes to a node that waits or leaves, within
// maxInARow nodes: whatever the variables are, an answer comes to an end.
func (s *Script) checkPaths(v value) {
	const walking = -1
	length := make(map[*node]int) // of the longest path from a node; walking while it is looked for
	var measure func(n *node) int
	measure = func(n *node) int {
		if length[n] != 0 {
			return length[n]
		}
		length[n] = walking
		longest := 1
		for _, next := range n.onward() {
			l := measure(next)
			if l == walking {
				v.field(n.name).wrong("From here the script runs in a circle without waiting for the customer.")
				continue
			}
			longest = max(longest, 1+l)
		}
		length[n] = longest
		return longest
	}
	if len(s.nodes) == 0 {
		return
	}
	for _, m := range v.members() {
		if n := s.nodes[m.name]; n != nil && measure(n) > maxInARow {
			m.wrong("From here more than 20 nodes follow each other without waiting for the customer.")
		}
	}
}
