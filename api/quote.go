package api

import (
	"context"
	"encoding/json"
	"slices"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// lineFields reads LINE's own message object: what has another type than it
// should counts as absent, since LINE changes fields without notice.
func lineFields(raw []byte) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

// lineValue reads one of the fields; the zero value when it is absent.
func lineValue[T any](fields map[string]json.RawMessage, name string) (v T) {
	var read T
	if json.Unmarshal(fields[name], &read) != nil {
		return v
	}
	return read
}

// quotedID is what a message quotes: by LINE's id where the customer does, by
// Kaiwa's where the account does, and where the customer has watched its video.
func quotedID(m store.Message) string {
	if m.Type == store.MessageEvent {
		fields := lineFields([]byte(m.Payload))
		if lineValue[string](fields, "event") != line.EventVideoPlayed {
			return ""
		}
		return conversation.TrackedMessage(lineValue[string](lineFields(fields["detail"]), "trackingId"))
	}
	name := map[conversation.Direction]string{conversation.Inbound: "quotedMessageId", conversation.Outbound: "quote_message_id"}[m.Direction]
	if name == "" || m.Payload == "" {
		return ""
	}
	return lineValue[string](lineFields([]byte(m.Payload)), name)
}

func imageSet(m store.Message) *ImageSet {
	if m.Direction != conversation.Inbound || m.Type != line.MessageImage || m.Payload == "" {
		return nil
	}
	set := lineFields(lineFields([]byte(m.Payload))["imageSet"])
	id := lineValue[string](set, "id")
	if id == "" {
		return nil
	}
	return &ImageSet{ID: id, Index: lineValue[*int64](set, "index"), Total: lineValue[*int64](set, "total")}
}

// quotes finds what messages of one conversation quote, by their ids. It costs
// nothing where none does.
func (s *Server) quotes(ctx context.Context, list []store.Message) (map[string]*Quote, error) {
	quoted := map[string]string{} // the id of what a message quotes: LINE's, or Kaiwa's where it is the account's
	var theirs, ours []string
	for _, m := range list {
		id := quotedID(m)
		switch {
		case id == "":
			continue
		case m.Direction == conversation.Inbound:
			theirs = append(theirs, id)
		default:
			ours = append(ours, id)
		}
		quoted[m.ID] = id
	}
	if len(quoted) == 0 {
		return nil, nil
	}
	found, err := s.store.Quoted(ctx, list[0].ConversationID, theirs, ours)
	if err != nil {
		return nil, err
	}
	out := map[string]*Quote{}
	for id, of := range quoted {
		q := &Quote{}
		if slices.Contains(theirs, of) {
			q.LINEMessageID = Nullable(of)
		}
		if m, ok := found[of]; ok {
			sender := showSender(m)
			q.LINEMessageID = Nullable(m.LINEMessageID)
			q.MessageID, q.ConversationID, q.Direction, q.Sender = Nullable(m.ID), Nullable(m.ConversationID), Nullable(m.Direction), &sender
			q.Type, q.Text, q.State = Nullable(m.Type), Nullable(m.Text), Nullable(m.State)
		}
		out[id] = q
	}
	return out, nil
}

// showEdits is what a message said before. Words that cannot be read are left
// out: the message itself is there.
func showEdits(m store.Message) []MessageWords {
	list, err := m.EarlierWords()
	if err != nil {
		return []MessageWords{}
	}
	return shown(list, func(w store.Words) MessageWords { return MessageWords{Text: w.Text, At: fromMicros(w.At)} })
}
