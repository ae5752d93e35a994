package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kaiwa/internal/attachment"
	"kaiwa/internal/blob"
	"kaiwa/internal/conversation"
	"kaiwa/internal/media"
	"kaiwa/internal/store"
)

const (
	// uploadStall is how long an upload may bring nothing.
	uploadStall = 30 * time.Second
	// uploadFrame is what may stand around the file in the body, in bytes.
	uploadFrame = 64 << 10
	// abandoned is how long what is left of a failed upload may take to clean up.
	abandoned = 10 * time.Second
)

func (s *Server) showAttachment(a store.Attachment) Attachment {
	return Attachment{
		ID: a.ID, ConversationID: a.ConversationID, MessageID: Nullable(a.MessageID), Direction: AttachmentDirection(a.Direction), Kind: AttachmentKind(a.Kind),
		State: AttachmentState(a.State), Reason: Nullable(a.Reason), Signature: Nullable(a.Signature), FileName: Nullable(a.FileName), ContentType: Nullable(a.ContentType),
		Size: a.Size, SHA256: Nullable(a.SHA256), Width: a.Width, Height: a.Height, DurationMS: a.DurationMS,
		URL: Nullable(attachment.URL(s.filesURL, a)), PreviewURL: Nullable(attachment.PreviewURL(s.filesURL, a)), CreatedAt: fromMicros(a.CreatedAt),
	}
}

// showMessages shows messages with their attachments.
func (s *Server) showMessages(ctx context.Context, list []store.Message) ([]Message, error) {
	var ids []string
	for _, m := range list {
		if m.AttachmentID != "" {
			ids = append(ids, m.AttachmentID)
		}
	}
	files, err := s.store.Attachments(ctx, ids)
	if err != nil {
		return nil, err
	}
	quotes, err := s.quotes(ctx, list)
	if err != nil {
		return nil, err
	}
	return shown(list, func(m store.Message) Message {
		out := showMessage(m)
		if a, ok := files[m.AttachmentID]; ok {
			file := s.showAttachment(a)
			out.Attachment = &file
		}
		out.Quote = quotes[m.ID]
		return out
	}), nil
}

// attachmentContent is what a message says that sends an uploaded file.
func (s *Server) attachmentContent(ctx context.Context, conversationID, id, messageID string) (conversation.Content, error) {
	if id == "" {
		return conversation.Content{}, conversation.Invalid("/attachment_id", "This field is required for an attachment.")
	}
	c, err := s.store.Conversation(ctx, conversationID)
	if err != nil {
		return conversation.Content{}, err
	}
	a, err := s.store.Sendable(ctx, conversationID, id, messageID)
	if err != nil {
		return conversation.Content{}, err
	}
	return attachment.Content(s.filesURL, a, c.Locale)
}

// GetAttachment reads an attachment.
func (s *Server) GetAttachment(ctx context.Context, r GetAttachmentRequestObject) (GetAttachmentResponseObject, error) {
	a, err := s.store.Attachment(ctx, r.ID)
	return GetAttachment200JSONResponse(s.showAttachment(a)), err
}

// RevokeAttachment takes a file back.
func (s *Server) RevokeAttachment(ctx context.Context, r RevokeAttachmentRequestObject) (RevokeAttachmentResponseObject, error) {
	a, err := s.store.RevokeAttachment(ctx, origin(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	s.deleteBytes(ctx, a.ID)
	return RevokeAttachment204Response{}, nil
}

// ReleaseAttachment lets a file out of quarantine.
func (s *Server) ReleaseAttachment(ctx context.Context, r ReleaseAttachmentRequestObject) (ReleaseAttachmentResponseObject, error) {
	a, err := s.store.ReleaseAttachment(ctx, origin(ctx), r.ID)
	return ReleaseAttachment200JSONResponse(s.showAttachment(a)), err
}

// ListQuarantine lists the files in quarantine.
func (s *Server) ListQuarantine(ctx context.Context, r ListQuarantineRequestObject) (ListQuarantineResponseObject, error) {
	var after store.Position
	if err := readCursor("quarantine", r.Params.Cursor, &after); err != nil {
		return nil, err
	}
	limit := pageSize(r.Params.Limit)
	list, err := s.store.QuarantinedAttachments(ctx, after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next, err := page("quarantine", list, limit, func(a store.Attachment) any { return store.Position{At: a.UpdatedAt, ID: a.ID} })
	return ListQuarantine200JSONResponse{Items: shown(list, s.showAttachment), NextCursor: next}, err
}

// deleteBytes deletes what the bucket holds of an attachment that nobody may
// have. What fails is done by the sweep.
func (s *Server) deleteBytes(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandoned)
	defer cancel()
	err := s.blobs.DeleteAll(ctx, id)
	if err == nil {
		err = s.store.AttachmentDeleted(ctx, id)
	}
	if err != nil {
		s.log.Warn("the bytes of an attachment are still there; it is tried again", "attachment_id", id, "error", err)
	}
}

// sweepAttachments ends what nobody is at any more, and deletes bytes that
// nobody may have.
func (s *Server) sweepAttachments(ctx context.Context) error {
	if err := s.store.AbandonAttachments(ctx); err != nil {
		return err
	}
	const page = 100
	var after store.Position
	for {
		list, err := s.store.AttachmentsToDelete(ctx, after, page)
		if err != nil {
			return err
		}
		for _, a := range list {
			s.deleteBytes(ctx, a.ID)
			after = store.Position{At: a.UpdatedAt, ID: a.ID}
		}
		if len(list) < page || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// uploadAttachment takes a file for a conversation, as it comes: the body is
// never in memory as a whole, so neither the specification's validation nor the
// store of answers to idempotency keys can have it. With an Idempotency-Key the
// attachment's id is derived from it instead, and its digest is held against
// what comes the second time.
func (s *Server) uploadAttachment(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	conv, err := s.store.Conversation(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if conv.Status == conversation.StatusClosed {
		return conversation.Errorf(conversation.CodeConversationClosed, "The conversation is closed.")
	}
	plan, err := s.store.Plan(ctx, conv.ChannelID)
	if err != nil {
		return err
	}
	rules := plan.Workstream.Settings.Attachments
	if err := filesAllowed(rules); err != nil {
		return err
	}
	if r.ContentLength > rules.MaxBytes+uploadFrame {
		return fileTooLarge(rules.MaxBytes)
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	control := http.NewResponseController(c.Response())
	r.Body = &patientBody{ReadCloser: r.Body, control: control}
	if err := control.SetWriteDeadline(time.Now().Add(transferTime + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	form, part, err := filePart(r)
	if err != nil {
		return err
	}
	row, fresh, err := s.beginUpload(ctx, conv.ID, key, media.Name(part.FileName()))
	if err != nil {
		return err
	}
	kept, err := attachment.Keep(ctx, s.blobs, row.ID, part, attachment.Rules{MaxBytes: rules.MaxBytes, Allowed: rules.AllowedTypes, Blocked: rules.BlockedTypes})
	if err == nil {
		if _, after := form.NextPart(); after == nil {
			err = errManyParts
		}
	}
	if err == nil {
		err = s.scan(ctx, kept)
	}
	if err != nil {
		return s.notKept(ctx, row, fresh, rules, err)
	}
	a, err := s.finishUpload(ctx, row, kept)
	if err != nil {
		return err
	}
	if a.BlobKey != kept.Key { // there was one already
		if a.SHA256 != kept.SHA256 {
			return conversation.Errorf(conversation.CodeIdempotencyMismatch, "The Idempotency-Key was used for another file.")
		}
		c.Response().Header().Set(headerIdempotencyReplayed, "true")
	}
	return c.JSON(http.StatusCreated, s.showAttachment(a))
}

// beginUpload notes that a file is coming. With a key, uploads with the same one
// share an attachment, until one of them has failed: then the next has another.
// Bytes of a failed one may be deleted at any time, so it is never taken up again.
func (s *Server) beginUpload(ctx context.Context, conversationID, key, name string) (row store.Attachment, fresh bool, err error) {
	for try := 0; ; try++ {
		row = store.Attachment{ID: conversation.NewID(conversation.PrefixAttachment), ConversationID: conversationID, AgentID: caller(ctx).Agent.ID, FileName: name}
		if key != "" {
			row.ID = conversation.DerivedID(conversation.PrefixAttachment, caller(ctx).Token.ID, conversationID, key, try)
		}
		row, fresh, err = s.store.BeginUpload(ctx, row)
		if err != nil || row.State != conversation.AttachmentFailed && row.State != conversation.AttachmentRefused {
			return row, fresh, err
		}
	}
}

// finishUpload makes an attachment of a kept file, unless an upload with the
// same id was first.
func (s *Server) finishUpload(ctx context.Context, row store.Attachment, kept attachment.Kept) (store.Attachment, error) {
	var err error
	if kept.ContentType == "video/mp4" && kept.Film.Video {
		if kept.PreviewKey, err = attachment.KeepFrame(ctx, s.blobs, row.ID, kept.Key); err != nil {
			return row, err
		}
	}
	end := store.AttachmentEnd{
		State: conversation.AttachmentStored, Kind: kept.Kind(), ContentType: kept.ContentType, SHA256: kept.SHA256, BlobKey: kept.Key, PreviewKey: kept.PreviewKey,
		Size: kept.Size, Width: int64(kept.Width), Height: int64(kept.Height), DurationMS: kept.Duration.Milliseconds(),
	}
	if end.Kind == store.FileAudio && end.ContentType == "video/mp4" {
		end.ContentType = "audio/mp4" // the container is the same; players go by the name
	}
	a, _, _, err := s.store.FinishAttachment(ctx, row.ID, end)
	if err == nil && a.State != conversation.AttachmentStored && a.State != conversation.AttachmentRevoked {
		err = conversation.Errorf(conversation.CodeInFlight, "Another upload with this Idempotency-Key broke off meanwhile. Try again.")
	}
	return a, err
}

// malware is what an uploaded file comes to that holds some.
type malware struct{ signature string }

func (m malware) Error() string { return "the scanner takes the file for " + m.signature }

// errNotScanned is what an upload comes to when the scanner does not answer.
var errNotScanned = errors.New("the scanner did not look at the file")

// scan has an uploaded file looked at before anybody can send it.
func (s *Server) scan(ctx context.Context, kept attachment.Kept) error {
	signature, err := s.scanner.Scan(ctx, s.blobs, kept.Key)
	switch {
	case errors.Is(err, attachment.ErrUnscannable):
		return err
	case err != nil:
		s.log.Warn("an upload could not be scanned", "request_id", requestID(ctx), "error", err)
		return errNotScanned
	case signature != "":
		return malware{signature}
	}
	return nil
}

// notKept ends an upload that did not come through, and says why.
func (s *Server) notKept(ctx context.Context, row store.Attachment, fresh bool, rules store.AttachmentSettings, cause error) error {
	end := store.AttachmentEnd{State: conversation.AttachmentRefused}
	var say error
	var found malware
	switch {
	case errors.As(cause, &found):
		end.Reason, end.Signature = store.ReasonMalware, found.signature
		say = conversation.Invalid("/file", "The file is taken for malware (%s).", found.signature)
	case errors.Is(cause, attachment.ErrUnscannable):
		end.Reason, say = store.ReasonNotScanned, conversation.Invalid("/file", "The file is larger than what can be looked at for malware, or holds more. An operator can allow more in clamd.conf (StreamMaxLength, MaxFileSize, MaxScanSize).")
	case errors.Is(cause, errNotScanned):
		end.State, end.Reason = conversation.AttachmentFailed, store.ReasonNotScanned
		say = conversation.Errorf(conversation.CodeUnavailable, "The file cannot be looked at for malware right now. Try again in a minute.")
	case errors.Is(cause, errManyParts):
		end.State, end.Reason = conversation.AttachmentFailed, store.ReasonBroken
		say = conversation.Invalid("/file", "This part must be the only one: upload one file at a time.")
	case errors.Is(cause, attachment.ErrKind):
		end.Reason, say = store.ReasonKind, conversation.Invalid("/file", "The workstream does not take files of this type (%s).", cause)
	case errors.Is(cause, blob.ErrTooLarge):
		end.Reason, say = store.ReasonSize, fileTooLarge(rules.MaxBytes)
	default:
		end.State, end.Reason, say = conversation.AttachmentFailed, store.ReasonBroken, cause
		if errors.Is(cause, errBrokeOff) || errors.Is(cause, io.ErrUnexpectedEOF) { // or its form does
			say = &conversation.Error{Code: conversation.CodeInvalid, Detail: "The request body broke off.", Err: cause}
		}
	}
	if fresh {
		ctx, cancel := afterwards(ctx)
		defer cancel()
		if _, _, _, err := s.store.FinishAttachment(ctx, row.ID, end); err != nil {
			s.log.Warn("a failed upload stays pending for a while", "attachment_id", row.ID, "error", err)
		}
	}
	return say
}

func fileTooLarge(limit int64) error {
	return conversation.Errorf(codeTooLarge, "The file is larger than %d bytes, which is the workstream's limit.", limit)
}

// errManyParts is what a body comes to that has more than the file.
var errManyParts = errors.New("there are several parts")

// filePart is the one part of a multipart body, and the body.
func filePart(r *http.Request) (*multipart.Reader, *multipart.Part, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, nil, conversation.Errorf(codeUnsupportedMediaType, "The request body must be multipart/form-data with one part, file.")
	}
	part, err := form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, conversation.Invalid("/file", "This part is required.")
	case err != nil:
		return nil, nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "The request body is not well-formed multipart/form-data.", Err: err}
	case part.FormName() != "file":
		return nil, nil, conversation.Invalid("/file", "This part is required, and is the only one.")
	}
	return form, part, nil
}

var errBrokeOff = errors.New("the request body broke off")

// patientBody gives a body time as long as something comes.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *patientBody) Read(p []byte) (int, error) {
	// A connection that has no deadlines is patient already.
	if err := b.control.SetReadDeadline(time.Now().Add(uploadStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errBrokeOff, err)
	}
	return n, err
}
