package line

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"kaiwa/internal/conversation"
)

// Webhook is one delivery of LINE: events of any number of chats and kinds.
// Each is routed by its own source, never by its neighbour's.
type Webhook struct {
	Destination string // user id of the bot that is meant; "" when missing or no id
	Events      []RawEvent
}

// RawEvent is one element of a delivery, with what is needed to store it and
// to wake its chat. Everything but Raw may be stored as text: it is printable
// ASCII. Raw is whatever LINE sent, which may be invalid UTF-8 and may hold
// escaped NULs, both of which PostgreSQL's text and jsonb refuse: **store Raw
// as bytes**.
type RawEvent struct {
	// ID is webhookEventId, or "x-" and a digest of Raw without its deliveryContext when
	// LINE's is missing or unusable. Ids may repeat, within one delivery too: the caller dedupes.
	ID string
	// Type is the event's kind, known to Kaiwa or not; "" when unusable.
	Type string
	// SourceType is user, group, room or a kind to come. SourceID is the id of
	// that user, group or room. Both are "" without a usable source (LINE omits
	// it when linking an account failed), SourceID is for unknown kinds of it.
	SourceType, SourceID string
	// UserID is who caused it, in groups too; "" when LINE does not say.
	UserID string
	// ChatKey is conversation.ChatKey of the source; "" without SourceID.
	ChatKey string
	// Timestamp is when it happened by LINE's clock, to the millisecond, the
	// same on every redelivery; zero when absent or unusable.
	Timestamp time.Time
	// ReplyToken is good for one reply within a minute of receipt; "" when
	// there is none.
	ReplyToken string
	// Redelivery says that LINE sent it before, or tried to.
	Redelivery bool
	// Standby says that another system serves the chat: send nothing.
	Standby bool
	// Raw is the element, byte for byte, in memory of its own.
	Raw []byte
	// Malformed says what is wrong with it, for people; "" when nothing is.
	// The other fields hold what could be read nevertheless.
	Malformed string
}

// SplitWebhook splits the body of a delivery into its events. It fails only
// when body is not a JSON object with an events array, where there is nothing
// to keep; an empty array is LINE's way to test the URL. **A malformed event
// harms only itself**: whatever an element is, it comes back as a RawEvent.
// Where a key repeats, the last counts, as for encoding/json.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#request-body
func SplitWebhook(body []byte) (Webhook, error) {
	var destination, events []byte
	err := splitObject(body, func(key, value []byte) {
		var name string
		if json.Unmarshal(key, &name) != nil {
			return // a key that is no string is nobody's
		}
		switch name {
		case "destination":
			destination = value
		case "events":
			events = value
		}
	})
	if err != nil {
		return Webhook{}, fmt.Errorf("webhook: %w", err)
	}
	elements, err := splitArray(events)
	if err != nil {
		return Webhook{}, fmt.Errorf("webhook: %w", err)
	}
	w := Webhook{Events: make([]RawEvent, 0, len(elements))}
	if s, ok := text(destination); ok && userIDShape.MatchString(s) {
		w.Destination = s
	}
	for _, e := range elements {
		w.Events = append(w.Events, readRawEvent(bytes.Clone(e)))
	}
	return w, nil
}

func readRawEvent(raw []byte) RawEvent {
	fields, ok := object(raw)
	e := RawEvent{ID: digestOf(raw, fields), Raw: raw}
	if !ok {
		e.Malformed = "the event is not a JSON object"
		return e
	}
	var wrong []string
	// field reads a string of the given shape; absent and null are no fault.
	field := func(in map[string]json.RawMessage, path, name string, valid func(string) bool) string {
		v := in[name]
		if absent(v) {
			return ""
		}
		s, ok := text(v)
		if !ok || !valid(s) {
			wrong = append(wrong, path+name+" is not usable")
			return ""
		}
		return s
	}
	child := func(name string) map[string]json.RawMessage {
		v := fields[name]
		if absent(v) {
			return nil
		}
		o, ok := object(v)
		if !ok {
			wrong = append(wrong, name+" is not an object")
		}
		return o
	}

	if e.Type = field(fields, "", "type", validName); e.Type == "" && len(wrong) == 0 {
		wrong = append(wrong, "type is missing")
	}
	if id := field(fields, "", "webhookEventId", validName); id != "" {
		e.ID = id
	}
	e.ReplyToken = field(fields, "", "replyToken", validToken)
	e.Standby = field(fields, "", "mode", validName) == "standby"
	if v := fields["timestamp"]; !absent(v) {
		if e.Timestamp, ok = milliseconds(v); !ok {
			wrong = append(wrong, "timestamp is not a time in milliseconds")
		}
	}
	if v := child("deliveryContext")["isRedelivery"]; !absent(v) {
		if json.Unmarshal(v, &e.Redelivery) != nil {
			wrong = append(wrong, "deliveryContext.isRedelivery is not a boolean")
		}
	}
	if source := child("source"); source != nil {
		e.SourceType = field(source, "source.", "type", validName)
		e.UserID = field(source, "source.", "userId", validToken)
		switch e.SourceType {
		case "":
			wrong = append(wrong, "source has no type")
		case "user":
			e.SourceID = e.UserID
		case "group":
			e.SourceID = field(source, "source.", "groupId", validToken)
		case "room":
			e.SourceID = field(source, "source.", "roomId", validToken)
		}
		if e.SourceID != "" {
			e.ChatKey = conversation.ChatKey(e.SourceType, e.SourceID)
		}
	}
	e.Malformed = strings.Join(wrong, "; ")
	return e
}

// digestOf is what tells an event apart that has no id: all of it but how often it
// was delivered.
func digestOf(raw []byte, fields map[string]json.RawMessage) string {
	if _, told := fields["deliveryContext"]; told {
		fields = maps.Clone(fields)
		delete(fields, "deliveryContext")
		if rest, err := json.Marshal(fields); err == nil {
			raw = rest
		}
	}
	digest := sha256.Sum256(raw)
	return "x-" + hex.EncodeToString(digest[:16])
}

// object reads a JSON object without Go's folding of upper and lower case.
func object(raw []byte) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, false
	}
	return m, true
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// text reads a JSON string as text that a database takes: invalid UTF-8 is
// replaced by U+FFFD (by encoding/json), NULs are dropped.
func text(raw []byte) (string, bool) {
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return clean(*s), true
}

func clean(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// milliseconds reads a JSON number of milliseconds since 1970, up to year 9999.
func milliseconds(raw []byte) (time.Time, bool) {
	const max = 253402300799999
	s := string(raw)
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64) // 1.7e12 is a number too
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > max {
			return time.Time{}, false
		}
		ms = int64(f)
	}
	if ms <= 0 || ms > max {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}
