package chaos

import (
	"fmt"
	"time"
)

// kind is something a customer does.
type kind int

const (
	says    kind = iota // writes a text
	sticks              // sends a sticker
	shows               // sends a picture
	points              // sends a location
	taps                // taps a button under what the account said last, or says a text where there is none
	unsends             // takes back what they sent last
	blocks              // blocks the account
	follows             // adds the account again
	agrees              // answers the privacy notice, if asked within the wait
	rates               // answers the survey, if asked within the wait
	listens             // waits for the account to say something
)

// deed is one thing a customer does, and what it takes. Whatever could be drawn
// is drawn when the deed is made up, so that it does not depend on how fast
// Kaiwa answers.
type deed struct {
	kind kind
	// after is how long the customer thinks before, patience how long they wait
	// for what the deed needs.
	after, patience time.Duration
	text            string
	choice          uint64 // which button, whose picture, where
	typed           bool   // types what they could tap
	refuses         bool   // answers no
	hurries         bool   // writes on when the agent has said goodbye
}

// life makes up what one customer does, visit after visit, without end.
type life struct {
	dice   dice
	tongue tongue
	mark   string // begins the marks of their texts
	said   int
}

func newLife(seed uint64, number int) *life {
	d := newDice(seed, roleCustomer, number, 0)
	return &life{dice: d, tongue: one(d, tongues), mark: fmt.Sprintf("c%d", number)}
}

// marked is a text that nobody else says.
func (l *life) marked(text string) string {
	l.said++
	return fmt.Sprintf("%s %s.%d", text, l.mark, l.said)
}

// A visit is a reason to write.
type visit func(*life) []deed

var visits = []share[visit]{
	{30, (*life).asksTheBot}, {42, (*life).wantsAPerson}, {12, (*life).pours}, {8, (*life).leaves}, {8, (*life).blocksTheAccount},
}

// next is the customer's next visit.
func (l *life) next() []deed { return weighted(l.dice, visits)(l) }

// opens begins every visit: a question, and the answer to the privacy notice
// where there is one.
func (l *life) opens() []deed {
	return []deed{
		{kind: says, after: l.dice.between(0, 3*time.Second), text: l.marked(one(l.dice, l.tongue.asks))},
		{kind: agrees, after: l.dice.between(0, time.Second), patience: 4 * time.Second, typed: l.dice.chance(35), refuses: l.dice.chance(6)},
	}
}

// talks is one more thing said, in one of many ways.
func (l *life) talks(after time.Duration) []deed {
	d := deed{after: after, choice: l.dice.Uint64(), text: l.marked(one(l.dice, l.tongue.asks))}
	d.kind = weighted(l.dice, []share[kind]{{70, says}, {8, sticks}, {7, shows}, {4, points}, {11, taps}})
	out := []deed{d}
	if l.dice.chance(4) {
		out = append(out, deed{kind: unsends, after: l.dice.between(0, 2*time.Second)})
	}
	return out
}

func (l *life) many(least, most int, f func() []deed) (out []deed) {
	for range least + l.dice.IntN(most-least+1) {
		out = append(out, f()...)
	}
	return out
}

func (l *life) asksTheBot() []deed {
	out := append(l.opens(), l.many(2, 6, func() []deed {
		return append(l.talks(l.dice.between(200*time.Millisecond, 2*time.Second)), deed{kind: listens, patience: l.dice.between(time.Second, 3*time.Second)})
	})...)
	if l.dice.chance(75) {
		out = append(out, deed{kind: says, after: l.dice.between(0, time.Second), text: l.tongue.bye}, l.survey())
	}
	return out
}

func (l *life) wantsAPerson() []deed {
	out := append(l.opens(), l.many(0, 2, func() []deed { return l.talks(l.dice.between(0, time.Second)) })...)
	out = append(out, deed{kind: says, after: l.dice.between(0, time.Second), text: l.marked(l.tongue.person)})
	out = append(out, l.many(0, 2, func() []deed {
		return []deed{{kind: listens, patience: l.dice.between(3*time.Second, 6*time.Second)}, {kind: says, text: l.marked(one(l.dice, l.tongue.waits))}}
	})...)
	out = append(out, l.many(2, 6, func() []deed {
		return append([]deed{{kind: listens, patience: l.dice.between(2*time.Second, 8*time.Second)}}, l.talks(l.dice.between(0, time.Second))...)
	})...)
	out = append(out, deed{kind: says, text: l.marked(one(l.dice, l.tongue.thanks))})
	s := l.survey()
	s.patience, s.hurries = 20*time.Second, l.dice.chance(20)
	return append(out, s)
}

// pours writes faster than anybody answers.
func (l *life) pours() []deed {
	return append(l.opens(), l.many(5, 12, func() []deed { return l.talks(l.dice.between(0, 60*time.Millisecond)) })...)
}

// leaves says little and does not come back for a while.
func (l *life) leaves() []deed {
	return append(l.opens(), deed{kind: listens, patience: l.dice.between(5*time.Second, 15*time.Second)})
}

func (l *life) blocksTheAccount() []deed {
	out := append(l.opens(), l.talks(l.dice.between(0, time.Second))...)
	return append(out,
		deed{kind: blocks, after: l.dice.between(0, 2*time.Second)}, deed{kind: follows, after: l.dice.between(2*time.Second, 5*time.Second)},
		deed{kind: says, after: l.dice.between(0, time.Second), text: l.marked(one(l.dice, l.tongue.asks))})
}

// survey is the answer to it: two in three tap a button, one in six types, the
// others ignore it.
func (l *life) survey() deed {
	d := deed{kind: rates, after: l.dice.between(200*time.Millisecond, 2*time.Second), patience: 8 * time.Second, choice: l.dice.Uint64(), text: l.marked(one(l.dice, l.tongue.thanks))}
	switch l.dice.IntN(6) {
	case 0:
		d.typed = true
	case 1:
		d.patience = 0
	}
	return d
}
