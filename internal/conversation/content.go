package conversation

import "encoding/json"

// Content is what a message says, in the one shape that bots return, agents
// post, automated messages use and the transcript keeps for outbound messages.
// Type decides which of the other fields count:
//
//	text           Text
//	quick_replies  Text, QuickReplies (1 to 13)
//	image, video   URL, PreviewURL (HTTPS)
//	audio          URL, DurationMS
//	sticker        PackageID, StickerID
//	location       Title, Address, Latitude, Longitude
//	template       AltText, Template: LINE's template object
//	flex           AltText, Contents: LINE's flex container
//
// QuickReplies may stand on any type; LINE shows them under the last message
// of a call only.
type Content struct {
	Type         string          `json:"type"`
	Text         string          `json:"text,omitempty"`
	QuickReplies []QuickReply    `json:"quick_replies,omitempty"`
	URL          string          `json:"url,omitempty"`
	PreviewURL   string          `json:"preview_url,omitempty"`
	DurationMS   int64           `json:"duration_ms,omitempty"`
	PackageID    string          `json:"package_id,omitempty"`
	StickerID    string          `json:"sticker_id,omitempty"`
	Title        string          `json:"title,omitempty"`
	Address      string          `json:"address,omitempty"`
	Latitude     float64         `json:"latitude,omitempty"`
	Longitude    float64         `json:"longitude,omitempty"`
	AltText      string          `json:"alt_text,omitempty"`
	Template     json.RawMessage `json:"template,omitempty"`
	Contents     json.RawMessage `json:"contents,omitempty"`
}

// QuickReply is one button. Exactly one of Text (sent as the customer's own
// message), Data (a postback; Text may accompany it as what the chat shows)
// and URI says what tapping it does.
type QuickReply struct {
	Label string `json:"label"` // at most 20 graphemes
	Text  string `json:"text,omitempty"`
	Data  string `json:"data,omitempty"` // at most 300 characters
	URI   string `json:"uri,omitempty"`
}

// The types of Content that may be sent.
const (
	ContentText         = "text"
	ContentQuickReplies = "quick_replies"
	ContentImage        = "image"
	ContentVideo        = "video"
	ContentAudio        = "audio"
	ContentSticker      = "sticker"
	ContentLocation     = "location"
	ContentTemplate     = "template"
	ContentFlex         = "flex"
)

// TextContent is a plain text message.
func TextContent(text string) Content { return Content{Type: ContentText, Text: text} }
