package accountlink

import (
	"encoding/json"

	"kaiwa/internal/conversation"
	"kaiwa/internal/locale"
	"kaiwa/internal/textlen"
)

const (
	// MaxText bounds what a card says, in UTF-16 code units: as an automated message.
	MaxText = 2000
	// maxAltText is LINE's limit for what is shown where a card is not.
	maxAltText = 1500
)

// Card is a Content of type account_link as LINE takes it: a text and a button
// that opens the page, under which it says that it can be undone, or with a
// button that undoes it.
func Card(c conversation.Content, link string) (conversation.Content, error) {
	if textlen.UTF16(c.Text) > MaxText {
		return c, conversation.Invalid("/text", "must be at most %d characters (UTF-16 units)", MaxText)
	}
	w, _ := wordsIn(c.Locale)
	text, label, hint := c.Text, w.link, w.undoable
	if c.Linked {
		label, hint = w.manage, ""
	}
	if text == "" {
		text = w.invite
	}
	type object = map[string]any
	body := []object{{"type": "text", "text": text, "wrap": true}}
	if hint != "" {
		body = append(body, object{"type": "text", "text": hint, "wrap": true, "size": "sm", "color": "#5a6068", "margin": "md"})
	}
	buttons := []object{{"type": "button", "style": "primary", "action": object{"type": "uri", "label": label, "uri": link}}}
	if c.Linked {
		buttons = append(buttons, object{"type": "button", "action": object{"type": "postback", "label": w.unlink, "data": TapUnlink.Data(), "displayText": w.unlink}})
	}
	bubble, err := json.Marshal(object{
		"type":   "bubble",
		"body":   object{"type": "box", "layout": "vertical", "contents": body},
		"footer": object{"type": "box", "layout": "vertical", "spacing": "sm", "contents": buttons},
	})
	c.Type, c.Text, c.Linked, c.Contents, c.AltText = conversation.ContentFlex, "", false, bubble, textlen.Cut(text, maxAltText-len(link)-1)+"\n"+link
	return c, err
}

// Language is the language of the words for a customer: theirs, if there are words
// in it, else the channel's.
func Language(customers, channels string) string {
	for _, loc := range []string{customers, channels} {
		if loc == "" {
			continue
		}
		if found := locale.Match(loc, locales); found != "" {
			return found
		}
	}
	return defaultLocale
}
