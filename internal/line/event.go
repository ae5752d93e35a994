package line

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Event is what an event says beyond its envelope, which is RawEvent's. Which
// of the fields count depends on Type; all may be absent, for LINE adds kinds
// and fields without notice. Every text in it is valid UTF-8 without NULs.
type Event struct {
	Type            string
	UserID          string       // who caused it; "" when LINE does not say
	Message         *Message     // message, messageEdited
	Postback        *Postback    // postback
	UnsendMessageID string       // unsend
	IsUnblocked     bool         // follow: a customer who had blocked the account
	Members         []string     // memberJoined, memberLeft: user ids
	Link            *AccountLink // accountLink
	// Detail is the object that the kind has beside its envelope, as LINE sent it
	// and in a form that any database takes (see Message.Payload); nil for a kind
	// without one, for one with several, and for messages and postbacks.
	Detail json.RawMessage
}

// The kinds of event that Kaiwa acts on.
const (
	EventMessage      = "message"
	EventEdited       = "messageEdited"
	EventPostback     = "postback"
	EventUnsend       = "unsend"
	EventFollow       = "follow"
	EventUnfollow     = "unfollow"
	EventJoin         = "join"
	EventLeave        = "leave"
	EventMemberJoined = "memberJoined"
	EventMemberLeft   = "memberLeft"
	EventAccountLink  = "accountLink"
	EventVideoPlayed  = "videoPlayComplete"
	EventBeacon       = "beacon"
	EventMembership   = "membership"
	EventDelivery     = "delivery"
	// Another system begins, and ends, to serve the chat.
	EventDeactivated = "deactivated"
	EventActivated   = "activated"
	// The account as a whole; these have no chat.
	EventBotSuspended = "botSuspended"
	EventBotResumed   = "botResumed"
)

// envelope are the members that every kind of event may have.
var envelope = []string{"type", "mode", "timestamp", "source", "webhookEventId", "deliveryContext", "replyToken"}

// Message is a message a customer sent.
type Message struct {
	ID string // LINE's; "" when missing
	// Type is text, sticker, image, video, audio, file or location, or
	// MessageUnsupported for what LINE adds, and for a text without one: Payload
	// then keeps LINE's type.
	Type string
	// Text is what search finds: a text message's text, a location's title and
	// address, a file's name; "" for the rest.
	Text            string
	QuoteToken      string // to quote it in an answer
	QuotedMessageID string // the message it quotes
	MarkAsReadToken string // for Client.MarkAsRead
	// Payload is the message object as LINE sent it, minus id, type and tokens,
	// and minus the text of a text message. It is a JSON object that PostgreSQL
	// takes as jsonb: NULs are dropped, invalid UTF-8 is replaced, numbers no
	// database holds have become strings, and what is nested deeper than 64
	// levels has become null.
	Payload json.RawMessage
}

// The types of message. Those LINE may add come as MessageUnsupported.
const (
	MessageText        = "text"
	MessageSticker     = "sticker"
	MessageImage       = "image"
	MessageVideo       = "video"
	MessageAudio       = "audio"
	MessageFile        = "file"
	MessageLocation    = "location"
	MessageUnsupported = "unsupported"
)

// Postback is what a tapped button sent. Params are those of a date picker or
// of a rich menu switch.
type Postback struct {
	Data   string
	Params map[string]string
}

// AccountLink is how linking a LINE account ended.
type AccountLink struct {
	OK    bool
	Nonce string // the one Kaiwa issued for it
}

// ParseEvent reads a raw event leniently: a field of the wrong type counts as
// absent. It fails only when raw is not a JSON object with a type.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects
func ParseEvent(raw []byte) (Event, error) {
	fields, ok := object(raw)
	if !ok {
		return Event{}, errors.New("line event: not a JSON object")
	}
	e := Event{Type: str(fields, "type")}
	if e.Type == "" {
		return Event{}, errors.New("line event: no type")
	}
	if source, ok := object(fields["source"]); ok {
		if id := str(source, "userId"); validToken(id) {
			e.UserID = id
		}
	}
	if m, ok := object(fields["message"]); ok {
		e.Message = readMessage(m)
	}
	if p, ok := object(fields["postback"]); ok {
		e.Postback = readPostback(p)
	}
	if u, ok := object(fields["unsend"]); ok {
		e.UnsendMessageID = str(u, "messageId")
	}
	if f, ok := object(fields["follow"]); ok {
		e.IsUnblocked = string(f["isUnblocked"]) == "true"
	}
	if l, ok := object(fields["link"]); ok {
		e.Link = &AccountLink{OK: str(l, "result") == "ok", Nonce: str(l, "nonce")}
	}
	for _, name := range []string{"joined", "left"} {
		if o, ok := object(fields[name]); ok {
			e.Members = append(e.Members, readMembers(o["members"])...)
		}
	}
	if e.Message == nil && e.Postback == nil {
		e.Detail = readDetail(fields)
	}
	return e, nil
}

// readDetail finds the one object that tells more about an event.
func readDetail(fields map[string]json.RawMessage) json.RawMessage {
	var detail map[string]json.RawMessage
	for name, raw := range fields {
		if slices.Contains(envelope, name) {
			continue
		}
		if o, ok := object(raw); ok {
			if detail != nil {
				return nil
			}
			detail = o
		}
	}
	if detail == nil {
		return nil
	}
	return payload(detail, nil)
}

func readMessage(m map[string]json.RawMessage) *Message {
	msg := &Message{
		ID:              str(m, "id"),
		Type:            str(m, "type"),
		QuoteToken:      str(m, "quoteToken"),
		QuotedMessageID: str(m, "quotedMessageId"),
		MarkAsReadToken: str(m, "markAsReadToken"),
	}
	dropped := []string{"id", "type", "quoteToken", "markAsReadToken"}
	if _, said := text(m["text"]); msg.Type == MessageText && !said {
		msg.Type = "" // it says nothing that can be read
	}
	switch msg.Type {
	case MessageText:
		msg.Text = str(m, "text")
		dropped = append(dropped, "text")
	case MessageLocation:
		var parts []string
		for _, name := range []string{"title", "address"} {
			if s := str(m, name); s != "" {
				parts = append(parts, s)
			}
		}
		msg.Text = strings.Join(parts, ", ")
	case MessageFile:
		msg.Text = str(m, "fileName")
	case MessageSticker, MessageImage, MessageVideo, MessageAudio:
	default:
		msg.Type = MessageUnsupported
		dropped = []string{"id", "quoteToken", "markAsReadToken"}
	}
	msg.Payload = payload(m, dropped)
	return msg
}

func readPostback(p map[string]json.RawMessage) *Postback {
	out := &Postback{Data: str(p, "data")}
	if params, ok := object(p["params"]); ok {
		out.Params = make(map[string]string, len(params))
		for name := range params {
			if s, ok := text(params[name]); ok {
				out.Params[clean(name)] = s
			}
		}
	}
	return out
}

func readMembers(raw json.RawMessage) []string {
	var members []json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	var ids []string
	for _, m := range members {
		if o, ok := object(m); ok {
			if id := str(o, "userId"); id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// str reads a string member; "" when it is absent or no string.
func str(fields map[string]json.RawMessage, name string) string {
	s, _ := text(fields[name])
	return s
}

// payload encodes what is left of a message object in a form any database
// takes. Keys come out sorted, so equal objects give equal bytes.
func payload(m map[string]json.RawMessage, dropped []string) json.RawMessage {
	kept := make(map[string]any, len(m))
next:
	for name, raw := range m {
		for _, d := range dropped {
			if name == d {
				continue next
			}
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			continue // raw came out of a decoder, so this is unreachable; it must not lose the message
		}
		kept[clean(name)] = storable(v, 1)
	}
	b, err := marshal(kept)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return b
}

const maxPayloadDepth = 64

func storable(v any, depth int) any {
	if depth > maxPayloadDepth {
		return nil
	}
	switch v := v.(type) {
	case string:
		return clean(v)
	case json.Number:
		if storableNumber(v.String()) {
			return v
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = storable(v[i], depth+1)
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[clean(name)] = storable(x, depth+1)
		}
		return out
	}
	return v
}

// storableNumber keeps out what jsonb's numeric refuses: exponents and lengths
// far beyond a double's.
func storableNumber(s string) bool {
	if len(s) > 64 {
		return false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return false
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	return f != 0 || !strings.ContainsAny(mantissa, "123456789")
}

// marshal encodes v without escaping <, > and &, which LINE counts against
// limits and people have to read.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
