package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// The kinds of Attachment: what LINE, or the composer of a message, calls it.
// Its content type says what it is.
const (
	FileImage = "image"
	FileVideo = "video"
	FileAudio = "audio"
	FileOther = "file"
)

// Why an attachment is not there.
const (
	ReasonNotAllowed        = "not_allowed"        // refused: the sender may send none
	ReasonKind              = "kind"               // refused: its type is not taken
	ReasonSize              = "size"               // refused: it is too large
	ReasonExpired           = "expired"            // gone: nobody has it any more
	ReasonTranscodingFailed = "transcoding_failed" // failed: LINE could not prepare it
	ReasonLate              = "late"               // failed: it could not be had in time
	ReasonProvider          = "provider"           // failed: who provides it does not give it, or is at a forbidden address
	ReasonChannelGone       = "channel_gone"       // failed: its channel was deleted
	ReasonBroken            = "broken"             // failed: the upload broke off
	ReasonUnsent            = "unsent"             // revoked: by the customer
	ReasonTakenBack         = "taken_back"         // revoked: by people
	ReasonNoConsent         = "no_consent"         // revoked: the customer did not agree to the privacy notice
	ReasonMalware           = "malware"            // quarantined, or refused: the scanner takes it for malware
	ReasonNotScanned        = "not_scanned"        // quarantined, refused or failed: the scanner did not look at it, or does not take it
	ReasonQuarantineOver    = "quarantine_over"    // revoked: nobody wanted it for as long as it is kept
)

// The sizes a workstream may take, in bytes.
const (
	DefaultAttachmentSize = 25 << 20
	MaxAttachmentSize     = 200 << 20 // LINE's own limit of videos and audio
)

// AttachmentSettings are what files a workstream takes and sends.
type AttachmentSettings struct {
	CustomersMaySend *bool `json:"customers_may_send"` // nil means yes
	AgentsMaySend    *bool `json:"agents_may_send"`    // nil means yes
	MaxBytes         int64 `json:"max_bytes"`          // 0 means DefaultAttachmentSize
	// Types are media types, such as application/pdf, or families, such as
	// image/*. What a file is, its content says.
	AllowedTypes []string `json:"allowed_types"` // none: all
	BlockedTypes []string `json:"blocked_types"`
}

func (a *AttachmentSettings) defaults() {
	if a.MaxBytes == 0 {
		a.MaxBytes = DefaultAttachmentSize
	}
	for _, may := range []**bool{&a.CustomersMaySend, &a.AgentsMaySend} {
		if *may == nil {
			yes := true
			*may = &yes
		}
	}
	for _, types := range []*[]string{&a.AllowedTypes, &a.BlockedTypes} {
		if *types == nil {
			*types = []string{}
		}
	}
}

// Attachment is the file of a message. The bytes are in the blob store, under
// its keys.
type Attachment struct {
	ID             string                       `db:"id"`
	ConversationID string                       `db:"conversation_id"`
	MessageID      string                       `db:"message_id"` // "" while no message names it
	Direction      conversation.Direction       `db:"direction"`
	Kind           string                       `db:"kind"`
	State          conversation.AttachmentState `db:"state"`
	Reason         string                       `db:"reason"`
	AgentID        string                       `db:"agent_id"` // who uploaded it
	FileName       string                       `db:"file_name"`
	ContentType    string                       `db:"content_type"` // as sniffed
	Size           int64                        `db:"size"`         // bytes
	SHA256         string                       `db:"sha256"`
	Width          int64                        `db:"width"`
	Height         int64                        `db:"height"`
	DurationMS     int64                        `db:"duration_ms"`
	Link           string                       `db:"link"`        // the unguessable part of its address
	BlobKey        string                       `db:"blob_key"`    // "" when the bucket holds nothing of it; its id until it is kept
	PreviewKey     string                       `db:"preview_key"` // "" without a preview
	Signature      string                       `db:"signature"`   // of the malware it holds, in the scanner's words
	CreatedAt      int64                        `db:"created_at"`
	UpdatedAt      int64                        `db:"updated_at"`
}

const attachmentColumns = `id, conversation_id, message_id, direction, kind, state, reason, agent_id, file_name, content_type, size, sha256,
	width, height, duration_ms, link, blob_key, preview_key, signature, created_at, updated_at`

// Kept tells whether the bucket holds a file that is still pending.
func (a Attachment) Kept() bool { return a.BlobKey != "" && a.BlobKey != a.ID }

// InboundFile is what LINE tells of a customer's file before it is fetched.
type InboundFile struct {
	Kind       string
	Name       string
	Size       int64 // bytes; 0 when LINE does not say
	DurationMS int64
}

// arrivedFile is an InboundFile on its way into the database.
type arrivedFile struct {
	id, messageID string
	InboundFile
}

func attachmentID(channelID, webhookEventID string) string {
	return conversation.DerivedID(conversation.PrefixAttachment, channelID, webhookEventID)
}

// insertFiles notes files that are to be fetched.
func (c conn) insertFiles(ctx context.Context, conversationID string, files []arrivedFile, now int64) error {
	if len(files) == 0 {
		return nil
	}
	var rows []any
	for _, f := range files {
		rows = append(rows, f.id, conversationID, f.messageID, string(conversation.Inbound), f.Kind, string(conversation.AttachmentPending),
			f.Name, f.Size, f.DurationMS, f.id, now, now)
	}
	_, err := c.exec(ctx, `
		INSERT INTO attachments (id, conversation_id, message_id, direction, kind, state, file_name, size, duration_ms, blob_key, created_at, updated_at)
		VALUES `+values(len(files), 12, 1)+` ON CONFLICT DO NOTHING`, rows...)
	return err
}

// pendingFiles are the customer's files of a conversation that are not fetched.
func (c conn) pendingFiles(ctx context.Context, conversationID string) ([]string, error) {
	var ids []string
	err := c.list(ctx, &ids, `SELECT id FROM attachments WHERE conversation_id = $1 AND state = 'pending' AND direction = 'inbound' ORDER BY created_at, id`, conversationID)
	return ids, err
}

// revokeFile takes an attachment back. Its bytes are deleted after that.
func (c conn) revokeFile(ctx context.Context, id, reason string) error {
	now := micros(c.s.now())
	var a Attachment
	found, err := c.get(ctx, &a, `UPDATE attachments SET state = $1, reason = $2, file_name = '', updated_at = $3
		WHERE id = $4 AND state <> $1 RETURNING `+attachmentColumns, string(conversation.AttachmentRevoked), reason, now, id)
	if err != nil || !found {
		return err
	}
	return c.recordFile(ctx, a)
}

// recordFile writes the event of what an attachment has become, unless its
// message is held until the customer consents.
func (c conn) recordFile(ctx context.Context, a Attachment) error {
	_, err := c.exec(ctx, `INSERT INTO events (type, conversation_id, subject_id, data, created_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM messages WHERE id = $6 AND held)`,
		"attachment."+string(a.State), a.ConversationID, a.ID, jsonOf(map[string]string{"message_id": a.MessageID, "reason": a.Reason}), a.UpdatedAt, a.MessageID)
	return c.hasRecorded(err)
}

// Attachment reads one attachment; CodeNotFound when there is none, or its
// message is held until the customer consents.
func (s *Store) Attachment(ctx context.Context, id string) (Attachment, error) {
	return s.read().attachment(ctx, notHeld+" AND id", id)
}

// notHeld is the condition that an attachment's message is not held until the
// customer consents.
const notHeld = "NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = attachments.message_id AND m.held)"

// AttachmentByLink reads the attachment with a link; CodeNotFound when there is
// none.
func (s *Store) AttachmentByLink(ctx context.Context, link string) (Attachment, error) {
	return s.read().attachment(ctx, "link <> '' AND link", link) // the index is of those that have one
}

func (c conn) attachment(ctx context.Context, column, value string) (Attachment, error) {
	var a Attachment
	found, err := c.get(ctx, &a, `SELECT `+attachmentColumns+` FROM attachments WHERE `+column+` = $1`, value)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no such attachment.")
	}
	return a, err
}

// Attachments reads attachments by their ids, in one statement.
func (s *Store) Attachments(ctx context.Context, ids []string) (map[string]Attachment, error) {
	out := map[string]Attachment{}
	if len(ids) == 0 {
		return out, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	var list []Attachment
	if err := s.read().list(ctx, &list, `SELECT `+attachmentColumns+` FROM attachments WHERE id IN `+values(1, len(ids), 1), args...); err != nil {
		return nil, err
	}
	for _, a := range list {
		out[a.ID] = a
	}
	return out, nil
}

// Fetch is what fetching a customer's file needs to know.
type Fetch struct {
	Attachment
	ChannelID     string `db:"channel_id"`
	LINEMessageID string `db:"line_message_id"`
	Payload       string `db:"payload"` // of its message: LINE's object
	ChatKey       string `db:"chat_key"`
	Held          bool   `db:"held"`        // LINE takes no access token of its channel
	WaitsSince    int64  `db:"waits_since"` // see FileWaits
}

// Fetch reads an attachment together with its message; CodeNotFound when there
// is none.
func (s *Store) Fetch(ctx context.Context, id string) (Fetch, error) {
	var f Fetch
	found, err := s.read().get(ctx, &f, `SELECT a.`+strings.ReplaceAll(attachmentColumns, ", ", ", a.")+`, c.channel_id, c.chat_key, a.waits_since,
			coalesce(m.line_message_id, '') AS line_message_id, coalesce(m.payload, '') AS payload,
			EXISTS (SELECT 1 FROM channels h WHERE h.id = c.channel_id AND h.held_at > 0) AS held
		FROM attachments a JOIN conversations c ON c.id = a.conversation_id LEFT JOIN messages m ON m.id = a.message_id WHERE a.id = $1`, id)
	if err == nil && !found {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no such attachment.")
	}
	return f, err
}

// AttachmentEnd is what the fetching or uploading of a file has come to.
type AttachmentEnd struct {
	State  conversation.AttachmentState
	Reason string

	// Of a stored or quarantined one. Kind "" leaves what it is.
	Kind, ContentType, SHA256       string
	BlobKey, PreviewKey             string
	Size, Width, Height, DurationMS int64
	Signature                       string

	// Say is what the customer is told, once in sayOnce for all files refused
	// for the same cause; of a refused or quarantined one.
	Say []Draft
}

// sayOnce is how long a refusal holds for the files that follow: several
// pictures are sent at once, and one answer is enough.
const sayOnce = time.Minute

// FinishAttachment ends what is pending, and returns the attachment as it then
// is. One that has ended before stays as it is: done is false. Telling the
// customer is part of the transaction; said is how many messages wait to be
// sent, also when it is called again.
func (s *Store) FinishAttachment(ctx context.Context, id string, end AttachmentEnd) (a Attachment, done bool, said int, err error) {
	err = s.tx(ctx, func(c conn) error {
		a, done, said = Attachment{}, false, 0
		now := micros(s.now())
		var row conversationRow
		say := end.Say
		if len(say) > 0 { // the conversation's lock goes first
			before, err := c.attachment(ctx, "id", id)
			if err != nil {
				return err
			}
			if row, err = c.lockConversation(ctx, before.ConversationID); err != nil {
				return err
			}
			if row.phase() == conversation.PhaseConsent {
				say = nil // the question of consent has to stay the last message
			}
		}
		link := ""
		if end.State == conversation.AttachmentStored {
			link = rand.Text() // 128 bits
		}
		var err error
		done, err = c.get(ctx, &a, `
			UPDATE attachments SET state = $1, reason = $2, kind = CASE WHEN $3 = '' THEN kind ELSE $3 END, content_type = $4,
				size = coalesce(nullif(CAST($5 AS BIGINT), 0), size), sha256 = $6, width = $7, height = $8,
				duration_ms = coalesce(nullif(CAST($9 AS BIGINT), 0), duration_ms),
				link = $10, blob_key = CASE WHEN $11 = '' THEN blob_key ELSE $11 END, preview_key = $12, signature = $13, updated_at = $14
			WHERE id = $15 AND state = 'pending' RETURNING `+attachmentColumns,
			string(end.State), end.Reason, end.Kind, end.ContentType, end.Size, end.SHA256, end.Width, end.Height, end.DurationMS,
			link, end.BlobKey, end.PreviewKey, end.Signature, now, id)
		if err != nil {
			return err
		}
		if !done {
			a, err = c.attachment(ctx, "id", id)
			if err == nil {
				_, err = c.get(ctx, &said, `SELECT count(*) FROM messages WHERE id = $1 AND state = 'pending'`, conversation.DerivedID(conversation.PrefixMessage, id, 0))
			}
			return err
		}
		if err := c.recordFile(ctx, a); err != nil {
			return err
		}
		if len(say) > 0 {
			var lately int
			if _, err := c.get(ctx, &lately, `SELECT count(*) FROM messages WHERE conversation_id = $1 AND automated = $2 AND created_at > $3`,
				row.ID, say[0].Automated, now-sayOnce.Microseconds()); err != nil || lately > 0 {
				return err
			}
			if said, err = c.insertOutbound(ctx, row, id, say); err != nil {
				return err
			}
		}
		failpoint.Hit("media.before_commit")
		return nil
	})
	if err != nil {
		return Attachment{}, false, 0, fmt.Errorf("finish attachment %s: %w", id, err)
	}
	if done {
		failpoint.Hit("media.after_commit")
	}
	return a, done, said, nil
}

// BeginUpload notes that a file is being uploaded, before its bytes are stored,
// so that they can be found if the process dies. It returns the attachment; one
// with the same id is returned as it is, with fresh false.
func (s *Store) BeginUpload(ctx context.Context, a Attachment) (_ Attachment, fresh bool, err error) {
	now := micros(s.now())
	n, err := s.write().exec(ctx, `
		INSERT INTO attachments (id, conversation_id, direction, kind, state, agent_id, file_name, blob_key, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING`,
		a.ID, a.ConversationID, string(conversation.Outbound), FileOther, string(conversation.AttachmentPending), a.AgentID, a.FileName, a.ID, now)
	if err != nil {
		return Attachment{}, false, err
	}
	a, err = s.write().attachment(ctx, "id", a.ID)
	return a, n > 0, err
}

// RevokeAttachment takes an attachment back: its link answers so at once, and
// its bytes may be deleted. Doing it again changes nothing. CodeNotFound.
func (s *Store) RevokeAttachment(ctx context.Context, by Origin, id string) (Attachment, error) {
	var a Attachment
	err := s.tx(ctx, func(c conn) error {
		before, err := c.attachment(ctx, "id", id)
		if err != nil {
			return err
		}
		if err := c.revokeFile(ctx, id, ReasonTakenBack); err != nil {
			return err
		}
		if a, err = c.attachment(ctx, "id", id); err != nil || before.State == conversation.AttachmentRevoked {
			return err
		}
		return s.audit(ctx, c, by, AuditRevoked, "attachment", a.ID, "", map[string]any{"conversation_id": a.ConversationID}, nil)
	})
	return a, err
}

// takeAttachment gives an uploaded file to the message that sends it, be it in
// place of another one; see Sendable.
func (c conn) takeAttachment(ctx context.Context, conversationID, id, messageID, inPlaceOf string) error {
	n, err := c.exec(ctx, `UPDATE attachments SET message_id = $1
		WHERE id = $2 AND conversation_id = $3 AND direction = 'outbound' AND state = 'stored' AND message_id IN ('', $1, $4)`, messageID, id, conversationID, inPlaceOf)
	if err != nil || n > 0 {
		return err
	}
	_, err = c.sendable(ctx, conversationID, id, messageID)
	return err
}

// Sendable reads an uploaded file that a message may send. CodeInvalid when the
// conversation has no such file, CodeConflict when it is not stored or another
// message has it.
func (s *Store) Sendable(ctx context.Context, conversationID, id, messageID string) (Attachment, error) {
	return s.read().sendable(ctx, conversationID, id, messageID)
}

func (c conn) sendable(ctx context.Context, conversationID, id, messageID string) (Attachment, error) {
	a, err := c.attachment(ctx, "id", id)
	switch {
	case conversation.CodeOf(err) == conversation.CodeNotFound,
		err == nil && (a.ConversationID != conversationID || a.Direction != conversation.Outbound):
		return a, conversation.Invalid("/attachment_id", "This conversation has no uploaded file of this id.")
	case err != nil:
		return a, err
	case a.State != conversation.AttachmentStored:
		return a, conversation.Errorf(conversation.CodeConflict, "The file is %s.", a.State)
	case a.MessageID != "" && a.MessageID != messageID:
		return a, conversation.Errorf(conversation.CodeConflict, "Another message has sent this file. Upload it again to send it again.")
	}
	return a, nil
}

// fetchLimit is how long a file may be pending: longer than any attempt at it
// lives.
const fetchLimit = 2 * time.Hour

// stillWriting is how long after its end somebody who does not know of it may
// still write bytes of an attachment.
const stillWriting = time.Hour

// quarantineTime is how long a file is kept that nobody can load.
const quarantineTime = 30 * 24 * time.Hour

// AbandonAttachments ends what is pending though nobody can be at it any more:
// uploads whose process died, files of conversations whose run was ended by an
// operator. What waits for an access token that LINE takes is not among them. A
// customer's file that is kept by then goes into quarantine, which ends after
// quarantineTime. It may run at any time and in several processes.
func (s *Store) AbandonAttachments(ctx context.Context) error {
	return s.txAlone(ctx, func(c conn) error {
		now := s.now()
		var list, over []Attachment
		if err := c.list(ctx, &list, `UPDATE attachments SET updated_at = $1,
				state = CASE WHEN direction = 'inbound' AND blob_key NOT IN ('', id) THEN 'quarantined' ELSE 'failed' END,
				reason = CASE WHEN direction = 'inbound' AND blob_key NOT IN ('', id) THEN $2 ELSE $3 END
			WHERE state = 'pending' AND created_at < $4 AND (waits_since = 0 OR waits_since < $4 AND NOT EXISTS (
				SELECT 1 FROM conversations c JOIN channels h ON h.id = c.channel_id AND h.held_at > 0 WHERE c.id = attachments.conversation_id)) RETURNING `+attachmentColumns, micros(now), ReasonNotScanned, ReasonLate, micros(now.Add(-fetchLimit))); err != nil {
			return err
		}
		if err := c.list(ctx, &over, `UPDATE attachments SET state = 'revoked', reason = $1, updated_at = $2
			WHERE state = 'quarantined' AND updated_at < $3 RETURNING `+attachmentColumns, ReasonQuarantineOver, micros(now), micros(now.Add(-quarantineTime))); err != nil {
			return err
		}
		for _, a := range append(list, over...) {
			if err := c.recordFile(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// AttachmentsToDelete lists attachments of which the bucket may hold bytes that
// nobody may have, after a position (the zero Position starts at the oldest).
func (s *Store) AttachmentsToDelete(ctx context.Context, after Position, limit int) ([]Attachment, error) {
	var list []Attachment
	err := s.read().list(ctx, &list, `SELECT `+attachmentColumns+` FROM attachments
		WHERE blob_key <> '' AND state NOT IN ('pending', 'stored') AND state <> 'quarantined' AND (updated_at, id) > ($1, $2)
		ORDER BY updated_at, id LIMIT $3`, after.At, after.ID, limit)
	return list, err
}

// AttachmentDeleted notes that the bytes of an attachment were deleted, unless
// somebody may still be writing some: then they are deleted again later.
func (s *Store) AttachmentDeleted(ctx context.Context, id string) error {
	_, err := s.write().exec(ctx, `UPDATE attachments SET blob_key = '', preview_key = ''
		WHERE id = $1 AND state NOT IN ('pending', 'stored', 'quarantined') AND updated_at < $2`, id, micros(s.now().Add(-stillWriting)))
	return err
}
