package conversation

import "encoding/json"

// Content is what a message says, in the one shape that bots return, agents
// post, automated messages use and the transcript keeps for outbound messages.
// Type decides which of the other fields count:
//
//	text           Text
//	text_v2        Text with {placeholders}, Substitution: LINE's objects by placeholder
//	quick_replies  Text, QuickReplies (1 to 13)
//	image, video   URL, PreviewURL (HTTPS)
//	audio          URL, DurationMS
//	sticker        PackageID, StickerID
//	location       Title, Address, Latitude, Longitude
//	template       AltText, Template: LINE's template object
//	flex           AltText, Contents: LINE's flex container
//	imagemap       AltText, Imagemap: LINE's baseUrl, baseSize, actions and video
//	coupon         CouponID, DeliveryTag
//	account_link   Text, or none for Kaiwa's own words: the way to the page where
//	               the customer links their accounts. It becomes a flex message
//	               when it is sent, with a link that nobody else sees
//
// QuickReplies may stand on any type; LINE shows them under the last message
// of a call only. Sender may, too. A quote may stand on texts and stickers.
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
	Substitution json.RawMessage `json:"substitution,omitempty"`
	Imagemap     json.RawMessage `json:"imagemap,omitempty"`
	CouponID     string          `json:"coupon_id,omitempty"`
	DeliveryTag  string          `json:"delivery_tag,omitempty"` // what LINE's statistics call the way it was sent; at most 30 characters
	Linked       bool            `json:"linked,omitempty"`       // of account_link: they are linked, and it is the way to undo it

	Sender *MessageSender `json:"sender,omitempty"` // nil: the account itself
	// QuoteMessageID is the message of the same chat that this one quotes, of the
	// customer or of the account. QuoteToken is LINE's token for it, which is kept
	// with that message alone and looked up when this one is sent.
	QuoteMessageID string `json:"quote_message_id,omitempty"`
	QuoteToken     string `json:"-"`

	// TrackingID is what LINE calls a video by; see the function. Known where it is
	// rendered, and not stored; "" in a group.
	TrackingID string `json:"-"`

	// ProfileID and Locale are whom an account_link is for and in which language:
	// known where it is rendered, and not stored. ProfileID is "" in a group.
	ProfileID string `json:"-"`
	Locale    string `json:"-"`
}

// MessageSender is under which name and with which picture LINE shows a
// message. An empty field is the account's own.
type MessageSender struct {
	Name    string `json:"name,omitempty"`     // at most 20 characters (UTF-16 units), not LINE
	IconURL string `json:"icon_url,omitempty"` // HTTPS, a square picture of at most 1 MB
}

// SenderOf is s as a Content has it: nil for the account itself.
func SenderOf(s MessageSender) *MessageSender {
	if s == (MessageSender{}) {
		return nil
	}
	return &s
}

// QuickReply is one button. Exactly one of Text (sent as the customer's own
// message), Data (a postback; Text may accompany it as what the chat shows),
// URI and Action (any of LINE's action objects, without its label) says what
// tapping it does.
type QuickReply struct {
	Label    string          `json:"label"` // at most 20 graphemes
	Text     string          `json:"text,omitempty"`
	Data     string          `json:"data,omitempty"` // at most 300 characters
	URI      string          `json:"uri,omitempty"`
	Action   json.RawMessage `json:"action,omitempty"`
	ImageURL string          `json:"image_url,omitempty"` // HTTPS, the button's icon
}

// The types of Content that may be sent.
const (
	ContentText         = "text"
	ContentTextV2       = "text_v2"
	ContentQuickReplies = "quick_replies"
	ContentImage        = "image"
	ContentVideo        = "video"
	ContentAudio        = "audio"
	ContentSticker      = "sticker"
	ContentLocation     = "location"
	ContentTemplate     = "template"
	ContentFlex         = "flex"
	ContentImagemap     = "imagemap"
	ContentCoupon       = "coupon"
	ContentAccountLink  = "account_link"
)

// TextContent is a plain text message.
func TextContent(text string) Content { return Content{Type: ContentText, Text: text} }
