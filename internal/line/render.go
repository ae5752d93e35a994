package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/conversation"
	"kaiwa/internal/textlen"
)

// LINE's limits. Where LINE does not say whether it counts UTF-16 units or
// characters as people see them, the former are counted: they are never fewer.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#message-objects
const (
	maxQuickReplies = 13
	maxLabel        = 20  // graphemes
	maxActionText   = 300 // graphemes: what tapping a button says
	maxPostback     = 300
	maxActionURI    = 1000
	maxMediaURL     = 2000
	maxAltText      = 1500
	maxPlace        = 100 // a location's title and address
	maxSenderName   = 20
	maxDeliveryTag  = 30
	maxCouponID     = 200 // LINE names no limit; its own have some forty characters
)

var stickerShape = regexp.MustCompile(`^[0-9]{1,20}$`)

// Render turns 1 to 5 Contents into LINE's message objects, in order. What LINE
// would refuse is refused here, all of it at once: the error is a
// conversation.Error of CodeInvalid whose Fields point into the array as
// /messages/0/text. A text longer than MaxText is such an error too: see
// SplitText.
func Render(contents []conversation.Content) ([]json.RawMessage, error) {
	if n := len(contents); n < 1 || n > MaxMessages {
		return nil, conversation.Invalid("/messages", "must be 1 to %d messages, not %d", MaxMessages, n)
	}
	var c check
	out := make([]json.RawMessage, 0, len(contents))
	for i, content := range contents {
		at := fmt.Sprintf("/messages/%d", i)
		before := len(c.fields)
		object := c.message(at, content)
		if len(c.fields) > before {
			continue
		}
		b, err := marshal(object)
		if err != nil {
			c.add(at, "cannot be encoded as JSON")
			continue
		}
		out = append(out, b)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Validate checks one Content as Render does; its pointers start at the Content
// itself, as /text.
func Validate(content conversation.Content) error {
	_, err := Render([]conversation.Content{content})
	var invalid *conversation.Error
	if !errors.As(err, &invalid) {
		return err
	}
	for i := range invalid.Fields {
		invalid.Fields[i].Pointer = strings.TrimPrefix(invalid.Fields[i].Pointer, "/messages/0")
	}
	return invalid
}

// LINE's message objects, as far as Content can say them.
type message struct {
	Type string `json:"type"`

	Text string `json:"text,omitempty"`

	OriginalContentURL string `json:"originalContentUrl,omitempty"`
	PreviewImageURL    string `json:"previewImageUrl,omitempty"`
	TrackingID         string `json:"trackingId,omitempty"`
	Duration           int64  `json:"duration,omitempty"`

	PackageID string `json:"packageId,omitempty"`
	StickerID string `json:"stickerId,omitempty"`

	Title     string   `json:"title,omitempty"`
	Address   string   `json:"address,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`

	AltText  string          `json:"altText,omitempty"`
	Template json.RawMessage `json:"template,omitempty"`
	Contents json.RawMessage `json:"contents,omitempty"`
	imagemap

	CouponID    string `json:"couponId,omitempty"`
	DeliveryTag string `json:"deliveryTag,omitempty"`

	Substitution json.RawMessage `json:"substitution,omitempty"`
	QuoteToken   string          `json:"quoteToken,omitempty"`
	QuickReply   *quickReply     `json:"quickReply,omitempty"`
	Sender       *sender         `json:"sender,omitempty"`
}

type sender struct {
	Name    string `json:"name,omitempty"`
	IconURL string `json:"iconUrl,omitempty"`
}

// check collects what is wrong.
type check struct {
	fields []conversation.FieldError
}

func (c *check) add(pointer, format string, args ...any) {
	c.fields = append(c.fields, conversation.FieldError{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *check) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	return &conversation.Error{Code: conversation.CodeInvalid, Detail: "LINE does not take this message.", Fields: c.fields}
}

// message checks content and returns LINE's object for it.
func (c *check) message(at string, content conversation.Content) message {
	m := message{Type: content.Type}
	switch content.Type {
	case conversation.ContentText, conversation.ContentQuickReplies:
		m.Type = "text"
		m.Text = c.units(at+"/text", content.Text, MaxText)
		if content.Type == conversation.ContentQuickReplies && len(content.QuickReplies) == 0 {
			c.add(at+"/quick_replies", "must have 1 to %d items", maxQuickReplies)
		}
	case conversation.ContentTextV2:
		m.Type = "textV2"
		m.Text = c.units(at+"/text", content.Text, MaxText)
		m.Substitution = content.Substitution
		c.substitution(at, content.Text, content.Substitution)
	case conversation.ContentImage:
		m.OriginalContentURL = c.mediaURL(at+"/url", content.URL)
		m.PreviewImageURL = m.OriginalContentURL
		if content.PreviewURL != "" {
			m.PreviewImageURL = c.mediaURL(at+"/preview_url", content.PreviewURL)
		}
	case conversation.ContentVideo:
		m.OriginalContentURL = c.mediaURL(at+"/url", content.URL)
		m.PreviewImageURL = c.mediaURL(at+"/preview_url", content.PreviewURL)
		m.TrackingID = content.TrackingID
	case conversation.ContentAudio:
		m.OriginalContentURL = c.mediaURL(at+"/url", content.URL)
		if m.Duration = content.DurationMS; m.Duration <= 0 {
			c.add(at+"/duration_ms", "must be the length in milliseconds")
		}
	case conversation.ContentSticker:
		m.PackageID, m.StickerID = content.PackageID, content.StickerID
		if !stickerShape.MatchString(m.PackageID) {
			c.add(at+"/package_id", "must be digits")
		}
		if !stickerShape.MatchString(m.StickerID) {
			c.add(at+"/sticker_id", "must be digits")
		}
	case conversation.ContentLocation:
		m.Title = c.units(at+"/title", content.Title, maxPlace)
		m.Address = c.units(at+"/address", content.Address, maxPlace)
		m.Latitude, m.Longitude = &content.Latitude, &content.Longitude
		if !(content.Latitude >= -90 && content.Latitude <= 90) {
			c.add(at+"/latitude", "must be -90 to 90 degrees")
		}
		if !(content.Longitude >= -180 && content.Longitude <= 180) {
			c.add(at+"/longitude", "must be -180 to 180 degrees")
		}
	case conversation.ContentTemplate:
		m.AltText = c.units(at+"/alt_text", content.AltText, maxAltText)
		m.Template = content.Template
		c.template(at+"/template", content.Template)
	case conversation.ContentFlex:
		m.AltText = c.units(at+"/alt_text", content.AltText, maxAltText)
		m.Contents = content.Contents
		c.flex(at+"/contents", content.Contents)
	case conversation.ContentImagemap:
		m.AltText = c.units(at+"/alt_text", content.AltText, maxAltText)
		m.imagemap = c.imagemap(at+"/imagemap", content.Imagemap)
	case conversation.ContentCoupon:
		m.CouponID, m.DeliveryTag = content.CouponID, content.DeliveryTag
		c.units(at+"/coupon_id", content.CouponID, maxCouponID)
		if content.DeliveryTag != "" {
			c.units(at+"/delivery_tag", content.DeliveryTag, maxDeliveryTag)
		}
	default:
		c.add(at+"/type", "must be text, text_v2, quick_replies, image, video, audio, sticker, location, template, flex, imagemap or coupon")
	}
	m.QuoteToken = c.quote(at+"/quote_message_id", content)
	m.QuickReply = c.quickReplies(at+"/quick_replies", content.QuickReplies)
	m.Sender = c.sender(at+"/sender", content.Sender)
	return m
}

// quotes are the types of message that LINE lets quote another.
//
// Source: https://developers.line.biz/en/docs/messaging-api/get-quote-tokens/
var quotes = []string{conversation.ContentText, conversation.ContentTextV2, conversation.ContentQuickReplies, conversation.ContentSticker}

func (c *check) quote(at string, content conversation.Content) string {
	switch {
	case content.QuoteMessageID == "" && content.QuoteToken == "":
	case !slices.Contains(quotes, content.Type):
		c.add(at, "must be left out: only texts and stickers quote a message")
	case content.QuoteToken != "" && !validToken(content.QuoteToken):
		c.add(at, "has no usable quote token")
	}
	return content.QuoteToken
}

// sender checks under which name and picture a message is shown.
//
// Source: https://developers.line.biz/en/docs/messaging-api/icon-nickname-switch/
func (c *check) sender(at string, s *conversation.MessageSender) *sender {
	if s == nil || *s == (conversation.MessageSender{}) {
		return nil
	}
	if s.Name != "" {
		c.units(at+"/name", s.Name, maxSenderName)
		if strings.EqualFold(strings.TrimSpace(s.Name), "LINE") {
			c.add(at+"/name", "must not be LINE")
		}
	}
	if s.IconURL != "" {
		c.mediaURL(at+"/icon_url", s.IconURL)
	}
	return &sender{s.Name, s.IconURL}
}

// ValidateSender checks a sender as Render does; its pointers start at the
// sender itself, as /name.
func ValidateSender(s conversation.MessageSender) error {
	var c check
	c.sender("", &s)
	return c.err()
}

// units checks that s is a text of 1 to limit UTF-16 units, and returns it.
func (c *check) units(at, s string, limit int) string {
	if n := textlen.UTF16(s); n < 1 || n > limit {
		c.add(at, "must be 1 to %d characters (UTF-16 units), not %d", limit, n)
	}
	c.clean(at, s)
	return s
}

// graphemes checks that s is a text of 1 to limit characters as people see them.
func (c *check) graphemes(at, s string, limit int) {
	if n := uniseg.GraphemeClusterCount(s); n < 1 || n > limit {
		c.add(at, "must be 1 to %d characters, not %d", limit, n)
	}
	c.clean(at, s)
}

func (c *check) clean(at, s string) {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		c.add(at, "must be text without NUL characters and invalid UTF-8")
	}
}

func (c *check) mediaURL(at, raw string) string {
	if err := checkURL(raw, maxMediaURL); err != nil {
		c.add(at, "%s", err)
	}
	return raw
}
