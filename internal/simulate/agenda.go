package simulate

import (
	"container/heap"
	"time"
)

// agenda is what is going to happen, the nearest first; what happens at the same
// moment, in the order in which it was noted.
type agenda struct {
	entries []entry
	noted   int64
}

type entry struct {
	at   time.Duration
	turn int64
	do   func()
}

// note puts something on the agenda.
func (a *agenda) note(at time.Duration, do func()) {
	a.noted++
	heap.Push(a, entry{at, a.noted, do})
}

// take removes what is nearest, unless that is later than the end.
func (a *agenda) take(end time.Duration) (entry, bool) {
	if len(a.entries) == 0 || a.entries[0].at > end {
		return entry{}, false
	}
	return heap.Pop(a).(entry), true
}

// Len, Less, Swap, Push and Pop are what package heap needs.
func (a *agenda) Len() int { return len(a.entries) }

func (a *agenda) Less(i, j int) bool {
	x, y := a.entries[i], a.entries[j]
	return x.at < y.at || x.at == y.at && x.turn < y.turn
}

func (a *agenda) Swap(i, j int) { a.entries[i], a.entries[j] = a.entries[j], a.entries[i] }

func (a *agenda) Push(x any) { a.entries = append(a.entries, x.(entry)) }

func (a *agenda) Pop() any {
	last := len(a.entries) - 1
	e := a.entries[last]
	a.entries[last] = entry{}
	a.entries = a.entries[:last]
	return e
}
