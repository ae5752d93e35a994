package activities

import (
	"context"
	"encoding/json"
	"time"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// inGroup refuses a card of account linking that nobody alone would see.
var inGroup = conversation.Invalid("/type", "accounts are linked in a chat with one customer, not in a group")

// render turns contents into LINE's message objects; a card of account linking gets
// its personal link here, so that it is in no transcript.
func (a *Activities) render(contents []conversation.Content) ([]json.RawMessage, error) {
	return a.renderAt(a.now(), contents)
}

// renderAt is render with links that are good from a time on.
func (a *Activities) renderAt(from time.Time, contents []conversation.Content) ([]json.RawMessage, error) {
	for i, c := range contents {
		if c.Type != conversation.ContentAccountLink {
			continue
		}
		if c.ProfileID == "" {
			return nil, inGroup
		}
		var err error
		token := accountlink.Token(a.store.Keys(), c.ProfileID, from.Add(accountlink.TokenLife))
		if contents[i], err = accountlink.Card(c, a.publicURL+accountlink.Path+token); err != nil {
			return nil, err
		}
	}
	return line.Render(contents)
}

// sendable checks what a bot wants sent in a conversation.
func (a *Activities) sendable(plan store.Plan, conv store.Conversation, c conversation.Content) error {
	switch {
	case c.Type != conversation.ContentAccountLink:
		return line.Validate(c)
	case conv.LINEUserID != "" && !line.ValidUserID(conv.LINEUserID):
		return inGroup
	case !plan.Channel.AccountLinking.On():
		return conversation.Invalid("/type", "the channel's account_linking is off")
	}
	c, err := accountlink.Card(c, a.publicURL+accountlink.Path)
	if err != nil {
		return err
	}
	return line.Validate(c)
}

// linkNotice is what an errand of account linking says.
type linkNotice struct {
	trigger automessage.Trigger // "": the card that the customer asked for
	linked  bool                // with the way to undo it
}

var linkErrands = map[string]linkNotice{
	store.ErrandLinkCard:   {},
	store.ErrandLinked:     {trigger: automessage.AccountLinked, linked: true},
	store.ErrandLinkFailed: {trigger: automessage.AccountLinkFailed},
	store.ErrandUnlinked:   {trigger: automessage.AccountUnlinked},
}

// linkErrand says something of account linking: in the conversation that is open,
// or beside any by the event's own reply token, or by a push: it answers what the
// customer has done, so that a push is worth its price, unless what is left of
// them is for agents.
func (a *Activities) linkErrand(ctx context.Context, plan store.Plan, e store.Errand, what linkNotice) error {
	chatKey := conversation.ChatKey("user", e.SourceID)
	content, err := a.linkContent(plan, what)
	if err != nil {
		return err
	}
	said, err := a.store.SayErrand(ctx, store.Chat{ChannelID: plan.Channel.ID, ChatKey: chatKey}, e, []store.Draft{
		{SenderKind: conversation.SenderSystem, Automated: e.Kind, Content: content},
	})
	if err != nil {
		return err
	}
	if said {
		a.inbox.Notify(plan.Channel.ID, chatKey)
		return nil
	}
	profile, err := a.store.Profile(ctx, plan.Channel.ID, chatKey)
	switch {
	case conversation.CodeOf(err) == conversation.CodeNotFound:
		return unsaidNobody
	case err != nil:
		return err
	case profile.Friendship == "blocked":
		return unsaidBlocked
	}
	content.ProfileID, content.Locale = profile.ID, accountlink.Language(profile.Language, plan.Channel.Locale)
	messages, err := a.renderAt(e.CreatedAt, []conversation.Content{content}) // the same bytes at every attempt
	if err != nil {
		return &line.Error{Class: line.ClassRefused, Message: err.Error()} // it will not do better the next time
	}
	return a.sayErrand(ctx, plan, e, messages, &plan.Workstream.Settings.Sending)
}

// linkContent is what is said, if that is not switched off.
func (a *Activities) linkContent(plan store.Plan, what linkNotice) (conversation.Content, error) {
	if what.trigger == "" {
		if !plan.Channel.AccountLinking.On() {
			return conversation.Content{}, unsaidOff
		}
		return conversation.Content{Type: conversation.ContentAccountLink}, nil
	}
	text, on := automessage.Text(what.trigger, plan.Channel.Locale, overrides(plan)...)
	if text = automessage.Fill(text, automessage.Values{Context: map[string]string{}}); !on || text == "" {
		return conversation.Content{}, unsaidOff
	}
	if what.linked {
		return conversation.Content{Type: conversation.ContentAccountLink, Text: text, Linked: true}, nil
	}
	return conversation.TextContent(text), nil
}
