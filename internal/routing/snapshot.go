package routing

import (
	"time"

	"kaiwa/internal/conversation"
)

// DefaultMaxOffers is how often one agent is offered one conversation unless
// an item says otherwise.
const DefaultMaxOffers = 3

// AffinityPatience is how long a customer who comes back waits for the agent they
// had, where that one is preferred, before anybody is offered the conversation.
const AffinityPatience = 2 * time.Minute

// Snapshot is what Match decides from.
type Snapshot struct {
	Now    time.Time
	Queues []Queue
	Items  []Item
	Agents []Agent
	// Others is how many agents there are beside Agents: members of none of the
	// items' queues, whom nobody waits for.
	Others int
	// MaxOffers bounds the offers of a run; less than 1 is no bound.
	MaxOffers int
}

// Method says whom a queue offers work first.
type Method string

// The assignment methods.
const (
	HighestCapacity Method = "highest_capacity" // the most free units; ties round robin
	RoundRobin      Method = "round_robin"      // whoever was offered something least recently
	LongestIdle     Method = "longest_idle"     // whoever neither let go of work nor was offered some for longest
	Custom          Method = "custom"           // by the queue's own buckets and rules
)

// Valid tells whether m is one of the methods.
func (m Method) Valid() bool {
	return m == HighestCapacity || m == RoundRobin || m == LongestIdle || m == Custom
}

// Queue is a queue whose items are to be placed.
type Queue struct {
	ID       string
	Priority int64             // smaller is served first
	Method   Method            // "" is HighestCapacity
	Custom   *CustomAssignment // of the method Custom
}

// Item is a conversation that waits and has no live offer.
type Item struct {
	ConversationID string
	QueueID        string
	Priority       int64     // larger is served first
	WaitingSince   time.Time // when the customer first waited
	Requirement    Requirement
	Language       string            // as classified
	Attributes     map[string]string // as classified
	Refusals       []Refusal
	MaxOffers      int64 // to one agent; less than 1 is DefaultMaxOffers
	Affinity       Affinity
	// Behind says that others who ask the same may come right after it and are
	// not in the snapshot: once it is placed, nothing more can be decided.
	Behind bool
}

// Refusal counts the offers of an item an agent let pass.
type Refusal struct {
	AgentID string
	Count   int64 // declined and timed out
}

// AffinityMode says how long an item waits for its agent.
type AffinityMode string

// The modes of affinity.
const (
	AffinityOff     AffinityMode = ""
	AffinityPrefer  AffinityMode = "prefer"  // until a deadline, then anyone
	AffinityRequire AffinityMode = "require" // as long as it takes
)

// Affinity is the agent an item is offered first: the one who served last.
//
// They need no free capacity, skill or membership, only an allowed presence.
// It is over when they are not in the snapshot (the agent exists no more); in
// mode prefer also once they let an offer pass and from Until on, in mode
// require once they have had as many offers as one agent gets. Then the item is
// anyone's.
type Affinity struct {
	AgentID string
	Mode    AffinityMode
	Until   time.Time // in mode prefer; zero is no deadline
}

// Agent is somebody who may be offered work.
type Agent struct {
	ID            string
	Presence      conversation.Presence // the effective one
	Capacity      int64                 // units
	Load          int64                 // units held and on offer
	Profiles      map[string]Profile    // their capacity profiles, by id
	Levels        map[string]int        // of the skills they have, by skill id
	QueueIDs      []string              // the queues they are a member of
	IdleSince     time.Time             // when they last let go of work; zero is never
	LastOfferedAt time.Time             // zero is never
}
