package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"kaiwa/internal/conversation"
)

// The levels a skill has, in an agent and in a requirement.
const (
	MinLevel = 1
	MaxLevel = 10
)

// Requirement is what a conversation asks of any agent.
type Requirement struct {
	Units     int64  // of capacity; less than 1 counts as 1
	ProfileID string // the capacity profile it counts against instead of units; "" is none
	Skills    []conversation.SkillNeed
	Matching  conversation.Matching   // "" is exact
	Presences []conversation.Presence // allowed ones; none means available
	// First are the agents its contact prefers, in order. They are offered it
	// before anybody else; see Match.
	First []string
}

// normal is the one form of all requirements that ask the same.
func (r Requirement) normal() Requirement {
	n := Requirement{Units: max(1, r.Units), ProfileID: r.ProfileID, Matching: r.Matching, First: r.First}
	if n.ProfileID != "" {
		n.Units = 0
	}
	if n.Matching == "" {
		n.Matching = conversation.MatchingExact
	}
	levels := map[string]int{}
	for _, s := range r.Skills {
		levels[s.SkillID] = max(levels[s.SkillID], s.Level)
	}
	if n.Matching != conversation.MatchingNone {
		n.Skills = skillList(levels)
	}
	if len(n.Skills) == 0 {
		n.Matching = conversation.MatchingNone
	}
	allowed := map[conversation.Presence]bool{}
	for _, p := range r.Presences {
		allowed[p] = true
	}
	if len(allowed) == 0 {
		allowed[conversation.PresenceAvailable] = true
	}
	n.Presences = slices.Sorted(maps.Keys(allowed))
	return n
}

// Signature is the same for requirements that ask the same, however they are
// written: 32 hexadecimal digits. Items of one queue with one signature are
// placed or skipped as a class.
func (r Requirement) Signature() string {
	n := r.normal()
	text := fmt.Appendf(nil, "%d %q %q", n.Units, n.Matching, n.Presences)
	for _, s := range n.Skills {
		text = fmt.Appendf(text, " %q %d", s.SkillID, s.Level)
	}
	if n.ProfileID != "" {
		text = fmt.Appendf(text, " profile %q", n.ProfileID)
	}
	if len(n.First) > 0 {
		text = fmt.Appendf(text, " first %q", n.First)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
