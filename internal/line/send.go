package line

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

const (
	// MaxMessages is how many messages one call carries.
	MaxMessages = 5

	maxRequest = 2 << 20 // bytes of a request's body
)

// Sent is what LINE said of messages it accepted. Accepted is not delivered:
// messages to somebody who blocks the account, left LINE or never was a friend
// are accepted too, and LINE gives no receipts.
type Sent struct {
	RequestID string // LINE's x-line-request-id of this call
	// AcceptedRequestID is the id of the earlier call that was accepted; ""
	// unless Duplicate.
	AcceptedRequestID string
	// Messages are in the order of the request. It is empty when LINE accepted the
	// call but its answer broke off.
	Messages []SentMessage
	// Duplicate says that an earlier push with the same retry key was accepted
	// and this one sent nothing.
	Duplicate bool
}

// SentMessage is what LINE said of one message.
type SentMessage struct {
	ID         string
	QuoteToken string // by which it can be quoted in the same chat; "" when it cannot
}

// Reply sends 1 to 5 messages with the reply token of an event. It is free of
// charge. A token is good once, within a minute of the webhook's receipt; used
// and expired tokens alike are ClassInvalidReplyToken. LINE refuses a retry key
// here, so a reply that got no answer stays ambiguous: see Error.Ambiguous.
//
// The messages go out byte for byte as given.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#send-reply-message
func (c *Client) Reply(ctx context.Context, replyToken string, messages []json.RawMessage) (Sent, error) {
	if !validToken(replyToken) {
		return Sent{}, refused("the reply token is not usable")
	}
	return c.send(ctx, "/v2/bot/message/reply", "replyToken", replyToken, "", messages)
}

// Push sends 1 to 5 messages to a user, group or room at any time, against the
// month's quota. retryKey is a UUID that must be the same on every attempt,
// with the same messages: it is good for 24 hours, after which LINE would send
// them again. That an earlier attempt was accepted (409) is a success, with
// Sent.Duplicate.
//
// The messages go out byte for byte as given.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#send-push-message
// and https://developers.line.biz/en/docs/messaging-api/retrying-api-request/
func (c *Client) Push(ctx context.Context, to, retryKey string, messages []json.RawMessage) (Sent, error) {
	switch {
	case !ValidChatID(to):
		return Sent{}, refused("the recipient is not a LINE user, group or room id")
	case !uuidShape.MatchString(retryKey):
		return Sent{}, refused("the retry key is not a UUID")
	}
	return c.send(ctx, "/v2/bot/message/push", "to", to, retryKey, messages)
}

// The SDK decodes messages into structs and encodes them again: fields it does
// not know are lost and a retry would carry other bytes than the attempt
// before. So these two calls are made without it.
func (c *Client) send(ctx context.Context, path, key, value, retryKey string, messages []json.RawMessage) (Sent, error) {
	body, err := sendBody(key, value, messages)
	if err != nil {
		return Sent{}, err
	}
	req, err := c.post(ctx, path, body)
	if err != nil {
		return Sent{}, err
	}
	if retryKey != "" {
		req.Header.Set("X-Line-Retry-Key", retryKey)
	}
	a, err := c.do(req)
	if err != nil {
		return Sent{}, err
	}
	duplicate := retryKey != "" && a.status == http.StatusConflict
	if a.status/100 != 2 && !duplicate {
		return Sent{}, errorOf(a)
	}
	sent := Sent{RequestID: a.requestID(), Duplicate: duplicate}
	if id := a.header.Get("X-Line-Accepted-Request-Id"); duplicate && validToken(id) {
		sent.AcceptedRequestID = id
	}
	// The status has decided: an answer that broke off after it costs the ids
	// of the messages, not the fact that LINE took them.
	var said struct {
		SentMessages []struct {
			ID         string `json:"id"`
			QuoteToken string `json:"quoteToken"`
		} `json:"sentMessages"`
	}
	if json.Unmarshal(a.body, &said) == nil {
		for _, m := range said.SentMessages {
			one := SentMessage{ID: clean(m.ID)}
			if validToken(m.QuoteToken) {
				one.QuoteToken = m.QuoteToken
			}
			sent.Messages = append(sent.Messages, one)
		}
	}
	return sent, nil
}

// sendBody is a request that carries messages, beside one value under a key, or
// alone when the key is "".
func sendBody(key, value string, messages []json.RawMessage) ([]byte, error) {
	if n := len(messages); n < 1 || n > MaxMessages {
		return nil, refused("a call carries 1 to %d messages, not %d", MaxMessages, n)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	if key != "" {
		v, err := marshal(value)
		if err != nil {
			return nil, refused("%s cannot be encoded", key)
		}
		b.WriteString(`"` + key + `":`)
		b.Write(v)
		b.WriteByte(',')
	}
	b.WriteString(`"messages":[`)
	for i, m := range messages {
		if _, ok := object(m); !ok {
			return nil, refused("message %d is not a JSON object", i)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m)
	}
	b.WriteString(`]}`)
	if b.Len() > maxRequest {
		return nil, refused("the request has %d bytes; LINE takes %d", b.Len(), maxRequest)
	}
	return b.Bytes(), nil
}
