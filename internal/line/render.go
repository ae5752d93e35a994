package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/conversation"
)

// LINE's limits. Where LINE does not say whether it counts UTF-16 units or
// characters as people see them, the former are counted: they are never fewer.
//
// Source: https://developers.line.biz/en/reference/messaging-api/#message-objects
const (
	maxQuickReplies = 13
	maxLabel        = 20  // graphemes
	maxActionText   = 300 // what tapping a button says
	maxPostback     = 300
	maxActionURI    = 1000
	maxMediaURL     = 2000
	maxAltText      = 1500
	maxPlace        = 100 // a location's title and address
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

	QuickReply *quickReply `json:"quickReply,omitempty"`
}

type quickReply struct {
	Items []quickReplyItem `json:"items"`
}

type quickReplyItem struct {
	Type   string `json:"type"`
	Action action `json:"action"`
}

type action struct {
	Type        string `json:"type"`
	Label       string `json:"label"`
	Text        string `json:"text,omitempty"`
	Data        string `json:"data,omitempty"`
	DisplayText string `json:"displayText,omitempty"`
	URI         string `json:"uri,omitempty"`
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
	case conversation.ContentImage:
		m.OriginalContentURL = c.mediaURL(at+"/url", content.URL)
		m.PreviewImageURL = m.OriginalContentURL
		if content.PreviewURL != "" {
			m.PreviewImageURL = c.mediaURL(at+"/preview_url", content.PreviewURL)
		}
	case conversation.ContentVideo:
		m.OriginalContentURL = c.mediaURL(at+"/url", content.URL)
		m.PreviewImageURL = c.mediaURL(at+"/preview_url", content.PreviewURL)
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
	default:
		c.add(at+"/type", "must be text, quick_replies, image, video, audio, sticker, location, template or flex")
	}
	m.QuickReply = c.quickReplies(at+"/quick_replies", content.QuickReplies)
	return m
}

func (c *check) quickReplies(at string, replies []conversation.QuickReply) *quickReply {
	if len(replies) == 0 {
		return nil
	}
	if len(replies) > maxQuickReplies {
		c.add(at, "must have at most %d items", maxQuickReplies)
		return nil
	}
	out := &quickReply{}
	for i, r := range replies {
		at := fmt.Sprintf("%s/%d", at, i)
		a := action{Label: r.Label}
		c.graphemes(at+"/label", r.Label, maxLabel)
		switch {
		case r.URI != "" && (r.Text != "" || r.Data != ""), r.URI == "" && r.Text == "" && r.Data == "":
			c.add(at, "must have exactly one of text, data (which text may accompany) and uri")
		case r.URI != "":
			a.Type, a.URI = "uri", r.URI
			c.actionURI(at+"/uri", r.URI)
		case r.Data != "":
			a.Type, a.Data = "postback", c.units(at+"/data", r.Data, maxPostback)
			if r.Text != "" {
				a.DisplayText = c.units(at+"/text", r.Text, maxActionText)
			}
		default:
			a.Type, a.Text = "message", c.units(at+"/text", r.Text, maxActionText)
		}
		out.Items = append(out.Items, quickReplyItem{Type: "action", Action: a})
	}
	return out
}

// units checks that s is a text of 1 to limit UTF-16 units, and returns it.
func (c *check) units(at, s string, limit int) string {
	if n := UTF16Len(s); n < 1 || n > limit {
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
