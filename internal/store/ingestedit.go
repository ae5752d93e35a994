package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kaiwa/internal/conversation"
)

// Edit is that a customer changed the words of a message.
type Edit struct {
	LINEMessageID string `json:"id"`
	Text          string `json:"text"`
	// Marks are LINE's emojis and mention of these words, as a JSON object; "" for
	// none.
	Marks string `json:"marks,omitempty"`
	At    int64  `json:"at"` // LINE's time, Unix microseconds; the ingest fills it in
}

// Words is what a message said from a time on.
type Words struct {
	Text string `json:"text"`
	At   int64  `json:"at"` // Unix microseconds
}

// editsKept bounds the edits a chat remembers for messages that have not
// arrived, and the earlier words of a message.
const editsKept = 50

// edit gives messages their new words, and keeps the earlier ones. Edits may
// come in any order, and before their message: then they wait with the chat. It
// costs nothing where nobody edits.
func (g *ingest) edit(ctx context.Context, edited []taken, unsent *unsends, arrived bool) error {
	var waiting []Edit
	if err := json.Unmarshal([]byte(g.chat.Edits), &waiting); err != nil {
		return fmt.Errorf("chats.edits: %w", err)
	}
	if len(edited) == 0 && (len(waiting) == 0 || !arrived && len(unsent.now) == 0) {
		return nil
	}
	edits := waiting
	for _, e := range edited {
		edits = append(edits, Edit{LINEMessageID: e.item.Edit.LINEMessageID, Text: e.item.Edit.Text, Marks: e.item.Edit.Marks, At: e.LineTime})
	}
	var left []Edit
	for _, e := range edits {
		if e.LINEMessageID == "" || slices.Contains(unsent.ids, e.LINEMessageID) {
			continue
		}
		found, err := g.reword(ctx, e)
		if err != nil {
			return err
		}
		if !found {
			left = append(left, e)
		}
	}
	if len(left) > editsKept {
		left = left[len(left)-editsKept:]
	}
	if len(left) == 0 && len(waiting) == 0 {
		return nil
	}
	_, err := g.c.exec(ctx, `UPDATE chats SET edits = $1 WHERE channel_id = $2 AND chat_key = $3`,
		jsonOf(append([]Edit{}, left...)), g.req.ChannelID, g.req.ChatKey)
	return err
}

// reword gives one message its words. It tells whether there is the message.
func (g *ingest) reword(ctx context.Context, e Edit) (bool, error) {
	var m struct {
		ID             string                    `db:"id"`
		ConversationID string                    `db:"conversation_id"`
		Text           string                    `db:"text"`
		Payload        string                    `db:"payload"`
		Edits          string                    `db:"edits"`
		OccurredAt     int64                     `db:"occurred_at"`
		EditedAt       int64                     `db:"edited_at"`
		State          conversation.MessageState `db:"state"`
		Held           bool                      `db:"held"`
	}
	found, err := g.c.get(ctx, &m, `SELECT id, conversation_id, text, payload, edits, occurred_at, edited_at, state, held FROM messages
		WHERE channel_id = $1 AND line_message_id = $2 AND direction = 'inbound'`, g.req.ChannelID, e.LINEMessageID)
	if err != nil || !found || m.State == conversation.MessageRecalled {
		return found, err
	}
	versions, err := earlierWords(m.Edits)
	if err != nil {
		return false, fmt.Errorf("edits of message %s: %w", m.ID, err)
	}
	versions = append(versions, Words{m.Text, max(m.OccurredAt, m.EditedAt)}, Words{e.Text, e.At})
	slices.SortStableFunc(versions, func(a, b Words) int { return cmp.Compare(a.At, b.At) })
	now := versions[len(versions)-1]
	versions = versions[max(0, len(versions)-1-editsKept) : len(versions)-1]
	payload := m.Payload
	if now.At == e.At { // it is the latest, so that what is marked is in its words
		if payload, err = remarked(payload, e.Marks); err != nil {
			return false, fmt.Errorf("payload of message %s: %w", m.ID, err)
		}
	}
	if _, err := g.c.exec(ctx, `UPDATE messages SET text = $1, edits = $2, edited_at = $3, payload = $4 WHERE id = $5`,
		now.Text, jsonOf(versions), now.At, payload, m.ID); err != nil {
		return false, err
	}
	if m.Held { // of what is held nobody has heard
		return true, nil
	}
	return true, g.c.record(ctx, "message.edited", m.ConversationID, m.ID, "{}", g.now)
}

// remarked is the payload of a text whose words have changed: emoji and mentions
// are found by their places in the words, so that those of other words go.
func remarked(payload, marks string) (string, error) {
	fields := map[string]json.RawMessage{}
	for _, part := range []string{payload, marks} {
		delete(fields, "emojis") // of the words before
		delete(fields, "mention")
		if part == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part), &fields); err != nil {
			return "", err
		}
	}
	if len(fields) == 0 {
		return "", nil
	}
	return jsonOf(fields), nil
}

// earlierWords reads what a message said before, oldest first.
func earlierWords(edits string) ([]Words, error) {
	if edits == "" {
		return nil, nil
	}
	var list []Words
	err := json.Unmarshal([]byte(edits), &list)
	return list, err
}
