package bot

import (
	"slices"
	"strings"
)

// rule leads to a node when a message has certain words, wherever in the script
// the customer is. The first that matches wins.
type rule struct {
	match string
	words []string // folded; of matchExact, as keys
	next  *node
}

// The ways of matching.
const (
	matchAny      = "any"      // one of the words occurs, as a word
	matchAll      = "all"      // each of the words occurs, as a word
	matchExact    = "exact"    // the whole message is one of the words
	matchContains = "contains" // one of the words occurs, inside another word too
)

func (s *Script) readRules(v value) {
	for _, r := range v.list(maxRules) {
		if !r.object("match", "words", "goto") {
			continue
		}
		match := matchAny
		if given := r.field("match"); given.given() {
			match = given.text()
		}
		if !slices.Contains([]string{matchAny, matchAll, matchExact, matchContains}, match) {
			r.field("match").wrong("This must be any, all, exact or contains.")
		}
		words := readWords(r.field("words"), match == matchExact)
		if len(words) == 0 {
			r.field("words").wrong("There must be at least one word.")
		}
		s.rules = append(s.rules, rule{match, words, s.readGoto(r.field("goto"))})
	}
}

func (r rule) matches(w wording) bool {
	switch r.match {
	case matchExact:
		return slices.Contains(r.words, w.key)
	case matchContains:
		return slices.ContainsFunc(r.words, func(word string) bool { return strings.Contains(w.folded, word) })
	case matchAll:
		return !slices.ContainsFunc(r.words, func(word string) bool { return !mentions(w.folded, word) })
	default:
		return slices.ContainsFunc(r.words, func(word string) bool { return mentions(w.folded, word) })
	}
}
