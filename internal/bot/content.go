package bot

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/textlen"
)

// LINE's limits that can be told without knowing its message objects in depth;
// the rest is checked where messages are sent.
const (
	maxText         = 5000   // UTF-16 code units: what LINE takes in one message
	maxAnswerText   = 20_000 // UTF-16 code units; a text longer than maxText is sent in pieces
	maxAltText      = 1500   // UTF-16 code units
	maxQuickReplies = 13
	maxLabel        = 20  // graphemes
	maxButtonText   = 300 // graphemes
	maxButtonData   = 300
	maxURI          = 1000
	maxURL          = 2000
	maxObject       = 50 * 1024 // bytes of a flex carousel, the largest object
	maxPlace        = 100       // title and address of a location
	maxDuration     = 24 * 60 * 60 * 1000
	maxTypeShown    = 50 // characters of an unknown type that are repeated
)

// types are those of the messages that bots may send.
var types = []string{
	conversation.ContentText, conversation.ContentTextV2, conversation.ContentQuickReplies, conversation.ContentImage, conversation.ContentVideo,
	conversation.ContentAudio, conversation.ContentSticker, conversation.ContentLocation, conversation.ContentTemplate, conversation.ContentFlex,
	conversation.ContentImagemap, conversation.ContentCoupon, conversation.ContentAccountLink,
}

// readContent reads a message in the form of conversation.Content and checks
// it. A missing preview of an image is the image itself; what is of no type that
// bots have is unsupported.
func readContent(v value) conversation.Content {
	c := conversation.Content{Type: line.MessageUnsupported}
	if !v.object() {
		return c
	}
	switch kind := v.field("type").text(); {
	case kind == "":
		v.field("type").wrong("This is missing.")
		return c
	case !slices.Contains(types, kind):
		v.field("type").wrong("There is no type of message " + strconv.Quote(firstCharacters(kind, maxTypeShown)) + ".")
		c.Text, _ = v.field("text").v.(string)
		return c
	}
	c = conversation.Content{
		Type:       v.field("type").text(),
		Text:       v.field("text").text(),
		URL:        v.field("url").text(),
		PreviewURL: v.field("preview_url").text(),
		DurationMS: v.field("duration_ms").whole(0, maxDuration, 0),
		PackageID:  v.field("package_id").text(),
		StickerID:  v.field("sticker_id").text(),
		Title:      v.field("title").text(),
		Address:    v.field("address").text(),
		Latitude:   v.field("latitude").number(-90, 90),
		Longitude:  v.field("longitude").number(-180, 180),
		AltText:    v.field("alt_text").text(),
		Template:   v.field("template").raw(),
		Contents:   v.field("contents").raw(),

		Substitution:   v.field("substitution").raw(),
		Imagemap:       v.field("imagemap").raw(),
		CouponID:       v.field("coupon_id").text(),
		DeliveryTag:    v.field("delivery_tag").text(),
		QuoteMessageID: v.field("quote_message_id").text(),
	}
	for _, q := range v.field("quick_replies").list(maxQuickReplies) {
		if q.object() {
			c.QuickReplies = append(c.QuickReplies, conversation.QuickReply{
				Label: q.field("label").text(),
				Text:  q.field("text").text(),
				Data:  q.field("data").text(),
				URI:   q.field("uri").text(),

				Action:   q.field("action").raw(),
				ImageURL: q.field("image_url").text(),
			})
		}
	}
	checkContent(v, c)
	if c.Type == conversation.ContentImage && c.PreviewURL == "" {
		c.PreviewURL = c.URL
	}
	return c
}

// checkContent reports what is wrong with a message read at v.
func checkContent(v value, c conversation.Content) {
	switch c.Type {
	case conversation.ContentText, conversation.ContentTextV2, conversation.ContentQuickReplies:
		checkWords(v.field("text"), c.Text, maxAnswerText)
		if c.Type == conversation.ContentQuickReplies && len(c.QuickReplies) == 0 {
			v.field("quick_replies").wrong("There must be at least one.")
		}
	case conversation.ContentImage:
		checkURL(v.field("url"), c.URL)
		if c.PreviewURL != "" {
			checkURL(v.field("preview_url"), c.PreviewURL)
		}
	case conversation.ContentVideo:
		checkURL(v.field("url"), c.URL)
		checkURL(v.field("preview_url"), c.PreviewURL)
	case conversation.ContentAudio:
		checkURL(v.field("url"), c.URL)
		if c.DurationMS == 0 {
			v.field("duration_ms").wrong("The duration is missing.")
		}
	case conversation.ContentSticker:
		checkDigits(v.field("package_id"), c.PackageID)
		checkDigits(v.field("sticker_id"), c.StickerID)
	case conversation.ContentLocation:
		checkWords(v.field("title"), c.Title, maxPlace)
		checkWords(v.field("address"), c.Address, maxPlace)
		for _, coordinate := range []string{"latitude", "longitude"} {
			if !v.field(coordinate).given() {
				v.field(coordinate).wrong("This is missing.")
			}
		}
	case conversation.ContentTemplate:
		checkWords(v.field("alt_text"), c.AltText, maxAltText)
		checkObject(v.field("template"), len(c.Template))
	case conversation.ContentFlex:
		checkWords(v.field("alt_text"), c.AltText, maxAltText)
		checkObject(v.field("contents"), len(c.Contents))
	case conversation.ContentImagemap:
		checkWords(v.field("alt_text"), c.AltText, maxAltText)
		checkObject(v.field("imagemap"), len(c.Imagemap))
	case conversation.ContentCoupon:
		if c.CouponID == "" {
			v.field("coupon_id").wrong("This is missing.")
		}
	case conversation.ContentAccountLink:
		if c.Text != "" {
			checkWords(v.field("text"), c.Text, accountlink.MaxText)
		}
	}
	for i, q := range v.field("quick_replies").list(maxQuickReplies) {
		if i < len(c.QuickReplies) {
			checkQuickReply(q, c.QuickReplies[i])
		}
	}
}

func checkQuickReply(v value, q conversation.QuickReply) {
	checkLabel(v.field("label"), q.Label)
	switch {
	case count(q.Text != "" || q.Data != "", q.URI != "", q.Action != nil) != 1:
		v.wrong("Exactly one of text, data, uri and action must be given; text may accompany data.")
	case q.URI != "":
		checkURI(v.field("uri"), q.URI)
	}
	if uniseg.GraphemeClusterCount(q.Text) > maxButtonText {
		v.field("text").wrong("This is longer than 300 characters.")
	}
	if textlen.UTF16(q.Data) > maxButtonData {
		v.field("data").wrong("This is longer than 300 characters.")
	}
}

// count tells how many of the facts are true.
func count(facts ...bool) int {
	n := 0
	for _, is := range facts {
		if is {
			n++
		}
	}
	return n
}

func checkLabel(v value, label string) {
	switch {
	case strings.TrimSpace(label) == "":
		v.wrong("This is missing or blank.")
	case uniseg.GraphemeClusterCount(label) > maxLabel:
		v.wrong("This is longer than 20 characters.")
	}
}

func checkWords(v value, s string, limit int) {
	switch {
	case strings.TrimSpace(s) == "":
		v.wrong("This is missing or blank.")
	case textlen.UTF16(s) > limit:
		v.wrong("This is too long for LINE.")
	}
}

func checkDigits(v value, s string) {
	if s == "" || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		v.wrong("This must be a number written as a text.")
	}
}

func checkObject(v value, size int) {
	switch {
	case size == 0:
		v.wrong("This is missing.")
	case size > maxObject:
		v.wrong("This is too large for LINE.")
	}
}

func checkURL(v value, s string) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		v.wrong("This is missing.")
	case utf8.RuneCountInString(s) > maxURL:
		v.wrong("This is longer than 2,000 characters.")
	case err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !line.Loopback(u.Hostname())):
		v.wrong("This must be an https address.")
	}
}

func checkURI(v value, s string) {
	u, err := url.Parse(s)
	switch {
	case utf8.RuneCountInString(s) > maxURI:
		v.wrong("This is longer than 1,000 characters.")
	case err != nil || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "line" && u.Scheme != "tel"):
		v.wrong("This must be an http, https, line or tel address.")
	}
}

// firstUnits is s, or as many of its first characters as LINE counts limit for.
func firstUnits(s string, limit int) string {
	n := 0
	for i, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
		if n > limit {
			return s[:i]
		}
	}
	return s
}
