package outcome

import (
	"encoding/json"
	"slices"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// outbound are the messages to customers, in the order of their ids.
func (f *facts) outbound(state conversation.MessageState) (list []*Message) {
	for i := range f.Database.Messages {
		if m := &f.Database.Messages[i]; m.Direction == conversation.Outbound && (state == "" || m.State == state) {
			list = append(list, m)
		}
	}
	return list
}

// acceptedOnce: what is recorded as accepted.
func acceptedOnce(f *facts) *found {
	r := &found{of: "accepted messages"}
	for _, m := range f.outbound(conversation.MessageAccepted) {
		r.checked++
		b, ok := f.batches[m.BatchID]
		switch {
		case !ok:
			r.bad(m.ID, "was never in a batch")
			continue
		case b.State != store.BatchAccepted || b.ConversationID != m.ConversationID:
			r.bad(m.ID, "its batch %s of %s is %s", b.ID, b.ConversationID, b.State)
			continue
		}
		at := slices.Index(b.ids(), m.ID)
		switch calls := f.accepted(b); {
		case at < 0:
			r.bad(m.ID, "is not in what batch %s says", b.ID)
		case len(calls) == 0:
			r.bad(m.ID, "LINE accepted no call of its batch %s (%s, %d attempts)", b.ID, b.Kind, b.Attempts)
		case len(calls) > 1:
			r.bad(m.ID, "LINE accepted its batch %s %d times: %s and %s", b.ID, len(calls), calls[0].RequestID, calls[1].RequestID)
		default:
			f.isShown(r, m, b, at, calls[0])
		}
	}
	return r
}

// isShown judges an accepted message by the call that brought it and the phone
// it is on. Who blocks the account sees nothing of what LINE accepts.
func (f *facts) isShown(r *found, m *Message, b *Batch, at int, call *Call) {
	var body []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(call.Messages, &body); err != nil || at >= len(body) {
		r.bad(m.ID, "call %s does not say it", call.RequestID)
		return
	}
	shown := f.bubbles[call.RequestID]
	switch c := f.conversations[m.ConversationID]; {
	case c == nil || !f.isChatOf(c, call.Chat):
		r.bad(m.ID, "call %s brought it to another chat", call.RequestID)
	case m.Type == conversation.ContentText && body[at].Type == conversation.ContentText && body[at].Text != m.Text:
		r.bad(m.ID, "call %s said something else", call.RequestID)
	case len(shown) == 0 && f.blockers[call.Chat]:
	case len(shown) != len(body):
		r.bad(m.ID, "call %s of batch %s brought %d messages and the phone shows %d of them", call.RequestID, b.ID, len(body), len(shown))
	}
}

// failedIsNotSent: what is recorded as failed.
func failedIsNotSent(f *facts) *found {
	r := &found{of: "failed messages and batches that came to nothing"}
	for _, m := range f.outbound(conversation.MessageFailed) {
		r.checked++
		b, ok := f.batches[m.BatchID]
		switch {
		case !ok && m.BatchID != "": // without a batch it could not be said at all
			r.bad(m.ID, "its batch %s is not there", m.BatchID)
		case ok && b.State != store.BatchFailed:
			r.bad(m.ID, "failed (%s), and its batch %s is %s", m.Failure, b.ID, b.State)
		}
	}
	for _, b := range f.Database.Batches {
		if b.State != store.BatchFailed && b.State != store.BatchDissolved {
			continue
		}
		r.checked++
		for _, c := range f.accepted(&b) {
			r.bad(b.ID, "is %s, and LINE accepted it by call %s: messages %s", b.State, c.RequestID, strings.Join(b.ids(), ", "))
		}
	}
	return r
}

// noneUncertain: of which nobody can know.
func noneUncertain(f *facts) *found {
	r := &found{of: "messages to customers"}
	r.checked = len(f.outbound(""))
	for _, m := range f.outbound(conversation.MessageUncertain) {
		if b, ok := f.batches[m.BatchID]; !ok || !b.Doubt {
			r.bad(m.ID, "is uncertain without a doubt in its batch %q", m.BatchID)
		} else if !f.Deeds.Uncertain {
			r.bad(m.ID, "is uncertain (%s), and LINE always answered; its batch %s had %d attempts", m.Failure, b.ID, b.Attempts)
		}
	}
	return r
}

// inOrder: a conversation's messages reach the phone as they stand in it.
func inOrder(f *facts) *found {
	r := &found{of: "conversations that said something"}
	for _, c := range f.Database.Conversations {
		last, lastID, said := "", "", false
		for _, m := range f.transcripts[c.ID] {
			if m.Direction != conversation.Outbound || m.State != conversation.MessageAccepted {
				continue
			}
			at := f.lineID(m)
			if at == "" {
				continue // acceptedOnce says so
			}
			said = true
			if last != "" && !before(last, at) {
				r.bad(m.ID, "stands after %s and reached the phone before it (%s, %s)", lastID, at, last)
			}
			last, lastID = at, m.ID
		}
		if said {
			r.checked++
		}
	}
	return r
}

// lineID is LINE's id of an accepted message. They rise as messages are
// accepted.
func (f *facts) lineID(m *Message) string {
	b, ok := f.batches[m.BatchID]
	if !ok {
		return ""
	}
	calls, at := f.accepted(b), slices.Index(b.ids(), m.ID)
	if len(calls) == 0 || at < 0 {
		return ""
	}
	if ids := calls[0].MessageIDs; at < len(ids) {
		return ids[at]
	}
	if shown := f.bubbles[calls[0].RequestID]; at < len(shown) {
		return shown[at].ID
	}
	return ""
}

// before compares LINE's message ids, which are numbers.
func before(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// phonesExplained: nothing reached a customer that no message row tells of.
func phonesExplained(f *facts) *found {
	r := &found{of: "calls that LINE accepted"}
	accepted := map[string]bool{}
	for _, c := range f.LINE.Calls {
		if c.OtherBody {
			r.bad(c.RequestID, "a retry said something else than the call before it, %s", c.AcceptedBy)
		}
		if !c.Accepted {
			continue
		}
		r.checked++
		accepted[c.RequestID] = true
		b, ok := f.explained[c.RequestID]
		if !ok {
			r.bad(c.RequestID, "LINE accepted a %s that no batch explains", c.Via)
			continue
		}
		for _, id := range b.ids() {
			if m, ok := f.messages[id]; !ok || m.Direction != conversation.Outbound {
				r.bad(c.RequestID, "LINE accepted message %s, and there is no such message to a customer", id)
			}
		}
	}
	for _, b := range f.LINE.Phones {
		if !b.Customer && !accepted[b.RequestID] {
			r.bad(b.ID, "is on a phone by call %s, which LINE did not accept", b.RequestID)
		}
	}
	return r
}

// nothingPending: nothing waits to be sent.
func nothingPending(f *facts) *found {
	r := &found{of: "messages to customers"}
	r.checked = len(f.outbound(""))
	for _, m := range f.outbound(conversation.MessagePending) {
		r.bad(m.ID, "waits to be sent since %d, in batch %q", m.CreatedAt, m.BatchID)
	}
	for _, b := range f.Database.Batches {
		if b.State == store.BatchFrozen {
			r.bad(b.ID, "is on its way to LINE since %d, with messages %s", b.CreatedAt, strings.Join(b.ids(), ", "))
		}
	}
	return r
}
