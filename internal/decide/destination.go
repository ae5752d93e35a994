package decide

import (
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
)

// Found is where a conversation waits that somebody named a queue for, or that
// comes back to one.
type Found struct {
	QueueID string              // "": none that is there was named, and rules decide
	Reason  routing.QueueReason // why the queue that was named could not be used; "" when it could
	named   string
	warning routing.QueueReason // of the queue that is taken all the same
}

// Destination takes the queue that was named. One without members would never be
// served: the fallback queue is taken in its place, once, and however that one
// stands; without one, or when it is the one that was named, it stays. queues
// are those of both that are there.
func Destination(queues map[string]store.QueueState, named, fallback string) Found {
	found := Found{QueueID: named, named: named}
	q, there := queues[named]
	_, other := queues[fallback]
	switch {
	case !there:
		found.QueueID, found.Reason = "", routing.QueueMissing
	case q.Members > 0:
		return found
	case other && fallback != named:
		found.QueueID, found.Reason = fallback, routing.QueueEmpty
	}
	if found.QueueID != "" && queues[found.QueueID].Members == 0 {
		found.warning = routing.QueueEmpty
	}
	return found
}

// skippedQueue is a queue that was named and could not be used, as the routing
// log has it.
type skippedQueue struct {
	routing.QueueSkip
	ToQueueID string `json:"to_queue_id,omitempty"` // which was taken in its place; "" while rules decide
}

// Log are the lines for the routing log: the queue that was named and could not
// be used, and the one that is taken though nobody works it.
func (f Found) Log() ([]store.RoutingEntry, error) {
	var lines []entry
	if f.Reason != "" {
		lines = append(lines, entry{store.StageRoute, string(routing.RuleSkipped), skippedQueue{routing.QueueSkip{QueueID: f.named, Reason: f.Reason}, f.QueueID}})
	}
	if f.warning != "" {
		lines = append(lines, entry{store.StageRoute, deflected[routing.DeflectAssign], routing.Step{
			QueueID: f.QueueID, Reason: f.warning, Action: routing.DeflectAssign, Why: routing.KeptLast,
		}})
	}
	return entries(lines...)
}
