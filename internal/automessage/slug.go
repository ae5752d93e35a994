package automessage

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Slug is a place in a text where a name or number goes: {customer_name}, or
// {$name} for the context variable called name. In a text, whatever stands
// between braces on one line is a slug, known or not.
type Slug struct {
	Name     string
	Variable bool // a context variable
}

// The slugs that are no context variables.
const (
	slugCustomerName = "customer_name"
	slugAgentName    = "agent_name"
	slugQueueName    = "queue_name"
	slugPosition     = "position"
	slugWaitMinutes  = "wait_minutes"
)

var knownSlugs = []string{slugCustomerName, slugAgentName, slugQueueName, slugPosition, slugWaitMinutes}

// maxVariable is the longest name of a context variable, in characters.
const maxVariable = 100

// Known tells whether Fill has something to put in the slug's place. A context
// variable may have any name of 1 to 100 characters.
func (s Slug) Known() bool {
	if s.Variable {
		return s.Name != "" && utf8.RuneCountInString(s.Name) <= maxVariable
	}
	return slices.Contains(knownSlugs, s.Name)
}

// String is the slug as it stands in a text.
func (s Slug) String() string {
	if s.Variable {
		return "{$" + s.Name + "}"
	}
	return "{" + s.Name + "}"
}

// NamesAgent tells whether text has a place for the agent's name, which costs
// whoever fills it in a look at the database.
func NamesAgent(text string) bool {
	return slices.Contains(Slugs(text), Slug{Name: slugAgentName})
}

// Slugs lists the slugs of text in order, each as often as it stands there.
func Slugs(text string) []Slug {
	var out []Slug
	split(text, func(string) {}, func(s Slug) { out = append(out, s) })
	return out
}

// split walks through text, calling literal for what stands between slugs.
func split(text string, literal func(string), slug func(Slug)) {
	for text != "" {
		end := strings.IndexByte(text, '}')
		if end < 0 {
			break
		}
		start := strings.LastIndexByte(text[:end], '{')
		if start < 0 || strings.ContainsAny(text[start:end], "\r\n") {
			literal(text[:end+1])
			text = text[end+1:]
			continue
		}
		literal(text[:start])
		name, variable := strings.CutPrefix(text[start+1:end], "$")
		slug(Slug{Name: name, Variable: variable})
		text = text[end+1:]
	}
	literal(text)
}
