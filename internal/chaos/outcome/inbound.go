package outcome

import (
	"cmp"
	"slices"

	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// acknowledgedIsKept: what LINE got a 200 for.
func acknowledgedIsKept(f *facts) *found {
	r := &found{of: "acknowledged events"}
	for _, w := range f.LINE.Webhooks {
		if !w.Acknowledged() {
			continue
		}
		r.checked++
		key, ok := f.key(w)
		if !ok {
			r.bad(w.EventID, "its channel %s is none of ours", w.ChannelID)
			continue
		}
		switch rows := f.events[key]; {
		case len(rows) == 0:
			r.bad(w.EventID, "%s event was acknowledged and is not in the inbox", w.Kind)
		case len(rows) > 1:
			r.bad(w.EventID, "is in the inbox %d times", len(rows))
		default:
			f.isHandled(r, w, rows[0], f.received[key])
		}
	}
	f.friendships(r)
	return r
}

func (f *facts) key(w Webhook) (eventKey, bool) {
	c, ok := f.atLINE[w.ChannelID]
	return eventKey{c.ID, w.EventID}, ok
}

// isHandled judges one acknowledged event with its row of the inbox and the
// messages it made.
func (f *facts) isHandled(r *found, w Webhook, e *LINEEvent, made []*Message) {
	if e.HandledAt == nil {
		r.bad(w.EventID, "%s event was acknowledged and never taken in", w.Kind)
		return
	}
	var in []string
	for _, m := range made {
		in = append(in, m.ConversationID)
	}
	wanted := 0
	if w.makesMessage() {
		switch e.Disposition {
		case store.DispositionTaken:
			wanted = 1
		case store.DispositionConsent, store.DispositionSurvey, store.DispositionChannelDisabled: // as documented, these are no messages
		default:
			r.bad(w.EventID, "%s event of a customer was stored as %q", w.Kind, e.Disposition)
			return
		}
	}
	switch {
	case len(made) > 1:
		r.bad(w.EventID, "made %d messages, in %v", len(made), in)
	case len(made) > wanted:
		r.bad(w.EventID, "%s event (%s) made message %s", w.Kind, e.Disposition, made[0].ID)
	case len(made) < wanted && !f.refusedConsent(e.HandledBy):
		r.bad(w.EventID, "has no message; it was handled by %s", e.HandledBy)
	case len(made) == 1 && made[0].ConversationID != e.HandledBy:
		r.bad(w.EventID, "was handled by %s and its message %s is in %s", e.HandledBy, made[0].ID, made[0].ConversationID)
	case len(made) == 1 && !f.ownsChat(e.HandledBy, w):
		r.bad(w.EventID, "its message is in conversation %s of another chat", e.HandledBy)
	}
}

// makesMessage tells whether an event is one of those that make a message of a
// transcript, wherever it then goes.
func (w Webhook) makesMessage() bool {
	if w.Standby || !w.fromUser() {
		return false
	}
	switch w.Kind {
	case "message":
		return true
	case "postback":
		_, consents := consent.ReadTap(w.Postback)
		_, _, _, surveys := survey.ParseData(w.Postback)
		return !consents && !surveys
	}
	return false
}

// fromUser tells whether a customer did it, by themselves: groups and rooms are
// no conversations.
func (w Webhook) fromUser() bool { return w.ChatID != "" && w.ChatID[0] == 'U' }

func (f *facts) ownsChat(conversationID string, w Webhook) bool {
	c, ok := f.conversations[conversationID]
	return ok && f.isChatOf(c, w.Chat)
}

// refusedConsent tells whether what a conversation heard was deleted because
// the customer did not consent.
func (f *facts) refusedConsent(conversationID string) bool {
	return slices.ContainsFunc(f.timelines[conversationID], func(t *Transition) bool {
		row, ok := t.row()
		return ok && row.Has(conversation.EffectDropHeld)
	})
}

// friendships: who follows or blocks is no message, and is noted once each time.
func (f *facts) friendships(r *found) {
	noted := map[string]int{}
	for _, e := range f.Database.Events {
		if e.Type == "customer.followed" || e.Type == "customer.blocked" {
			noted[e.SubjectID]++
		}
	}
	for _, e := range f.Database.LINEEvents {
		if (e.Kind == "follow" || e.Kind == "unfollow") && e.HandledAt != nil && e.Disposition != store.DispositionChannelDisabled {
			noted[f.profile(e)]--
		}
	}
	for id, n := range noted {
		if n != 0 {
			r.bad(id, "who follows and blocks was noted %+d times too often", n)
		}
	}
}

func (f *facts) profile(e LINEEvent) string {
	return conversation.DerivedID(conversation.PrefixProfile, e.ChannelID, e.ChatKey)
}

// redeliveredMakesNothing: what came more than once.
func redeliveredMakesNothing(f *facts) *found {
	r := &found{of: "events that came more than once"}
	for _, w := range f.LINE.Webhooks {
		key, ok := f.key(w)
		if w.Attempts < 2 || !ok {
			continue
		}
		r.checked++
		if n := len(f.events[key]); n > 1 {
			r.bad(w.EventID, "came %d times and is in the inbox %d times", w.Attempts, n)
		}
		if n := len(f.received[key]); n > 1 {
			r.bad(w.EventID, "came %d times and made %d messages", w.Attempts, n)
		}
		for _, m := range f.received[key] {
			if n := f.told[m.ID]["message.received"]; n > 1 {
				r.bad(w.EventID, "came %d times and its message %s was received %d times", w.Attempts, m.ID, n)
			}
		}
	}
	byLINE := map[[2]string]Message{}
	for _, m := range f.Database.Messages {
		if m.Direction != conversation.Inbound || m.LINEMessageID == "" {
			continue
		}
		key := [2]string{m.ChannelID, m.LINEMessageID}
		if other, ok := byLINE[key]; ok && other.WebhookEventID != m.WebhookEventID {
			r.bad(m.ID, "is LINE's message %s, and so is %s, by another event", m.LINEMessageID, other.ID)
		}
		byLINE[key] = m
	}
	return r
}

// transcriptIsWhatTheyWrote: the words, the times and their order.
func transcriptIsWhatTheyWrote(f *facts) *found {
	r := &found{of: "messages of customers"}
	written, taken := map[eventKey]Webhook{}, map[[2]string]bool{}
	for _, w := range f.LINE.Webhooks {
		if key, ok := f.key(w); ok {
			written[key] = w
			if w.Kind == "unsend" && w.Acknowledged() {
				taken[[2]string{key.channelID, w.Unsent}] = true
			}
		}
	}
	for _, m := range f.Database.Messages {
		if m.Direction != conversation.Inbound {
			continue
		}
		r.checked++
		w, ok := written[eventKey{m.ChannelID, m.WebhookEventID}]
		unsent := taken[[2]string{m.ChannelID, m.LINEMessageID}] && m.LINEMessageID != ""
		switch {
		case !ok:
			r.bad(m.ID, "no event of LINE explains it: %q", m.WebhookEventID)
		case m.OccurredAt != w.TimeMS*1000:
			r.bad(m.ID, "occurred at %d, and LINE's event %s is of %d", m.OccurredAt, w.EventID, w.TimeMS*1000)
		case w.Kind == "message" && (m.LINEMessageID != w.MessageID || m.Type != w.Type):
			r.bad(m.ID, "is %s %s, and event %s is %s %s", m.Type, m.LINEMessageID, w.EventID, w.Type, w.MessageID)
		case m.State == conversation.MessageRecalled && m.Text != "":
			r.bad(m.ID, "was taken back and is still to be read")
		case unsent && m.State != conversation.MessageRecalled:
			r.bad(m.ID, "was taken back and is %s", m.State)
		case m.State == conversation.MessageAccepted && m.Text != w.Text:
			r.bad(m.ID, "says %q, and the customer wrote %q", m.Text, w.Text)
		case m.State != conversation.MessageAccepted && m.State != conversation.MessageRecalled:
			r.bad(m.ID, "of a customer is %s", m.State)
		}
	}
	for id, t := range f.transcripts {
		theirs := slices.DeleteFunc(slices.Clone(t), func(m *Message) bool { return m.Direction != conversation.Inbound })
		if !slices.IsSortedFunc(theirs, func(a, b *Message) int {
			return cmp.Compare(written[eventKey{a.ChannelID, a.WebhookEventID}].TimeMS, written[eventKey{b.ChannelID, b.WebhookEventID}].TimeMS)
		}) {
			r.bad(id, "the customer's messages are not in the order in which they were written")
		}
	}
	return r
}

// nothingUnhandled: the inbox is empty.
func nothingUnhandled(f *facts) *found {
	r := &found{of: "events in the inbox"}
	for _, e := range f.Database.LINEEvents {
		r.checked++
		if e.HandledAt == nil {
			r.bad(e.WebhookEventID, "%s event, received at %d, waits in the inbox of chat %s", e.Kind, e.ReceivedAt, e.ChatKey)
		}
	}
	return r
}

// filesSettle: what customers sent was fetched, or it is said why not.
func filesSettle(f *facts) *found {
	r := &found{of: "files of customers"}
	files := map[string]Attachment{}
	for _, a := range f.Database.Attachments {
		files[a.ID] = a
	}
	for _, m := range f.Database.Messages {
		if m.Direction != conversation.Inbound || m.AttachmentID == "" {
			continue
		}
		r.checked++
		switch a, ok := files[m.AttachmentID]; {
		case !ok || a.MessageID != m.ID:
			r.bad(m.ID, "its file %s is not there", m.AttachmentID)
		case a.State == string(conversation.AttachmentPending):
			r.bad(m.ID, "its file %s is still being fetched", a.ID)
		case a.State == string(conversation.AttachmentFailed):
			r.bad(m.ID, "its file %s could not be had: %s", a.ID, a.Reason)
		}
	}
	return r
}
