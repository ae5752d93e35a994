package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// acceptTime is how long the answer to a message waits for LINE.
const acceptTime = 2 * time.Second

// SendMessage writes to the customer.
func (s *Server) SendMessage(ctx context.Context, r SendMessageRequestObject) (SendMessageResponseObject, error) {
	content, err := contentOf(*r.Body)
	if err != nil {
		return nil, err
	}
	i := caller(ctx)
	req := store.SayRequest{Cause: updateID(ctx), ConversationID: r.ID, Actor: actor(ctx)}
	if content.Type == string(MessageInputTypeAttachment) {
		if content, err = s.attachmentContent(ctx, r.ID, r.Body.AttachmentID, req.MessageID(0)); err != nil {
			return nil, err
		}
	}
	for _, piece := range line.Pieces(content) {
		if err := line.Validate(piece); err != nil {
			return nil, err
		}
		req.Drafts = append(req.Drafts, store.Draft{SenderKind: conversation.SenderAgent, SenderID: i.Agent.ID, SenderName: i.Agent.Name, Content: piece, AttachmentID: r.Body.AttachmentID})
	}
	more := s.feed.More()
	stored, chat, err := s.store.Say(ctx, req)
	if err != nil {
		return nil, err
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	m := s.accepted(ctx, more, stored[0])
	shown, err := s.showMessages(ctx, []store.Message{m})
	if err != nil {
		return nil, err
	}
	if m.State == conversation.MessageAccepted {
		return SendMessage201JSONResponse(shown[0]), nil
	}
	return SendMessage202JSONResponse(shown[0]), nil
}

// RetryMessage sends what a failed message said once more.
func (s *Server) RetryMessage(ctx context.Context, r RetryMessageRequestObject) (RetryMessageResponseObject, error) {
	more := s.feed.More()
	stored, chat, err := s.store.Retry(ctx, r.ID, r.MessageID, actor(ctx))
	if err != nil {
		return nil, err
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	m := s.accepted(ctx, more, stored)
	shown, err := s.showMessages(ctx, []store.Message{m})
	if err != nil {
		return nil, err
	}
	if m.State == conversation.MessageAccepted {
		return RetryMessage201JSONResponse(shown[0]), nil
	}
	return RetryMessage202JSONResponse(shown[0]), nil
}

// accepted waits until it is known what became of a message, or its time is
// up. It looks whenever the record of events has grown since more was taken,
// which was before the message was read.
func (s *Server) accepted(ctx context.Context, more <-chan struct{}, m store.Message) store.Message {
	wait, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	for m.State == conversation.MessagePending {
		select {
		case <-wait.Done():
			return m
		case <-more:
		}
		more = s.feed.More()
		now, err := s.store.Message(wait, m.ID)
		if err != nil {
			return m // it is stored; how it stands is told another time
		}
		m = now
	}
	return m
}

// contentOf is what an agent writes, in the one shape messages have. Fields
// that the type does not use are refused by name.
func contentOf(in MessageInput) (conversation.Content, error) {
	c := conversation.Content{
		Type: string(in.Type), Text: in.Text, PackageID: in.PackageID, StickerID: in.StickerID, Title: in.Title, Address: in.Address,
		Latitude: in.Latitude, Longitude: in.Longitude, AltText: in.AltText, Contents: in.Contents, Template: in.Template,
	}
	for _, q := range in.QuickReplies {
		c.QuickReplies = append(c.QuickReplies, conversation.QuickReply{Label: q.Label, Text: q.Text, Data: q.Data, URI: q.URI})
	}
	uses := map[string][]string{
		conversation.ContentText: {"text"}, conversation.ContentSticker: {"package_id", "sticker_id"},
		conversation.ContentLocation:       {"title", "address", "latitude", "longitude"},
		string(MessageInputTypeAttachment): {"attachment_id"},
		conversation.ContentFlex:           {"alt_text", "contents"}, conversation.ContentTemplate: {"alt_text", "template"},
	}[c.Type]
	given := map[string]bool{
		"text": in.Text != "", "attachment_id": in.AttachmentID != "", "package_id": in.PackageID != "", "sticker_id": in.StickerID != "", "title": in.Title != "", "address": in.Address != "",
		"latitude": in.Latitude != 0, "longitude": in.Longitude != 0, "alt_text": in.AltText != "", "contents": in.Contents != nil, "template": in.Template != nil,
	}
	var fields []conversation.FieldError
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] && !slices.Contains(uses, name) {
			fields = append(fields, conversation.FieldError{Pointer: conversation.Pointer(name), Detail: "A message of type " + c.Type + " does not have it."})
		}
	}
	if c.Type == conversation.ContentText && strings.TrimSpace(c.Text) == "" {
		fields = append(fields, conversation.FieldError{Pointer: "/text", Detail: "It must not be blank."})
	}
	if len(fields) > 0 {
		return c, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The message cannot be sent.", Fields: fields}
	}
	return c, nil
}

// CreateNote writes an internal note.
func (s *Server) CreateNote(ctx context.Context, r CreateNoteRequestObject) (CreateNoteResponseObject, error) {
	m, err := s.note(ctx, r.ID, r.Body.Text)
	return CreateNote201JSONResponse(showMessage(m)), err
}

func (s *Server) note(ctx context.Context, conversationID, text string) (store.Message, error) {
	i := caller(ctx)
	return s.store.Note(ctx, store.NoteRequest{
		Cause: conversation.DerivedID("nte_", updateID(ctx)), ConversationID: conversationID, SenderID: i.Agent.ID, SenderName: i.Agent.Name, Text: text,
	})
}

// LinkContact links the customer to a contact, or to none.
func (s *Server) LinkContact(ctx context.Context, r LinkContactRequestObject) (LinkContactResponseObject, error) {
	if err := s.store.LinkContact(ctx, r.ID, string(r.Body.ContactID)); err != nil {
		return nil, err
	}
	c, err := s.store.Conversation(ctx, r.ID)
	return LinkContact200JSONResponse(showConversation(c)), err
}

// PatchContext sets context variables. Numbers are kept as they were written.
func (s *Server) PatchContext(ctx context.Context, r PatchContextRequestObject) (PatchContextResponseObject, error) {
	set, remove := map[string]string{}, []string(nil)
	for name, raw := range *r.Body {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, err
		}
		switch v := value.(type) {
		case nil:
			remove = append(remove, name)
		case string:
			set[name] = v
		default:
			set[name] = string(raw)
		}
	}
	if err := s.store.SetContext(ctx, r.ID, set, remove); err != nil {
		return nil, err
	}
	c, err := s.store.Conversation(ctx, r.ID)
	return PatchContext200JSONResponse(showConversation(c)), err
}
