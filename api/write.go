package api

import (
	"context"
	"encoding/json"
	"errors"
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
	i := caller(ctx)
	req := store.SayRequest{Cause: updateID(ctx), ConversationID: r.ID, Actor: actor(ctx)}
	pieces, err := s.composed(ctx, r.ID, *r.Body, req.MessageID(0))
	if err != nil {
		return nil, err
	}
	for _, piece := range pieces {
		req.Drafts = append(req.Drafts, store.Draft{SenderKind: conversation.SenderAgent, SenderID: i.Agent.ID, SenderName: i.Agent.Name, Content: piece, AttachmentID: r.Body.AttachmentID})
	}
	tells, leave := s.feed.Await(req.MessageID(0), settled...)
	defer leave()
	stored, chat, err := s.store.Say(ctx, req)
	if err != nil {
		return nil, err
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	m := s.accepted(ctx, tells, stored[0])
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
	tells, leave := s.feed.Await(store.RetryMessageID(r.MessageID), settled...)
	defer leave()
	stored, chat, err := s.store.Retry(ctx, r.ID, r.MessageID, actor(ctx))
	if err != nil {
		return nil, err
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	m := s.accepted(ctx, tells, stored)
	shown, err := s.showMessages(ctx, []store.Message{m})
	if err != nil {
		return nil, err
	}
	if m.State == conversation.MessageAccepted {
		return RetryMessage201JSONResponse(shown[0]), nil
	}
	return RetryMessage202JSONResponse(shown[0]), nil
}

// ValidateMessage checks a message and sends nothing.
func (s *Server) ValidateMessage(ctx context.Context, r ValidateMessageRequestObject) (ValidateMessageResponseObject, error) {
	c, err := s.store.Conversation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	pieces, err := s.composed(ctx, r.ID, *r.Body, "")
	if err != nil {
		return nil, err
	}
	for i, piece := range pieces {
		if piece.Type == conversation.ContentAccountLink {
			if pieces[i], err = s.linkCard(ctx, r.ID, piece); err != nil {
				return nil, err
			}
		}
	}
	requestID := ""
	if r.Params.LINE != "" {
		messages, err := rendered(pieces)
		if err != nil {
			return nil, err
		}
		if requestID, err = s.validatedByLINE(ctx, c.ChannelID, r.Params.LINE, messages); err != nil {
			return nil, err
		}
	}
	for i := range pieces {
		pieces[i].QuoteToken = "" // it is LINE's and Kaiwa's
	}
	messages, err := rendered(pieces)
	if err != nil {
		return nil, err
	}
	return ValidateMessage200JSONResponse{Messages: messages, LINERequestID: Nullable(requestID)}, nil
}

// rendered are LINE's message objects for any number of contents.
func rendered(contents []conversation.Content) ([]json.RawMessage, error) {
	var messages []json.RawMessage
	for part := range slices.Chunk(contents, line.MaxMessages) {
		objects, err := line.Render(part)
		if err != nil {
			return nil, err
		}
		messages = append(messages, objects...)
	}
	return messages, nil
}

// validatedByLINE has LINE check messages that a reply or a push would send. What
// it refuses is CodeInvalid, by its words, at the fields they are of.
func (s *Server) validatedByLINE(ctx context.Context, channelID string, via ValidateMessageParamsLINE, messages []json.RawMessage) (requestID string, err error) {
	c, err := s.store.Channel(ctx, channelID)
	if err != nil {
		return "", err
	}
	for part := range slices.Chunk(messages, line.MaxMessages) {
		err := s.tokens.Call(ctx, s.store, c, func(client *line.Client) (err error) {
			validate := client.ValidatePush
			if via == ValidateMessageParamsLINEReply {
				validate = client.ValidateReply
			}
			requestID, err = validate(ctx, part)
			return err
		})
		var refusal *line.Error
		if errors.As(err, &refusal) && refusal.Class == line.ClassRefused && len(refusal.Details) > 0 {
			var wrong invalid
			for _, d := range refusal.Details {
				wrong.add(line.PointerOf(d.Property), "LINE says: %s.", strings.TrimRight(d.Message, "."))
			}
			return "", wrong.err()
		}
		if err != nil {
			return "", lineError(err)
		}
	}
	return requestID, nil
}

// composed is what an agent writes in a conversation, as the messages that LINE
// will take. messageID is the first of them, or "" when nothing is to be sent.
func (s *Server) composed(ctx context.Context, conversationID string, in MessageInput, messageID string) ([]conversation.Content, error) {
	content, err := contentOf(in)
	if err != nil {
		return nil, err
	}
	switch content.Type {
	case string(MessageInputTypeAttachment):
		if content, err = s.attachmentContent(ctx, conversationID, in.AttachmentID, messageID); err != nil {
			return nil, err
		}
		content.QuickReplies = buttonsOf(in)
	case conversation.ContentTextV2:
		if content.Substitution, err = s.mentions(ctx, conversationID, content.Substitution); err != nil {
			return nil, err
		}
	case conversation.ContentImage, conversation.ContentVideo, conversation.ContentAudio:
		if err := s.maySendFiles(ctx, conversationID); err != nil {
			return nil, err
		}
	}
	content.Sender = conversation.SenderOf(caller(ctx).Agent.Sender)
	if content.QuoteMessageID != "" {
		if content.QuoteToken, err = s.store.QuoteToken(ctx, conversationID, content.QuoteMessageID, messageID); err != nil {
			return nil, err
		}
	}
	pieces := line.Pieces(content)
	for _, piece := range pieces {
		if piece.Type == conversation.ContentAccountLink {
			if piece, err = s.linkCard(ctx, conversationID, piece); err != nil {
				return nil, err
			}
		}
		if err := line.Validate(piece); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

// maySendFiles refuses files, wherever they are, when the workstream of a
// conversation does not let agents send any.
func (s *Server) maySendFiles(ctx context.Context, conversationID string) error {
	c, err := s.store.Conversation(ctx, conversationID)
	if err != nil {
		return err
	}
	plan, err := s.store.Plan(ctx, c.ChannelID)
	if err != nil {
		return err
	}
	return filesAllowed(plan.Workstream.Settings.Attachments)
}

func filesAllowed(rules store.AttachmentSettings) error {
	if !*rules.AgentsMaySend {
		return conversation.Errorf(conversation.CodeForbidden, "The workstream does not let agents send files.")
	}
	return nil
}

// settled are the events that tell what became of a message to the customer.
var settled = []string{"message.accepted", "message.failed", "message.uncertain"}

// accepted waits until it is known what became of a message, or its time is
// up. It looks when the record of events tells of that, and not for what else
// happens meanwhile. What tells of it was asked for before the message was read.
func (s *Server) accepted(ctx context.Context, tells <-chan struct{}, m store.Message) store.Message {
	wait, cancel := context.WithTimeout(ctx, s.acceptTime)
	defer cancel()
	for m.State == conversation.MessagePending {
		select {
		case <-wait.Done():
			return m
		case <-tells:
		}
		now, err := s.store.Message(wait, m.ID)
		if err != nil {
			return m // it is stored; how it stands is told another time
		}
		m = now
	}
	return m
}

// typeFields are the fields of each type of message beside type and
// quick_replies.
var typeFields = map[string][]string{
	conversation.ContentText:           {"text", "quote_message_id"},
	conversation.ContentTextV2:         {"text", "substitution", "quote_message_id"},
	conversation.ContentSticker:        {"package_id", "sticker_id", "quote_message_id"},
	conversation.ContentImage:          {"url", "preview_url"},
	conversation.ContentVideo:          {"url", "preview_url"},
	conversation.ContentAudio:          {"url", "duration_ms"},
	conversation.ContentLocation:       {"title", "address", "latitude", "longitude"},
	string(MessageInputTypeAttachment): {"attachment_id"},
	conversation.ContentFlex:           {"alt_text", "contents"},
	conversation.ContentTemplate:       {"alt_text", "template"},
	conversation.ContentImagemap:       {"alt_text", "imagemap"},
	conversation.ContentCoupon:         {"coupon_id", "delivery_tag"},
	conversation.ContentAccountLink:    {"text"},
}

// contentOf is what an agent writes, in the one shape messages have. Fields
// that the type does not use are refused by name.
func contentOf(in MessageInput) (conversation.Content, error) {
	c := conversation.Content{
		Type: string(in.Type), Text: in.Text, URL: in.URL, PreviewURL: in.PreviewURL, DurationMS: in.DurationMS, PackageID: in.PackageID, StickerID: in.StickerID,
		Title: in.Title, Address: in.Address, Latitude: in.Latitude, Longitude: in.Longitude, AltText: in.AltText, Contents: in.Contents, Template: in.Template,
		Substitution: in.Substitution, Imagemap: in.Imagemap, CouponID: in.CouponID, DeliveryTag: in.DeliveryTag, QuoteMessageID: in.QuoteMessageID,
		QuickReplies: buttonsOf(in),
	}
	uses := typeFields[c.Type]
	given := map[string]bool{
		"text": in.Text != "", "attachment_id": in.AttachmentID != "", "package_id": in.PackageID != "", "sticker_id": in.StickerID != "", "title": in.Title != "", "address": in.Address != "",
		"latitude": in.Latitude != 0, "longitude": in.Longitude != 0, "alt_text": in.AltText != "", "contents": in.Contents != nil, "template": in.Template != nil,
		"url": in.URL != "", "preview_url": in.PreviewURL != "", "duration_ms": in.DurationMS != 0, "substitution": in.Substitution != nil, "imagemap": in.Imagemap != nil,
		"coupon_id": in.CouponID != "", "delivery_tag": in.DeliveryTag != "", "quote_message_id": in.QuoteMessageID != "",
	}
	var fields []conversation.FieldError
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] && !slices.Contains(uses, name) {
			fields = append(fields, conversation.FieldError{Pointer: conversation.Pointer(name), Detail: "A message of type " + c.Type + " does not have it."})
		}
	}
	if slices.Contains(uses, "text") && c.Type != conversation.ContentAccountLink && strings.TrimSpace(c.Text) == "" {
		fields = append(fields, conversation.FieldError{Pointer: "/text", Detail: "It must not be blank."})
	}
	if len(fields) > 0 {
		return c, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The message cannot be sent.", Fields: fields}
	}
	return c, nil
}

func buttonsOf(in MessageInput) (out []conversation.QuickReply) {
	for _, q := range in.QuickReplies {
		out = append(out, conversation.QuickReply{Label: q.Label, Text: q.Text, Data: q.Data, URI: q.URI, Action: q.Action, ImageURL: q.ImageURL})
	}
	return out
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
