package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"kaiwa/internal/chaos/outcome"
)

// tally counts what was done, and keeps what nobody may be told.
type tally struct {
	mu       sync.Mutex
	done     map[string]int
	refusals map[string]int
	wrong    []outcome.Finding
	said     []saying
}

// saying is something an agent asked to be said, and what became of the request.
type saying struct {
	conversationID, text string
	answer               answer
}

// answer is what a request came to.
type answer string

const (
	yes     answer = "yes"
	no      answer = "no"
	unknown answer = "" // the run ended before it was answered
)

func newTally() *tally { return &tally{done: map[string]int{}, refusals: map[string]int{}} }

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[what] += n
}

func (t *tally) count(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done[what]
}

func (t *tally) refused(who, what string, r *refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusals[string(r.Code)]++
	if mistakes[r.Code] {
		t.wrong = append(t.wrong, outcome.Finding{Subject: who, Detail: fmt.Sprintf("%s was refused: %s", what, r.Error())})
	}
}

// fault keeps something that must not be.
func (t *tally) fault(f outcome.Finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = append(t.wrong, f)
}

func (t *tally) say(s saying) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, s)
}

func (t *tally) lines() []outcome.Done {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []outcome.Done
	for what, n := range t.done {
		out = append(out, outcome.Done{What: what, N: n})
	}
	for code, n := range t.refusals {
		out = append(out, outcome.Done{What: "requests refused: " + code, N: n})
	}
	slices.SortFunc(out, func(a, b outcome.Done) int { return cmp.Compare(a.What, b.What) })
	return out
}

// kept are copies of what is judged.
func (t *tally) kept() (wrong []outcome.Finding, said []saying) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.wrong), slices.Clone(t.said)
}
