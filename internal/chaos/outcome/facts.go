package outcome

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"kaiwa/internal/conversation"
)

// facts is an outcome with what invariants look things up by.
type facts struct {
	*Outcome

	channels      map[string]Channel          // by id
	atLINE        map[string]Channel          // by LINE's id, the last made of it
	conversations map[string]*Conversation    // by id
	events        map[eventKey][]*LINEEvent   // the inbox
	messages      map[string]*Message         // by id
	transcripts   map[string][]*Message       // by conversation, as people read them
	received      map[eventKey][]*Message     // of customers, by their event
	batches       map[string]*Batch           // by id
	byBatch       map[string][]*Call          // the calls that said what a batch says
	explained     map[string]*Batch           // by request id
	bubbles       map[string][]*Bubble        // of the account, by request id
	timelines     map[string][]*Transition    // by conversation, in order
	records       map[string][]*Event         // by conversation, in the order of their making
	told          map[string]map[string]int   // by subject, how many events of a type
	offers        map[string]*Offer           // by id
	offersOf      map[string][]*Offer         // by conversation
	sessions      map[string]map[int64]string // by conversation and epoch, who
	sessionsOf    map[string][]*Session       // by conversation
	invitations   map[string][]*Invitation    // by conversation
	runs          map[string][]*Run           // by workflow id
	blockers      map[Chat]bool               // customers who ever blocked the account
}

// eventKey names an event of LINE: webhook event ids are unique in a channel.
type eventKey struct{ channelID, eventID string }

func gather(o *Outcome) *facts {
	f := &facts{
		Outcome: o, channels: map[string]Channel{}, atLINE: map[string]Channel{}, conversations: map[string]*Conversation{},
		events: map[eventKey][]*LINEEvent{}, messages: map[string]*Message{}, transcripts: map[string][]*Message{}, received: map[eventKey][]*Message{},
		batches: map[string]*Batch{}, byBatch: map[string][]*Call{}, explained: map[string]*Batch{}, bubbles: map[string][]*Bubble{},
		timelines: map[string][]*Transition{}, records: map[string][]*Event{}, told: map[string]map[string]int{}, offers: map[string]*Offer{},
		offersOf: map[string][]*Offer{}, sessions: map[string]map[int64]string{}, invitations: map[string][]*Invitation{}, runs: map[string][]*Run{},
		blockers: map[Chat]bool{}, sessionsOf: map[string][]*Session{},
	}
	f.gatherDatabase()
	f.gatherLINE()
	for i := range o.Temporal.Runs {
		r := &o.Temporal.Runs[i]
		f.runs[r.WorkflowID] = append(f.runs[r.WorkflowID], r)
	}
	return f
}

func (f *facts) gatherDatabase() {
	d := &f.Database
	for _, c := range d.Channels {
		f.channels[c.ID] = c
		if old, ok := f.atLINE[c.LINEChannelID]; !ok || old.Status == "deleted" {
			f.atLINE[c.LINEChannelID] = c
		}
	}
	for i := range d.Conversations {
		f.conversations[d.Conversations[i].ID] = &d.Conversations[i]
	}
	for i := range d.LINEEvents {
		e := &d.LINEEvents[i]
		key := eventKey{e.ChannelID, e.WebhookEventID}
		f.events[key] = append(f.events[key], e)
	}
	for i := range d.Messages {
		m := &d.Messages[i]
		f.messages[m.ID] = m
		f.transcripts[m.ConversationID] = append(f.transcripts[m.ConversationID], m)
		if m.Direction == conversation.Inbound {
			key := eventKey{m.ChannelID, m.WebhookEventID}
			f.received[key] = append(f.received[key], m)
		}
	}
	for _, t := range f.transcripts {
		slices.SortFunc(t, func(a, b *Message) int {
			return cmp.Or(cmp.Compare(a.OccurredAt, b.OccurredAt), cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.ID, b.ID))
		})
	}
	for i := range d.Batches {
		f.batches[d.Batches[i].ID] = &d.Batches[i]
	}
	for i := range d.Transitions {
		t := &d.Transitions[i]
		f.timelines[t.ConversationID] = append(f.timelines[t.ConversationID], t)
	}
	for _, t := range f.timelines {
		// A step that begins an epoch is the first of it, whatever the clocks say.
		slices.SortFunc(t, func(a, b *Transition) int {
			return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
		})
	}
	for i := range d.Events {
		e := &d.Events[i]
		if e.ConversationID != "" {
			f.records[e.ConversationID] = append(f.records[e.ConversationID], e)
		}
		if f.told[e.SubjectID] == nil {
			f.told[e.SubjectID] = map[string]int{}
		}
		f.told[e.SubjectID][e.Type]++
	}
	for _, r := range f.records {
		slices.SortFunc(r, func(a, b *Event) int { return cmp.Compare(a.ID, b.ID) })
	}
	for i := range d.Offers {
		o := &d.Offers[i]
		f.offers[o.ID] = o
		f.offersOf[o.ConversationID] = append(f.offersOf[o.ConversationID], o)
	}
	for i := range d.Sessions {
		s := &d.Sessions[i]
		f.sessionsOf[s.ConversationID] = append(f.sessionsOf[s.ConversationID], s)
		if f.sessions[s.ConversationID] == nil {
			f.sessions[s.ConversationID] = map[int64]string{}
		}
		f.sessions[s.ConversationID][s.Epoch] = s.ParticipantID
	}
	for i := range d.Invitations {
		inv := &d.Invitations[i]
		f.invitations[inv.ConversationID] = append(f.invitations[inv.ConversationID], inv)
	}
}

func (f *facts) gatherLINE() {
	for i := range f.LINE.Phones {
		if b := &f.LINE.Phones[i]; !b.Customer {
			f.bubbles[b.RequestID] = append(f.bubbles[b.RequestID], b)
		}
	}
	// A push is known by its retry key. A reply token may have served a batch
	// that LINE refused, and then the next: what they say tells them apart.
	batches := map[string][]*Batch{}
	for i := range f.Database.Batches {
		b := &f.Database.Batches[i]
		batches[b.key()] = append(batches[b.key()], b)
	}
	for i := range f.LINE.Calls {
		c := &f.LINE.Calls[i]
		for _, b := range batches[c.key()] {
			if same(c.Messages, []byte(b.Body)) {
				f.byBatch[b.ID] = append(f.byBatch[b.ID], c)
				f.explained[c.RequestID] = b
			}
		}
	}
	for _, w := range f.LINE.Webhooks {
		if w.Kind == "unfollow" {
			f.blockers[w.Chat] = true
		}
	}
	for _, c := range f.LINE.Blocked {
		f.blockers[c] = true
	}
}

// moves tells whether the step moved ownership, by the life table.
func (t Transition) moves() bool {
	row, ok := t.row()
	return ok && row.Has(conversation.EffectNewEpoch)
}

// rank puts the step that begins an epoch before those that happen in it.
func (t Transition) rank() int {
	if t.moves() {
		return 0
	}
	return 1
}

type step struct {
	from  conversation.Phase
	event conversation.Event
	to    conversation.Phase
}

var life = sync.OnceValue(func() map[step]conversation.Transition {
	rows := map[step]conversation.Transition{}
	for _, r := range conversation.Life() {
		rows[step{r.From, r.Event, r.To}] = r
	}
	return rows
})

// row is the step's row of the life table.
func (t Transition) row() (conversation.Transition, bool) {
	r, ok := life()[step{t.from(), t.Event, t.to()}]
	return r, ok
}

func (t Transition) from() conversation.Phase {
	return conversation.Phase{Status: t.FromStatus, Owner: t.FromOwner}
}
func (t Transition) to() conversation.Phase {
	return conversation.Phase{Status: t.ToStatus, Owner: t.ToOwner}
}

func (c Conversation) phase() conversation.Phase {
	return conversation.Phase{Status: c.Status, Owner: c.Owner}
}
func (c Conversation) open() bool         { return c.Status != conversation.StatusClosed }
func (c Conversation) workflowID() string { return conversation.WorkflowID(c.ChannelID, c.ChatKey) }

// key is what the calls of a batch are known by.
func (b Batch) key() string {
	if b.Kind == string(conversation.ViaPush) {
		return "push " + conversation.RetryKey(b.ID)
	}
	return "reply " + b.ReplyToken
}

func (c Call) key() string {
	if c.Via == string(conversation.ViaPush) {
		return "push " + strings.ToLower(c.RetryKey)
	}
	return "reply " + c.ReplyToken
}

// accepted are the calls by which LINE took a batch: one, if all is well.
func (f *facts) accepted(b *Batch) (list []*Call) {
	for _, c := range f.byBatch[b.ID] {
		if c.Accepted {
			list = append(list, c)
		}
	}
	return list
}

// ids are the messages of a batch, in the order in which it says them.
func (b Batch) ids() (ids []string) {
	if json.Unmarshal([]byte(b.MessageIDs), &ids) != nil {
		return nil
	}
	return ids
}

// isChatOf tells whether a chat at LINE is that of a conversation.
func (f *facts) isChatOf(c *Conversation, at Chat) bool {
	return f.channels[c.ChannelID].LINEChannelID == at.ChannelID && conversation.ChatKey("user", at.ChatID) == c.ChatKey
}

// same tells whether two JSON texts say the same.
func same(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ax, errA := json.Marshal(x)
	by, errB := json.Marshal(y)
	return errA == nil && errB == nil && string(ax) == string(by)
}

// found is what one invariant found.
type found struct {
	checked  int
	of       string
	findings []Finding
}

func (r *found) bad(subject, format string, args ...any) {
	r.findings = append(r.findings, Finding{Subject: subject, Detail: fmt.Sprintf(format, args...)})
}
