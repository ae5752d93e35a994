package survey

import (
	"encoding/json"
	"strings"

	"kaiwa/internal/conversation"
	"kaiwa/internal/textlen"
)

// Ask is the question as a message of LINE, with a button for each answer.
// Buttons vanish with the next message and do not exist on a desktop, so the
// text says what may be typed instead.
func (q Question) Ask(invitationID, loc string) conversation.Content {
	w := wordsIn(loc)
	lines := []string{In(q.Text, loc)}
	switch q.Kind {
	case KindCSAT:
		lines = append(lines, w.csatHint, w.typeNumber)
	case KindNPS:
		lines = append(lines, w.npsHint, w.typeNumber)
	case KindEffort:
		lines = append(lines, w.effortHint, w.typeNumber)
	case KindChoice:
		var list []string
		for _, o := range q.Options(loc) {
			list = append(list, o.Number+". "+o.Word)
		}
		lines = append(lines, strings.Join(list, "\n"), w.typeNumber)
	case KindText:
		lines = append(lines, w.typeWords)
	}
	if q.Optional {
		lines[len(lines)-1] += w.orSkip
	}
	content := conversation.Content{Type: conversation.ContentText, Text: strings.Join(lines, "\n")}
	button := func(label, value string) {
		content.Type = conversation.ContentQuickReplies
		content.QuickReplies = append(content.QuickReplies, conversation.QuickReply{Label: label, Text: label, Data: Data(invitationID, q.ID, value)})
	}
	for _, o := range q.Options(loc) {
		label := o.Label()
		if q.Kind == KindChoice {
			label = o.Word // its number is for typing
		}
		button(label, o.Value)
	}
	if q.Optional {
		button(w.skip, Skipped)
	}
	return content
}

// maxAltText is LINE's limit for what is shown where a card is not, in UTF-16
// code units; a character as people see them may take several.
const maxAltText = 1500

// Card is the invitation to the survey's page: text, and a button that opens
// it. Where LINE shows no cards, the link stands in the text.
func Card(text, link, loc string) (conversation.Content, error) {
	w := wordsIn(loc)
	if text == "" {
		text = w.Title
	}
	type object = map[string]any
	bubble, err := json.Marshal(object{
		"type": "bubble",
		"body": object{"type": "box", "layout": "vertical", "contents": []object{{"type": "text", "text": text, "wrap": true}}},
		"footer": object{"type": "box", "layout": "vertical", "contents": []object{
			{"type": "button", "style": "primary", "action": object{"type": "uri", "label": w.openPage, "uri": link}},
		}},
	})
	return conversation.Content{Type: conversation.ContentFlex, AltText: textlen.Cut(text, maxAltText-len(link)-1) + "\n" + link, Contents: bubble}, err
}
