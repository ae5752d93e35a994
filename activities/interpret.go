package activities

import (
	"encoding/json"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/automessage"
	"kaiwa/internal/consent"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
	"kaiwa/internal/survey"
)

// reader says what events of LINE's mean for the conversations of a channel, by
// the channel's settings. docs/line.md has a row for each kind.
type reader struct {
	groups   string // store.GroupsIgnored, GroupsLeft or GroupsServed
	welcomes bool   // a new friend is greeted
}

func reading(plan store.Plan) reader {
	_, welcomes := automessage.Text(automessage.Followed, plan.Channel.Locale, overrides(plan)...)
	return reader{groups: plan.Channel.GroupChats, welcomes: welcomes}
}

// interpret reads one event. Where another system serves the chat (standby), it
// is noted, and nothing follows from it but what takes something back.
func (r reader) interpret(e store.LINEEvent) store.Item {
	event, err := line.ParseEvent(e.Raw)
	if err != nil {
		return store.Item{Kind: store.ItemFact} // scrubbed since, or unreadable: its kind is in the inbox
	}
	switch e.SourceType {
	case "user":
		return r.read(e, event)
	case "group", "room":
		return r.ofGroup(e, event)
	}
	return unheard(event)
}

// unheard is an event that belongs to nobody here. What somebody wrote is not
// kept.
func unheard(event line.Event) store.Item {
	return store.Item{Kind: store.ItemFact, Forget: event.Message != nil}
}

// ofGroup reads an event of a group or room by what the channel does there. What
// is taken back, and that the account is out of it, counts whatever that is: it
// may have been another thing before.
func (r reader) ofGroup(e store.LINEEvent, event line.Event) store.Item {
	if event.Type == line.EventUnsend || event.Type == line.EventLeave {
		return r.read(e, event)
	}
	switch r.groups {
	case store.GroupsServed:
		item := r.read(e, event)
		item.Speaker = event.UserID
		return item
	case store.GroupsLeft:
		item := unheard(event)
		switch event.Type {
		case line.EventJoin, line.EventMessage, line.EventPostback, line.EventMemberJoined:
			if !e.Standby {
				item.Kind = store.ItemUnwanted
			}
		}
		return item
	}
	return unheard(event)
}

func (r reader) read(e store.LINEEvent, event line.Event) store.Item {
	switch event.Type {
	case line.EventMessage, line.EventPostback:
		if e.Standby {
			return unheard(event)
		}
		return r.said(event)
	case line.EventEdited:
		if m := event.Message; m != nil && m.Type == line.MessageText && m.ID != "" {
			return store.Item{Kind: store.ItemEdit, Edit: store.Edit{LINEMessageID: m.ID, Text: m.Text, Marks: marks(m)}}
		}
		return unheard(event)
	case line.EventUnsend:
		return store.Item{Kind: store.ItemUnsend, Unsent: event.UnsendMessageID}
	case line.EventFollow:
		return store.Item{Kind: store.ItemFollow, Line: shownAs(event), Welcome: r.welcomes && !event.IsUnblocked && !e.Standby}
	case line.EventJoin:
		return store.Item{Kind: store.ItemFollow, Line: shownAs(event)}
	case line.EventUnfollow, line.EventLeave:
		return store.Item{Kind: store.ItemUnfollow, Line: shownAs(event)}
	case line.EventAccountLink:
		return linked(event)
	case line.EventDelivery:
		return store.Item{Kind: store.ItemFact} // of a notification that another system has sent
	}
	return store.Item{Kind: store.ItemFact, Line: shownAs(event), Left: event.Type == line.EventMemberLeft, Forget: event.Message != nil}
}

// said is what a customer wrote or tapped.
func (r reader) said(event line.Event) store.Item {
	switch {
	case event.Type == line.EventMessage && event.Message != nil:
		m := event.Message
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{
			Type: m.Type, Text: m.Text, LINEMessageID: m.ID, Payload: payload(m), QuoteToken: m.QuoteToken, ReadToken: m.MarkAsReadToken, File: fileOf(m),
			Unsupported: m.Type == line.MessageUnsupported,
		}}
	case event.Type == line.EventPostback && event.Postback != nil:
		if tap, ours := consent.ReadTap(event.Postback.Data); ours {
			return store.Item{Kind: store.ItemConsent, Tap: tap}
		}
		if invitation, question, value, ok := survey.ParseData(event.Postback.Data); ok {
			return store.Item{Kind: store.ItemSurveyTap, Survey: store.SurveyTap{InvitationID: invitation, QuestionID: question, Value: value}}
		}
		if tap, ours := accountlink.ReadTap(event.Postback.Data); ours {
			return store.Item{Kind: store.ItemAccountLinkTap, Link: tap}
		}
		data, err := json.Marshal(map[string]any{"data": event.Postback.Data, "params": event.Postback.Params})
		if err != nil {
			return store.Item{Kind: store.ItemFact}
		}
		return store.Item{Kind: store.ItemMessage, Message: store.InboundMessage{Type: "postback", Payload: string(data)}}
	}
	return store.Item{Kind: store.ItemFact, Line: shownAs(event)} // what it is about is missing
}

// linked is how linking an account ended. The nonce is nobody's to read, and is
// kept nowhere: neither in the transcript nor with the event.
func linked(event line.Event) store.Item {
	item := store.Item{Kind: store.ItemFact, Line: shownAs(event), Forget: true}
	item.Line.Detail = `{"result":"failed"}`
	if event.Link != nil && event.Link.OK {
		item.Kind, item.Nonce, item.Line.Detail = store.ItemAccountLinked, event.Link.Nonce, `{"result":"ok"}`
	}
	return item
}

// shownKinds are the kinds of event that a transcript has words for.
var shownKinds = map[string]bool{
	line.EventFollow: true, line.EventUnfollow: true, line.EventJoin: true, line.EventLeave: true, line.EventMemberJoined: true, line.EventMemberLeft: true,
	line.EventAccountLink: true, line.EventVideoPlayed: true, line.EventBeacon: true, line.EventMembership: true,
	line.EventActivated: true, line.EventDeactivated: true,
}

// shownAs is the line that an event which is no message has in the transcript of
// an open conversation: kinds that LINE has added are shown as unsupported.
func shownAs(event line.Event) store.EventLine {
	l := store.EventLine{Type: line.MessageUnsupported, Event: event.Type, Detail: string(event.Detail), Members: event.Members}
	if shownKinds[event.Type] {
		l.Type = store.MessageEvent
	}
	if len(l.Members) > 0 {
		l.Detail = "" // each of them has a line
	}
	return l
}
