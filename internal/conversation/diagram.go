package conversation

import (
	"fmt"
	"strings"
)

// LifeDocument is the page docs/life.md: the life table as a diagram and as a
// table, generated so that it cannot differ from what the engine does.
func LifeDocument() string {
	var b strings.Builder
	b.WriteString(`# The life of a conversation

Generated from the life table in ` + "`internal/conversation/life.go`" + ` by ` + "`make generate`" + `; a test fails when it is out of date.

A conversation is in one phase at a time: a pair of status and owner.

| phase | status | owner |
|---|---|---|
`)
	for _, p := range Phases()[1:] {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Name(), p.Status, p.Owner)
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n")
	type edge struct{ from, to string }
	var order []edge
	events := map[edge][]string{}
	for _, t := range life {
		e := edge{t.From.node(), t.To.node()}
		if len(events[e]) == 0 {
			order = append(order, e)
		}
		events[e] = append(events[e], string(t.Event))
	}
	for _, e := range order {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", e.from, e.to, strings.Join(events[e], ", "))
	}
	b.WriteString("```\n\n| in | event | allowed to | goes to | effects | reason |\n|---|---|---|---|---|---|\n")
	for _, t := range life {
		effects := make([]string, len(t.Effects))
		for i, e := range t.Effects {
			effects[i] = string(e)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", t.From.Name(), t.Event, t.Guard.words(), t.To.Name(), strings.Join(effects, ", "), t.Reason)
	}
	b.WriteString("\nWhatever stands in no row is refused: `conversation_closed` in a closed conversation, `consent_pending` before the customer's consent, `not_allowed_now` elsewhere.\n")
	return b.String()
}

// node is the phase's name in the diagram.
func (p Phase) node() string {
	if p == PhaseNone {
		return "[*]"
	}
	return p.Name()
}

// words says who a guard lets through.
func (g Guard) words() string {
	switch g {
	case GuardOwnAgent:
		return "its agent"
	case GuardOwnOrSupervisor:
		return "its agent, a supervisor"
	case GuardSupervisor:
		return "a supervisor"
	case GuardBotNotBarred:
		return "when no bot has escalated it"
	case GuardAgentOfRecord:
		return "the agent who had it last"
	case GuardAgentOfRecordOrUp:
		return "the agent who had it last, a supervisor"
	}
	return "whoever the route lets"
}
