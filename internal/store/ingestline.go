package store

import (
	"context"
	"encoding/json"

	"kaiwa/internal/conversation"
)

// MessageEvent is the type of a transcript's line about an event that is no
// message.
const MessageEvent = "event"

// EventLine is what a transcript shows of an event that is no message.
type EventLine struct {
	// Type is MessageEvent, or MessageUnsupported for a kind that LINE has added.
	Type  string
	Event string // LINE's name of the kind
	// Detail is LINE's object that tells more, as JSON; "" without one.
	Detail string
	// Members are the LINE user ids of those it is about, each of whom gets a line;
	// none for whoever caused it.
	Members []string
}

// eventLine is a line on its way into the transcript. Agents see it; neither the
// customer nor a bot does.
type eventLine struct {
	id, senderID, kind, payload string
	ordinal, at                 int64
}

func (g *ingest) linesOf(e taken) []eventLine {
	about := e.item.Line
	if about.Type == "" {
		return nil
	}
	payload := map[string]any{"event": about.Event}
	if about.Detail != "" {
		payload["detail"] = json.RawMessage(about.Detail)
	}
	line := eventLine{
		id: conversation.DerivedID(conversation.PrefixMessage, g.req.ChannelID, e.WebhookEventID), senderID: g.senderID(e),
		kind: about.Type, payload: jsonOf(payload), ordinal: e.ID, at: e.LineTime,
	}
	if len(about.Members) == 0 {
		return []eventLine{line}
	}
	var lines []eventLine
	for _, user := range about.Members {
		line.id = conversation.DerivedID(conversation.PrefixMessage, g.req.ChannelID, e.WebhookEventID, user)
		line.senderID = g.memberID(user)
		lines = append(lines, line)
	}
	return lines
}

func (c conn) insertLines(ctx context.Context, channelID, conversationID string, lines []eventLine, now int64) error {
	var records []happened
	for _, l := range lines {
		if _, err := c.exec(ctx, `
			INSERT INTO messages (id, conversation_id, channel_id, ordinal, occurred_at, direction, sender_kind, sender_id, type, payload, state, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
			l.id, conversationID, channelID, l.ordinal, l.at, string(conversation.Internal), string(conversation.SenderCustomer), l.senderID,
			l.kind, l.payload, string(conversation.MessageAccepted), now); err != nil {
			return err
		}
		records = append(records, happened{"message.created", conversationID, l.id, "{}"})
	}
	return c.recordAll(ctx, records, now)
}
